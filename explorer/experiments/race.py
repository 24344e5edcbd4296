"""The depth race: networks of several depths with and without skips (He et al. 2015, fig. 6).

A race is a sweep of a known form. Beside the runs as asked it may have those that rule an
explanation out: the ones that trained worse than a shallower network trained `LONGER` times
as long, and all of them with steps of one size in every layer.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from explorer.cost import step_flops
from explorer.experiments.arms import with_value
from explorer.experiments.grid import expand
from explorer.race_runs import Kind, RaceRun
from explorer.spec import RunSpec, SpecError, parse, short_form
from explorer.store import Member, Run, Sweep
from explorer.trace import Trace

DEPTHS = (8, 20, 32, 44, 56, 110)
KINDS: tuple[Kind, ...] = ("plain", "residual")
BASE = parse("resnet-20,width=8,steps=300")
LONGER = 3
# Of 0.0003, 0.001, 0.003, 0.01 and 0.03 the share at which plain-56 of BASE trained best.
SHARE = 0.003
Readings = Callable[[int, str], Trace]  # a run's readings of a probe
PROBES = ("train_loss", "train_accuracy", "test_accuracy")


@dataclass(frozen=True)
class Race:
    """Depths, kinds and seeds; all else is the `base`'s, whose shortcut the residual ones have."""

    depths: tuple[int, ...] = (8, 20, 56, 110)
    kinds: tuple[Kind, ...] = KINDS
    seeds: int = 3
    base: RunSpec = BASE

    @cached_property
    def specs(self) -> tuple[RunSpec, ...]:
        """The runs as asked, seed by seed; SpecError where a depth cannot be."""
        if not self.depths or not self.kinds:
            raise SpecError("race", "no runs", "choose one depth and one kind or more")
        shortcuts = [self._shortcut(kind) for kind in self.kinds]
        return expand(self.base, {"depth": self.depths, "shortcut": shortcuts}, self.seeds)

    def _shortcut(self, kind: Kind) -> str:
        own = self.base.network.shortcut
        return "none" if kind == "plain" else own if own != "none" else "zero_pad"

    @property
    def name(self) -> str:
        """What the race compares, in a few words."""
        depths = ", ".join(map(str, self.depths))
        return f"{' and '.join(self.kinds)}, depths {depths}, {short_form(self.base)}"


def longer(specs: Iterable[RunSpec]) -> tuple[RunSpec, ...]:
    """The same runs with `LONGER` times the steps."""
    return tuple(with_value(spec, "steps", LONGER * spec.recipe.steps) for spec in specs)


def normalized(specs: Iterable[RunSpec]) -> tuple[RunSpec, ...]:
    """The same runs with steps of one relative size in every layer."""
    return tuple(
        spec.replace(recipe=spec.recipe.replace(normalized=True, lr=SHARE)) for spec in specs
    )


def kind_of(spec: RunSpec) -> Kind:
    """Plain, or residual however many of its skips are cut."""
    return "plain" if spec.network.shortcut == "none" else "residual"


def race_run(spec: RunSpec, base_steps: int) -> RaceRun:
    """A run that has not begun; `base_steps` is the budget of the runs as asked."""
    nothing = Trace("", np.zeros(0, np.int64), np.zeros((0, 1), np.float32), ("network",), "")
    variant = "longer" if spec.recipe.steps > base_steps else ""
    return RaceRun(
        kind=kind_of(spec),
        depth=spec.network.depth,
        seed=spec.seed,
        variant="normalized" if spec.recipe.normalized else variant,
        state="queued",
        steps=spec.recipe.steps,
        batch=spec.recipe.batch,
        train_size=spec.data.info.train,
        classes=spec.network.classes,
        loss=nothing,
        train_accuracy=nothing,
        test_accuracy=nothing,
        elapsed_s=0.0,
        flops_per_step=step_flops(spec),
    )


def race_runs(sweep: Sweep, trace: Readings) -> list[RaceRun]:
    """The members of a sweep with what was read; `trace` gives a run's readings of a probe."""
    base_steps = min(member.spec.recipe.steps for member in sweep.members)
    return [_member_run(member, base_steps, trace) for member in sweep.members]


def _member_run(member: Member, base_steps: int, trace: Readings) -> RaceRun:
    waiting = race_run(member.spec, base_steps)
    return with_readings(waiting, member.run, trace) if member.run else waiting


def with_readings(waiting: RaceRun, run: Run, trace: Readings) -> RaceRun:
    """A run that had not begun, as the store has it."""
    loss, train, test = (trace(run.id, probe) for probe in PROBES)
    return replace(
        waiting,
        state=run.state,
        loss=loss,
        train_accuracy=train,
        test_accuracy=test,
        elapsed_s=run.elapsed_s,
    )
