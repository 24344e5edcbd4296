"""The product of n factors: what every layer leaves of a gradient or a signal, and the factors."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import plotly.graph_objects as go

from explorer.figures.block_series import NOT_MEASURED, Numbers, block_axis, joined
from explorer.figures.frame import Frame, Json, empty, finish
from explorer.figures.powers import PowerScale, power
from explorer.figures.profile import MOST_MARKERS
from explorer.figures.theme import LOOKS, Theme, faint
from explorer.figures.theory_lines import dotted, theory_note

Quantity = Literal["gradient", "signal"]

HEIGHT = 300
X_TITLES = {
    "gradient": "layer (0 = input; the gradient starts at the right)",
    "signal": "layer (0 = input; the signal starts at the left)",
}
UNITS = {
    "gradient": "‖dL/dx‖ (output: 1)",
    "signal": "root mean square of x (input: 1)",
}
NOTHING = {"gradient": "0: no gradient arrives", "signal": "0: no signal arrives"}


@dataclass(frozen=True)
class WalkSeries:
    """log10 of what is left at every layer, from input (0) to output; (seed, layer + 1).

    Of the norm, not its square, so that it is what float32 would have to hold: half of a log10
    of squares. -inf where nothing arrives. `predicted` is the same by theory, (layer + 1,), and
    `valid` whether the network lies in its `region`.
    """

    name: str
    color: str
    log10: Numbers
    predicted: Numbers | None = None
    valid: bool = True
    region: str = ""

    @property
    def mean(self) -> Numbers:
        """The mean of the logarithms over the seeds, so of the sizes the geometric mean."""
        with np.errstate(invalid="ignore"):
            mean: Numbers = self.log10.mean(0)
        return mean


def walks(
    series: Sequence[WalkSeries],
    quantity: Quantity = "gradient",
    theme: Theme = "light",
    *,
    narrow: bool = False,
    note: str = "",
) -> go.Figure:
    """What is left after each layer, on an axis of powers: seeds thin, their mean thick.

    Shaded is what float32 cannot hold. ValueError for another quantity.
    """
    if quantity not in UNITS:
        raise ValueError(f"quantity: {quantity!r} is none of {', '.join(get_args(Quantity))}")
    drawn = [one for one in series if one.log10.size]
    if not drawn:
        frame = Frame(f"The {quantity} layer by layer", note, theme, narrow)
        return empty(frame, X_TITLES[quantity], UNITS[quantity], HEIGHT, why=NOT_MEASURED)
    several = any(len(one.log10) > 1 for one in drawn)
    key = "thin: seeds, thick: their geometric mean" if several else ""
    theory = theory_note((one.valid, one.region) for one in drawn if one.predicted is not None)
    notes = "; ".join(filter(None, (note, key, theory)))
    frame = Frame(_finding(drawn, quantity), notes, theme, narrow)
    predicted = [one.predicted for one in drawn if one.predicted is not None]
    scale = PowerScale.over([one.log10 for one in drawn] + predicted)
    data = [trace for one in drawn for trace in _traces(one, scale)]
    layout = frame.layout(HEIGHT, [t["name"] for t in data if t["showlegend"]])
    layout["hovermode"] = "x unified"
    last = max(one.log10.shape[1] for one in drawn) - 1
    layout["xaxis"] = block_axis(0, last, narrow, X_TITLES[quantity])
    layout["yaxis"] = scale.axis(UNITS[quantity])
    layout["shapes"], layout["annotations"] = _marked(scale, quantity, theme)
    alt = f"Line chart of {UNITS[quantity]} by layer, {len(drawn)} networks. {frame.title}."
    return finish(data, layout, alt)


def _marked(scale: PowerScale, quantity: Quantity, theme: Theme) -> tuple[list[Json], list[Json]]:
    """Zones and levels, with their names where the walk starts: little is drawn below it."""
    side = "right" if quantity == "gradient" else "left"
    return scale.marks(LOOKS[theme], NOTHING[quantity], side)


def _traces(one: WalkSeries, scale: PowerScale) -> list[Json]:
    """Seeds, their mean, theory, and a mark where nothing arrives or nothing finite."""
    x = np.arange(one.log10.shape[1])
    base: Json = {"type": "scatter", "legendgroup": one.name, "name": one.name, "x": x}
    quiet = {**base, "hoverinfo": "skip", "showlegend": False}
    thin = {"color": faint(one.color, 0.4), "width": 0.9}
    rows = one.log10 if len(one.log10) > 1 else one.log10[:0]
    traces = [{**quiet, "mode": "lines", "line": thin, "y": scale.drawn(row)} for row in rows]
    traces.append(
        {
            **base,
            "mode": "lines",
            "y": scale.drawn(one.mean),
            "line": {"color": one.color, "width": 2.4},
            "text": [power(value) for value in one.mean.tolist()],
            "hovertemplate": "%{text}",
            "showlegend": True,
        }
    )
    if one.predicted is not None:
        told = [power(value) for value in one.predicted.tolist()]
        line = {"mode": "lines", "line": dotted(one.color, one.valid)}
        words = {"name": f"{one.name}, predicted", "text": told, "hovertemplate": "%{text}"}
        theory = {**base, **line, **words, "y": scale.drawn(one.predicted)}
        traces.append({**theory, "showlegend": False})  # the note says what is dotted
    return traces + _marks(one, scale, quiet)


def _marks(one: WalkSeries, scale: PowerScale, quiet: Json) -> list[Json]:
    """Circles where nothing arrives, crosses where the mean is not finite."""
    mean = one.mean
    lost, broken = np.isneginf(mean), np.isnan(mean) | np.isposinf(mean)
    places = ((lost, scale.floor, "circle-open"), (broken, scale.ceiling, "x"))
    few = len(mean) <= MOST_MARKERS
    return [
        {
            **quiet,
            "mode": "markers",
            "x": np.flatnonzero(where),
            "y": np.full(int(where.sum()), level, np.float32),
            "marker": {"symbol": symbol, "size": 8 if few else 4, "color": one.color},
        }
        for where, level, symbol in places
        if level is not None and where.any()
    ]


def _finding(series: Sequence[WalkSeries], quantity: Quantity) -> str:
    """What is left at the end of the walk, with theory where it is valid."""
    depths = {one.log10.shape[1] - 1 for one in series}
    end = 0 if quantity == "gradient" else -1
    if len(series) == 1:
        size, theory = _size(series[0], end), _theory(series[0], end)
        start = f"After {depths.pop()} layers"
        if np.isneginf(series[0].mean[end]):
            return f"{start} nothing is left of the {quantity}{theory}"
        if size.endswith(" x"):
            return f"{start} the {quantity} is {size} as large{theory}"
        return f"{start} {size} of the {quantity} is left{theory}"
    same = len(depths) == 1
    said = []
    for one in series:
        depth = "" if same else f" after {one.log10.shape[1] - 1} layers"
        said.append(f"{_size(one, end)}{depth} in {one.name}{_theory(one, end)}")
    layers = f"{depths.pop()} layers leave" if same else "is left"
    return f"What {layers} of the {quantity}: {joined(said)}"


def _size(one: WalkSeries, end: int) -> str:
    """ "3e-9", or "320 x" where it grew."""
    value = float(one.mean[end])
    if np.isneginf(value):
        return "nothing"
    return power(value) + (" x" if value > np.log10(0.995) else "")


def _theory(one: WalkSeries, end: int) -> str:
    if one.predicted is None or not one.valid:
        return ""
    return f" (theory {power(float(one.predicted[end]))})"
