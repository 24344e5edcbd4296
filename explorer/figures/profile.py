"""Readings by site, input on the left and loss on the right: gradient profiles and other probes."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from explorer.diagnosis import ends, finding, flow_ratio
from explorer.figures.frame import Frame, Json, empty, finish
from explorer.figures.scale import LogScale
from explorer.figures.theme import LOOKS, Arm, Theme, faint
from explorer.trace import Array, Trace
from explorer.wording import capital

HEIGHT = 280
MOST_MARKERS = 60  # sites; with more, dots run together
NICE_STEPS = (1, 2, 5, 10, 20, 50, 100, 200)


@dataclass(frozen=True)
class ProfileSeries:
    """One arm's reading at every site, input to output.

    `low` and `high` bound a band (over seeds, say); `predicted` is theory, NaN where it has none.
    """

    arm: Arm
    sites: tuple[str, ...]
    values: Array
    low: Array | None = None
    high: Array | None = None
    predicted: Array | None = None

    @property
    def x(self) -> NDArray[np.int64]:
        """Block numbers where sites are blocks (0 is the stem), else 1, 2, 3 and so on."""
        return np.arange(len(self.sites)) + (0 if self.sites[:1] == ("stem",) else 1)

    @property
    def arrays(self) -> list[Array]:
        """All that is drawn; predictions only where they can be, for they are no reading."""
        stated = [array for array in (self.values, self.low, self.high) if array is not None]
        if self.predicted is not None:
            known = np.isfinite(self.predicted) & (self.predicted > 0)
            stated.append(self.predicted[known])
        return stated


def profile(
    series: Sequence[ProfileSeries],
    theme: Theme = "light",
    unit: str = "‖dL/dx‖",
    *,
    narrow: bool = False,
    note: str = "",
    title: str = "",
) -> go.Figure:
    """Gradient by block on a log axis, one line an arm; the title says what reaches the input."""
    series = [one for one in series if len(one.values)]
    if series and not title:
        title = _finding(series)
    return _by_site(
        series, Frame(title or "Gradient by block", note, theme, narrow), unit, log=True
    )


def sites_lines(
    traces: Sequence[tuple[Arm, Trace]],
    theme: Theme = "light",
    *,
    narrow: bool = False,
    note: str = "",
    title: str = "",
    step: int | None = None,
) -> go.Figure:
    """A probe's reading by site at `step` (the newest by default), one line an arm."""
    unit, log = (traces[0][1].unit, traces[0][1].log) if traces else ("", False)
    series = [
        ProfileSeries(arm, trace.sites, trace.last if step is None else trace.at(step))
        for arm, trace in traces
        if len(trace) and trace.sites
    ]
    if series and not title:
        said = "; ".join(ends(one.arm.name, one.values, one.sites) for one in series)
        title = capital(f"{unit}: {said}")
    return _by_site(series, Frame(title or unit, note, theme, narrow), unit, log)


def _finding(series: Sequence[ProfileSeries]) -> str:
    names = [one.arm.name for one in series]
    ratios = [flow_ratio(one.values) for one in series]
    sites = series[0].sites
    same = len({one.sites[0] for one in series}) == 1
    last = sites[-1] if len(series) == 1 else "the last block"
    return finding(names, ratios, sites[0] if same else "the first block", last)


def _by_site(series: Sequence[ProfileSeries], frame: Frame, unit: str, log: bool) -> go.Figure:
    if not series:
        return empty(frame, "block (0 = stem)", unit, HEIGHT, log)
    look = LOOKS[frame.theme]
    scale = LogScale.over(array for one in series for array in one.arrays) if log else None
    data = [trace for one in series for trace in _traces(one, scale)]
    layout = frame.layout(HEIGHT, [t["name"] for t in data if t.get("showlegend", True)])
    layout["xaxis"] = _site_axis(series, frame.narrow)
    layout["yaxis"] = scale.axis(unit) if scale else {"title": {"text": unit}}
    layout["hovermode"] = "x unified"
    layout["annotations"] = _directions()
    if scale:
        layout["shapes"], labels = scale.marks(look)
        layout["annotations"] += labels
    return finish(data, layout, f"Line chart of {unit} by block from input to loss. {frame.title}.")


def _traces(series: ProfileSeries, scale: LogScale | None) -> list[Json]:
    """Band, measured line, predicted line, and a mark where a reading is zero or not finite."""
    shared = {"type": "scatter", "legendgroup": series.arm.name}
    line = {"color": series.arm.color, "dash": series.arm.dash, "width": 2}
    few = len(series.values) <= MOST_MARKERS
    measured = {
        **shared,
        "name": series.arm.name,
        "x": series.x,
        "y": scale.drawn(series.values) if scale else series.values,
        "mode": "lines+markers" if few else "lines",
        "line": line,
        "marker": {"size": 5, "color": series.arm.color},
        "text": [
            f"{v:.3g} at {s}" for v, s in zip(series.values.tolist(), series.sites, strict=True)
        ],
        "hovertemplate": "%{text}",
    }
    traces = [*_band(series, scale, shared), measured]
    if series.predicted is not None:
        known = np.isfinite(series.predicted) & ((series.predicted > 0) | (scale is None))
        traces.append(
            {
                **shared,
                "name": f"{series.arm.name}, predicted",
                "x": series.x,
                "y": np.where(known, series.predicted, np.nan),
                "mode": "lines",
                "line": {**line, "dash": "dot"},
                "hovertemplate": "%{y:.3~g}",
            }
        )
    return traces + (_lone_marks(series, scale, shared) if scale else [])


def _band(series: ProfileSeries, scale: LogScale | None, shared: Json) -> list[Json]:
    if series.low is None or series.high is None:
        return []
    known = np.isfinite(series.low) & np.isfinite(series.high)
    x, low, high = series.x[known], series.low[known], series.high[known]
    edge = np.concatenate([high, low[::-1]])
    return [
        {
            **shared,
            "x": np.concatenate([x, x[::-1]]),
            "y": scale.drawn(edge) if scale else edge,
            "mode": "lines",
            "line": {"width": 0},
            "fill": "toself",
            "fillcolor": faint(series.arm.color, 0.2),
            "hoverinfo": "skip",
            "showlegend": False,
        }
    ]


def _lone_marks(series: ProfileSeries, scale: LogScale, shared: Json) -> list[Json]:
    levels = (
        (series.values == 0, scale.floor, "circle-open"),
        (~np.isfinite(series.values), scale.ceiling, "x"),
    )
    return [
        {
            **shared,
            "x": series.x[where],
            "y": np.full(int(where.sum()), 10**level),
            "mode": "markers",
            "marker": {"symbol": symbol, "size": 9, "color": series.arm.color},
            "hoverinfo": "skip",
            "showlegend": False,
        }
        for where, level, symbol in levels
        if level is not None and where.any()
    ]


def _site_axis(series: Sequence[ProfileSeries], narrow: bool) -> Json:
    first = min(int(one.x[0]) for one in series)
    last = max(int(one.x[-1]) for one in series)
    most = 6 if narrow else 12
    step = next((s for s in NICE_STEPS if (last - first) / s <= most), NICE_STEPS[-1])
    blocks = all(re.match(r"stem$|block \d", one.sites[-1]) for one in series)
    title = "block (0 = stem)" if first == 0 else "block"
    side = max(0.02 * (last - first), 0.3)
    return {
        "title": {"text": title if blocks else "layer, in order"},
        "range": [first - side, last + side],
        "tick0": 0,
        "dtick": step,
    }


def _directions() -> list[Json]:
    """Where the input and the loss are, at the two ends of the axis title's line."""
    line = {"xref": "paper", "yref": "paper", "y": 0, "yanchor": "top", "yshift": -19}
    return [
        {**line, "x": 0, "xanchor": "left", "text": "← input"},
        {**line, "x": 1, "xanchor": "right", "text": "loss →"},
    ]
