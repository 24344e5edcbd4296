"""Runs selected to be compared: what each is called, how it is drawn, and what differs."""

import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import Any

from explorer.comparison import differences, held_fixed, names
from explorer.figures import Arm, make_arms
from explorer.spec import RunSpec, Stage, printable
from explorer.store import Row, Store

MOST_COMPARED = 20
MOST_SELECTED = 200  # for deleting and tagging; their ids still fit an address
UNKNOWN = "–"


@dataclass(frozen=True)
class Selection:
    """Some rows of the table, in the order in which they were selected."""

    rows: tuple[Row, ...]

    @property
    def specs(self) -> list[RunSpec]:
        """The specs of those that have one: runs of a user's own modules have none."""
        return [row.spec for row in self.rows if row.spec is not None]

    @cached_property
    def labels(self) -> list[str]:
        """A name for each run, no two equal: its number in the table and what it is."""
        told = iter(names(self.specs))
        kinds = [printable(row.arm) if row.spec is None else next(told) for row in self.rows]
        return [f"#{row.id} {kind}" for row, kind in zip(self.rows, kinds, strict=True)]

    @cached_property
    def arms(self) -> list[Arm]:
        """How each run is drawn; Plotly would take markup in a name for markup."""
        plain = [row.spec is not None and row.spec.network.shortcut == "none" for row in self.rows]
        return make_arms([html.escape(label) for label in self.labels], plain)

    @property
    def classes(self) -> int | None:
        """The number of classes that all runs share; None if it differs, or is not known."""
        found = {spec.network.classes for spec in self.specs}
        return found.pop() if len(found) == 1 and len(self.specs) == len(self.rows) else None

    def held_fixed(self) -> str:
        """One sentence on what all runs share; "" for a single one."""
        watched = len(self.rows) - len(self.specs)
        if watched:
            runs = "one run is" if watched == 1 else f"{watched} runs are"
            return f"Held fixed: not known, as {runs} of a module of your own."
        return held_fixed(self.specs, self.labels)[0] if len(self.rows) > 1 else ""

    def differing(self) -> list[tuple[str, list[str]]]:
        """The fields that are not the same in all runs, each with its value in every run."""
        first = next(iter(self.specs), None)
        table: dict[str, list[str]] = {}
        for index, row in enumerate(self.rows):
            for field, base, value in self._changes(first, row):
                line = table.setdefault(field, [self._base(base, row) for row in self.rows])
                line[index] = said(value)
        return list(table.items())

    def _changes(self, first: RunSpec | None, row: Row) -> Iterable[tuple[str, Any, Any]]:
        if row.spec is not None and first is not None:
            return differences(first, row.spec)
        facts = {"module": row.network, **row.versions}
        others = [{"module": other.network, **other.versions} for other in self.rows]
        return [
            (name, UNKNOWN, value)
            for name, value in facts.items()
            if any(other.get(name) != value for other in others)
        ]

    @staticmethod
    def _base(base: Any, row: Row) -> str:
        """What a run has that does not differ from the first: unknown without a spec."""
        return UNKNOWN if row.spec is None else said(base)


def selection(store: Store, ids: Sequence[int], most: int = MOST_COMPARED) -> Selection:
    """The runs with these ids that the store has, at most so many."""
    return Selection(tuple(store.table.some(list(dict.fromkeys(ids))[:most])))


def said(value: Any) -> str:
    """A field's value on one short line: on or off, numbers, equal gates counted."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if not isinstance(value, tuple):
        return f"{value:g}" if isinstance(value, float) else str(value)
    if value and isinstance(value[0], Stage):
        return ", ".join(f"{stage.blocks} blocks of {stage.width}" for stage in value)
    runs = [(len(list(group)), entry) for entry, group in groupby(value)]
    parts = [f"{entry:g}" if count == 1 else f"{count} of {entry:g}" for count, entry in runs]
    return ", ".join(parts) or "by depth and width"
