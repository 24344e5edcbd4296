"""How alike the blocks of two networks are: CKA as colour, 0 to 1, one cell a pair of blocks."""

import numpy as np
import plotly.graph_objects as go

from explorer.figures.block_series import (
    NONE_KNOWN,
    NOT_MEASURED,
    Numbers,
    block_axis,
    cased,
    linked,
)
from explorer.figures.frame import BELOW, Frame, Json, empty, finish
from explorer.figures.lens import probability_colors
from explorer.figures.theme import Theme
from explorer.figures.thin import thin_cells
from explorer.wording import number

SIDE, SIDE_NARROW = 380, 290  # pixels
BAR, APART = 68, 12  # pixels for the colour bar below, and over its title
ALIKE = 0.95  # CKA above which blocks count as alike


def similarity(
    matrix: Numbers,
    name_a: str,
    name_b: str,
    theme: Theme = "light",
    *,
    narrow: bool = False,
    note: str = "",
    chosen: int | None = None,
) -> go.Figure:
    """CKA of every block of a (rows, upwards) with every block of b; NaN is left grey.

    Of one network with itself where the names are equal. Values beyond 0 and 1, which chance
    can bring about, have the end's colour and are told as they are.
    """
    x_title, y_title = f"block of {name_b}", f"block of {name_a}"
    side = SIDE_NARROW if narrow else SIDE
    if not np.isfinite(matrix).any():
        frame = Frame(f"CKA of {name_a} and {name_b}", note, theme, narrow)
        why = NONE_KNOWN if matrix.size else NOT_MEASURED
        return empty(frame, x_title, y_title, side, why=why)
    rows, columns = matrix.shape
    z, per_row = thin_cells(np.asarray(matrix, np.float32), 0)
    z, per_column = thin_cells(z, 1)
    notes = [note, *_notes(matrix, per_row, per_column)]
    title = _within(matrix, name_a) if name_a == name_b else _between(matrix, name_a, name_b)
    frame = Frame(title, "; ".join(filter(None, notes)), theme, narrow)
    height = round(side * min(rows / columns, 1.4))
    layout = frame.layout(height, below=BELOW + BAR)
    x_axis, y_axis = block_axis(1, columns, narrow, x_title), block_axis(1, rows, narrow, y_title)
    square = {"showgrid": False, "constrain": "domain"}
    layout["xaxis"] = {**x_axis, **square, "range": [0.5, columns + 0.5], "constraintoward": "left"}
    layout["yaxis"] = {
        **y_axis,
        **square,
        "range": [0.5, rows + 0.5],
        "scaleanchor": "x",
        "constraintoward": "top",
    }
    layout["coloraxis"] = probability_colors("CKA")
    layout["coloraxis"]["colorbar"] |= {**_bar_below(height), "len": side}
    layout["plot_bgcolor"] = "#9aa0a8"
    if chosen is not None:
        layout["shapes"] = cased(_cross(chosen, rows, columns), theme)
    data = [_cells(z, per_row, per_column, name_a, name_b)]
    alt = f"Heat map of CKA by {y_title} and {x_title}. {title}."
    return linked(finish(data, layout, alt))


def alike_run(matrix: Numbers) -> tuple[int, int]:
    """The first and last of the most neighbouring blocks of which each two are alike, from 1.

    A block is alike with itself, so it is (1, 1) where no neighbours are.
    """
    alike = matrix > ALIKE
    np.fill_diagonal(alike, True)
    first, best = 0, (0, 0)
    for last in range(len(alike)):
        unlike = np.flatnonzero(~(alike[first:last, last] & alike[last, first:last]))
        first += int(unlike[-1]) + 1 if len(unlike) else 0
        if last - first > best[1] - best[0]:
            best = (first, last)
    return best[0] + 1, best[1] + 1


def _within(matrix: Numbers, name: str) -> str:
    first, last = alike_run(matrix)
    total = len(matrix)
    if first == last:
        beside = np.diagonal(matrix, 1)
        beside = beside[np.isfinite(beside)]
        most = f": at most {number(float(beside.max()))}" if len(beside) else ""
        return f"No two neighbouring blocks of {name} have a CKA above {ALIKE}{most}"
    if last - first + 1 == total:
        return f"All {total} blocks of {name} are alike: CKA above {ALIKE}"
    which = f"({first} to {last})"
    count = last - first + 1
    return f"{count} of {name}'s {total} blocks {which} are alike: CKA above {ALIKE}"


def _between(matrix: Numbers, name_a: str, name_b: str) -> str:
    """How many blocks of a have their like in b, and what the last blocks have in common."""
    count = int((matrix > ALIKE).any(axis=1).sum())
    have = "has its like" if count == 1 else "have their like"
    start = f"{count or 'None'} of {name_a}'s {len(matrix)} blocks {have} in {name_b}"
    end = float(matrix[-1, -1])
    ends = f"; CKA of the last blocks {number(end)}" if np.isfinite(end) else ""
    return f"{start} (CKA above {ALIKE}){ends}"


def _notes(matrix: Numbers, per_row: int, per_column: int) -> list[str]:
    notes = []
    beyond = int(((matrix < 0) | (matrix > 1 + 1e-6)).sum())
    if beyond:
        lie = "lie" if beyond > 1 else "lies"
        notes.append(f"{beyond} of {matrix.size} values {lie} beyond 0 to 1, in the end's colour")
    if np.isnan(matrix).any():
        notes.append("grey: a block whose features do not vary")
    if max(per_row, per_column) > 1:
        notes.append(f"each cell: the greatest of {per_row} x {per_column} blocks")
    return notes


def _bar_below(height: int) -> Json:
    """Where the colour bar lies under a map of `height` pixels, from its left edge on."""
    title = {"text": "CKA", "side": "top"}
    place = {"x": 0, "xanchor": "left", "y": -(BELOW + APART) / height, "yanchor": "top", "xpad": 0}
    return {**place, "orientation": "h", "lenmode": "pixels", "title": title, "ypad": 0}


def _cells(z: Numbers, per_row: int, per_column: int, name_a: str, name_b: str) -> Json:
    """The cells, each at the middle of its blocks."""
    sides = zip((per_row, per_column), z.shape, strict=True)
    y, x = (1 + (per - 1) / 2 + per * np.arange(count) for per, count in sides)
    pair = f"block %{{y}} of {name_a}, block %{{x}} of {name_b}"
    return {
        "type": "heatmap",
        "x": x.astype(np.float32),
        "y": y.astype(np.float32),
        "z": z,
        "coloraxis": "coloraxis",
        "hoverongaps": False,
        "hovertemplate": f"CKA %{{z:.3f}}<br>{pair}<extra></extra>",
    }


def _cross(chosen: int, rows: int, columns: int) -> list[Json]:
    """Thin lines along the chosen block's row and column, where it has one."""
    line: Json = {}
    up = {"xref": "x", "yref": "y domain", "x0": chosen, "x1": chosen, "y0": 0, "y1": 1}
    across = {"xref": "x domain", "yref": "y", "y0": chosen, "y1": chosen, "x0": 0, "x1": 1}
    asked = ((up, columns), (across, rows))
    return [{"type": "line", **ends, "line": line} for ends, most in asked if chosen <= most]
