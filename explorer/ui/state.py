"""The address bar is the state: `?arm=plain-56,width=8&arm=resnet-56,width=8&run=k3J9x_2a`.

A link to a finished run says what came of it too: `expect` and `made` (reproduction.py).
Every control reads its value from there and writes it back there, so a copied link, a reload
and a second tab show the same.
"""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import streamlit as st

from explorer.experiments.arms import DEFAULT, MOST_ARMS, Arms, change_all
from explorer.reproduction import Outcome
from explorer.spec import SpecError, parse, short_form

TROUBLE = "trouble"  # the session's one line about the last thing that could not be done
EXPECT = ("expect", "made")  # the parameters of an Outcome
LEFT = "left"  # the comparison that this session walked away from


@dataclass(frozen=True)
class Choice:
    """What the page shows: the arms, and the comparison that is attached, if one is.

    `expect` is what a link said came of these arms; other arms than the link's have none.
    """

    arms: Arms
    run: str | None = None
    expect: Outcome | None = None

    @property
    def query(self) -> dict[str, Any]:
        """The query parameters that say so."""
        run = {"run": self.run} if self.run else {}
        expect = self.expect.query if self.expect else {}
        return {"arm": [short_form(arm) for arm in self.arms], **run, **expect}


def current() -> Choice:
    """The choice in the address bar; what cannot be read gives way to the default, and is said."""
    try:
        arms = tuple(parse(text) for text in st.query_params.get_all("arm")[: MOST_ARMS + 1])
        if len(arms) > MOST_ARMS:
            raise SpecError("arm", "five or more", f"at most {MOST_ARMS}")
    except SpecError as error:
        complain(str(error))
        arms = ()
        st.query_params.clear()
    arms = arms or DEFAULT.specs
    run = st.query_params.get("run", "")
    return Choice(arms, run[:40] or None, _expected(len(arms)))


def _expected(arms: int) -> Outcome | None:
    """What the address says came of its arms; what cannot be read is left out, and is said."""
    expect, made = (st.query_params.get(name, "") for name in EXPECT)
    try:
        return Outcome.parse(expect, made, arms)
    except SpecError as error:
        complain(str(error))
        for name in EXPECT:
            st.query_params.pop(name, None)
        return None


def choose(choice: Choice) -> None:
    """Put `choice` into the address bar; the next run of the script shows it."""
    st.query_params.from_dict(choice.query)


def complain(line: str) -> None:
    """Keep one line of trouble until it has been shown once."""
    st.session_state[TROUBLE] = line


def last_trouble() -> str:
    """The line kept by `complain`, which is then forgotten."""
    return str(st.session_state.pop(TROUBLE, ""))


def change(field: str, value: Any) -> None:
    """Change a field of all arms that share it with the first; what cannot be is said.

    A changed network or recipe is another run: the attached one is left to itself.
    """
    choice = current()
    try:
        arms = change_all(choice.arms, field, value)
    except SpecError as error:
        complain(str(error))
        return
    leave(choice)
    choose(Choice(arms))


def leave(choice: Choice) -> None:
    """Remember the comparison that the page no longer shows, so that one click goes back."""
    if choice.run:
        st.session_state[LEFT] = choice.run


def view_url(choice: Choice, show: tuple[str, ...]) -> str:
    """The address of the live view of `choice`, with the figures in `show`, on this server."""
    return f"/live/view?{urlencode({**choice.query, 'show': ','.join(show)}, doseq=True)}"
