"""Comparisons, their runs and events as rows. Every function works inside a transaction."""

import json
import secrets
import sqlite3
import string
import time
from collections.abc import Iterable, Sequence
from dataclasses import fields
from functools import lru_cache
from typing import Any

from explorer.spec import RunSpec, SpecError, quote
from explorer.store import checkpoints
from explorer.store.records import ACTIVE, ENDED, Comparison, Event, Run, StoreError

MOST_ARMS = 4
LONGEST_ARM = 80  # characters
ID_LETTERS = string.ascii_lowercase + string.digits
ID_LENGTH = 8
FIELDS = tuple(field.name for field in fields(Run))  # the table has a column for each
COLUMNS = ", ".join(f'"{name}"' for name in FIELDS)
INTERRUPTED = "the program that ran it ended {ended}; Resume continues from step {step}"
WATCHED = "the program that ran it ended {ended}"
NO_SPEC = "it was recorded from a module of your own, which only the Runs page shows"
OWN = '"name":"own:'  # in the JSON of a spec on a person's own data
PRESENT = "deleted IS NULL"  # of a run that nobody has set aside
ACTIVE_LIST, ENDED_LIST = (", ".join(f"'{s}'" for s in states) for states in (ACTIVE, ENDED))


def check_arms(arms: Sequence[str]) -> None:
    """StoreError unless these can be the names of one comparison's arms."""
    if not 1 <= len(arms) <= MOST_ARMS:
        raise StoreError(f"arms: '{len(arms)}' is not allowed; 1 to {MOST_ARMS} train together")
    for arm in arms:
        if len(arm) > LONGEST_ARM:
            raise StoreError(f"arm: {quote(arm)} is not allowed; at most {LONGEST_ARM} characters")


def new_id() -> str:
    """A name for a comparison or a sweep that no other has."""
    return "".join(secrets.choice(ID_LETTERS) for _ in range(ID_LENGTH))


def add(
    connection: sqlite3.Connection, arms: Sequence[tuple[str, RunSpec]], owner: str, created: float
) -> tuple[str, list[int]]:
    """Insert a comparison of queued runs; returns its id and theirs."""
    check_arms([arm for arm, _ in arms])
    comparison = new_id()
    connection.execute(
        "INSERT INTO comparison (id, created, owner) VALUES (?, ?, ?)", (comparison, created, owner)
    )
    ids = []
    for index, (arm, spec) in enumerate(arms):
        cursor = connection.execute(
            'INSERT INTO run (comparison, "index", arm, spec, key, created, updated)'
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (comparison, index, arm, spec.json_form, spec.key, created, created),
        )
        ids.append(int(cursor.lastrowid or 0))
    return comparison, ids


def as_run(row: Sequence[Any]) -> Run:
    """A row of COLUMNS as a Run; SpecError if its data set is no longer on this machine."""
    values = as_values(FIELDS, row)
    values["spec"] = spec_of(values["spec"])
    return Run(**values)


def as_values(columns: Sequence[str], row: Sequence[Any]) -> dict[str, Any]:
    """A row of the table of runs by column, JSON and truth values read; the spec stays text."""
    values = dict(zip(columns, row, strict=True))
    for name in ("edited", "pinned"):
        values[name] = bool(values[name])
    values["versions"] = json.loads(values["versions"])
    values["tags"] = tuple(json.loads(values["tags"]))
    return values


def spec_of(text: str) -> RunSpec:
    """The stored spec; SpecError if its data set is no longer on this machine, or it has none."""
    if not text:
        raise SpecError("run", "watched", NO_SPEC)
    if OWN in text:  # read anew each time: a person's own data may have gone
        return RunSpec.from_json(text)
    return _known_spec(text)


@lru_cache(maxsize=4096)
def _known_spec(text: str) -> RunSpec:
    return RunSpec.from_json(text)


def run(connection: sqlite3.Connection, run_id: int) -> Run | None:
    """The run, or None; StoreError if its spec cannot be built here."""
    row = connection.execute(f"SELECT {COLUMNS} FROM run WHERE id = ?", (run_id,)).fetchone()
    return _shown(row) if row else None


def _shown(row: Sequence[Any]) -> Run:
    try:
        return as_run(row)
    except SpecError as error:
        raise StoreError(f"run {row[0]} cannot be shown: {error}") from error


def recent(connection: sqlite3.Connection, limit: int) -> list[Run]:
    """Runs, newest first, but for those whose specs cannot be built here."""
    rows = connection.execute(
        f"SELECT {COLUMNS} FROM run WHERE {PRESENT} ORDER BY id DESC LIMIT ?", (limit,)
    )
    return list(_those_that_can_be(rows))


def _those_that_can_be(rows: Iterable[Sequence[Any]]) -> Iterable[Run]:
    for row in rows:
        try:
            yield as_run(row)
        except SpecError:  # a data set was removed; its runs are back when it is
            continue


def comparison(connection: sqlite3.Connection, name: str) -> Comparison | None:
    """The comparison, or None; StoreError if a spec cannot be built here."""
    created = connection.execute("SELECT created FROM comparison WHERE id = ?", (name,)).fetchone()
    if created is None:
        return None
    rows = connection.execute(
        f'SELECT {COLUMNS} FROM run WHERE comparison = ? AND {PRESENT} ORDER BY "index"', (name,)
    )
    runs = tuple(_shown(row) for row in rows)
    return Comparison(name, created[0], runs) if runs else None


def recent_comparisons(connection: sqlite3.Connection, limit: int, swept: bool) -> list[Comparison]:
    """Comparisons, newest first, but for those with a spec that cannot be built here."""
    alone = " AND id NOT IN (SELECT comparison FROM run JOIN member ON member.run = run.id)"
    names = connection.execute(
        "SELECT id FROM comparison WHERE id IN"
        f" (SELECT comparison FROM run WHERE {PRESENT} AND spec != ''){'' if swept else alone}"
        " ORDER BY created DESC, rowid DESC LIMIT ?",
        (limit,),
    ).fetchall()
    found = []
    for (name,) in names:
        try:
            found.append(comparison(connection, name))
        except StoreError:  # as in _those_that_can_be
            continue
    return [group for group in found if group is not None]


def find(connection: sqlite3.Connection, keys: Sequence[str]) -> Comparison | None:
    """The newest comparison that has just these keys, in order, and was not edited."""
    names = connection.execute(
        "SELECT comparison.id FROM run JOIN comparison ON comparison.id = run.comparison"
        f' WHERE run.key = ? AND run."index" = 0 AND run.{PRESENT}'
        " ORDER BY comparison.created DESC, comparison.rowid DESC",
        (keys[0] if keys else "",),
    ).fetchall()
    for (name,) in names:
        rows = connection.execute(
            'SELECT "index", key, edited FROM run WHERE comparison = ?'
            f' AND {PRESENT} ORDER BY "index"',
            (name,),
        ).fetchall()
        if rows == [(index, key, 0) for index, key in enumerate(keys)]:
            return comparison(connection, name)
    return None


def finished(connection: sqlite3.Connection, key: str) -> int | None:
    """The newest run of this spec that came to its end and that nobody changed."""
    row = connection.execute(
        f"SELECT id FROM run WHERE key = ? AND edited = 0 AND {PRESENT}"
        f" AND state IN ({ENDED_LIST}) ORDER BY id DESC LIMIT 1",
        (key,),
    ).fetchone()
    return None if row is None else int(row[0])


def insert_event(connection: sqlite3.Connection, name: str, event: Event) -> None:
    """Record a change, as it is."""
    try:
        value = json.dumps(event.value, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise StoreError(f"event: {quote(event.value)} is not allowed; {error}") from None
    connection.execute(
        "INSERT INTO event (comparison, step, kind, arm, value) VALUES (?, ?, ?, ?, ?)",
        (name, event.step, event.kind, event.arm, value),
    )


def add_event(connection: sqlite3.Connection, name: str, event: Event) -> None:
    """Record a change and mark the runs that it touches as edited.

    Readings after its step, which a run has that resumed from an earlier checkpoint, belong
    to the history that this change ends: they go.
    """
    touched = connection.execute(
        'SELECT id FROM run WHERE comparison = ? AND coalesce(?, "index") = "index"',
        (name, event.arm),
    ).fetchall()
    if not touched:
        arm = "" if event.arm is None else f"arm {event.arm} of "
        raise StoreError(f"comparison: {arm}{quote(name)} is not in the store")
    insert_event(connection, name, event)
    for (run_id,) in touched:
        connection.execute(
            "DELETE FROM reading WHERE run = ? AND step > ?"
            " AND probe IN (SELECT name FROM probe WHERE run = ?)",
            (run_id, event.step, run_id),
        )
        connection.execute(
            "UPDATE run SET edited = 1, step = min(step, ?), updated = ? WHERE id = ?",
            (event.step, time.time(), run_id),
        )


def events(connection: sqlite3.Connection, name: str) -> list[Event]:
    """The comparison's events, in the order in which they were recorded."""
    rows = connection.execute(
        "SELECT step, kind, arm, value FROM event WHERE comparison = ? ORDER BY id", (name,)
    )
    return [Event(step, kind, arm, json.loads(value)) for step, kind, arm, value in rows]


def delete(connection: sqlite3.Connection, what: str | Iterable[int]) -> list[int]:
    """Delete a comparison or runs, and comparisons that have no run left; returns the run ids."""
    column, values = ("comparison", [what]) if isinstance(what, str) else ("id", list(what))
    ids: list[int] = []
    for value in values:
        rows = connection.execute(f"DELETE FROM run WHERE {column} = ? RETURNING id", (value,))
        ids += [row[0] for row in rows]
    connection.execute("DELETE FROM comparison WHERE id NOT IN (SELECT comparison FROM run)")
    return ids


def active(connection: sqlite3.Connection) -> list[tuple[str, str]]:
    """(comparison, owner) of all that is running, paused or queued."""
    return connection.execute(
        "SELECT id, owner FROM comparison WHERE id IN"
        f" (SELECT comparison FROM run WHERE state IN ({ACTIVE_LIST}))"
    ).fetchall()


def interrupt(connection: sqlite3.Connection, name: str, owner: str) -> bool:
    """Mark the active runs of a comparison that `owner` still has; whether there were any."""
    rows = connection.execute(
        "SELECT run.id, run.step, run.spec FROM run"
        " JOIN comparison ON comparison.id = run.comparison"
        f" WHERE comparison.id = ? AND comparison.owner = ? AND run.state IN ({ACTIVE_LIST})",
        (name, owner),
    ).fetchall()
    for run_id, step, spec in rows:
        ended = f"at step {step}" if step >= 0 else "before its first step"
        said = INTERRUPTED if spec else WATCHED
        message = said.format(ended=ended, step=checkpoints.step_of(run_id))
        connection.execute(
            "UPDATE run SET state = 'interrupted', message = ?, updated = ? WHERE id = ?",
            (message, time.time(), run_id),
        )
    return bool(rows)
