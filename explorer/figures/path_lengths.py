"""How many paths there are of each length, what gradient one brings, and where most comes from.

Veit et al. 2016, arXiv 1605.06431, section 5 and fig. 6.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from explorer.figures.block_series import NONE_KNOWN, NOT_MEASURED, Numbers, block_axis, joined
from explorer.figures.frame import Frame, Json, Panel, empty, finish, panels
from explorer.figures.scale import LogScale
from explorer.figures.theme import LOOKS, Arm, Theme, faint
from explorer.wording import capital, number, percent

TALL, GAP = 135, 46  # pixels of a panel, and between two
X_TITLE = "path length (blocks passed through F)"
HEADINGS = (
    "Share of all paths",
    "Gradient that one path brings, with standard error",
    "Share of the gradient: paths of that length x one path",
)
UNITS = ("%", "‖dL/dx‖", "%")
MASS = 0.95


@dataclass(frozen=True)
class PathSeries:
    """One arm's gradient by path length 0, 1, …, n; every array is (n + 1,).

    `norm` of one path with its standard `error` (NaN: not known), `paths` their share of all
    2^n, `share` what they bring of the whole; it is `first` to `last` that hold 95 % of it, and
    `effective` is the mean length. `predicted_share` is theory. NaN: no gradient arrives.
    """

    arm: Arm
    norm: Numbers
    error: Numbers
    paths: Numbers
    share: Numbers
    effective: float
    first: int
    last: int
    predicted_share: Numbers | None = None

    @property
    def lengths(self) -> NDArray[np.int64]:
        return np.arange(len(self.norm))

    @property
    def arrives(self) -> bool:
        return bool(np.isfinite(self.share).any())


def path_lengths(
    series: Sequence[PathSeries],
    theme: Theme = "light",
    *,
    narrow: bool = False,
    note: str = "",
) -> go.Figure:
    """Paths, gradient of one, and their product by length; shaded: lengths that hold 95 %."""
    drawn = [one for one in series if np.isfinite(one.norm).any()]
    height = 3 * TALL + 2 * GAP
    if not drawn:
        frame = Frame("Gradient by path length", note, theme, narrow)
        why = NONE_KNOWN if series else NOT_MEASURED
        return empty(frame, X_TITLE, f"share of the gradient ({UNITS[2]})", height, why=why)
    key = f"shaded: the lengths that bring {percent(MASS)}, with their mean"
    frame = Frame(_finding(drawn), "; ".join(filter(None, (note, key))), theme, narrow)
    scale = LogScale.over(one.norm[~np.isnan(one.norm)] for one in drawn)
    top, middle, bottom = panels(3, 1, 0, GAP / height)
    data = [*_binomials(drawn, top, theme), *(_norms(one, middle, scale) for one in drawn)]
    data += [trace for one in drawn for trace in _shares(one, bottom)]
    layout = frame.layout(height, [t["name"] for t in data if t["showlegend"]], headings=True)
    x = block_axis(0, max(len(one.norm) for one in drawn) - 1, narrow, X_TITLE)
    for panel, y in zip((top, middle, bottom), _y_axes(scale), strict=True):
        layout |= panel.axes(x if panel.bottom else {**_bare(x), "matches": "x3"}, y)
    layout["shapes"], layout["annotations"] = _marks(drawn, bottom, scale, theme)
    pairs = zip((top, middle, bottom), HEADINGS, strict=True)
    layout["annotations"] += [panel.heading(text) for panel, text in pairs]
    alt = f"Three charts by {X_TITLE}: {'; '.join(HEADINGS)}. {frame.title}."
    return finish(data, layout, alt)


def middle_lengths(share: Numbers) -> tuple[int, int]:
    """The first and last of the fewest neighbouring lengths that hold 95 % of `share`."""
    total = np.concatenate([[0.0], np.cumsum(share)])
    for width in range(1, len(share) + 1):
        held = total[width:] - total[:-width]
        if held.max() >= MASS:
            return int(held.argmax()), int(held.argmax()) + width - 1
    return 0, len(share) - 1


def _finding(series: Sequence[PathSeries]) -> str:
    """Where the paths are and where the gradient comes from; "but" where that is outside."""
    groups = {len(one.paths): middle_lengths(one.paths) for one in series}
    if len(groups) > 1:
        parts = [
            f"{_range(one.first, one.last)} in {one.arm.name}" for one in series if one.arrives
        ]
        parts += [f"none in {one.arm.name}" for one in series if not one.arrives]
        return f"{percent(MASS)} of the gradient comes along paths of {joined(parts)} blocks"
    ((_, (low, high)),) = groups.items()
    arriving = [one for one in series if one.arrives]
    start = f"{percent(MASS)} of the paths take {_range(low, high)} blocks"
    dead = [f"none comes back in {one.arm.name}" for one in series if not one.arrives]
    if not arriving:
        return f"{start}; no gradient comes back"
    said = [f"{_range(one.first, one.last)} in {one.arm.name}" for one in arriving]
    outside = any(not low <= one.effective <= high for one in arriving)
    gradient = f"{percent(MASS)} of the gradient comes along those of {joined(said)}"
    text = f"{start}, {'but' if outside else 'and'} {gradient}"
    return capital("; ".join([text, *dead]))


def _range(first: int, last: int) -> str:
    return f"{first} to {last}" if last > first else str(first)


def _bare(axis: Json) -> Json:
    return {**axis, "title": {"text": ""}, "showticklabels": False}


def _y_axes(scale: LogScale) -> list[Json]:
    shares = [{"title": {"text": unit}, "rangemode": "tozero"} for unit in UNITS]
    return [shares[0], scale.axis(UNITS[1]), shares[2]]


def _line(panel: Panel, name: str, x: NDArray[np.int64], y: Numbers, line: Json) -> Json:
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": name,
        "legendgroup": name,
        "showlegend": False,
        **panel.ref,
        "x": x,
        "y": y,
        "line": line,
        "marker": {"size": 4},
    }


def _binomials(series: Sequence[PathSeries], panel: Panel, theme: Theme) -> list[Json]:
    """A line for every number of blocks: how many paths there are does not depend on the arm."""
    lines = []
    for one in {len(one.paths): one for one in reversed(series)}.values():
        line = {"color": LOOKS[theme].mark, "width": 1.8}
        name = f"paths of {len(one.paths) - 1} blocks"
        told = {"hovertemplate": "%{y:.2~g} % of the paths take %{x} blocks<extra></extra>"}
        lines.append({**_line(panel, name, one.lengths, 100 * one.paths, line), **told})
    return lines


def _norms(one: PathSeries, panel: Panel, scale: LogScale) -> Json:
    line = {"color": one.arm.color, "dash": one.arm.dash, "width": 2}
    bars = {"type": "data", "array": one.error, "thickness": 1.2, "width": 3}
    told = {"hovertemplate": "%{y:.2~g} along one path of %{x}<extra>" + one.arm.name + "</extra>"}
    drawn = _line(panel, one.arm.name, one.lengths, scale.drawn(one.norm), line)
    return {**drawn, **told, "error_y": {**bars, "color": one.arm.color}, "showlegend": True}


def _shares(one: PathSeries, panel: Panel) -> list[Json]:
    line = {"color": one.arm.color, "dash": one.arm.dash, "width": 2}
    end = f" %{{y:.2~g}} % along paths of %{{x}}<extra>{one.arm.name}</extra>"
    name = one.arm.name
    measured = {**_line(panel, name, one.lengths, 100 * one.share, line), "hovertemplate": end}
    if one.predicted_share is None:
        return [measured]
    dotted = {**line, "dash": "dot"}
    predicted = _line(panel, f"{name}, predicted", one.lengths, 100 * one.predicted_share, dotted)
    return [measured, {**predicted, "mode": "lines", "showlegend": True, "hovertemplate": end}]


def _marks(
    series: Sequence[PathSeries], panel: Panel, scale: LogScale, theme: Theme
) -> tuple[list[Json], list[Json]]:
    """Shades over the lengths that hold 95 %, the means, and floor and ceiling of the log axis."""
    shapes, notes = scale.marks(LOOKS[theme])
    middle = {"xref": "x2 domain", "yref": "y2"}
    shapes = [{**shape, **middle} for shape in shapes]
    notes = [{**text, **middle} for text in notes]
    for index, one in enumerate(series):
        if not one.arrives or math.isnan(one.effective):
            continue
        ends = {"xref": "x3", "x0": one.first - 0.5, "x1": one.last + 0.5}
        fill = {"fillcolor": faint(one.arm.color, 0.12), "line": {"width": 0}, "layer": "below"}
        shapes.append({"type": "rect", **ends, "yref": "paper", "y0": 0, "y1": 1, **fill})
        where = {"xref": "x3", "yref": f"y{panel.suffix} domain"}
        stroke = {"color": one.arm.color, "width": 1.2, "dash": "dash"}
        at = {"x0": one.effective, "x1": one.effective, "y0": 0, "y1": 1}
        shapes.append({"type": "line", **where, **at, "line": stroke})
        label = {"text": f"mean {number(one.effective)}", "x": one.effective, "xanchor": "left"}
        paper = {"bgcolor": faint(LOOKS[theme].paper, 0.7), "borderpad": 1}
        height = {"y": 1 - 0.15 * index, "yanchor": "top", "xshift": 3, **paper}
        notes.append({**where, **label, **height})
    return shapes, notes
