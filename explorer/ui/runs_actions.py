"""What the Runs page does when something is pressed: the callbacks, apart from the layout."""

import json
from collections.abc import Callable, Sequence
from typing import Any

import streamlit as st

from explorer.spec import quote
from explorer.store import StoreError
from explorer.store.records import ACTIVE
from explorer.ui import references
from explorer.ui.components import Look
from explorer.ui.lab import lab
from explorer.ui.selection import MOST_SELECTED
from explorer.ui.state import complain

DELETED = "deleted_runs"  # the session's newest deletion, which can be taken back
SEQUENCE = "runs_sequence"  # of the newest change that the table told of
IMPORTS = "imports"  # how many: a new key empties the file uploader
TAGS, NOTE = "run_tags", "run_note"


def look() -> Look:
    """What the address says of the table: `?ids=12,15&find=depth>20&sort=-loss`."""
    query = st.query_params
    ids = [text for text in query.get("ids", "").split(",")[:MOST_SELECTED] if readable(text)]
    sequence = st.session_state.get(SEQUENCE, 0)
    numbers = tuple(dict.fromkeys(int(text) for text in ids))
    return Look(numbers, query.get("find", ""), query.get("sort", ""), sequence)


def readable(text: str) -> bool:
    """Whether it is a run's number."""
    return text.isascii() and text.isdigit() and len(text) < 16


def remember(now: Look) -> None:
    """Put what the table shows into the address."""
    st.session_state[SEQUENCE] = now.seq
    _select(now.ids, now)


def _select(ids: Sequence[int], now: Look | None = None) -> None:
    now = now or look()
    named = {"ids": ",".join(map(str, ids[:MOST_SELECTED])), "find": now.find, "sort": now.sort}
    st.query_params.from_dict({name: text for name, text in named.items() if text})


def annotate(ids: Sequence[int]) -> None:
    """Write the tags and the note in the form on these runs."""
    tags = st.session_state[TAGS].split(",")
    _do(lambda: lab().store.table.annotate(ids, tags=tags, note=st.session_state[NOTE].strip()))


def add_tags(ids: Sequence[int]) -> None:
    """Add the tags in the form to those that each of these runs has; its note, if there is one."""
    new, note = st.session_state[TAGS].split(","), st.session_state[NOTE].strip() or None
    table = lab().store.table

    def write() -> None:
        for row in table.some(ids):
            table.annotate([row.id], tags=[*row.tags, *new], note=note)

    if _do(write):
        st.session_state.update({TAGS: "", NOTE: ""})


def pin(ids: Sequence[int], on: bool) -> None:
    """Make these runs references in the Playground's charts, or no longer."""
    _do(lambda: lab().store.table.annotate(ids, pinned=on))


def delete(ids: Sequence[int]) -> None:
    """Hide these runs; refused, with one line, while one of them trains."""
    active = [f"#{row.id}" for row in lab().store.table.some(ids) if row.state in ACTIVE]
    if active:
        some = " and others" if len(active) > 3 else ""
        verb = "is" if len(active) == 1 else "are"
        line = f"delete: {', '.join(active[:3])}{some} {verb} not finished; stop training first"
        complain(line)
        return
    if _do(lambda: lab().store.table.set_aside(ids)):
        st.session_state[DELETED] = list(ids)
        _select([])


def undo(ids: Sequence[int]) -> None:
    """Take a deletion back and select the runs again."""
    if _do(lambda: lab().store.table.take_back(ids)):
        _select(ids)


def take_in(key: str) -> None:
    """Add the comparison in the uploaded file to the store, and select its runs."""
    upload = st.session_state.get(key)
    if upload is None:
        return
    st.session_state[IMPORTS] = st.session_state.get(IMPORTS, 0) + 1
    try:
        record: Any = json.loads(upload.getvalue())
    except (ValueError, RecursionError):
        complain(f"file: {quote(upload.name)} is not allowed; it holds no JSON")
        return
    made: list[int] = []

    def add() -> None:
        made.extend(run.id for run in lab().store.import_(record).runs)

    if _do(add):
        _select(made)


def _do(call: Callable[[], object]) -> bool:
    """Carry out one change of the store; what cannot be done is said in one line."""
    st.session_state.pop(DELETED, None)
    try:
        call()
    except StoreError as error:
        complain(str(error))
        return False
    references.look_again()
    return True
