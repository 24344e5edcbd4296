"""Readings as rows: float32 numbers of all sites of a probe at a step. Inside a transaction."""

import json
import sqlite3
import time
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from explorer.spec import quote
from explorer.store.records import DamageError, StoreError
from explorer.trace import Array, Reading, Trace

NUMBER = np.dtype("<f4")  # float32, the same bytes on every machine


def describe(
    connection: sqlite3.Connection,
    run_id: int,
    probe: str,
    sites: Sequence[str],
    unit: str,
    log: bool,
) -> None:
    """Record a probe's sites and unit; a second time it must be the same."""
    require_run(connection, run_id)
    row = (json.dumps(list(sites)), len(sites), unit, int(log))
    known = connection.execute(
        "SELECT sites, site_count, unit, log FROM probe WHERE run = ? AND name = ?", (run_id, probe)
    ).fetchone()
    if known is None:
        connection.execute("INSERT INTO probe VALUES (?, ?, ?, ?, ?, ?)", (run_id, probe, *row))
    elif known != row:
        raise StoreError(
            f"probe: {quote(probe)} of run {run_id} has other sites or another unit than before;"
            " start a new run"
        )


def require_run(connection: sqlite3.Connection, run_id: int) -> None:
    """StoreError if there is no such run, perhaps since it was deleted."""
    if connection.execute("SELECT 1 FROM run WHERE id = ?", (run_id,)).fetchone() is None:
        raise StoreError(f"run: '{run_id}' is not in the store; it may have been deleted")


def write(
    connection: sqlite3.Connection,
    readings: Sequence[tuple[int, Reading]],
    elapsed: Mapping[int, float],
) -> None:
    """Insert or replace readings and advance their runs' step, time and elapsed seconds."""
    _check_sites(connection, readings)
    connection.executemany(
        "INSERT OR REPLACE INTO reading VALUES (?, ?, ?, ?)",
        ((run, r.probe, r.step, r.values.astype(NUMBER).tobytes()) for run, r in readings),
    )
    steps = dict.fromkeys(elapsed, -1)
    for run_id, reading in readings:
        steps[run_id] = max(steps.get(run_id, -1), reading.step)
    now = time.time()
    for run_id, step in steps.items():
        require_run(connection, run_id)
        connection.execute(
            "UPDATE run SET step = max(step, ?), elapsed_s = coalesce(?, elapsed_s), updated = ?"
            " WHERE id = ?",
            (step, elapsed.get(run_id), now, run_id),
        )


def _check_sites(connection: sqlite3.Connection, readings: Iterable[tuple[int, Reading]]) -> None:
    """StoreError if a reading has another number of values than its probe has sites."""
    sizes = {(run_id, reading.probe, reading.values.size) for run_id, reading in readings}
    for run_id, probe, size in sizes:
        row = connection.execute(
            "SELECT site_count FROM probe WHERE run = ? AND name = ?", (run_id, probe)
        ).fetchone()
        if row is None:
            require_run(connection, run_id)
            raise StoreError(f"probe: {quote(probe)} is not described in run {run_id}")
        if row[0] != size:
            allowed = f"probe {quote(probe)} of run {run_id} has {row[0]} sites"
            raise StoreError(f"values: '{size}' is not allowed; {allowed}")


def trace(connection: sqlite3.Connection, run_id: int, probe: str, since: int) -> Trace:
    """The readings after `since`; length 0 if there are none."""
    facts = connection.execute(
        "SELECT sites, unit, log FROM probe WHERE run = ? AND name = ?", (run_id, probe)
    ).fetchone()
    if facts is None:
        return Trace(probe, np.zeros(0, np.int64), np.zeros((0, 0), np.float32), (), "")
    sites = tuple(json.loads(facts[0]))
    rows = connection.execute(
        "SELECT step, numbers FROM reading WHERE run = ? AND probe = ? AND step > ? ORDER BY step",
        (run_id, probe, since),
    ).fetchall()
    if any(len(numbers) != NUMBER.itemsize * len(sites) for _, numbers in rows):
        raise DamageError
    steps = np.array([step for step, _ in rows], dtype=np.int64)
    values: Array = np.frombuffer(bytearray().join(row[1] for row in rows), NUMBER)
    return Trace(
        probe,
        steps,
        values.astype(np.float32, copy=False).reshape(len(rows), len(sites)),
        sites,
        facts[1],
        bool(facts[2]),
    )


def probes(connection: sqlite3.Connection, run_id: int) -> list[str]:
    """The probes of a run, in the order in which they were described."""
    rows = connection.execute("SELECT name FROM probe WHERE run = ? ORDER BY rowid", (run_id,))
    return [row[0] for row in rows]


def all_of(connection: sqlite3.Connection, run_id: int) -> list[Trace]:
    """The whole traces of all probes of a run."""
    return [trace(connection, run_id, probe, -1) for probe in probes(connection, run_id)]
