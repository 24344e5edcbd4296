"""The figures of a scene, by the name under which a page asks for them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go

from explorer import figures
from explorer.figures import Arm, BoundarySeries, CurveSeries, ProfileSeries, Theme
from explorer.store import Event
from explorer.trace import Trace
from explorer.ui.references import references_of
from explorer.ui.scene import Scene

EXTRA = (
    "activation_std",
    "activation_mean",
    "dead_share",
    "residual_ratio",
    "weight_gradient",
    "update_ratio",
)

SIGNAL_NOTE = "at initialisation; Play puts loss and accuracy here"


@dataclass(frozen=True)
class Screen:
    """How figures are drawn, and which."""

    theme: Theme = "light"
    narrow: bool = False
    show: tuple[str, ...] = ("profile", "curves", "heatmap")

    @property
    def look(self) -> dict[str, Any]:
        """How a figure is drawn, as its keywords."""
        return {"theme": self.theme, "narrow": self.narrow}


def draw(name: str, scene: Scene, screen: Screen, note: str) -> go.Figure | None:
    """The figure called `name`, or None where the scene has nothing of the kind."""
    if name == "profile":
        return _profile(scene, screen, note)
    if name == "curves":
        return _curves(scene, screen) if scene.comparison else _signal(scene, screen)
    if name == "heatmap" and scene.comparison:  # one column at initialisation is no heat map
        traces = _traces(scene, "activation_gradient")
        return figures.heatmap(traces, screen.theme, narrow=screen.narrow)
    if name == "boundary":
        return _boundary(scene, screen)
    if name in EXTRA:
        traces = _traces(scene, name)
        read = [(arm, trace) for arm, trace in traces if len(trace)]
        return figures.sites_lines(read or traces, screen.theme, narrow=screen.narrow)
    return None


def _traces(scene: Scene, probe: str) -> list[tuple[Arm, Trace]]:
    return [(arm, scene.trace(index, probe)) for index, arm in enumerate(scene.arms)]


def _profile(scene: Scene, screen: Screen, note: str) -> go.Figure:
    series, read = [], 0
    for index, arm in enumerate(scene.arms):
        trace = scene.trace(index, "activation_gradient")
        if not len(trace):
            continue
        low, high = scene.band(index) or (None, None)
        predicted = scene.predicted(index) if int(trace.steps[-1]) == 0 else None
        series.append(ProfileSeries(arm, trace.sites, trace.last, low, high, predicted))
        read = max(read, int(trace.steps[-1]))
    if scene.comparison is not None:  # of the reading: the steps between two leave it as it is
        note = f"step {read}, {note}"
    return figures.profile(series, screen.theme, narrow=screen.narrow, note=note)


def _signal(scene: Scene, screen: Screen) -> go.Figure:
    """What stands in the place of the curves until there are any: the signal on its way up."""
    traces = [(arm, trace) for arm, trace in _traces(scene, "activation_std") if len(trace)]
    if not traces:
        return _curves(scene, screen)
    return figures.sites_lines(traces, screen.theme, narrow=screen.narrow, note=SIGNAL_NOTE)


def _curves(scene: Scene, screen: Screen) -> go.Figure:
    series = []
    for index, arm in enumerate(scene.arms) if scene.comparison else ():
        probes = ("train_loss", "train_accuracy", "test_accuracy")
        series.append(CurveSeries(arm, *(scene.trace(index, probe) for probe in probes)))
    classes = scene.specs[0].network.classes
    events = [figures.Event(event.step, label(event)) for event in _told_apart(scene.events)]
    return figures.curves(
        series,
        classes,
        screen.theme,
        narrow=screen.narrow,
        events=events,
        references=references_of(scene),
    )


def _told_apart(events: Sequence[Event]) -> list[Event]:
    """The last event of each kind at each step: a slider leaves many, one of which counted."""
    return list({(event.step, event.kind, event.arm): event for event in events}.values())


def label(event: Event) -> str:
    """What a visitor changed, in a few words: "rate 0.05", "3 skips cut"."""
    if event.kind == "lr":
        return f"rate {event.value:g}"
    gates = np.array(event.value, np.float32)
    what = "skips" if event.kind == "skip" else "residuals"
    if (gates == 1).all():
        return f"all {what} on"
    cut = int((gates == 0).sum())
    what = what[:-1] if cut == 1 else what
    return f"{cut} {what} cut" if cut else f"{what} x {gates.mean():.2g}"


def _boundary(scene: Scene, screen: Screen) -> go.Figure | None:
    if scene.specs[0].data.info.kind != "plane" or scene.comparison is None:
        return None
    series = []
    for index, arm in enumerate(scene.arms):
        trace = scene.trace(index, "decision")
        if len(trace):
            series.append(BoundarySeries(arm, trace.last, extent=2.5))
    if not series or scene.points is None:
        return None
    points = np.array(scene.points["x"], np.float32)
    labels = np.array(scene.points["y"], np.int64)
    return figures.boundary(series, points, labels, screen.theme, narrow=screen.narrow)


def as_json(figure: go.Figure) -> Any:
    """The figure as plotly.js takes it, arrays as base64."""
    return json.loads(figure.to_json())
