"""How alike the gradients at two inputs are, by depth, beside the theory of wide networks.

Balduzzi et al. 2017, arXiv 1702.08591, section 3.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from explorer.figures.block_series import NONE_KNOWN, NOT_MEASURED, Numbers, block_axis, joined
from explorer.figures.frame import Frame, Json, empty, finish
from explorer.figures.scale import ZERO_LABEL, LogScale
from explorer.figures.theme import LOOKS, Theme
from explorer.figures.theory_lines import dotted, theory_note
from explorer.wording import number

HEIGHT = 320
X_TITLE = "depth (blocks)"
Y_TITLE = "correlation of two gradients"
NOISE = 2.0  # standard errors; what is less is not told from 0
FLOOR_LABEL = "0 or below"


@dataclass(frozen=True)
class CorrelationSeries:
    """One kind of network: correlation of dL/dx at two inputs, with its standard error; (point,).

    `error` is NaN for one seed. `predicted` is theory at depths 1, 2, …, L, (L,), by `formula`;
    it holds to the depth `holds_to` (None: everywhere) of its `region`.
    """

    name: str
    color: str
    depths: Sequence[int]
    correlation: Numbers
    error: Numbers
    predicted: Numbers | None = None
    formula: str = ""
    holds_to: int | None = None
    region: str = ""

    @property
    def lost(self) -> NDArray[np.bool_]:
        """Where the correlation is not told from 0; (point,). Without an error only below 0."""
        least = np.where(np.isfinite(self.error), NOISE * self.error, 0)
        lost: NDArray[np.bool_] = self.correlation <= least
        return lost

    @property
    def end(self) -> int:
        """The last point that is known."""
        return int(np.flatnonzero(np.isfinite(self.correlation))[-1])

    def theory_at(self, depth: int) -> float | None:
        """The prediction at `depth`; None where there is none, or it does not hold."""
        if self.predicted is None or depth > len(self.predicted):
            return None
        held = self.holds_to is None or depth <= self.holds_to
        return float(self.predicted[depth - 1]) if held else None


def correlation_by_depth(
    series: Sequence[CorrelationSeries],
    theme: Theme = "light",
    *,
    narrow: bool = False,
    note: str = "",
) -> go.Figure:
    """Correlation by depth on a log axis with standard errors; open where noise hides it."""
    drawn = [one for one in series if np.isfinite(one.correlation).any()]
    if not drawn:
        frame = Frame("Correlation of gradients by depth", note, theme, narrow)
        why = NONE_KNOWN if series else NOT_MEASURED
        return empty(frame, X_TITLE, Y_TITLE, HEIGHT, log=True, why=why)
    frame = Frame(_finding(drawn), "; ".join(filter(None, (note, *_keys(drawn)))), theme, narrow)
    # Theory may fall far below what is measured; it does not stretch the axis.
    scale = LogScale.over(
        [np.maximum(one.correlation, 0) for one in drawn] + [np.ones(1, np.float32)]
    )
    data = [trace for one in drawn for trace in _traces(one, scale)]
    layout = frame.layout(HEIGHT, [t["name"] for t in data if t["showlegend"]])
    last = max(max(one.depths) for one in drawn)
    layout["xaxis"] = block_axis(1, last, narrow, X_TITLE)
    layout["yaxis"] = scale.axis(Y_TITLE)
    layout["shapes"], labels = scale.marks(LOOKS[theme])
    left = {"x": 0, "xanchor": "left"}  # it is deep networks that reach the floor
    layout["annotations"] = [
        {**one, **left, "text": FLOOR_LABEL if one["text"] == ZERO_LABEL else one["text"]}
        for one in labels
    ]
    alt = f"Line chart of the {Y_TITLE} by {X_TITLE}, {len(drawn)} networks. {frame.title}."
    return finish(data, layout, alt)


def _finding(series: Sequence[CorrelationSeries]) -> str:
    """The correlation at each one's last depth, with theory's where that holds."""
    ends = {int(one.depths[one.end]) for one in series}
    said = []
    for one in series:
        depth = int(one.depths[one.end])
        value = number(float(one.correlation[one.end]))
        value = "nothing above the noise" if one.lost[one.end] else value
        theory = one.theory_at(depth)
        told = f" (theory {number(theory)})" if theory is not None else ""
        at = f" at depth {depth}" if len(ends) > 1 else ""
        said.append(f"{value} in {one.name}{at}{told}")
    where = f"At depth {ends.pop()} the" if len(ends) == 1 else "The"
    return f"{where} gradients of two inputs correlate by {joined(said)}"


def _keys(series: Sequence[CorrelationSeries]) -> list[str]:
    keys = []
    if any(np.isfinite(one.error).any() for one in series):
        keys.append("bars: standard error over the seeds")
    if any(one.lost.any() for one in series):
        keys.append(f"open: below the noise of {number(NOISE)} standard errors")
    theory = [
        (one.holds_to is None or one.holds_to >= len(one.predicted), one.region)
        for one in series
        if one.predicted is not None
    ]
    return [*keys, *filter(None, [theory_note(theory)])]


def _traces(one: CorrelationSeries, scale: LogScale) -> list[Json]:
    """The measured points and theory; a cross where a value is not finite."""
    base: Json = {"type": "scatter", "legendgroup": one.name, "name": one.name}
    x = np.asarray(one.depths)
    broken = ~np.isfinite(one.correlation)
    y = np.where(broken, np.nan, scale.drawn(np.maximum(one.correlation, 0)))
    measured = {
        **base,
        "x": x,
        "y": y,
        "mode": "lines+markers",
        "line": {"color": one.color, "width": 2},
        "marker": {"size": 7, "symbol": ["circle-open" if lost else "circle" for lost in one.lost]},
        "error_y": _bars(one, y, scale),
        "text": [_told(one, index) for index in range(len(x))],
        "hovertemplate": f"%{{text}}<extra>{one.name}</extra>",
        "showlegend": True,
    }
    traces = [measured, *_theory(one, base)]
    if broken.any() and scale.ceiling is not None:
        at = np.full(int(broken.sum()), 10**scale.ceiling)
        mark = {"symbol": "x", "size": 8, "color": one.color}
        quiet = {"hoverinfo": "skip", "showlegend": False, "mode": "markers"}
        traces.append({**base, **quiet, "x": x[broken], "y": at, "marker": mark})
    return traces


def _told(one: CorrelationSeries, index: int) -> str:
    value, error = float(one.correlation[index]), float(one.error[index])
    spread = f" ± {number(error)}" if np.isfinite(error) else ""
    return f"{number(value)}{spread} at depth {one.depths[index]}"


def _bars(one: CorrelationSeries, y: Numbers, scale: LogScale) -> Json:
    """Standard errors; what would reach below 0 ends at the axis, and the floor has none."""
    known = np.isfinite(one.error) & np.isfinite(y) & (one.correlation > 0)
    up = np.where(known, one.error, 0)
    down = np.where(known, np.minimum(up, y - 10**scale.low), 0)
    bars = {"type": "data", "symmetric": False, "array": up, "arrayminus": down}
    return {**bars, "color": one.color, "thickness": 1.2, "width": 4}


def _theory(one: CorrelationSeries, base: Json) -> list[Json]:
    """The prediction, in two strokes where it holds for the first depths only."""
    if one.predicted is None:
        return []
    count = len(one.predicted)
    held = count if one.holds_to is None else min(one.holds_to, count)
    depths = np.arange(1, count + 1)
    known = np.where(one.predicted > 0, one.predicted, np.nan)
    name = f"{one.name}, predicted" + (f" {one.formula}" if one.formula else "")
    strokes = [(slice(0, held), True)] if held else []
    strokes += [(slice(max(held - 1, 0), count), False)] if held < count else []
    return [
        {
            **base,
            "name": name,
            "legendgroup": name,  # its entry has a place of its own in the legend
            "x": depths[part],
            "y": known[part],
            "mode": "lines",
            "line": dotted(one.color, holds),
            "hovertemplate": f"predicted %{{y:.3~g}} at depth %{{x}}<extra>{one.name}</extra>",
            "showlegend": index == 0 and bool(one.formula),
        }
        for index, (part, holds) in enumerate(strokes)
    ]
