"""Shattered gradients: df/dx along a line, and how soon it forgets itself.

Balduzzi et al. 2017, arXiv 1702.08591, figs. 1 and 2.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from explorer.figures.block_series import NONE_KNOWN, NOT_MEASURED, Numbers, joined
from explorer.figures.frame import Frame, Json, Panel, empty, finish, panels, swatch
from explorer.figures.theme import LOOKS, Arm, Theme, faint
from explorer.wording import number

TALL, GAP = 96, 34  # pixels of a picture, and between two
HEIGHT = 300
COLUMNS = 2
HALF = 0.5  # an autocorrelation below it counts as forgotten
X_TITLE, Y_TITLE = "x", "df/dx (length 1)"
LAG_TITLE, AUTO_TITLE = "lag (points)", "autocorrelation of df/dx"
REFERENCE_DASHES = ("dash", "dot", "dashdot")


@dataclass(frozen=True)
class GradientSeries:
    """One network f: R -> R: df/dx at `x`, centred and of length one; both (point,).

    `autocorrelation` is its mean over the seeds at lags 0, 1, …, and `std` the standard deviation
    over them, NaN for one seed; both (lag,).
    """

    name: str
    color: str
    x: Numbers
    gradient: Numbers
    autocorrelation: Numbers
    std: Numbers

    @property
    def sign_changes(self) -> int:
        """How often df/dx changes its sign from one point to the next; zeros are passed over."""
        signs = np.sign(self.gradient[np.isfinite(self.gradient)])
        return int((np.diff(signs[signs != 0]) != 0).sum())

    @property
    def half(self) -> int | None:
        """The first lag at which the autocorrelation is below 1/2; None if it never is."""
        below = np.flatnonzero(self.autocorrelation < HALF)
        return int(below[0]) if len(below) else None


def gradient_pictures(
    series: Sequence[GradientSeries],
    theme: Theme = "light",
    *,
    narrow: bool = False,
    note: str = "",
) -> go.Figure:
    """df/dx along the line, a small picture a network, all to one scale."""
    drawn = [one for one in series if np.isfinite(one.gradient).any()]
    if not drawn:
        frame = Frame("df/dx along a line", note, theme, narrow)
        why = NONE_KNOWN if series else NOT_MEASURED
        return empty(frame, X_TITLE, Y_TITLE, 2 * TALL, why=why)
    said = [f"{one.sign_changes} times in {one.name}" for one in drawn]
    points = max(len(one.x) for one in drawn)
    title = f"Over {points} points df/dx changes its sign {joined(said)}"
    frame = Frame(title, note, theme, narrow)
    columns = 1 if narrow or len(drawn) == 1 else COLUMNS
    rows = -(-len(drawn) // columns)
    height = max(rows * TALL + (rows - 1) * GAP, 2 * TALL)
    layout = frame.layout(height, headings=True)
    layout["annotations"] = []
    largest = max(float(np.nanmax(np.abs(one.gradient))) for one in drawn) or 1.0
    data = []
    for one, area in zip(drawn, panels(len(drawn), columns, 0.08, GAP / height), strict=True):
        data.append(_picture(one, area))
        layout |= area.axes(*_axes(area, 1.08 * largest))
        layout["annotations"].append(area.heading(swatch(Arm(one.name, one.color))))
    names = ", ".join(one.name for one in drawn)
    return finish(data, layout, f"Line charts of {Y_TITLE} against x for {names}. {frame.title}.")


def autocorrelations(
    series: Sequence[GradientSeries],
    references: Sequence[tuple[str, Numbers]] = (),
    theme: Theme = "light",
    *,
    narrow: bool = False,
    note: str = "",
) -> go.Figure:
    """Autocorrelation by lag, a band over the seeds; `references` are (name, (lag,)), in grey."""
    drawn = [one for one in series if np.isfinite(one.autocorrelation).any()]
    if not drawn:
        frame = Frame("Autocorrelation of df/dx by lag", note, theme, narrow)
        why = NONE_KNOWN if series else NOT_MEASURED
        return empty(frame, LAG_TITLE, AUTO_TITLE, HEIGHT, why=why)
    band = any(np.isfinite(one.std).any() for one in drawn)
    key = "band: one standard deviation over the seeds" if band else ""
    frame = Frame(_forgotten(drawn), "; ".join(filter(None, (note, key))), theme, narrow)
    data = [_reference(*pair, index, theme) for index, pair in enumerate(references)]
    data += [trace for one in drawn for trace in (*_band(one), _curve(one))]
    layout = frame.layout(HEIGHT, [t["name"] for t in data if t["showlegend"]])
    layout["hovermode"] = "x unified"
    last = max(len(one.autocorrelation) for one in drawn) - 1
    layout["xaxis"] = {"title": {"text": LAG_TITLE}, "range": [-0.02 * last, 1.02 * last]}
    layout["yaxis"] = {"title": {"text": AUTO_TITLE}, "zeroline": True}
    layout["yaxis"]["zerolinecolor"] = LOOKS[theme].mark
    count = f"{len(drawn)} networks and {len(references)} references"
    alt = f"Line chart of the {AUTO_TITLE} by {LAG_TITLE}, {count}. {frame.title}."
    return finish(data, layout, alt)


def _forgotten(series: Sequence[GradientSeries]) -> str:
    said = []
    for one in series:
        last = len(one.autocorrelation) - 1
        when = f"not within {last} points" if one.half is None else _points(one.half)
        said.append(f"{when} in {one.name}")
    return f"The autocorrelation of df/dx is below {number(HALF)} after {joined(said)}"


def _points(count: int) -> str:
    return f"{count} point{'' if count == 1 else 's'}"


def _picture(one: GradientSeries, area: Panel) -> Json:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": one.name,
        "showlegend": False,
        **area.ref,
        "x": one.x.astype(np.float32),
        "y": one.gradient.astype(np.float32),
        "line": {"color": one.color, "width": 1.2},
        "hovertemplate": f"%{{y:.2~g}} at x = %{{x:.2f}}<extra>{one.name}</extra>",
    }


def _axes(area: Panel, largest: float) -> tuple[Json, Json]:
    """Numbers and titles at the lower and the left edge only; all pictures share the scale."""
    x: Json = {"title": {"text": X_TITLE if area.bottom else ""}, "showticklabels": area.bottom}
    left = area.x_domain[0] == 0
    y: Json = {"title": {"text": "df/dx" if left else ""}, "showticklabels": left, "nticks": 4}
    return x, {**y, "range": [-largest, largest]}


def _reference(name: str, values: Numbers, index: int, theme: Theme) -> Json:
    dash = REFERENCE_DASHES[index % len(REFERENCE_DASHES)]
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": np.arange(len(values)),
        "y": values.astype(np.float32),
        "line": {"color": LOOKS[theme].mark, "dash": dash, "width": 1.6},
        "hovertemplate": "%{y:.2f}",
        "showlegend": True,
    }


def _curve(one: GradientSeries) -> Json:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": one.name,
        "legendgroup": one.name,
        "x": np.arange(len(one.autocorrelation)),
        "y": one.autocorrelation.astype(np.float32),
        "line": {"color": one.color, "width": 2.2},
        "hovertemplate": "%{y:.2f}",
        "showlegend": True,
    }


def _band(one: GradientSeries) -> list[Json]:
    known = np.flatnonzero(np.isfinite(one.std) & np.isfinite(one.autocorrelation))
    if not len(known):
        return []
    middle, half = one.autocorrelation[known], one.std[known]
    edge = np.concatenate([middle + half, (middle - half)[::-1]])
    return [
        {
            "type": "scatter",
            "mode": "lines",
            "name": one.name,
            "legendgroup": one.name,
            "x": np.concatenate([known, known[::-1]]),
            "y": edge.astype(np.float32),
            "line": {"width": 0},
            "fill": "toself",
            "fillcolor": faint(one.color, 0.2),
            "hoverinfo": "skip",
            "showlegend": False,
        }
    ]
