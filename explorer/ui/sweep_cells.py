"""Members of a sweep by the fields in which they differ: a column, a row, and a seed for each.

The members' own specs decide, so a sweep from a terminal, a depth race and one of long ago are
laid out alike.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from explorer.comparison import differences
from explorer.spec import RunSpec
from explorer.ui.selection import said

ALONE = "all runs"  # the row of a sweep over one field


@dataclass(frozen=True)
class Cells:
    """Where each spec stands: its column's label and its row's, in the order of the specs.

    `field` is the columns' field, `others` are the rows'. `columns` and `rows` are all labels
    in the order in which they first come; `plain` says for each row whether it is of plain
    networks.
    """

    field: str
    others: tuple[str, ...]
    places: tuple[tuple[str, str], ...]
    columns: tuple[str, ...]
    rows: tuple[str, ...]
    plain: tuple[bool, ...]


def cells(specs: Sequence[RunSpec]) -> Cells:
    """Lay out a sweep's specs: the first field with the most values gives the columns."""
    table = varied(specs)
    field = max(table, key=lambda name: len(set(table[name])), default="")
    others = tuple(name for name in table if name != field)
    columns = table.get(field, ["every run"] * len(specs))
    rows = [
        ", ".join(f"{name} {table[name][index]}" for name in others) or ALONE
        for index in range(len(specs))
    ]
    plain: dict[str, bool] = {}
    for row, spec in zip(rows, specs, strict=True):
        plain.setdefault(row, spec.network.shortcut == "none")
    order = tuple(dict.fromkeys(columns))
    places = tuple(zip(columns, rows, strict=True))
    return Cells(field or "grid", others, places, order, tuple(plain), tuple(plain.values()))


def varied(specs: Sequence[RunSpec]) -> dict[str, list[str]]:
    """The fields but the seed that are not the same in all specs, with every spec's value.

    The one that changes last along the specs, which a grid names first, comes first. A field that
    another one decides, as `normalized` is decided by `lr` in a race, is left out.
    """
    first = specs[0]
    changes = [{f: (a, b) for f, a, b in differences(first, spec)} for spec in specs]
    begun = {field: at for at in reversed(range(len(specs))) for field in changes[at]}
    begun.pop("seed", None)
    bases = {f: changes[begun[f]][f][0] for f in sorted(begun, key=begun.__getitem__, reverse=True)}
    table = {
        field: _labels([change[field][1] if field in change else base for change in changes])
        for field, base in bases.items()
    }
    for field in [*table][::-1]:
        if any(_decides(table[other], table[field]) for other in table if other != field):
            del table[field]
    return table


def _labels(values: Sequence[Any]) -> list[str]:
    """Each value in words; in full where two values would be called the same."""
    short = {value: said(value) for value in dict.fromkeys(values)}
    taken = list(short.values())
    return [str(value) if taken.count(short[value]) > 1 else short[value] for value in values]


def _decides(other: Sequence[str], field: Sequence[str]) -> bool:
    """Whether equal values of `other` always come with equal values of `field`."""
    pairs = set(zip(other, field, strict=True))
    return len(pairs) == len(set(other))
