"""A reading by block and step, one panel an arm, all on one colour scale."""

import math
from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from explorer.diagnosis import drift
from explorer.figures.frame import (
    BELOW,
    NOTE_SIZE,
    Frame,
    Json,
    Panel,
    empty,
    finish,
    panels,
    swatch,
)
from explorer.figures.scale import BROKEN_LABEL, ZERO_LABEL
from explorer.figures.theme import FONT_SIZE, Arm, Theme
from explorer.figures.thin import thin_cells
from explorer.trace import Array, Trace
from explorer.wording import capital

HEIGHT, HEIGHT_NARROW = 230, 170  # pixels of a panel
MOST_DECADES = 30
MOST_TICKS, MOST_TICKS_NARROW = 6, 4
ZERO_COLOR, BROKEN_COLOR = "#9aa0a8", "#CC79A7"  # neither lies on cividis
Y_TITLE, Y_TITLE_NARROW = "block (0 = stem, input side)", "block (0: input side)"
BAR = 56  # pixels for a colour bar under the panels


def heatmap(
    traces: Sequence[tuple[Arm, Trace]],
    theme: Theme = "light",
    *,
    narrow: bool = False,
    note: str = "",
    title: str = "",
) -> go.Figure:
    """log10 of the readings, block 0 at the bottom; zeros and broken values have own colours.

    Neighbouring steps and blocks share a cell where there are more than 300; it shows the
    greatest of them, and the note says so.
    """
    shown = [(arm, trace) for arm, trace in traces if len(trace) and trace.sites]
    unit = traces[0][1].unit if traces else ""
    if not shown:
        frame = Frame(title or "Gradient by block and step", note, theme, narrow)
        return empty(frame, "step", Y_TITLE_NARROW if narrow else Y_TITLE, HEIGHT)
    title = title or _finding(shown)
    cells = [_Cells(trace) for _, trace in shown]
    frame = Frame(title, " · ".join(filter(None, (note, _merged(cells)))), theme, narrow)
    colors = _decades(cells)
    layout, places = _layout(frame, [arm for arm, _ in shown], cells)
    layout["coloraxis"] = _color_axis(*colors, unit, narrow)
    if narrow:
        _bar_below(layout, len(shown) * HEIGHT_NARROW)
    data = [
        trace
        for one, panel in zip(cells, places, strict=True)
        for trace in _panel(one, panel, unit)
    ]
    seen: set[str] = set()
    for trace in data:  # one legend entry for zeros and one for broken values, whatever the panels
        trace["showlegend"] = "name" in trace and trace["name"] not in seen
        seen.add(trace.get("name", ""))
    names = ", ".join(arm.name for arm, _ in shown)
    return finish(data, layout, f"Heat maps of {unit} by block and step for {names}. {title}.")


def _finding(traces: Sequence[tuple[Arm, Trace]]) -> str:
    if any(len(trace.sites) < 2 for _, trace in traces):
        return f"{capital(traces[0][1].unit)} by step"
    return drift([arm.name for arm, _ in traces], [trace for _, trace in traces])


class _Cells:
    """A trace thinned to cells: their decades, and where they are zero or broken."""

    def __init__(self, trace: Trace) -> None:
        values, self.sites_per_cell = thin_cells(trace.values.T, 0)
        values, self.steps_per_cell = thin_cells(values, 1)
        first = 0 if trace.sites[0] == "stem" else 1
        middle = first + (self.sites_per_cell - 1) / 2
        count = len(trace.sites)
        self.blocks = np.arange(0, count, self.sites_per_cell, dtype=np.float32) + middle
        self.block_range = [first - 0.5, first + count - 0.5]
        self.steps = trace.steps[:: self.steps_per_cell].astype(np.float32)
        self.zero = values == 0
        self.broken = ~np.isfinite(values)
        with np.errstate(divide="ignore", invalid="ignore"):
            logs = np.log10(values, dtype=np.float64)
        self.decades: Array = np.where(self.zero | self.broken, np.nan, logs).astype(np.float32)


def _merged(cells: Sequence[_Cells]) -> str:
    steps = max(one.steps_per_cell for one in cells)
    blocks = max(one.sites_per_cell for one in cells)
    many = [f"{n} {what}" for n, what in ((steps, "readings"), (blocks, "blocks")) if n > 1]
    return f"each cell: the greatest of {' x '.join(many)}" if many else ""


def _decades(cells: Sequence[_Cells]) -> tuple[float, float, bool]:
    """The range of colour over all panels, and whether it is the upper 30 decades only."""
    known = np.concatenate([one.decades[~np.isnan(one.decades)] for one in cells])
    if not len(known):
        return -1.0, 0.0, False
    low, high = float(known.min()), float(known.max())
    if high - low < 1:
        low, high = (low + high - 1) / 2, (low + high + 1) / 2
    clipped = high - low > MOST_DECADES
    return (math.ceil(high - MOST_DECADES) if clipped else low), high, clipped


def _layout(frame: Frame, arms: Sequence[Arm], cells: Sequence[_Cells]) -> tuple[Json, list[Panel]]:
    columns = 1 if frame.narrow else 2 if len(arms) == 4 else min(len(arms), 3)
    rows = -(-len(arms) // columns)
    gap = (24 + 30) / (rows * HEIGHT_NARROW) if rows > 1 else 0.0
    lone = [ZERO_LABEL] * any(c.zero.any() for c in cells)
    lone += [BROKEN_LABEL] * any(c.broken.any() for c in cells)
    tall = HEIGHT_NARROW if frame.narrow else HEIGHT
    below = BELOW + BAR if frame.narrow else BELOW
    layout = frame.layout(rows * tall, lone, headings=True, below=below)
    places = list(panels(len(arms), columns, 0.07, gap))
    layout["annotations"] = []
    for arm, one, panel in zip(arms, cells, places, strict=True):
        x = {"title": {"text": "step"}} if panel.bottom else {}
        first = panel.x_domain[0] == 0
        y_title = Y_TITLE_NARROW if frame.narrow else Y_TITLE
        y = {"title": {"text": y_title if first else ""}, "range": one.block_range}
        layout |= panel.axes({**x, "showgrid": False}, {**y, "showgrid": False})
        layout["annotations"].append(panel.heading(swatch(arm)))
    return layout, places


def _color_axis(low: float, high: float, clipped: bool, unit: str, narrow: bool) -> Json:
    every = max(1, math.ceil((high - low) / (MOST_TICKS_NARROW if narrow else MOST_TICKS)))
    ticks: list[float] = [d for d in range(math.ceil(low), math.floor(high) + 1) if d % every == 0]
    ticks = ticks if len(ticks) > 1 else [low, high]
    texts = [f"10<sup>{d:.3g}</sup>" for d in ticks]
    if clipped:
        apart = [i for i, tick in enumerate(ticks) if tick - low > every / 2]
        ticks = [low, *(ticks[i] for i in apart)]
        texts = [f"≤ 10<sup>{low:.0f}</sup>", *(texts[i] for i in apart)]
    bar: Json = {
        "title": {"text": unit, "side": "right", "font": {"size": FONT_SIZE}},
        "tickfont": {"size": NOTE_SIZE},
        "tickvals": ticks,
        "ticktext": texts,
        "thickness": 12,
        "outlinewidth": 0,
    }
    return {"colorscale": "Cividis", "cmin": low, "cmax": high, "colorbar": bar}


def _bar_below(layout: Json, height: int) -> None:
    """Lay the colour bar under panels of `height` pixels together, in room of its own."""
    place = {"orientation": "h", "y": -BELOW / height, "yanchor": "top", "ypad": 0, "xpad": 0}
    layout["coloraxis"]["colorbar"] |= {**place, "tickangle": 0}
    layout["coloraxis"]["colorbar"]["title"]["side"] = "top"


def _panel(cells: _Cells, panel: Panel, unit: str) -> list[Json]:
    shared = {"type": "heatmap", "x": cells.steps, "y": cells.blocks, **panel.ref}
    where = "step %{x}, block %{y}<extra></extra>"
    template = f"{unit} = 10<sup>%{{z:.2f}}</sup><br>{where}"
    traces: list[Json] = [
        {**shared, "z": cells.decades, "coloraxis": "coloraxis", "hovertemplate": template}
    ]
    lone = (
        (cells.zero, ZERO_COLOR, ZERO_LABEL),
        (cells.broken, BROKEN_COLOR, BROKEN_LABEL),
    )
    for mask, color, label in lone:
        if mask.any():
            traces.append(
                {
                    **shared,
                    "z": np.where(mask, 1, np.nan).astype(np.float32),
                    "name": label,
                    "colorscale": [[0, color], [1, color]],
                    "showscale": False,
                    "hovertemplate": f"{label}<br>{where}",
                }
            )
    return traces
