"""The factors of a product one by one: what each layer multiplies the squared gradient by."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from explorer.figures.block_series import NONE_KNOWN, NOT_MEASURED, Numbers, block_axis, joined
from explorer.figures.frame import Frame, Json, empty, finish
from explorer.figures.scale import LogScale
from explorer.figures.theme import LOOKS, Theme, faint
from explorer.figures.theory_lines import dotted, theory_note
from explorer.wording import number

HEIGHT = 260
X_TITLE = "layer (1 = next to the input)"
Y_TITLE = "factor on ‖dL/dx‖²"


@dataclass(frozen=True)
class FactorSeries:
    """G_{l-1}/G_l of layers 1, 2, …, G the squared length of dL/dx; (seed, layer).

    NaN where no gradient arrives. `predicted` is chi, (layer,), and `valid` whether the network
    lies in its `region`.
    """

    name: str
    color: str
    factor: Numbers
    predicted: Numbers | None = None
    valid: bool = True
    region: str = ""

    @property
    def known(self) -> Numbers:
        found: Numbers = self.factor[np.isfinite(self.factor)]
        return found


def factor_dots(
    series: Sequence[FactorSeries],
    theme: Theme = "light",
    *,
    narrow: bool = False,
    note: str = "",
) -> go.Figure:
    """Every seed's factor of every layer as a dot, and chi dotted through them; log axis."""
    drawn = [one for one in series if one.known.size]
    if not drawn:
        frame = Frame("The factor of every layer", note, theme, narrow)
        why = NONE_KNOWN if any(one.factor.size for one in series) else NOT_MEASURED
        return empty(frame, X_TITLE, Y_TITLE, HEIGHT, log=True, why=why)
    key = "dots: every seed" if any(len(one.factor) > 1 for one in drawn) else ""
    theory = theory_note((one.valid, one.region) for one in drawn if one.predicted is not None)
    frame = Frame(_finding(drawn), "; ".join(filter(None, (note, key, theory))), theme, narrow)
    predicted = [one.predicted for one in drawn if one.predicted is not None]
    scale = LogScale.over([*(one.factor for one in drawn), *predicted, np.ones(1, np.float32)])
    data = [trace for one in drawn for trace in _traces(one, scale)]
    layout = frame.layout(HEIGHT, [t["name"] for t in data if t["showlegend"]])
    layout["xaxis"] = block_axis(1, max(one.factor.shape[1] for one in drawn), narrow, X_TITLE)
    layout["yaxis"] = scale.axis(Y_TITLE)
    layout["shapes"], layout["annotations"] = scale.marks(LOOKS[theme])
    layout["shapes"].append(_unchanged(theme))
    alt = f"Scatter chart of the {Y_TITLE} by layer, {len(drawn)} networks. {frame.title}."
    return finish(data, layout, alt)


def _traces(one: FactorSeries, scale: LogScale) -> list[Json]:
    seeds, layers = one.factor.shape
    x, values = np.tile(np.arange(1, layers + 1), seeds), one.factor.ravel()
    base: Json = {"type": "scatter", "legendgroup": one.name, "name": one.name}
    mark = {"size": 5, "color": faint(one.color, 0.85 if seeds == 1 else 0.5)}
    told = f"%{{y:.3~g}} in layer %{{x}}<extra>{one.name}</extra>"
    dots = {**base, "mode": "markers", "x": x, "y": scale.drawn(values), "marker": mark}
    traces = [{**dots, "hovertemplate": told, "showlegend": True}]
    if one.predicted is not None:
        line = {"mode": "lines", "line": dotted(one.color, one.valid), "showlegend": False}
        where = {"x": np.arange(1, layers + 1), "y": scale.drawn(one.predicted)}
        traces.append(
            {**base, **line, **where, "name": f"{one.name}, predicted", "hovertemplate": told}
        )
    broken = ~np.isfinite(values)
    if scale.ceiling is not None and broken.any():
        y = np.full(int(broken.sum()), 10**scale.ceiling)
        cross = {"symbol": "x", "size": 6, "color": one.color}
        quiet = {"hoverinfo": "skip", "showlegend": False}
        traces.append({**base, **quiet, "mode": "markers", "x": x[broken], "y": y, "marker": cross})
    return traces


def _finding(series: Sequence[FactorSeries]) -> str:
    """The median factor with its range, and theory's where it is valid."""
    said = []
    for one in series:
        ends = f"{number(float(one.known.min()))} to {number(float(one.known.max()))}"
        name = f" in {one.name}" if len(series) > 1 else ""
        middle = number(float(np.median(one.known)))
        said.append(f"{middle}{name} ({ends}{_theory(one)})")
    return f"The median layer multiplies the squared gradient by {joined(said)}"


def _theory(one: FactorSeries) -> str:
    if one.predicted is None or not one.valid:
        return ""
    low, high = number(float(one.predicted.min())), number(float(one.predicted.max()))
    return f"; theory {low if low == high else f'{low} to {high}'}"


def _unchanged(theme: Theme) -> Json:
    """A thin line at 1, where a layer neither shrinks nor enlarges the gradient."""
    line = {"color": LOOKS[theme].mark, "width": 1}
    ends = {"xref": "x domain", "yref": "y", "x0": 0, "x1": 1, "y0": 1, "y1": 1}
    return {"type": "line", **ends, "line": line, "layer": "below"}
