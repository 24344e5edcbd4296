"""What flows through every block for and against a class: layer conductance by block."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from explorer.figures.block_series import NOT_MEASURED, Numbers, block_axis, level, linked
from explorer.figures.frame import Frame, Json, empty, finish
from explorer.figures.theme import LOOKS, Arm, Theme
from explorer.wording import number

HEIGHT = 240
UNIT = "conductance (logit)"
RULE = "solid: what speaks for the class, dashed: against it; their sum is the same at every block"


def conductance(
    series: Sequence[tuple[Arm, Numbers, Numbers, float]],
    theme: Theme = "light",
    *,
    narrow: bool = False,
    note: str = "",
) -> go.Figure:
    """Of every arm the sums of positive and of negative conductance by block, and their sum.

    Both are (block,), in units of the logit; the last number is f(x) - f(baseline), what they
    sum to at every block by completeness (Dhamdhere et al. 2018, arXiv 1805.12233).
    """
    note = "; ".join(filter(None, (note, RULE if series else "")))
    frame = Frame(_finding(series), note, theme, narrow)
    if not series:
        return empty(frame, "block", UNIT, HEIGHT, why=NOT_MEASURED)
    data = [line for one in series for line in _lines(one)]
    layout = frame.layout(HEIGHT, [arm.name for arm, *_ in series])
    layout["xaxis"] = block_axis(1, max(len(positive) for _, positive, _, _ in series), narrow)
    layout["yaxis"] = {"title": {"text": UNIT}}
    layout["hovermode"] = "x unified"
    layout["shapes"] = [level(0.0, LOOKS[theme].mark, "solid")]
    return linked(finish(data, layout, f"{_finding(series)}. {note}."))


def _lines(one: tuple[Arm, Numbers, Numbers, float]) -> list[Json]:
    arm, positive, negative, _ = one
    return [
        {
            "type": "scatter",
            "mode": "lines",
            "x": np.arange(1, len(values) + 1),
            "y": np.asarray(values, np.float32),
            "name": arm.name,
            "legendgroup": arm.name,
            "showlegend": dash == "solid",
            "line": {"color": arm.color, "width": 2, "dash": dash},
            "hovertemplate": f"%{{y:.3g}} {word}",
        }
        for values, dash, word in ((positive, "solid", "for"), (negative, "dash", "against"))
    ]


def _finding(series: Sequence[tuple[Arm, Numbers, Numbers, float]]) -> str:
    """Where most is added and taken away again, in words."""
    said = []
    for arm, positive, negative, change in series:
        both = np.asarray(positive) - np.asarray(negative)
        if np.isfinite(both).any() and change:
            block = int(np.nanargmax(both)) + 1
            said.append(
                f"{arm.name}: {number(both[block - 1] / abs(change))} times at block {block}"
            )
    if not said:
        return "What flows through every block"
    return "For and against together, against the change of the logit, at most: " + ", ".join(said)
