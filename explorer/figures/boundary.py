"""Where networks on 2-D points draw the line between two classes, one panel an arm."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from explorer.figures.frame import NOTE_SIZE, Frame, Json, Panel, empty, finish, panels, swatch
from explorer.figures.theme import FONT_SIZE, Arm, Theme
from explorer.trace import Array
from explorer.wording import percent

SIDE, SIDE_NARROW = 270, 250  # pixels of a panel
# RdBu of ColorBrewer, so that class 1 is blue; Plotly's own of that name is the other way round.
RED_BLUE = ("#b2182b", "#ef8a62", "#fddbc7", "#f7f7f7", "#d1e5f0", "#67a9cf", "#2166ac")
CLASSES = (("class 0", "circle", "#8a1c1c"), ("class 1", "diamond", "#0b3c6f"))


@dataclass(frozen=True)
class BoundarySeries:
    """One arm's P(class 1) on a square grid over [-extent, extent]², rows from the lowest y."""

    arm: Arm
    probability: Array  # (G * G,) or (G, G)
    extent: float


def boundary(
    series: Sequence[BoundarySeries],
    points: Array,
    labels: NDArray[np.int64],
    theme: Theme = "light",
    *,
    narrow: bool = False,
    note: str = "",
    title: str = "",
) -> go.Figure:
    """P(class 1) as colour, white where it is 1/2, the training points (N, 2) on top."""
    series = [one for one in series if np.size(one.probability)]
    frame = Frame(title or _finding(series, points, labels), note, theme, narrow)
    if not series:
        return empty(frame, "x", "y", SIDE)
    columns = 1 if narrow else min(len(series), 3)
    rows = -(-len(series) // columns)
    side = SIDE_NARROW if narrow else SIDE
    layout = frame.layout(rows * side, [name for name, _, _ in CLASSES], headings=True)
    gap = 54 / (rows * side) if rows > 1 else 0.0
    data: list[Json] = []
    layout["annotations"] = []
    for one, panel in zip(series, panels(len(series), columns, 0.07, gap), strict=True):
        layout |= _axes(one, panel, points)
        layout["annotations"].append(panel.heading(swatch(one.arm)))
        data += [_field(one, panel), *_points(points, labels, panel)]
    layout["coloraxis"] = _color_axis()
    names = ", ".join(one.arm.name for one in series)
    return finish(data, layout, f"Decision maps of P(class 1) for {names}. {frame.title}.")


def _grid(series: BoundarySeries) -> Array:
    side = round(np.size(series.probability) ** 0.5)
    return np.asarray(series.probability, np.float32).reshape(side, side)


def _finding(series: Sequence[BoundarySeries], points: Array, labels: NDArray[np.int64]) -> str:
    """Which share of the training points lies in a cell of its own class, arm by arm."""
    if not series:
        return "Decision boundary"
    parts = []
    for one in series:
        grid = _grid(one)
        if not np.isfinite(grid).all():
            parts.append(f"{one.arm.name} is not finite")
            continue
        nearest = np.rint((points / one.extent + 1) / 2 * (len(grid) - 1))
        column, row = np.clip(nearest, 0, len(grid) - 1).astype(np.int64).T
        share = float(((grid[row, column] > 0.5) == (labels == 1)).mean())
        parts.append(f"{one.arm.name} {percent(share)}")
    return f"Training points on their own side of the boundary: {', '.join(parts)}"


def _axes(series: BoundarySeries, panel: Panel, points: Array) -> Json:
    """Equal axes that hold the grid and every point."""
    reach = float(max(series.extent, np.abs(points).max(initial=0.0)))
    axis = {"range": [-reach, reach], "showgrid": False, "constrain": "domain"}
    x = {**axis, "title": {"text": "x (in standard deviations)"}} if panel.bottom else axis
    y = {**axis, "scaleanchor": f"x{panel.suffix}", "title": {"text": "y"}}
    return panel.axes({**x, "constraintoward": "left"}, {**y, "constraintoward": "top"})


def _field(series: BoundarySeries, panel: Panel) -> Json:
    grid = _grid(series)
    axis = np.linspace(-series.extent, series.extent, len(grid), dtype=np.float32)
    return {
        "type": "heatmap",
        **panel.ref,
        "x": axis,
        "y": axis,
        "z": grid,
        "coloraxis": "coloraxis",
        "zsmooth": "best",
        "hovertemplate": "P(class 1) = %{z:.2f}<extra></extra>",
    }


def _points(points: Array, labels: NDArray[np.int64], panel: Panel) -> list[Json]:
    marks = []
    for kind, (name, symbol, color) in enumerate(CLASSES):
        chosen = np.asarray(points[labels == kind], np.float32)
        look = {"symbol": symbol, "size": 5, "color": color}
        marks.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": name,
                "legendgroup": name,
                "showlegend": panel.number == 1,
                **panel.ref,
                "x": chosen[:, 0],
                "y": chosen[:, 1],
                "marker": {**look, "line": {"color": "#ffffff", "width": 0.8}},
                "hoverinfo": "skip",
            }
        )
    return marks


def _color_axis() -> Json:
    ticks = [0, 0.25, 0.5, 0.75, 1]
    bar: Json = {"tickvals": ticks, "tickfont": {"size": NOTE_SIZE}}
    bar["title"] = {"text": "P(class 1)", "side": "right", "font": {"size": FONT_SIZE}}
    bar |= {"thickness": 12, "outlinewidth": 0}
    return {
        "colorscale": [[i / 6, color] for i, color in enumerate(RED_BLUE)],
        "cmin": 0,
        "cmid": 0.5,
        "cmax": 1,
        "colorbar": bar,
    }
