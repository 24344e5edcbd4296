"""What a trained network loses when one block at a time is lesioned (Veit et al. 2016, fig. 3)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from explorer.figures.block_series import (
    NONE_KNOWN,
    NOT_MEASURED,
    Numbers,
    block_axis,
    block_spans,
    level,
    linked,
    site_numbers,
)
from explorer.figures.frame import Frame, Json, empty, finish
from explorer.figures.theme import LOOKS, Arm, Theme, faint
from explorer.wording import capital, number

HEIGHT = 300
BAR = 23  # pixels of a bar and the gap to the next
Y_TITLE = "test accuracy with one block lesioned (%)"
LOST = "points of test accuracy lost"
SHAPES = "diamonds: blocks that change the shape"
Order = NDArray[np.intp]


@dataclass(frozen=True)
class Each:
    """One arm's test accuracy, a share, with each block lesioned alone; (block,), NaN unknown.

    `intact` is that of the whole network; `changes_shape` marks blocks that put out another
    shape than they read.
    """

    arm: Arm
    blocks: tuple[str, ...]
    accuracy: Numbers
    intact: float
    changes_shape: tuple[bool, ...]

    @property
    def lost(self) -> Numbers:
        """Points (hundredths) of accuracy that the lesion of each block costs; (block,)."""
        return 100 * (self.intact - self.accuracy)

    @property
    def median(self) -> float:
        """The median of what is lost, of the blocks that are known."""
        return float(np.median(self.lost[np.isfinite(self.lost)]))


def each(
    series: Sequence[Each],
    what: str,
    theme: Theme = "light",
    *,
    classes: int = 0,
    narrow: bool = False,
    note: str = "",
) -> go.Figure:
    """Test accuracy by lesioned block, one colour an arm; a dashed line is the whole network.

    `what` was done to a block: "deleted", "noise added to F(x)". With `classes` a line
    stands at chance.
    """
    drawn = [one for one in series if np.isfinite(one.accuracy).any()]
    if not drawn:
        why = NONE_KNOWN if series else NOT_MEASURED
        frame = Frame(f"One block at a time {what}", note, theme, narrow)
        return empty(frame, "block", Y_TITLE, HEIGHT, why=why)
    changing = any(any(one.changes_shape) for one in drawn)
    notes = [note, "dashed: intact", SHAPES if changing else ""]
    frame = Frame(_finding(drawn, what), "; ".join(filter(None, notes)), theme, narrow)
    layout = frame.layout(HEIGHT, [one.arm.name for one in drawn])
    numbers = [site_numbers(one.blocks) for one in drawn]
    layout["xaxis"] = block_axis(1, max(int(n[-1]) for n in numbers), narrow, "block lesioned")
    layout["yaxis"] = {"title": {"text": Y_TITLE}, "range": [-3, 103]}
    layout["shapes"] = [level(100 * one.intact, one.arm.color) for one in drawn]
    if classes:
        shape, label = _chance(classes, theme)
        layout["shapes"].append(shape)
        layout["annotations"] = [label]
    data = [_dots(one, theme) for one in drawn]
    alt = f"Dot chart of {Y_TITLE} by block, {len(drawn)} networks. {frame.title}."
    return linked(finish(data, layout, alt))


def ranking(
    one: Each, most: int = 15, theme: Theme = "light", *, narrow: bool = False, note: str = ""
) -> go.Figure:
    """The blocks whose lesion costs most, as bars, the dearest at the top; at most `most`."""
    order = np.argsort(-np.where(np.isfinite(one.lost), one.lost, -np.inf), kind="stable")
    order = order[np.isfinite(one.lost[order])][:most]
    if not len(order):
        why = NONE_KNOWN if len(one.blocks) else NOT_MEASURED
        return empty(
            Frame(f"Blocks of {one.arm.name}", note, theme, narrow), LOST, "block", HEIGHT, why=why
        )
    changing = np.array(one.changes_shape, bool)[order]
    known = int(np.isfinite(one.lost).sum())
    notes = [note, "hatched: changes the shape" if changing.any() else ""]
    notes.append(f"the {len(order)} dearest of {known} blocks" if known > len(order) else "")
    frame = Frame(_dearest(one, order), "; ".join(filter(None, notes)), theme, narrow)
    layout = frame.layout(BAR * len(order))
    lost = one.lost[order]
    low, high = min(float(lost.min()), 0.0), max(float(lost.max()), 0.0)
    side = 0.13 * max(high - low, 0.1)
    ends = [low - (side if low else 0.0), high + side]
    layout["xaxis"] = {"title": {"text": LOST}, "zeroline": True, "range": ends}
    layout["xaxis"]["zerolinecolor"] = LOOKS[theme].mark
    layout["yaxis"] = {"range": [len(order) - 0.5, -0.5], "showgrid": False}
    layout["yaxis"] |= {"tickvals": list(range(len(order)))}
    layout["yaxis"]["ticktext"] = [one.blocks[index] for index in order]
    data = [_bars(one, order, lost, changing, theme)]
    return finish(data, layout, f"Bar chart of {LOST} by block of {one.arm.name}. {frame.title}.")


def _finding(series: Sequence[Each], what: str) -> str:
    """What one block costs at the median, arm by arm."""
    start = f"One block, {what}, costs" if " " in what else f"One block {what} costs"
    first, *others = [f"{one.arm.name} {points(one.median)}" for one in series]
    name, amount = first.rsplit(" ", 1)
    unit = "point" if amount == "1" else "points"
    return ", ".join([f"{start} {name} {amount} {unit} at the median", *others])


def points(lost: float) -> str:
    """Points of accuracy in two digits, a gain with a minus."""
    return number(round(lost, 6) + 0.0)


def _chance(classes: int, theme: Theme) -> tuple[Json, Json]:
    chance = 100 / classes
    label = {"text": f"chance {number(chance)}\u00a0%", "x": 1, "xanchor": "right", "y": chance}
    where = {"xref": "x domain", "yref": "y", "yanchor": "bottom"}
    paper = {"bgcolor": faint(LOOKS[theme].paper, 0.7), "borderpad": 1}
    return level(chance, LOOKS[theme].mark, "dot"), {**label, **where, **paper}


def _dots(one: Each, theme: Theme) -> Json:
    """Circles, diamonds with an outline for blocks that change the shape; open for dashed arms."""
    shapes = ["diamond" if changes else "circle" for changes in one.changes_shape]
    opened = "" if one.arm.dash == "solid" else "-open"
    told = [
        f"{block}{' (changes the shape)' if changes else ''}: {100 * a:.1f} %, lost {points(lost)}"
        for block, changes, a, lost in zip(
            one.blocks, one.changes_shape, one.accuracy.tolist(), one.lost.tolist(), strict=True
        )
    ]
    outline = [1.5 if changes or opened else 0 for changes in one.changes_shape]
    color = one.arm.color if opened else LOOKS[theme].text
    return {
        "type": "scatter",
        "mode": "markers",
        "name": one.arm.name,
        "x": site_numbers(one.blocks),
        "y": 100 * one.accuracy,
        "marker": {
            "symbol": [shape + opened for shape in shapes],
            "size": [10 if changes else 7 for changes in one.changes_shape],
            "color": one.arm.color,
            "line": {"width": outline, "color": color},
            "opacity": 1,
        },
        "text": told,
        "hovertemplate": f"%{{text}}<extra>{one.arm.name}</extra>",
        "showlegend": True,
    }


def _dearest(one: Each, order: Order) -> str:
    """The dearest block, and where those that change the shape stand among all."""
    first = int(order[0])
    start = (
        f"{capital(one.blocks[first])} costs {one.arm.name} most: {points(one.lost[first])} points"
    )
    dear = [int(i) for i in order[: sum(one.changes_shape)] if one.changes_shape[i]]
    if not dear:
        return start
    numbers = site_numbers(one.blocks)[dear].tolist()
    if len(dear) == sum(one.changes_shape):
        return f"{start}; dearest are those that change the shape, {block_spans(numbers)}"
    return (
        f"{start}; {block_spans(numbers)} of the dearest {sum(one.changes_shape)} change the shape"
    )


def _bars(
    one: Each, order: Order, lost: Numbers, changing: NDArray[np.bool_], theme: Theme
) -> Json:
    pattern = {
        "shape": ["/" if changes else "" for changes in changing],
        "fillmode": "overlay",
        "fgcolor": LOOKS[theme].paper,
        "size": 7,
        "solidity": 0.35,
    }
    return {
        "type": "bar",
        "orientation": "h",
        "name": one.arm.name,
        "x": lost,
        "y": np.arange(len(order)),
        "marker": {"color": one.arm.color, "pattern": pattern},
        "text": [points(value) for value in lost.tolist()],
        "textposition": "outside",
        "textangle": 0,
        "cliponaxis": False,
        "customdata": [one.blocks[index] for index in order],
        "hovertemplate": "%{customdata}: %{x:.3~g} points lost<extra></extra>",
        "showlegend": False,
    }
