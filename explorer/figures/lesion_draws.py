"""Test error against how much was lesioned, drawn at random (Veit et al. 2016, fig. 5)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from explorer.figures.block_series import NONE_KNOWN, NOT_MEASURED, Numbers, block_axis, joined
from explorer.figures.frame import Frame, Json, empty, finish
from explorer.figures.theme import Arm, Theme, faint
from explorer.wording import capital, number

HEIGHT = 300
Y_TITLE = "test error (%)"
TAU = "Kendall's tau with the trained order (1: unchanged)"
ROUNDING = 1e-9


@dataclass(frozen=True)
class Counts:
    """One arm's mean test error, a share, at each of `counts`; `low` to `high` hold 80 %.

    All are (count,), counts rising from 0 on.
    """

    arm: Arm
    counts: NDArray[np.int64]
    error: Numbers
    low: Numbers
    high: Numbers

    @property
    def half(self) -> int | None:
        """The first count at which half of the rise from the first error is there; or None."""
        rise = float(np.nanmax(self.error) - self.error[0])
        if not rise > ROUNDING:
            return None
        reached = self.error >= self.error[0] + rise / 2 - ROUNDING
        return int(self.counts[int(reached.argmax())])


def counts(
    series: Sequence[Counts],
    what: str,
    theme: Theme = "light",
    *,
    narrow: bool = False,
    note: str = "",
) -> go.Figure:
    """Test error by number of "blocks deleted", "pairs swapped", …, with a band over the draws.

    One word alone, "deleted", is of blocks.
    """
    what = what if " " in what else f"blocks {what}"
    drawn = [one for one in series if np.isfinite(one.error).any()]
    x_title = f"number of {what}"
    if not drawn:
        why = NONE_KNOWN if series else NOT_MEASURED
        frame = Frame(f"Test error by {x_title}", note, theme, narrow)
        return empty(frame, x_title, Y_TITLE, HEIGHT, why=why)
    notes = "; ".join(filter(None, (note, "line: mean, band: 80 % of the draws")))
    frame = Frame(_finding(drawn, what), notes, theme, narrow)
    layout = frame.layout(HEIGHT, [one.arm.name for one in drawn])
    layout["hovermode"] = "x unified"
    first, last = (int(end([end(one.counts) for one in drawn])) for end in (min, max))
    layout["xaxis"] = block_axis(first, last, narrow, x_title)
    layout["yaxis"] = {"title": {"text": Y_TITLE}, "range": [-3, 103]}
    data = [trace for one in drawn for trace in (_band(one), _line(one))]
    alt = f"Line chart of {Y_TITLE} by {x_title}, {len(drawn)} networks. {frame.title}."
    return finish(data, layout, alt)


def swaps(
    series: Sequence[tuple[Arm, Numbers, Numbers]],
    theme: Theme = "light",
    *,
    narrow: bool = False,
    note: str = "",
) -> go.Figure:
    """Test error of every draw against Kendall's tau of its order; (arm, tau, error), shares."""
    drawn = []
    for arm, taus, errors in series:
        tau, error = np.ravel(taus), np.ravel(errors)
        known = np.isfinite(tau) & np.isfinite(error)
        if known.any():
            drawn.append((arm, tau[known], error[known]))
    if not drawn:
        why = NONE_KNOWN if series else NOT_MEASURED
        return empty(
            Frame("Test error by order", note, theme, narrow), TAU, Y_TITLE, HEIGHT, why=why
        )
    notes = "; ".join(filter(None, (note, "dots: draws")))
    frame = Frame(_correlations(drawn), notes, theme, narrow)
    layout = frame.layout(HEIGHT, [arm.name for arm, _, _ in drawn])
    least = min(float(tau.min()) for _, tau, _ in drawn)
    side = 0.03 * max(1 - least, 0.1)
    layout["xaxis"] = {"title": {"text": TAU}, "range": [1 + side, least - side]}
    layout["yaxis"] = {"title": {"text": Y_TITLE}, "range": [-3, 103]}
    data = [_dots(*one) for one in drawn]
    alt = f"Scatter chart of {Y_TITLE} by {TAU}, {len(drawn)} networks. {frame.title}."
    return finish(data, layout, alt)


def rank_correlation(x: Numbers, y: Numbers) -> float:
    """Spearman's rank correlation, equal values sharing their mean rank; NaN for a constant."""
    a, b = _ranks(x), _ranks(y)
    if not (np.ptp(a) and np.ptp(b)):
        return float("nan")
    return float(np.corrcoef(a, b)[0, 1])


def _ranks(values: Numbers) -> NDArray[np.float64]:
    _, inverse, many = np.unique(values, return_inverse=True, return_counts=True)
    ranks: NDArray[np.float64] = (np.cumsum(many) - (many - 1) / 2)[inverse]
    return ranks


def _finding(series: Sequence[Counts], what: str) -> str:
    """How soon half of the rise in error is there: late where it comes smoothly."""
    risen = [(one.arm.name, one.half, int(one.counts[-1])) for one in series]
    said = [f"{half} of {last} in {name}" for name, half, last in risen if half is not None]
    flat = [f"no rise in {name}" for name, half, _ in risen if half is None]
    if not said:
        return f"No test error rises, up to {max(last for _, _, last in risen)} {what}"
    return f"{capital(what)} when half of the rise in test error is there: {joined([*said, *flat])}"


def _correlations(series: Sequence[tuple[Arm, Numbers, Numbers]]) -> str:
    """Whether error falls as the order comes nearer to the trained one."""
    found = [(arm.name, rank_correlation(tau, error)) for arm, tau, error in series]
    said = [f"{number(value)} in {name}" for name, value in found if np.isfinite(value)]
    if not said:
        return "Test error does not change with the order"
    values = [value for _, value in found if np.isfinite(value)]
    start = "Rank correlation of order and test error"
    if max(values) < -0.5:
        start = "The nearer to the trained order, the smaller the error: rank correlation"
    return f"{start} {joined(said)}"


def _band(one: Counts) -> Json:
    known = np.isfinite(one.low) & np.isfinite(one.high)
    x = one.counts[known]
    return {
        "type": "scatter",
        "mode": "lines",
        "name": one.arm.name,
        "legendgroup": one.arm.name,
        "x": np.concatenate([x, x[::-1]]),
        "y": 100 * np.concatenate([one.high[known], one.low[known][::-1]]),
        "line": {"width": 0},
        "fill": "toself",
        "fillcolor": faint(one.arm.color, 0.2),
        "hoverinfo": "skip",
        "showlegend": False,
    }


def _line(one: Counts) -> Json:
    line = {"color": one.arm.color, "dash": one.arm.dash, "width": 2}
    pairs = zip(one.low.tolist(), one.high.tolist(), strict=True)
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": one.arm.name,
        "legendgroup": one.arm.name,
        "x": one.counts,
        "y": 100 * one.error,
        "line": line,
        "marker": {"size": 5, "color": one.arm.color},
        "text": [f"80 % in {100 * low:.1f} to {100 * high:.1f}" for low, high in pairs],
        "hovertemplate": "%{y:.1f} % (%{text})",
        "showlegend": True,
    }


def _dots(arm: Arm, tau: Numbers, error: Numbers) -> Json:
    symbol = "circle" if arm.dash == "solid" else "circle-open"
    return {
        "type": "scatter",
        "mode": "markers",
        "name": arm.name,
        "x": tau,
        "y": 100 * error,
        "marker": {"size": 7, "symbol": symbol, "color": arm.color, "opacity": 0.75},
        "hovertemplate": f"%{{y:.1f}} % at tau %{{x:.3f}}<extra>{arm.name}</extra>",
        "showlegend": True,
    }
