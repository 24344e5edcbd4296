"""How the gradient divides at each block: what comes through the shortcut, what through F."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from explorer.figures.block_series import (
    NONE_KNOWN,
    NOT_MEASURED,
    Numbers,
    block_axis,
    joined,
    level,
    linked,
)
from explorer.figures.distributions import COLORS
from explorer.figures.frame import Frame, Json, Panel, empty, finish, panels, swatch
from explorer.figures.profile import MOST_MARKERS
from explorer.figures.race import in_percent
from explorer.figures.theme import LOOKS, Arm, Theme

TALL, GAP = 120, 46  # pixels of a panel, and between two
WAYS = ("through the shortcut", "through F")  # in the colours that x and F(x) have elsewhere
UNIT = "share of the gradient (%)"
COSINE = "Cosine between the two parts"
KEY = "shares: projections on the whole, which add up to 100 %; below 0: against it"
NEGLIGIBLE = 0.0005  # a share that is said as 0 %


@dataclass(frozen=True)
class SplitSeries:
    """One arm's two parts of dL/dx at each block's input, input to output; (block,).

    `shortcut` and `residual`: their projections on the whole, over its square; they add up to 1
    and are NaN where no gradient arrives. `cosine`: between the parts, NaN where one is 0.
    """

    arm: Arm
    shortcut: Numbers
    residual: Numbers
    cosine: Numbers

    @property
    def arrives(self) -> bool:
        return bool(np.isfinite(self.shortcut).any())

    @property
    def blocks(self) -> NDArray[np.int64]:
        return np.arange(1, len(self.shortcut) + 1)


def split(
    series: Sequence[SplitSeries],
    theme: Theme = "light",
    *,
    narrow: bool = False,
    note: str = "",
) -> go.Figure:
    """Stacked shares by block, a panel an arm, and under them the cosine of the two parts."""
    drawn = [one for one in series if one.arrives]
    if not drawn:
        frame = Frame("How the gradient divides at every block", note, theme, narrow)
        why = NONE_KNOWN if any(len(one.shortcut) for one in series) else NOT_MEASURED
        return empty(frame, "block", UNIT, TALL + GAP, why=why)
    lost = any(np.isnan(one.shortcut).any() for one in drawn)
    notes = (note, KEY, "gap: no gradient arrives" if lost else "")
    title = _finding(drawn, [one for one in series if not one.arrives])
    frame = Frame(title, "; ".join(filter(None, notes)), theme, narrow)
    angled = [one for one in drawn if np.isfinite(one.cosine).any()]
    count = len(drawn) + bool(angled)
    height = count * TALL + (count - 1) * GAP
    areas = list(panels(count, 1, 0, GAP / height))
    data = [bars for one, area in zip(drawn, areas, strict=False) for bars in _bars(one, area)]
    for trace in data[:2]:
        trace["showlegend"] = True
    data += [_cosine(one, areas[-1]) for one in angled]
    layout = frame.layout(height, WAYS, headings=True)
    layout |= {"barmode": "relative", "bargap": 0, "hovermode": "x unified"}
    last = max(len(one.shortcut) for one in drawn)
    for area in areas:
        cosine = bool(angled) and area is areas[-1]
        layout |= area.axes(_x_axis(area, last, narrow, count), _y_axis(drawn, cosine))
    headings = [swatch(one.arm) for one in drawn] + [COSINE] * bool(angled)
    pairs = zip(areas, headings, strict=True)
    layout["annotations"] = [area.heading(text) for area, text in pairs]
    layout["shapes"] = _zero_lines(areas, theme)
    names = ", ".join(one.arm.name for one in drawn)
    alt = f"Stacked bars of the {UNIT} by block for {names}, and the cosine. {title}."
    return linked(finish(data, layout, alt))


def _finding(series: Sequence[SplitSeries], dead: Sequence[SplitSeries]) -> str:
    """What share the median block passes through the shortcut."""
    said = []
    for one in series:
        middle = float(np.nanmedian(one.shortcut))
        said.append(f"{_share(middle)} in {one.arm.name}")
    text = (
        f"Share of the gradient that comes through the shortcut of the median block: {joined(said)}"
    )
    return "; ".join([text, *(f"no gradient arrives in {one.arm.name}" for one in dead)])


def _share(value: float) -> str:
    if abs(value) < NEGLIGIBLE:
        return "none"
    return in_percent(value) if 0 < value <= 1 else f"{100 * value:.0f} %"


def _bars(one: SplitSeries, area: Panel) -> list[Json]:
    """A bar a block and way; what is below 0 hangs down."""
    return [
        {
            "type": "bar",
            "name": name,
            "legendgroup": name,
            "showlegend": False,
            **area.ref,
            "x": one.blocks,
            "y": (100 * share).astype(np.float32),
            "marker": {"color": color, "line": {"width": 0}},
            "hovertemplate": f"%{{y:.1f}} % {name}<extra></extra>",
        }
        for name, share, color in zip(WAYS, (one.shortcut, one.residual), COLORS[:2], strict=True)
    ]


def _cosine(one: SplitSeries, area: Panel) -> Json:
    return {
        "type": "scatter",
        "mode": "lines+markers" if len(one.cosine) <= MOST_MARKERS else "lines",
        "name": one.arm.name,
        "showlegend": False,
        **area.ref,
        "x": one.blocks,
        "y": one.cosine.astype(np.float32),
        "line": {"color": one.arm.color, "dash": one.arm.dash, "width": 2},
        "marker": {"size": 4, "color": one.arm.color},
        "hovertemplate": f"%{{y:.2f}}<extra>{one.arm.name}</extra>",
    }


def _x_axis(area: Panel, last: int, narrow: bool, count: int) -> Json:
    """Blocks; numbered under the lowest panel, which the others follow."""
    axis = block_axis(1, last, narrow)
    axis["range"] = [0.4, last + 0.6]
    if area.bottom:
        return axis
    return {**axis, "title": {"text": ""}, "showticklabels": False, "matches": f"x{count}"}


def _y_axis(series: Sequence[SplitSeries], cosine: bool) -> Json:
    if cosine:
        return {"title": {"text": "cosine"}, "range": [-1.08, 1.08], "tickvals": [-1, 0, 1]}
    shortcut = np.concatenate([one.shortcut for one in series])
    residual = np.concatenate([one.residual for one in series])
    low = float(np.nanmin(np.minimum(shortcut, 0) + np.minimum(residual, 0)))
    high = float(np.nanmax(np.maximum(shortcut, 0) + np.maximum(residual, 0)))
    ends = [100 * min(low, 0) - 2, 100 * max(high, 1) + 2]
    return {"title": {"text": "share (%)"}, "range": ends, "nticks": 5}


def _zero_lines(areas: Sequence[Panel], theme: Theme) -> list[Json]:
    lines = []
    for area in areas:
        ref = {"xref": f"x{area.suffix} domain", "yref": f"y{area.suffix}"}
        lines.append({**level(0, LOOKS[theme].mark, "solid"), **ref})
    return lines
