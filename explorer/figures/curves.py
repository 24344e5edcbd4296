"""Loss and accuracy against steps, raw: nothing is smoothed, and thinning keeps every spike."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import plotly.graph_objects as go

from explorer.diagnosis import Learning, learning_finding, learning_verdict
from explorer.figures.frame import Frame, Json, Panel, empty, finish, panels
from explorer.figures.scale import LogScale
from explorer.figures.theme import LOOKS, Arm, Look, Theme, faint
from explorer.figures.thin import thin
from explorer.trace import Array, Trace
from explorer.wording import number, percent

HEIGHT = 260
LOG_FROM = 10  # times the loss at chance; a linear axis would flatten the other arms
MOST_MARKERS = 60
AFTER_ARMS = 2000  # a legend rank; that of arms is 1000
FEW, MANY = 2, 1000  # classes where the number is not known: of a verdict, of a loss at chance


@dataclass(frozen=True)
class CurveSeries:
    """One arm's scalar traces; a trace that is not there yet has length 0."""

    arm: Arm
    loss: Trace
    train_accuracy: Trace
    test_accuracy: Trace


@dataclass(frozen=True)
class Event:
    """Something done to a run while it trained, such as "lr 0.1 → 0.01"."""

    step: int
    label: str


def curves(
    series: Sequence[CurveSeries],
    classes: int | None,
    theme: Theme = "light",
    *,
    narrow: bool = False,
    note: str = "",
    title: str = "",
    events: Sequence[Event] = (),
    references: Sequence[CurveSeries] = (),
) -> go.Figure:
    """Training loss beside accuracy (below it when narrow); chance is a labelled line in both.

    Without `classes`, which runs on unlike data do not share, chance is not drawn. `references`
    are thin grey lines behind, as far as the axes reach that `series` alone decides.
    """
    series = [one for one in series if len(one.loss)]
    if not series:
        frame = Frame(title or "Loss and accuracy", note, theme, narrow)
        return empty(frame, "step", "loss (nats)", HEIGHT)
    verdicts = [
        learning_verdict(one.loss, one.test_accuracy, classes or FEW, one.arm.name)
        for one in series
    ]
    look = LOOKS[theme]
    frame = Frame(title or learning_finding(verdicts), note, theme, narrow)
    end = max(int(one.loss.steps[-1]) for one in series)
    behind = [_grey(one, end, LOOKS[theme]) for one in references]
    behind = [one for one in behind if len(one.loss)]
    legend = [one.arm.name for one in (*series, *behind)]
    layout = frame.layout(2 * HEIGHT if narrow else HEIGHT, legend, True)
    left, right = panels(2, 1 if narrow else 2, 0.1, 0.15)
    scale = _loss_scale(series, classes)
    steps = {"range": [0, 1.02 * end + 0.1]}
    titled = {"title": {"text": "step"}}
    layout |= left.axes(
        {**steps, **({} if narrow else titled), "matches": "x2"},
        scale.axis("") if scale else {"rangemode": "tozero"},
    )
    layout |= right.axes({**steps, **titled}, {"range": [0, 102]})
    layout["shapes"], layout["annotations"] = _marks((left, right), classes, events, scale, look)
    data = [t for one in behind for t in _reference(one, left, right, scale)]
    data += [t for one in series for t in (*_loss(one, left, scale), *_accuracy(one, right))]
    middle = steps["range"][1] / 2
    ends = [_end(v, one, left, scale, middle) for v, one in zip(verdicts, series, strict=True)]
    data += [end for end in ends if end]
    alt = f"Line charts of training loss and of accuracy against step. {frame.title}."
    return finish(data, layout, alt)


def _loss_scale(series: Sequence[CurveSeries], classes: int | None) -> LogScale | None:
    """A log scale once a loss is far above chance, else none; divergence has a mark of its own."""
    losses = [one.loss.values[np.isfinite(one.loss.values)] for one in series]
    greatest = max((float(loss.max()) for loss in losses if len(loss)), default=0.0)
    return LogScale.over(losses) if greatest > LOG_FROM * math.log(classes or MANY) else None


def _line(series: CurveSeries, trace: Trace, panel: Panel, values: Array, line: Json) -> Json:
    x, y = thin(trace.steps, values)
    return {
        "type": "scatter",
        "name": series.arm.name,
        "legendgroup": series.arm.name,
        "showlegend": False,
        **panel.ref,
        "x": x.astype(np.float32),
        "y": y,
        "line": {"color": series.arm.color, **line},
    }


def _loss(series: CurveSeries, panel: Panel, scale: LogScale | None) -> list[Json]:
    values = series.loss.values[:, 0]
    drawn = scale.drawn(values) if scale else np.where(np.isfinite(values), values, np.nan)
    line = _line(series, series.loss, panel, drawn, {"width": 1.2, "dash": series.arm.dash})
    return [{**line, "mode": "lines", "showlegend": True, "hovertemplate": "loss %{y:.3~g}"}]


def _accuracy(series: CurveSeries, panel: Panel) -> list[Json]:
    train, test = series.train_accuracy, series.test_accuracy
    lines = []
    if len(train):
        look = {"width": 0.8, "dash": "dot"}
        line = _line(series, train, panel, 100 * train.values[:, 0], look)
        lines.append({**line, "mode": "lines", "hovertemplate": "train %{y:.0f} %"})
    if len(test):
        look = {"width": 2.2, "dash": series.arm.dash}
        line = _line(series, test, panel, 100 * test.values[:, 0], look)
        mode = "lines+markers" if len(test) <= MOST_MARKERS else "lines"
        lines.append(
            {**line, "mode": mode, "marker": {"size": 5}, "hovertemplate": "test %{y:.1f} %"}
        )
    return lines


def _grey(series: CurveSeries, end: int, look: Look) -> CurveSeries:
    """A reference as it is drawn: up to the step `end`, in the colour of what is not data."""
    traces = (series.loss, series.train_accuracy, series.test_accuracy)
    return CurveSeries(replace(series.arm, color=look.mark), *(_until(t, end) for t in traces))


def _until(trace: Trace, end: int) -> Trace:
    count = int(np.searchsorted(trace.steps, end, side="right"))
    return replace(trace, steps=trace.steps[:count], values=trace.values[:count])


def _reference(
    series: CurveSeries, left: Panel, right: Panel, scale: LogScale | None
) -> list[Json]:
    """Loss and test accuracy, or train accuracy where no other was read; thinner than an arm."""
    lines = [*_loss(series, left, scale), *_accuracy(series, right)[-1:]]
    thin_line = {"color": series.arm.color, "width": 1, "dash": series.arm.dash}
    look = {"mode": "lines", "line": thin_line, "legendrank": AFTER_ARMS}
    return [{**line, **look} for line in lines]


def _end(
    verdict: Learning, series: CurveSeries, panel: Panel, scale: LogScale | None, middle: float
) -> Json | None:
    """The mark where a loss ceased to be finite, at the height of the last one that was.

    Its label lies on the side of the step `middle` where there is room.
    """
    if verdict.word != "diverged":
        return None
    losses = series.loss.values[:, 0]
    finite = losses[np.isfinite(losses)]
    height = finite[-1:] if len(finite) else np.array([math.log(verdict.classes)], np.float32)
    return {
        "type": "scatter",
        "name": series.arm.name,
        "legendgroup": series.arm.name,
        "showlegend": False,
        **panel.ref,
        "x": [verdict.step],
        "y": scale.drawn(height) if scale else height,
        "mode": "markers+text",
        "marker": {"symbol": "x", "size": 11, "color": series.arm.color},
        "text": [f"diverged at step {verdict.step}"],
        "textposition": "bottom right" if verdict.step < middle else "bottom left",
        "cliponaxis": False,
        "hovertemplate": verdict.sentence + "<extra></extra>",
    }


def _marks(
    both: tuple[Panel, Panel],
    classes: int | None,
    events: Sequence[Event],
    scale: LogScale | None,
    look: Look,
) -> tuple[list[Json], list[Json]]:
    """Shapes and annotations: headings, chance, and what was done to the runs."""
    left, right = both
    notes = [
        left.heading("training loss (nats" + (", log axis)" if scale else ")")),
        right.heading("accuracy (%): test solid, train dotted"),
    ]
    shapes: list[Json] = []
    if scale:
        shapes, labels = scale.marks(look)
        notes += labels
    for panel, level, text in zip(both, *_chance(classes), strict=False):
        place = {"xref": f"x{panel.suffix} domain", "yref": f"y{panel.suffix}"}
        line = {"color": look.mark, "width": 1, "dash": "dash"}
        shapes.append({**place, "type": "line", "x0": 0, "x1": 1, "y0": level, "y1": level})
        shapes[-1]["line"] = line
        height = math.log10(level) if scale and panel is left else level
        label = {"text": text, "x": 1, "y": height, "xanchor": "right", "yanchor": "bottom"}
        notes.append({**place, **label, "bgcolor": faint(look.paper, 0.7), "borderpad": 1})
    for panel in both:
        for event in events:
            shape, label = _event(event, panel, look)
            shapes.append(shape)
            notes += [label] if panel is left else []
    return shapes, notes


def _chance(classes: int | None) -> tuple[list[float], list[str]]:
    """The heights of the two chance lines and what stands at them; none without `classes`."""
    if classes is None:
        return [], []
    loss = math.log(classes)
    labels = [f"chance ln {classes} = {number(loss)}", f"chance {percent(1 / classes)}"]
    return [loss, 100 / classes], labels


def _event(event: Event, panel: Panel, look: Look) -> tuple[Json, Json]:
    place = {"xref": f"x{panel.suffix}", "yref": f"y{panel.suffix} domain"}
    line = {"color": look.mark, "width": 1}
    shape = {**place, "type": "line", "x0": event.step, "x1": event.step, "y0": 0, "y1": 1}
    label = {"text": event.label, "x": event.step, "y": 1, "xanchor": "right", "yanchor": "top"}
    return {**shape, "line": line}, {**place, **label, "textangle": -90}
