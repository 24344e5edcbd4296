"""The grid in the address: `?base=plain-20,width=8&grid=lr:0.1,0.01&grid=norm:batch,none&seeds=3`.

The page and the live route read the same words; what is left out has its default. A grid that
cannot be trained stays in the address as it was typed, so that it can be put right.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, get_args
from urllib.parse import urlencode

import streamlit as st

from explorer.experiments.grid import USUAL_BASE, USUAL_GRID, USUAL_SEEDS, expand, read_values
from explorer.figures.race_lines import Metric
from explorer.spec import RunSpec, SpecError, parse
from explorer.spec.text import DERIVED, KEYS
from explorer.ui.state import complain

METRICS: tuple[Metric, ...] = get_args(Metric)
FIRST = ("depth", "width", "norm", "init", "shortcut", "lr", "data")  # what is varied most
FIELDS = (*FIRST, *(key for key in KEYS if key not in (*FIRST, *DERIVED, "seed")), "family")
MOST_FIELDS = 4
MOST_SEEDS = 10
LONGEST = 20_000  # characters of a list of values

Grid = tuple[tuple[str, str], ...]  # fields and their values, as typed


@dataclass(frozen=True)
class SweepChoice:
    """The grid as typed, the sweep that is attached, if one is, and the number that is drawn."""

    base: str = USUAL_BASE
    grid: Grid = USUAL_GRID
    seeds: int = USUAL_SEEDS
    sweep: str | None = None
    metric: Metric = "train_error"

    @property
    def query(self) -> dict[str, Any]:
        """The query parameters that say so; defaults are left out."""
        usual = (self.base, self.grid) == (USUAL_BASE, USUAL_GRID)
        said = {
            "base": "" if usual else self.base,
            "grid": [] if usual else [f"{field}:{values}" for field, values in self.grid],
            "seeds": str(self.seeds) if self.seeds != USUAL_SEEDS else "",
            "sweep": self.sweep or "",
            "metric": self.metric if self.metric != "train_error" else "",
        }
        return {name: value for name, value in said.items() if value}

    @cached_property
    def specs(self) -> tuple[RunSpec, ...]:
        """The runs of the grid; SpecError where the base, a value or a combination cannot be."""
        base = parse(self.base)
        fields = [field for field, _ in self.grid]
        for field in fields:
            if fields.count(field) > 1:
                raise SpecError("grid", field, "a field is varied once")
        return expand(
            base, {field: read_values(field, text) for field, text in self.grid}, self.seeds
        )

    @property
    def refusal(self) -> tuple[str, str]:
        """Which part of the grid cannot be, "base" or "grid", and why in one line; ("", "")."""
        try:
            parse(self.base)
        except SpecError as error:
            return "base", str(error)
        try:
            self.specs  # noqa: B018  # made now, so that what cannot be is said
        except SpecError as error:
            return "grid", str(error)
        return "", ""

    @property
    def name(self) -> str:
        """What is varied over what, as one would type it."""
        return " ".join([self.base, *(f"{field}={values}" for field, values in self.grid)])


def read_sweeps(words: Mapping[str, str], grid: Sequence[str]) -> SweepChoice:
    """The choice that an address names; SpecError of one line if its form names none.

    `grid` has an entry FIELD:VALUES a field. Whether the grid can be trained is `refusal`.
    """
    if len(grid) > MOST_FIELDS:
        raise SpecError("grid", f"{len(grid)} fields", f"at most {MOST_FIELDS}")
    metric = words.get("metric") or "train_error"
    if metric not in METRICS:
        raise SpecError("metric", metric, f"choose one of {', '.join(METRICS)}")
    choice = SweepChoice(
        seeds=_seeds(words.get("seeds") or str(USUAL_SEEDS)),
        sweep=words.get("sweep", "")[:40] or None,
        metric=metric,
    )
    if not words.get("base") and not grid:
        return choice
    return replace(choice, base=words.get("base") or USUAL_BASE, grid=tuple(map(_field, grid)))


def _field(text: str) -> tuple[str, str]:
    field, colon, values = (part.strip() for part in text.partition(":"))
    if not colon:
        raise SpecError("grid", text, "write FIELD:VALUES, such as lr:0.1,0.01")
    if len(values) > LONGEST:
        raise SpecError("grid", text, f"at most {LONGEST} characters a field")
    if field not in FIELDS:
        raise SpecError("grid", field, f"choose one of {', '.join(FIELDS)}")
    return field, values


def _seeds(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:4]) <= MOST_SEEDS):
        raise SpecError("seeds", text, f"1 to {MOST_SEEDS}")
    return int(text[:4])


def current_sweeps() -> SweepChoice:
    """The choice in the address bar; what cannot be read gives way to the default, and is said."""
    query = st.query_params
    try:
        return read_sweeps({name: query[name] for name in query}, query.get_all("grid"))
    except SpecError as error:
        complain(str(error))
        st.query_params.clear()
        return SweepChoice()


def choose_sweep(choice: SweepChoice) -> None:
    """Put `choice` into the address bar; the next run of the script shows it."""
    st.query_params.from_dict(choice.query)


def sweeps_url(choice: SweepChoice, show: Sequence[str]) -> str:
    """The address of the live view of `choice`, with the figures in `show`, on this server."""
    words: dict[str, Any] = {**choice.query, "show": ",".join(show)}
    return f"/live/sweeps?{urlencode(words, doseq=True)}"
