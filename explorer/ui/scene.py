"""A scene: the arms of a page as they stand at this moment, from a run or at initialisation."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from explorer.comparison import names
from explorer.experiments.arms import Arms
from explorer.figures import Arm, make_arms
from explorer.spec import RunSpec
from explorer.store import Comparison, Event, Store
from explorer.trace import Array, Trace
from explorer.ui.flows import Flow
from explorer.ui.traces import Traces

NO_STEPS: NDArray[np.int64] = np.zeros(0, np.int64)


@dataclass(frozen=True)
class Scene:
    """Specs and looks of the arms; their run if one is attached, else their measured flows.

    `flows` has None where nothing is measured yet; `bands` has the flows of further seeds.
    """

    specs: Arms
    arms: list[Arm]
    flows: Sequence[Flow | None]
    comparison: Comparison | None = None
    traces: Traces | None = None
    events: list[Event] = field(default_factory=list)
    bands: Sequence[Sequence[Flow]] = ()
    points: dict[str, Any] | None = None  # of 2-D data: x (point, 2) and y (point,)

    def trace(self, index: int, probe: str) -> Trace:
        """The readings of arm `index`: of its run, or the one at initialisation."""
        if self.comparison is not None and self.traces is not None:
            run = self.comparison.runs[index]
            return self.traces.get(run.id, probe, changes=len(self.events))
        flow = self.flows[index]
        if flow is None or probe not in flow:
            return Trace(probe, NO_STEPS, np.zeros((0, 0), np.float32), (), probe)
        sites = flow["weight_sites"] if probe == "weight_gradient" else flow["sites"]
        unit = {"activation_std": "std of x", "weight_gradient": "‖dL/dW‖"}.get(probe, "‖dL/dx‖")
        values = floats(flow[probe])[None]
        return Trace(probe, np.zeros(1, np.int64), values, tuple(sites), unit, log=True)

    def gates(self, index: int, gate: Literal["skip", "residual"]) -> tuple[float, ...]:
        """The gates of arm `index` now, changes while it trained included; (block,)."""
        values = self.specs[index].network.gates(gate)
        for event in self.events:
            if event.kind == gate and event.concerns(index):
                values = event.numbers
        return values

    def predicted(self, index: int) -> Array | None:
        """The theory's profile at initialisation of arm `index`, if there is one; (site,)."""
        flow = self.flows[index] if self.flows else None
        return None if flow is None or flow["predicted"] is None else floats(flow["predicted"])

    def band(self, index: int) -> tuple[Array, Array] | None:
        """The 10 and 90 % quantiles of the profile over the seeds measured so far; two (site,)."""
        seeds = self.bands[index] if self.bands else ()
        if self.comparison is not None or len(seeds) < 2:
            return None
        profiles = np.stack([floats(flow["activation_gradient"]) for flow in seeds])
        low, high = np.quantile(profiles, (0.1, 0.9), axis=0).astype(np.float32)
        return low, high


def floats(values: Sequence[float | None]) -> Array:
    """JSON numbers as an array; null, which stands for what is not finite, becomes NaN."""
    return np.array([np.nan if value is None else value for value in values], np.float32)


def looks(specs: Sequence[RunSpec], arm_names: Sequence[str]) -> list[Arm]:
    """Name, colour and dash of every arm."""
    return make_arms(arm_names, [spec.network.shortcut == "none" for spec in specs])


def scene_at_rest(
    specs: Arms, flows: Sequence[Flow | None], bands: Sequence[Sequence[Flow]]
) -> Scene:
    """The arms untrained."""
    return Scene(specs, looks(specs, names(specs)), flows, bands=bands)


def scene_of(
    comparison: Comparison, flows: Sequence[Flow | None], store: Store, traces: Traces
) -> Scene:
    """The arms of a comparison that was started; their names are those it was started with."""
    specs = tuple(run.spec for run in comparison.runs)
    arms = looks(specs, [run.arm for run in comparison.runs])
    points = store.cache_get("points", specs[0].data.name)
    events = store.events(comparison.id)
    return Scene(specs, arms, flows, comparison, traces, events, points=points)
