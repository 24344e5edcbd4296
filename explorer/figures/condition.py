"""Condition numbers of Jacobians along a network, or the singular values that they are of."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import plotly.graph_objects as go

from explorer.figures.block_series import (
    NONE_KNOWN,
    NOT_MEASURED,
    Numbers,
    block_axis,
    joined,
    linked,
)
from explorer.figures.frame import Frame, Json, empty, finish
from explorer.figures.profile import MOST_MARKERS
from explorer.figures.scale import BROKEN_LABEL, LogScale
from explorer.figures.spectra import one_line
from explorer.figures.theme import LOOKS, Arm, Theme, faint
from explorer.wording import number

Quantity = Literal["condition", "extremes"]
By = Literal["block", "depth"]

HEIGHT = 290
X_TITLES = {"block": "block", "depth": "depth (weighted layers)"}
UNITS = {
    "condition": "largest / smallest singular value",
    "extremes": "largest and smallest singular value",
}
INFINITE = "infinite: a direction is lost"
TICKS = (1, 3, 10, 30, 100, 300, 1000)


@dataclass(frozen=True)
class ConditionSeries:
    """Largest and smallest singular value of one arm's Jacobians; arrays are (point,).

    `at` are the blocks they are of, from 1, or the depths of the networks. A smallest value is 0
    where a direction is lost; NaN: not known.
    """

    arm: Arm
    at: Sequence[int]
    largest: Numbers
    smallest: Numbers

    @property
    def condition(self) -> Numbers:
        """Largest over smallest: inf where a direction is lost, NaN where all are or unknown."""
        with np.errstate(divide="ignore", invalid="ignore"):
            found: Numbers = np.asarray(self.largest, np.float64) / self.smallest
        return found


def condition(
    series: Sequence[ConditionSeries],
    quantity: Quantity = "condition",
    by: By = "block",
    theme: Theme = "light",
    *,
    narrow: bool = False,
    note: str = "",
) -> go.Figure:
    """Condition numbers, or a band from the smallest to the largest singular value, log axis.

    ValueError for another quantity or axis.
    """
    for field, value, allowed in (("quantity", quantity, Quantity), ("by", by, By)):
        if value not in get_args(allowed):
            raise ValueError(f"{field}: {value!r} is none of {', '.join(get_args(allowed))}")
    drawn = [one for one in series if not np.isnan(_values(one, quantity)).all()]
    if not drawn:
        frame = Frame(f"Singular values by {by}", note, theme, narrow)
        why = NONE_KNOWN if any(len(one.at) for one in series) else NOT_MEASURED
        return empty(frame, X_TITLES[by], UNITS[quantity], HEIGHT, log=True, why=why)
    lost = any(np.isnan(one.condition).any() for one in drawn)
    key = "gap: not known, or every direction is lost" if lost else ""
    frame = Frame(_finding(drawn, by), "; ".join(filter(None, (note, key))), theme, narrow)
    known = [_values(one, quantity) for one in drawn]
    scale = LogScale.over(
        [*(values[~np.isnan(values)] for values in known), np.ones(1, np.float32)]
    )
    draw = _line if quantity == "condition" else _band
    data = [trace for one in drawn for trace in draw(one, scale)]
    layout = frame.layout(HEIGHT, [t["name"] for t in data if t["showlegend"]])
    layout["hovermode"] = "closest"
    layout["xaxis"] = _x_axis(drawn, by, narrow)
    layout["yaxis"] = scale.axis(UNITS[quantity])
    layout["shapes"], layout["annotations"] = _marks(scale, quantity, theme)
    alt = f"Line chart of {UNITS[quantity]} by {by}, {len(drawn)} networks. {frame.title}."
    figure = finish(data, layout, alt)
    return linked(figure) if by == "block" else figure


def _values(one: ConditionSeries, quantity: Quantity) -> Numbers:
    if quantity == "condition":
        return one.condition
    return np.concatenate([np.asarray(one.largest), np.asarray(one.smallest)])


def _finding(series: Sequence[ConditionSeries], by: By) -> str:
    """The median block's condition number, or that of the deepest network.

    Where all of them are infinite, the median block's largest singular value tells more.
    """
    if by == "block" and all(np.isinf(np.median(one.condition)) for one in series):
        parts = [f"{number(float(np.nanmedian(one.largest)))} in {one.arm.name}" for one in series]
        return f"A direction is lost in most blocks; the largest singular value: {joined(parts)}"
    said = []
    for one in series:
        known = np.flatnonzero(~np.isnan(one.condition))
        if not len(known):
            said.append(f"not known in {one.arm.name}")
            continue
        if by == "block":
            value = float(np.median(one.condition[known]))
            said.append(f"{_said(value)} in {one.arm.name}")
        else:
            value = float(one.condition[known[-1]])
            said.append(f"{_said(value)} in {one.arm.name} at depth {one.at[known[-1]]}")
    where = " at the median block" if by == "block" else ""
    return f"Largest over smallest singular value{where}: {joined(said)}"


def _said(value: float) -> str:
    return "infinite" if np.isinf(value) else number(value)


def _line(one: ConditionSeries, scale: LogScale) -> list[Json]:
    """The condition numbers, and crosses where they are infinite."""
    values, x = one.condition, np.asarray(one.at)
    base: Json = {"type": "scatter", "legendgroup": one.arm.name, "name": one.arm.name}
    end = f" at %{{x}}<extra>{one.arm.name}</extra>"
    traces = [{**base, **_stroke(one), "x": x, "y": scale.drawn(values), "showlegend": True}]
    traces[0]["hovertemplate"] = f"%{{y:.3~g}}{end}"
    lost = np.isinf(values)
    if scale.ceiling is not None and lost.any():
        mark = {"symbol": "x", "size": 8, "color": one.arm.color}
        y = np.full(int(lost.sum()), 10**scale.ceiling)
        cross = {"mode": "markers", "x": x[lost], "y": y, "marker": mark, "showlegend": False}
        traces.append({**base, **cross, "hovertemplate": f"a direction is lost{end}"})
    return traces


def _band(one: ConditionSeries, scale: LogScale) -> list[Json]:
    """Both ends as lines, the space between them filled, circles where the smallest is 0."""
    x = np.asarray(one.at)
    base: Json = {"type": "scatter", "legendgroup": one.arm.name, "name": one.arm.name}
    fill = {"fill": "toself", "fillcolor": faint(one.arm.color, 0.15), "line": {"width": 0}}
    quiet = {"mode": "lines", "hoverinfo": "skip", "showlegend": False}
    traces: list[Json] = []
    known = np.flatnonzero(np.isfinite(one.largest) & np.isfinite(one.smallest))
    for run in np.split(known, np.flatnonzero(np.diff(known) > 1) + 1):
        edge = np.concatenate([one.largest[run], one.smallest[run][::-1]])
        area = {"x": np.concatenate([x[run], x[run][::-1]]), "y": scale.drawn(edge)}
        traces.append({**base, **quiet, **fill, **area})
    for name, values in (("largest", one.largest), ("smallest", one.smallest)):
        told = f"{name} %{{y:.3~g}} at %{{x}}<extra>{one.arm.name}</extra>"
        drawn = {**base, **_stroke(one), "x": x, "y": scale.drawn(values)}
        traces.append({**drawn, "hovertemplate": told, "showlegend": name == "largest"})
    lost = np.asarray(one.smallest) == 0
    if scale.floor is not None and lost.any():
        mark = {"symbol": "circle-open", "size": 8, "color": one.arm.color}
        y = np.full(int(lost.sum()), 10**scale.floor)
        traces.append({**base, **quiet, "mode": "markers", "x": x[lost], "y": y, "marker": mark})
    return traces


def _stroke(one: ConditionSeries) -> Json:
    line = {"color": one.arm.color, "dash": one.arm.dash, "width": 2}
    mode = "lines+markers" if len(one.at) <= MOST_MARKERS else "lines"
    return {"mode": mode, "line": line, "marker": {"size": 5, "color": one.arm.color}}


def _x_axis(series: Sequence[ConditionSeries], by: By, narrow: bool) -> Json:
    """Blocks evenly, depths by their logarithm."""
    first, last = min(min(one.at) for one in series), max(max(one.at) for one in series)
    if by == "block":
        return block_axis(first, last, narrow)
    low, high = np.log10(first), np.log10(last)
    air = max(0.04 * float(high - low), 0.06)
    ticks = {"tickvals": TICKS, "ticktext": [str(tick) for tick in TICKS], "tickangle": 0}
    ends = [float(low) - air, float(high) + air]
    return {"title": {"text": X_TITLES[by]}, "type": "log", "range": ends, **ticks}


def _marks(scale: LogScale, quantity: Quantity, theme: Theme) -> tuple[list[Json], list[Json]]:
    """Floor and ceiling in this figure's words, and the line of an isometry."""
    if quantity == "condition":
        shapes, notes = scale.marks(LOOKS[theme])
    else:
        shapes, notes = one_line(scale, theme)
    renamed = INFINITE if quantity == "condition" else BROKEN_LABEL
    return shapes, [
        {**one, "text": renamed if one["text"] == BROKEN_LABEL else one["text"]} for one in notes
    ]
