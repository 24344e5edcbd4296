"""Singular values of Jacobians: how far a network stretches some directions and shrinks others.

All near 1 is dynamical isometry: Saxe et al. 2013, arXiv 1312.6120; Pennington et al. 2017,
arXiv 1711.04735.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from explorer.figures.block_series import NONE_KNOWN, NOT_MEASURED, Numbers, joined
from explorer.figures.frame import Frame, Json, empty, finish
from explorer.figures.scale import ZERO_LABEL, LogScale
from explorer.figures.theme import LOOKS, Arm, Theme
from explorer.wording import number

HEIGHT = 300
X_TITLE = "rank / number of singular values"
Y_TITLE = "singular value"
LOST_LABEL = "0 (lost in rounding)"
ISOMETRY = "1: length is kept"


@dataclass(frozen=True)
class SpectrumSeries:
    """One arm's singular values, largest first; (k,).

    What lies at or below `floor` is not told from 0. Where `total` is more than k only the
    ends are known: the first half of `values` is from the top, the other from the bottom, NaN
    where it was not found.
    """

    arm: Arm
    values: Numbers
    floor: float = 0.0
    total: int | None = None

    @property
    def complete(self) -> bool:
        return self.total is None or self.total <= len(self.values)

    @property
    def share(self) -> Numbers:
        """Where each stands between the largest (0) and the smallest (1); (k,)."""
        count = len(self.values)
        missing = 0 if self.complete else (self.total or count) - count
        place = np.arange(count)
        share: Numbers = (place + np.where(place < self.top, 0, missing) + 0.5) / (count + missing)
        return share

    @property
    def top(self) -> int:
        """How many of the values are from the top."""
        return len(self.values) if self.complete else len(self.values) // 2

    @property
    def kept(self) -> Numbers:
        """The values with 0 for what is not told from it."""
        kept: Numbers = np.where(self.values <= self.floor, 0, self.values)
        return kept


def spectrum(
    series: Sequence[SpectrumSeries],
    theme: Theme = "light",
    *,
    narrow: bool = False,
    note: str = "",
) -> go.Figure:
    """Singular values on a log axis by their rank, as a share, so that sizes compare."""
    drawn = [one for one in series if np.isfinite(one.values).any()]
    if not drawn:
        frame = Frame("Singular values of the Jacobian", note, theme, narrow)
        why = NONE_KNOWN if series else NOT_MEASURED
        return empty(frame, X_TITLE, Y_TITLE, HEIGHT, log=True, why=why)
    frame = Frame(_finding(drawn), "; ".join(filter(None, (note, *_keys(drawn)))), theme, narrow)
    scale = LogScale.over([*(_drawable(one) for one in drawn), np.ones(1, np.float32)])
    data = [trace for one in drawn for trace in _traces(one, scale)]
    layout = frame.layout(HEIGHT, [one.arm.name for one in drawn])
    layout["xaxis"] = {"title": {"text": X_TITLE}, "range": [-0.02, 1.02]}
    layout["yaxis"] = scale.axis(Y_TITLE)
    layout["shapes"], layout["annotations"] = one_line(scale, theme)
    alt = f"Line chart of every {Y_TITLE} by {X_TITLE}, {len(drawn)} networks. {frame.title}."
    return finish(data, layout, alt)


def one_line(
    scale: LogScale, theme: Theme, lost: str = LOST_LABEL
) -> tuple[list[Json], list[Json]]:
    """The scale's own marks, zeros named `lost`, and a thin line at 1 with its name."""
    look = LOOKS[theme]
    shapes, notes = scale.marks(look)
    left = {"x": 0, "xanchor": "left", "text": lost}  # the smallest come last
    notes = [{**one, **left} if one["text"] == ZERO_LABEL else one for one in notes]
    where = {"xref": "x domain", "yref": "y"}
    line = {"color": look.mark, "width": 1, "dash": "dash"}
    shapes.append({**where, "type": "line", "x0": 0, "x1": 1, "y0": 1, "y1": 1, "line": line})
    label = {"x": 1, "xanchor": "right", "y": 0, "yanchor": "bottom", "text": ISOMETRY}
    return shapes, [*notes, {**where, **label}]


def _finding(series: Sequence[SpectrumSeries]) -> str:
    """How much further the most stretched direction is stretched than the least."""
    return f"Largest over smallest singular value: {joined([_spread(one) for one in series])}"


def _spread(one: SpectrumSeries) -> str:
    values = one.kept
    if not np.isfinite(values).all():
        return f"not known in {one.arm.name}"
    lost = int((values == 0).sum())
    if lost == len(values):
        return f"all are 0 in {one.arm.name}"
    if lost:
        of = f"{lost} of {len(values)}" + ("" if one.complete else " known")
        return f"infinite in {one.arm.name} ({of} lost)"
    return f"{number(float(values.max() / values.min()))} in {one.arm.name}"


def _keys(series: Sequence[SpectrumSeries]) -> list[str]:
    """Which values are not drawn."""
    some = not all(one.complete for one in series)
    keys = ["gap: only the largest and the smallest are known"] if some else []
    missing = [(int(np.isnan(one.values).sum()), one.arm.name) for one in series]
    return keys + [f"{count} of {name} were not found" for count, name in missing if count]


def _drawable(one: SpectrumSeries) -> Numbers:
    """All that needs a place: what was not found needs none, and infinity its own."""
    return one.kept[~np.isnan(one.kept)]


def _traces(one: SpectrumSeries, scale: LogScale) -> list[Json]:
    """One line, or one at either end, and crosses for what is infinite."""
    share, kept = one.share, one.kept
    look = {"line": {"color": one.arm.color, "dash": one.arm.dash, "width": 2}}
    base: Json = {"type": "scatter", "legendgroup": one.arm.name, "name": one.arm.name}
    told = f"%{{y:.3~g}} at %{{x:.2f}} of the ranks<extra>{one.arm.name}</extra>"
    traces: list[Json] = []
    for part in (slice(0, one.top), slice(one.top, None)):
        x, y = share[part], scale.drawn(kept[part])
        if len(x):
            mode = "lines" if one.complete else "lines+markers"
            drawn = {**base, **look, "x": x, "y": y, "mode": mode, "hovertemplate": told}
            traces.append({**drawn, "marker": {"size": 6}, "showlegend": not traces})
    broken = np.isinf(one.values)
    if broken.any() and scale.ceiling is not None:
        cross = {"symbol": "x", "size": 8, "color": one.arm.color}
        y = np.full(int(broken.sum()), 10**scale.ceiling)
        quiet = {"mode": "markers", "hoverinfo": "skip", "showlegend": False}
        traces.append({**base, **quiet, "x": share[broken], "y": y, "marker": cross})
    return traces
