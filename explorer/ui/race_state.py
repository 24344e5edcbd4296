"""The depth race in the address: `?depths=8,20,56&seeds=3&base=resnet-20,width=8&sweep=k3J9x2ab`.

The page and the live route read the same words; what is left out has its default.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args
from urllib.parse import urlencode

import streamlit as st

from explorer.experiments.race import BASE, KINDS, Race
from explorer.race_runs import Kind
from explorer.spec import SpecError, parse, short_form
from explorer.ui.state import complain

XAxis = Literal["steps", "epochs", "seconds", "flops"]
X_AXES: tuple[XAxis, ...] = get_args(XAxis)
MOST_DEPTHS = 12
MOST_SEEDS = 10


@dataclass(frozen=True)
class RaceChoice:
    """The race on show, the sweep that is attached, if one is, and how curves are drawn."""

    race: Race = field(default_factory=Race)
    sweep: str | None = None
    x: XAxis = "steps"
    smooth: bool = True

    @property
    def query(self) -> dict[str, str]:
        """The query parameters that say so; defaults are left out."""
        race, usual = self.race, Race()
        said = {
            "depths": ",".join(map(str, race.depths)) if race.depths != usual.depths else "",
            "kinds": ",".join(race.kinds) if race.kinds != usual.kinds else "",
            "seeds": str(race.seeds) if race.seeds != usual.seeds else "",
            "base": short_form(race.base) if race.base != BASE else "",
            "sweep": self.sweep or "",
            "x": self.x if self.x != "steps" else "",
            "smooth": "" if self.smooth else "0",
        }
        return {name: text for name, text in said.items() if text}


def read_race(words: Mapping[str, str]) -> RaceChoice:
    """The choice that an address names; SpecError of one line if it names none."""
    usual = Race()
    base = parse(words["base"]) if words.get("base") else BASE
    race = Race(
        depths=_depths(words["depths"]) if words.get("depths") else usual.depths,
        kinds=_kinds(words["kinds"]) if words.get("kinds") else KINDS,
        seeds=_seeds(words.get("seeds") or str(usual.seeds)),
        base=base,
    )
    x = words.get("x") or "steps"
    if x not in X_AXES:
        raise SpecError("x", x, f"choose one of {', '.join(X_AXES)}")
    sweep = words.get("sweep", "")[:40] or None
    if not race.specs:  # made now, so that a depth that cannot be is said in one line
        raise SpecError("race", "no runs", "choose a depth")
    return RaceChoice(race, sweep, x, words.get("smooth") != "0")


def _depths(text: str) -> tuple[int, ...]:
    parts = text.split(",")[: MOST_DEPTHS + 1]
    if len(parts) > MOST_DEPTHS or not all(
        p.isascii() and p.isdigit() and len(p) < 6 for p in parts
    ):
        raise SpecError("depths", text, f"up to {MOST_DEPTHS} whole numbers, such as 8,20,56")
    return tuple(sorted({int(part) for part in parts}))


def _kinds(text: str) -> tuple[Kind, ...]:
    parts = set(text.split(","))
    if not parts <= set(KINDS):
        raise SpecError("kinds", text, "plain, residual or both")
    return tuple(kind for kind in KINDS if kind in parts)


def _seeds(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:4]) <= MOST_SEEDS):
        raise SpecError("seeds", text, f"1 to {MOST_SEEDS}")
    return int(text[:4])


def current_race() -> RaceChoice:
    """The choice in the address bar; what cannot be read gives way to the default, and is said."""
    try:
        return read_race({name: st.query_params[name] for name in st.query_params})
    except SpecError as error:
        complain(str(error))
        st.query_params.clear()
        return RaceChoice()


def choose_race(choice: RaceChoice) -> None:
    """Put `choice` into the address bar; the next run of the script shows it."""
    st.query_params.from_dict(choice.query)


def change_race(change: Callable[[Race], Race]) -> None:
    """Another race: the attached sweep is left to itself. What cannot be is said."""
    choice = current_race()
    try:
        changed = replace(choice, race=change(choice.race), sweep=None)
        choose_race(read_race(changed.query))
    except SpecError as error:
        complain(str(error))


def race_url(choice: RaceChoice, show: tuple[str, ...]) -> str:
    """The address of the live view of `choice`, with the figures in `show`, on this server."""
    words: dict[str, Any] = {**choice.query, "show": ",".join(show)}
    return f"/live/race?{urlencode(words)}"
