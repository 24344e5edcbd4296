"""Values by block, the axis they stand on, and what links one such figure to the others."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from explorer.figures.frame import Json, alt_text
from explorer.figures.profile import NICE_STEPS
from explorer.figures.theme import LOOKS, Arm, Theme

Numbers = NDArray[np.floating]
NOT_MEASURED = "Nothing is measured yet"
NONE_KNOWN = "No block has a value to draw"


@dataclass(frozen=True)
class BlockSeries:
    """One arm's value at every site, input to output; NaN where there is none.

    `sites` are "stem" and blocks, or weighted layers; without them block 1, 2, 3 and so on.
    `low` and `high` bound a band (over seeds, say); `most` is the greatest value that is
    possible at a site (a rank has at most as many as channels). All are (site,).
    """

    arm: Arm
    values: Numbers
    low: Numbers | None = None
    high: Numbers | None = None
    sites: tuple[str, ...] = ()
    most: Numbers | None = None

    @property
    def names(self) -> tuple[str, ...]:
        return self.sites or tuple(f"block {n}" for n in range(1, len(self.values) + 1))

    @property
    def numbers(self) -> NDArray[np.int64]:
        return site_numbers(self.names)

    @property
    def known(self) -> NDArray[np.bool_]:
        found: NDArray[np.bool_] = np.isfinite(self.values)
        return found


def are_blocks(sites: Iterable[str]) -> bool:
    """Whether all are the stem or a whole block, not layers inside."""
    return all(re.fullmatch(r"stem|block \d+", site) for site in sites)


def site_numbers(sites: Sequence[str]) -> NDArray[np.int64]:
    """Block numbers, the stem 0; layers are counted from 1, as He et al. (2015) do."""
    if not are_blocks(sites):
        return np.arange(1, len(sites) + 1)
    return np.array([int(site.removeprefix("block ").replace("stem", "0")) for site in sites], int)


def block_axis(first: int, last: int, narrow: bool, title: str = "") -> Json:
    """An x axis over the blocks `first` to `last`, with as many numbers as fit."""
    most = 6 if narrow else 12
    step = next((s for s in NICE_STEPS if (last - first) / s <= most), NICE_STEPS[-1])
    side = max(0.02 * (last - first), 0.4)
    return {
        "title": {"text": title or ("block (0 = stem)" if first == 0 else "block")},
        "range": [first - side, last + side],
        "tick0": 0,
        "dtick": step,
    }


def upright(x: float, color: str, dash: str = "solid", width: float = 1.0) -> Json:
    """A thin line at `x` over the whole height, as a shape."""
    line = {"color": color, "width": width, "dash": dash}
    ends = {"x0": x, "x1": x, "y0": 0, "y1": 1}
    return {"type": "line", "xref": "x", "yref": "paper", **ends, "line": line}


def cased(lines: Iterable[Json], theme: Theme) -> list[Json]:
    """Lines over a heat map, with an edge of the page's colour so that no cell hides them."""
    found = list(lines)
    ends = ((LOOKS[theme].paper, 3.5), (LOOKS[theme].text, 1.5))
    return [
        {**line, "line": {**line["line"], "color": color, "width": width}}
        for color, width in ends
        for line in found
    ]


def level(y: float, color: str, dash: str = "dash") -> Json:
    """A thin line at `y` over the whole width, as a shape."""
    line = {"color": color, "width": 1, "dash": dash}
    ends = {"x0": 0, "x1": 1, "y0": y, "y1": y}
    return {"type": "line", "xref": "x domain", "yref": "y", **ends, "line": line}


def linked(figure: go.Figure) -> go.Figure:
    """`figure`, marked as one whose x axis counts blocks: hovering links it to its neighbours."""
    figure.layout.meta = {"alt": alt_text(figure), "blocks": True}
    return figure


def joined(parts: Sequence[str]) -> str:
    """`parts` one after the other; those with commas in them need more than a comma between."""
    return ("; " if any("," in part for part in parts) else ", ").join(parts)


def block_spans(numbers: Iterable[int]) -> str:
    """Numbers from small to large with runs drawn together: "the stem, blocks 1 to 9 and 12"."""
    runs: list[list[int]] = []
    found = sorted(numbers)
    for number in [n for n in found if n]:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    said = [f"{a} to {b}" if b > a else str(a) for a, b in runs]
    listed = " and ".join(filter(None, (", ".join(said[:-1]), *said[-1:])))
    one = len(runs) == 1 and runs[0][0] == runs[0][1]
    blocks = f"block{'' if one else 's'} {listed}" if said else ""
    return ", ".join(filter(None, ("the stem" if 0 in found else "", blocks)))
