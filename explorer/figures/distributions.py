"""Where the values of x, F(x) and a block's output lie: quantiles by block, steps of one block."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from explorer.figures.block_series import (
    NONE_KNOWN,
    NOT_MEASURED,
    Numbers,
    block_axis,
    linked,
    upright,
)
from explorer.figures.frame import Frame, Json, empty, finish
from explorer.figures.theme import FURTHER, LOOKS, Theme, faint
from explorer.wording import capital, number, percent, times

HEIGHT = 280
COLORS = (FURTHER[0], FURTHER[2], FURTHER[1])  # of x, F(x) and the output; no arm's first colour
DASHES = ("solid", "dash", "dot")
BINS = 40
Y_TITLE, X_TITLE = "value of an activation", "value of an activation"


@dataclass(frozen=True)
class Spread:
    """The 5, 25, 50, 75 and 95 % quantiles of what `name` says, in every block; (5, block)."""

    name: str
    quantiles: Numbers


def distributions(
    spreads: Sequence[Spread],
    theme: Theme = "light",
    *,
    narrow: bool = False,
    note: str = "",
    chosen: int | None = None,
) -> go.Figure:
    """Quantiles by block of one network, a colour a spread; NaN is a gap.

    `chosen` is a block marked by a thin line.
    """
    drawn = [one for one in spreads if np.isfinite(one.quantiles).any()]
    notes = "; ".join(filter(None, (note, "line: median, bands: 25 to 75 and 5 to 95 %")))
    if not drawn:
        why = NONE_KNOWN if any(one.quantiles.size for one in spreads) else NOT_MEASURED
        frame = Frame("Values by block", note, theme, narrow)
        return empty(frame, "block", Y_TITLE, HEIGHT, why=why)
    frame = Frame(_finding(drawn), notes, theme, narrow)
    data = [trace for index, one in enumerate(drawn) for trace in _bands(one, index)]
    layout = frame.layout(HEIGHT, [one.name for one in drawn])
    layout["hovermode"] = "x unified"
    layout["xaxis"] = block_axis(1, max(one.quantiles.shape[1] for one in drawn), narrow)
    layout["yaxis"] = {"title": {"text": Y_TITLE}}
    if chosen is not None:
        layout["shapes"] = [upright(chosen, LOOKS[theme].mark)]
    names = ", ".join(one.name for one in drawn)
    alt = f"Bands of the quantiles of {names} by block. {frame.title}."
    return linked(finish(data, layout, alt))


def histogram(
    values: Mapping[str, Numbers],
    block: str,
    theme: Theme = "light",
    *,
    narrow: bool = False,
    note: str = "",
) -> go.Figure:
    """How often each value comes in one block: outlines over the same bins, in % of all values.

    Exact zeros, most of what ReLU puts out, are left out of the steps and told in the legend.
    """
    known = {name: one.ravel()[np.isfinite(one.ravel())] for name, one in values.items()}
    known = {name: one for name, one in known.items() if len(one)}
    if not known:
        why = NONE_KNOWN if values else NOT_MEASURED
        return empty(
            Frame(f"Values of {block}", note, theme, narrow), X_TITLE, "%", HEIGHT, why=why
        )
    zeros = {name: float((one == 0).mean()) for name, one in known.items()}
    some = any(zeros.values())
    notes = "; ".join(filter(None, (note, "exact zeros are not in the steps" if some else "")))
    frame = Frame(_shape(known, zeros, block), notes, theme, narrow)
    edges = _edges(np.concatenate(list(known.values())))
    legend = [name + (f" ({percent(zeros[name])} are 0)" if zeros[name] else "") for name in known]
    data = [_steps(one, edges, legend[index], index) for index, one in enumerate(known.values())]
    layout = frame.layout(HEIGHT, legend)
    layout["xaxis"] = {"title": {"text": X_TITLE}}
    layout["yaxis"] = {"title": {"text": "share of all values (%)"}, "rangemode": "tozero"}
    alt = f"Histograms of {', '.join(known)} of {block}. {frame.title}."
    return finish(data, layout, alt)


def _finding(spreads: Sequence[Spread]) -> str:
    """How the width of the 5 to 95 % range differs between the first and the last known block."""
    said, ends = [], set()
    for one in spreads:
        widths = one.quantiles[4] - one.quantiles[0]
        known = np.flatnonzero(np.isfinite(widths))
        first, last = int(known[0]), int(known[-1])
        if widths[first] > 0:
            ends.add((first + 1, last + 1))
            ratio = times(float(widths[last] / widths[first])).removesuffix(" of")
            said.append(f"{one.name} {ratio}".replace(" ", "\u00a0"))
    if len(ends) != 1:
        parts = [f"{one.name} {number(_middle(one))}" for one in spreads]
        return f"Medians at the last block: {', '.join(parts)}"
    first, last = ends.pop()
    return f"How wide values spread in block {last} against block {first}: {', '.join(said)}"


def _middle(one: Spread) -> float:
    medians = one.quantiles[2]
    return float(medians[np.isfinite(medians)][-1])


def _bands(one: Spread, index: int) -> list[Json]:
    """5 to 95 %, 25 to 75 %, and the median over them."""
    color, dash = COLORS[index % len(COLORS)], DASHES[index % len(DASHES)]
    x = np.arange(1, one.quantiles.shape[1] + 1)
    base: Json = {"type": "scatter", "legendgroup": one.name, "name": one.name, "mode": "lines"}
    quiet = {**base, "line": {"width": 0}, "hoverinfo": "skip", "showlegend": False}
    traces: list[Json] = []
    for low, high, opacity in ((0, 4, 0.13), (1, 3, 0.25)):
        for run in _runs(one.quantiles):
            edge = [one.quantiles[high, run], one.quantiles[low, run][::-1]]
            place = {"x": np.concatenate([x[run], x[run][::-1]]), "y": np.concatenate(edge)}
            fill = {"fill": "toself", "fillcolor": faint(color, opacity)}
            traces.append({**quiet, **place, **fill})
    told = [
        f"{q[2]:.3g} (half in {q[1]:.3g} to {q[3]:.3g}, 90 % in {q[0]:.3g} to {q[4]:.3g})"
        for q in one.quantiles.T.tolist()
    ]
    line = {"color": color, "dash": dash, "width": 2}
    median = {**base, "x": x, "y": one.quantiles[2], "line": line, "showlegend": True}
    return [*traces, {**median, "text": told, "hovertemplate": "%{text}"}]


def _runs(quantiles: Numbers) -> list[NDArray[np.intp]]:
    """Indices of neighbouring blocks that are all known."""
    found = np.flatnonzero(np.isfinite(quantiles).all(axis=0))
    return [run for run in np.split(found, np.flatnonzero(np.diff(found) > 1) + 1) if len(run)]


def _edges(values: Numbers) -> Numbers:
    """Edges of about BINS equal bins that hold all `values`, 0 among them or its multiples."""
    low, high = float(values.min()), float(values.max())
    width = (high - low) / BINS or max(abs(high), 1.0) / BINS
    return width * np.arange(np.floor(low / width), np.floor(high / width) + 2)


def _steps(values: Numbers, edges: Numbers, name: str, index: int) -> Json:
    counts, _ = np.histogram(values[values != 0], edges)
    heights = 100 * counts / len(values)
    color, dash = COLORS[index % len(COLORS)], DASHES[index % len(DASHES)]
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": np.concatenate([edges[:1], edges]).astype(np.float32),
        "y": np.concatenate([[0.0], heights, [0.0]]),
        "line": {"shape": "hv", "color": color, "dash": dash, "width": 1.8},
        "hovertemplate": "%{y:.2~g} % of the values from %{x:.3~g} on<extra>" + name + "</extra>",
        "showlegend": True,
    }


def _shape(known: Mapping[str, Numbers], zeros: Mapping[str, float], block: str) -> str:
    """How wide each spreads, as standard deviations, and what is mostly 0."""
    said = [f"{name} {number(float(np.std(one)))}" for name, one in known.items()]
    dead = [f"{percent(zeros[name])} of {name} is 0" for name in known if zeros[name] >= 0.5]
    start = f"Standard deviations in {block}: {', '.join(said)}"
    return capital("; ".join([start, *dead]))
