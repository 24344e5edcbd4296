"""Sweeps and their members as rows. Every function works inside a transaction."""

import sqlite3
import time
from collections.abc import Sequence

from explorer.spec import RunSpec, SpecError, quote
from explorer.store import runs
from explorer.store.records import Member, StoreError, Sweep, SweepState

MOST_MEMBERS = 2000
LONGEST_NAME = 200  # characters


def add(
    connection: sqlite3.Connection, name: str, specs: Sequence[RunSpec], owner: str, reuse: bool
) -> str:
    """Insert a sweep; with `reuse`, specs that the store has finished are given those runs."""
    if not 1 <= len(specs) <= MOST_MEMBERS:
        allowed = f"1 to {MOST_MEMBERS} in one sweep"
        raise StoreError(f"runs: {quote(len(specs))} is not allowed; {allowed}")
    sweep = runs.new_id()
    connection.execute(
        "INSERT INTO sweep (id, name, created, owner) VALUES (?, ?, ?, ?)",
        (sweep, name[:LONGEST_NAME], time.time(), owner),
    )
    for index, spec in enumerate(specs):
        found = runs.finished(connection, spec.key) if reuse else None
        row = (sweep, index, spec.json_form, spec.key, found)
        connection.execute("INSERT INTO member VALUES (?, ?, ?, ?, ?)", row)
    return sweep


def sweep(connection: sqlite3.Connection, name: str) -> Sweep | None:
    """The sweep, or None; StoreError if a spec of it cannot be built here."""
    row = connection.execute(
        "SELECT id, name, created, owner, state, message FROM sweep WHERE id = ?", (name,)
    ).fetchone()
    if row is None:
        return None
    columns = ", ".join(f'run."{field}"' for field in runs.FIELDS)
    found = connection.execute(
        f'SELECT member."index", member.spec, member.key, {columns} FROM member'
        f" LEFT JOIN run ON run.id = member.run AND run.{runs.PRESENT}"
        ' WHERE member.sweep = ? ORDER BY member."index"',
        (name,),
    )
    try:
        members = tuple(
            Member(index, runs.spec_of(spec), key, runs.as_run(rest) if rest[0] else None)
            for index, spec, key, *rest in found
        )
    except SpecError as error:
        raise StoreError(f"sweep {name} cannot be shown: {error}") from error
    identity, title, created, owner, state, message = row
    return Sweep(identity, title, created, owner, state, message, members)


def recent(connection: sqlite3.Connection, limit: int) -> list[Sweep]:
    """The newest sweeps, newest first, but for those that cannot be shown here."""
    names = connection.execute(
        "SELECT id FROM sweep ORDER BY created DESC, rowid DESC LIMIT ?", (limit,)
    ).fetchall()
    found = []
    for (name,) in names:
        try:
            found.append(sweep(connection, name))
        except StoreError:  # a data set was removed
            continue
    return [one for one in found if one is not None]


def update(
    connection: sqlite3.Connection,
    name: str,
    state: SweepState | None,
    owner: str | None,
    message: str | None,
) -> None:
    """Change what is given of a sweep; StoreError if it is not there."""
    row = connection.execute(
        "UPDATE sweep SET state = coalesce(?, state), owner = coalesce(?, owner),"
        " message = coalesce(?, message) WHERE id = ? RETURNING id",
        (state, owner, message, name),
    ).fetchone()
    if row is None:
        raise StoreError(f"sweep: {quote(name)} is not in the store")


def link(connection: sqlite3.Connection, name: str, index: int, run_id: int | None) -> None:
    """Give a member its run."""
    connection.execute(
        'UPDATE member SET run = ? WHERE sweep = ? AND "index" = ?', (run_id, name, index)
    )


def orphans(connection: sqlite3.Connection) -> list[tuple[str, str]]:
    """(sweep, owner) of all that run."""
    return connection.execute("SELECT id, owner FROM sweep WHERE state = 'running'").fetchall()


def interrupt(connection: sqlite3.Connection, name: str, owner: str) -> None:
    """Mark a sweep that `owner` still has."""
    connection.execute(
        "UPDATE sweep SET state = 'interrupted', message = ? WHERE id = ? AND owner = ?",
        ("the program that ran it ended; Resume trains what is left", name, owner),
    )
