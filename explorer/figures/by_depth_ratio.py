"""How much of the gradient arrives as networks get deeper, a panel a setting."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from explorer.figures.block_series import NOT_MEASURED
from explorer.figures.frame import Frame, Json, Panel, empty, finish, panels
from explorer.figures.ratio_series import HIGH, LOW, RATIO, RatioSeries, Setting, finding, keys
from explorer.figures.scale import BROKEN_LABEL, LogScale
from explorer.figures.theme import LOOKS, Theme, faint
from explorer.figures.theory_lines import dotted
from explorer.wording import number

__all__ = ["RatioSeries", "depth_ratio"]

ALONE, BESIDE, GAP = 300, 170, 62  # pixels of a lone panel, of one of several, between two
COLUMNS = 2
X_TITLE = "depth (weighted layers)"
Y_TITLE = "‖dL/dx‖ stem / last"
TICKS = (1, 3, 10, 30, 100, 300, 1000)
ALONG = 24  # points of an upright line, for the mouse to find


def depth_ratio(
    settings: Sequence[Setting],
    theme: Theme = "light",
    *,
    narrow: bool = False,
    note: str = "",
    deepest: int | None = None,
) -> go.Figure:
    """Ratio against depth, both logarithmic, a panel for every (heading, series).

    Points may still be missing; `deepest`, the depth that is yet to come, keeps the axis still.
    """
    drawn = [(heading, [one for one in mine if len(one.depths)]) for heading, mine in settings]
    series = [one for _, mine in drawn for one in mine]
    if not series:
        frame = Frame(
            "Gradient ratio by depth", "; ".join(filter(None, (note, RATIO))), theme, narrow
        )
        return empty(frame, X_TITLE, Y_TITLE, ALONE, log=True, why=NOT_MEASURED)
    frame = Frame(finding(drawn), "; ".join(filter(None, (note, *keys(series)))), theme, narrow)
    scale = _scale(series)
    columns = 1 if narrow or len(drawn) == 1 else COLUMNS
    rows = -(-len(drawn) // columns)
    height = ALONE if len(drawn) == 1 else rows * BESIDE + (rows - 1) * GAP
    areas = list(panels(len(drawn), columns, 0.09, GAP / height))
    data = [
        trace
        for (_, mine), area in zip(drawn, areas, strict=True)
        for one in mine
        for trace in _traces(one, area, scale, theme)
    ]
    _name_once(data)
    named = [trace["name"] for trace in data if trace["showlegend"]]
    layout = frame.layout(height, named, headings=any(heading for heading, _ in drawn))
    layout["shapes"], layout["annotations"] = [], []
    ends = _depths(series, deepest)
    for (heading, mine), area in zip(drawn, areas, strict=True):
        layout |= area.axes(_x_axis(area, ends), _y_axis(area, scale))
        layout["shapes"].append(_zone(area, theme))
        layout["annotations"] += [area.heading(heading)] if heading else []
        _add_marks(layout, area, scale, mine, theme)
    names = ", ".join(heading for heading, _ in drawn if heading)
    alt = f"Line charts of {RATIO} by {X_TITLE}{f' for {names}' if names else ''}. {frame.title}."
    return finish(data, layout, alt)


def _scale(series: Sequence[RatioSeries]) -> LogScale:
    """One scale for all panels, so that they compare; the zone is always on it."""
    foretold = [one.foretold for one in series if one.foretold is not None]
    # What float32 cannot hold is never measured, so theory does not stretch the axis to it.
    ends = np.finfo(np.float32)
    known = [values[(values >= ends.tiny) & (values <= ends.max)] for values in foretold]
    return LogScale.over([np.array([LOW, HIGH]), *(one.ratios for one in series), *known])


def _depths(series: Sequence[RatioSeries], deepest: int | None) -> tuple[float, float]:
    """The ends of the x axis in decades, with some air."""
    found = [depth for one in series for depth in one.depths] + [deepest or 0]
    low, high = np.log10(min(depth for depth in found if depth)), np.log10(max(found))
    air = max(0.04 * (high - low), 0.06)
    return float(low - air), float(high + air)


def _x_axis(area: Panel, ends: tuple[float, float]) -> Json:
    ticks = {"tickvals": TICKS, "ticktext": [str(tick) for tick in TICKS], "tickangle": 0}
    title = {"text": X_TITLE if area.bottom else ""}
    return {"title": title, "type": "log", "range": list(ends), **ticks}


def _y_axis(area: Panel, scale: LogScale) -> Json:
    """Titled and numbered at the left edge only, for all panels share one scale."""
    axis = scale.axis(Y_TITLE if area.x_domain[0] == 0 else "")
    return axis if area.x_domain[0] == 0 else {**axis, "showticklabels": False}


def _traces(one: RatioSeries, area: Panel, scale: LogScale, theme: Theme) -> list[Json]:
    base: Json = {"type": "scatter", "legendgroup": one.arm.name, "showlegend": False, **area.ref}
    quiet = {**base, "name": one.arm.name, "hoverinfo": "skip"}
    x = np.asarray(one.depths, np.float32)
    seeds = one.ratios.shape[1]
    traces: list[Json] = []
    if seeds > 1:
        dots = {"mode": "markers", "marker": {"size": 4, "color": faint(one.arm.color, 0.45)}}
        many = {"x": np.repeat(x, seeds), "y": scale.drawn(one.ratios.ravel())}
        traces.append({**quiet, **dots, **many})
    traces.append({**base, **_line(one, scale), "x": x})
    if one.foretold is not None:
        told = f"predicted %{{y:.3~g}} at depth %{{x}}<extra>{one.arm.name}</extra>"
        dots = {"mode": "lines", "line": dotted(one.arm.color, one.valid), "hovertemplate": told}
        name = f"{one.arm.name}, predicted"
        traces.append({**base, **dots, "name": name, "x": x, "y": one.foretold})
    mean = one.mean
    places = ((mean == 0, scale.floor, "circle-open"), (~np.isfinite(mean), scale.ceiling, "x"))
    for where, level, symbol in places:
        if level is not None and where.any():
            mark = {"symbol": symbol, "size": 8, "color": one.arm.color}
            y = np.full(int(where.sum()), 10**level)
            traces.append({**quiet, "mode": "markers", "x": x[where], "y": y, "marker": mark})
    return [*traces, *_bound(one, base, scale), *_leaving(one, base, theme)]


def _line(one: RatioSeries, scale: LogScale) -> Json:
    """The mean over the seeds, each point told with its depth and its range."""
    told = []
    for depth, mean, row in zip(one.depths, one.mean.tolist(), one.ratios, strict=True):
        ends = f"{number(float(row.min()))} to {number(float(row.max()))}"
        spread = f" ({ends}, {len(row)} seeds)" if len(row) > 1 else ""
        told.append(f"{number(mean)} at depth {depth}{spread}")
    return {
        "name": one.arm.name,
        "mode": "lines+markers",
        "y": scale.drawn(one.mean),
        "line": {"color": one.arm.color, "dash": one.arm.dash, "width": 2},
        "marker": {"size": 5, "color": one.arm.color},
        "text": told,
        "hovertemplate": f"%{{text}}<extra>{one.arm.name}</extra>",
    }


def _bound(one: RatioSeries, base: Json, scale: LogScale) -> list[Json]:
    """An upright line at the bound, of many points so that its source can be hovered."""
    if one.bound is None or not np.isfinite(one.bound):
        return []
    told = f"theory: trains to depth {number(one.bound)}<br>{one.bound_said}"
    where = {"x": np.full(ALONG, one.bound), "y": np.logspace(scale.low, scale.high, ALONG)}
    line = {"color": one.arm.color, "dash": "dash", "width": 1.3}
    words = {"name": f"{one.arm.name}, bound", "hovertemplate": f"{told}<extra></extra>"}
    return [{**base, **where, **words, "mode": "lines", "line": line}]


def _leaving(one: RatioSeries, base: Json, theme: Theme) -> list[Json]:
    """A diamond on the edge of the zone that the mean crosses at `leaves`."""
    if one.leaves is None:
        return []
    after = np.asarray(one.depths) >= one.leaves * (1 - 1e-9)
    mean = one.mean[after]
    edge = LOW if len(mean) and mean[0] < 1 else HIGH
    rim = {"color": LOOKS[theme].paper, "width": 1}
    mark = {"symbol": "diamond", "size": 11, "color": one.arm.color, "line": rim}
    told = f"leaves {number(LOW)} to {number(HIGH)} at depth {number(one.leaves)}"
    words = {"name": one.arm.name, "hovertemplate": f"{told}<extra>{one.arm.name}</extra>"}
    return [{**base, **words, "mode": "markers", "x": [one.leaves], "y": [edge], "marker": mark}]


def _name_once(data: list[Json]) -> None:
    """One legend entry for every arm, however many panels; the note says what is dotted."""
    seen = set()
    for trace in data:
        if trace["mode"] == "lines+markers" and trace["name"] not in seen:
            seen.add(trace["name"])
            trace["showlegend"] = True


def _zone(area: Panel, theme: Theme) -> Json:
    ref = {"xref": f"x{area.suffix} domain", "yref": f"y{area.suffix}"}
    ends = {"x0": 0, "x1": 1, "y0": LOW, "y1": HIGH}
    fill = {"fillcolor": faint(LOOKS[theme].mark, 0.14), "line": {"width": 0}, "layer": "below"}
    return {"type": "rect", **ref, **ends, **fill}


def _add_marks(
    layout: Json, area: Panel, scale: LogScale, mine: Sequence[RatioSeries], theme: Theme
) -> None:
    """Floor and ceiling in a panel, named where something lies on them."""
    ratios = np.concatenate([one.ratios.ravel() for one in mine]) if mine else np.zeros(0)
    here = LogScale(
        scale.low,
        scale.high,
        scale.floor if (ratios == 0).any() else None,
        scale.ceiling if not np.isfinite(ratios).all() else None,
    )
    ref = {"xref": f"x{area.suffix} domain", "yref": f"y{area.suffix}"}
    shapes, notes = here.marks(LOOKS[theme])
    layout["shapes"] += [{**shape, **ref} for shape in shapes]
    # At the left, for it is deep networks that lie there, and clear of the heading.
    corner = {"x": 0, "xanchor": "left"}
    for text in notes:
        side = "top" if text["text"] == BROKEN_LABEL else "bottom"
        layout["annotations"].append({**text, **ref, **corner, "yanchor": side})
