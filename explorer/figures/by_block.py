"""A quantity block by block, one line an arm: sizes of responses, accuracies on the way, ranks."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from explorer.figures.block_findings import QUANTITIES, Quantity, finding
from explorer.figures.block_series import (
    NONE_KNOWN,
    NOT_MEASURED,
    BlockSeries,
    Numbers,
    are_blocks,
    block_axis,
    linked,
    upright,
)
from explorer.figures.frame import Frame, Json, empty, finish
from explorer.figures.profile import MOST_MARKERS
from explorer.figures.scale import LogScale
from explorer.figures.theme import LOOKS, Theme, faint

__all__ = ["BlockSeries", "by_block"]

HEIGHT = 280


def by_block(
    series: Sequence[BlockSeries],
    quantity: str,
    theme: Theme = "light",
    *,
    narrow: bool = False,
    note: str = "",
    chosen: int | None = None,
) -> go.Figure:
    """`quantity`, one of QUANTITIES, over the block number, or over the share of the depth.

    The latter where arms differ in length; hovering names the block. `chosen` is a block marked
    by a thin line. Shares are given as shares and drawn in %. ValueError for another quantity.
    """
    if quantity not in QUANTITIES:
        raise ValueError(f"quantity: {quantity!r} is none of {', '.join(QUANTITIES)}")
    kind = QUANTITIES[quantity]
    series = [one for one in series if len(one.values)]
    note = "; ".join(filter(None, (note, kind.rule if series else "")))
    frame = Frame(finding(quantity, series), note, theme, narrow)
    if not any(one.known.any() for one in series):
        why = NONE_KNOWN if series else NOT_MEASURED
        return empty(frame, "block", kind.unit, HEIGHT, kind.log, why)
    shared = len({int(one.numbers[-1]) for one in series}) > 1
    scale = LogScale.over(map(_drawable, series)) if kind.log else None
    data = [trace for one in series for trace in _traces(one, kind, shared, scale)]
    layout = frame.layout(HEIGHT, [t["name"] for t in data if t["showlegend"]])
    layout["hovermode"] = "closest" if shared else "x unified"
    layout["xaxis"] = _x_axis(series, shared, narrow)
    layout["yaxis"] = _y_axis(kind, scale, series)
    layout["shapes"], layout["annotations"] = scale.marks(LOOKS[theme]) if scale else ([], [])
    layout["shapes"] = [*layout["shapes"], *_chosen(series, chosen, shared, theme)]
    where = layout["xaxis"]["title"]["text"]
    alt = f"Line chart of {kind.unit} by {where}, {len(series)} lines. {frame.title}."
    figure = finish(data, layout, alt)
    blocks = not shared and all(are_blocks(one.names) for one in series)
    return linked(figure) if blocks else figure


def _drawable(one: BlockSeries) -> NDArray[np.float32]:
    """All of one arm that needs a place on the axis: a NaN is a gap and needs none."""
    parts = [part.ravel() for part in (one.values, one.low, one.high) if part is not None]
    values = np.concatenate(parts).astype(np.float32)
    return values[~np.isnan(values)]


def _x(one: BlockSeries, shared: bool) -> Numbers | NDArray[np.int64]:
    return one.numbers / one.numbers[-1] if shared else one.numbers


def _traces(one: BlockSeries, kind: Quantity, shared: bool, scale: LogScale | None) -> list[Json]:
    """Band, line, the greatest that is possible, and a mark where a value is 0 or infinite."""
    x, factor = _x(one, shared), 100 if kind.share else 1
    base: Json = {"type": "scatter", "legendgroup": one.arm.name, "showlegend": False}
    markers = len(one.values) <= MOST_MARKERS or not one.known.all()  # a lone value needs a dot
    line = {"color": one.arm.color, "dash": one.arm.dash, "width": 2}
    values = scale.drawn(one.values) if scale else factor * one.values
    unit = " %" if kind.share else ""
    measured = {
        **base,
        "name": one.arm.name,
        "x": x,
        "y": np.where(one.known, values, np.nan),
        "mode": "lines+markers" if markers else "lines",
        "line": line,
        "marker": {"size": 5, "color": one.arm.color},
        "text": [
            f"{factor * v:.3g}{unit} at {site}"
            for v, site in zip(one.values.tolist(), one.names, strict=True)
        ],
        "hovertemplate": f"%{{text}}{f'<extra>{one.arm.name}</extra>' if shared else ''}",
        "showlegend": True,
    }
    traces = [*_band(one, x, factor, scale, base), measured]
    if one.most is not None:
        name = f"{one.arm.name}, at most"
        thin = {"color": one.arm.color, "dash": "dot", "width": 1.2, "shape": "hvh"}
        most = {**base, "name": name, "x": x, "y": factor * one.most, "line": thin}
        traces.append({**most, "mode": "lines", "hovertemplate": "%{y:.3~g}", "showlegend": True})
    return traces + (_marks(one, x, scale, base) if scale else [])


def _band(
    one: BlockSeries,
    x: Numbers | NDArray[np.int64],
    factor: int,
    scale: LogScale | None,
    base: Json,
) -> list[Json]:
    if one.low is None or one.high is None:
        return []
    known = np.isfinite(one.low) & np.isfinite(one.high)
    edge = np.concatenate([one.high[known], one.low[known][::-1]])
    return [
        {
            **base,
            "x": np.concatenate([x[known], x[known][::-1]]),
            "y": scale.drawn(edge) if scale else factor * edge,
            "mode": "lines",
            "line": {"width": 0},
            "fill": "toself",
            "fillcolor": faint(one.arm.color, 0.2),
            "hoverinfo": "skip",
        }
    ]


def _marks(
    one: BlockSeries, x: Numbers | NDArray[np.int64], scale: LogScale, base: Json
) -> list[Json]:
    places = (
        (one.values == 0, scale.floor, "circle-open"),
        (np.isinf(one.values), scale.ceiling, "x"),
    )
    return [
        {
            **base,
            "x": x[where],
            "y": np.full(int(where.sum()), 10**at),
            "mode": "markers",
            "marker": {"symbol": symbol, "size": 9, "color": one.arm.color},
            "hoverinfo": "skip",
        }
        for where, at, symbol in places
        if at is not None and where.any()
    ]


def _x_axis(series: Sequence[BlockSeries], shared: bool, narrow: bool) -> Json:
    layers = not all(are_blocks(one.names) for one in series)
    if shared:
        title = f"share of the depth ({'layer' if layers else 'block'} / last)"
        return {"title": {"text": title}, "range": [-0.02, 1.02]}
    first = min(int(one.numbers[0]) for one in series)
    last = max(int(one.numbers[-1]) for one in series)
    return block_axis(first, last, narrow, "weighted layer (1 = stem)" if layers else "")


def _y_axis(kind: Quantity, scale: LogScale | None, series: Sequence[BlockSeries]) -> Json:
    """As the quantity says; a rank or a share of units begins at 0."""
    if scale:
        return scale.axis(kind.unit)
    parts = [part for one in series for part in (one.values, one.high, one.most)]
    drawn = np.concatenate([part[np.isfinite(part)] for part in parts if part is not None])
    highest = float(drawn.max()) * (100 if kind.share else 1)
    ends = kind.range or (-0.02 * max(highest, 1), 1.08 * max(highest, 1))
    return {"title": {"text": kind.unit}, "range": list(ends)}


def _chosen(
    series: Sequence[BlockSeries], chosen: int | None, shared: bool, theme: Theme
) -> list[Json]:
    """A line at the chosen block; where arms differ in length, one an arm in its colour."""
    if chosen is None:
        return []
    lines: dict[float, Json] = {}
    for one in series:
        name = "stem" if chosen == 0 else f"block {chosen}"
        here = [i for i, site in enumerate(one.names) if f"{site} ".startswith(f"{name} ")]
        if here:
            x = float(np.mean(_x(one, shared)[here]))
            lines.setdefault(x, upright(x, one.arm.color if shared else LOOKS[theme].mark))
    return list(lines.values())
