"""Runs as lines of a table, and what people write on them. Inside a transaction."""

import json
import sqlite3
import time
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from explorer.spec import SpecError, quote, short_form
from explorer.store import runs, traces
from explorer.store.records import Row, StoreError

LONGEST_NOTE = 4000  # characters
LONGEST_TAG = 40
MOST_TAGS = 20
OF_BATCHES = ("train_loss", "train_accuracy")  # of which one reading is too few
FIELDS = tuple(name for name in runs.FIELDS if name != "index")
COLUMNS = ", ".join(f'"{name}"' for name in FIELDS)


def rows(
    connection: sqlite3.Connection, limit: int, ids: Sequence[int] | None, deleted: bool
) -> list[Row]:
    """The newest runs, or those of `ids`, newest first; those set aside if `deleted`."""
    wanted = "" if ids is None else f" AND id IN ({', '.join('?' * len(ids))})"
    present = f"NOT ({runs.PRESENT})" if deleted else runs.PRESENT
    found = connection.execute(
        f"SELECT {COLUMNS} FROM run WHERE {present}{wanted} ORDER BY id DESC LIMIT ?",
        (*(ids or ()), limit),
    ).fetchall()
    return [_row(connection, runs.as_values(FIELDS, row)) for row in found]


def _row(connection: sqlite3.Connection, values: dict[str, Any]) -> Row:
    text = values.pop("spec")
    try:
        spec = runs.spec_of(text)
        network = short_form(spec)
    except SpecError:  # watched, or its data set was removed
        spec, network = None, values["versions"].get("module", "data set is gone")
    epoch = spec.steps_per_epoch if spec else 1
    last = _last(connection, values["id"], epoch)
    return Row(**values, spec=spec, network=network, last=last)


def _last(connection: sqlite3.Connection, run_id: int, epoch: int) -> dict[str, float]:
    """The newest value of every probe of one site; of training batches the last epoch's mean."""
    probes = connection.execute(
        "SELECT name FROM probe WHERE run = ? AND site_count = 1", (run_id,)
    ).fetchall()
    found = {}
    for (probe,) in probes:
        newest = connection.execute(
            "SELECT numbers, step FROM reading WHERE run = ? AND probe = ?"
            " ORDER BY step DESC LIMIT ?",
            (run_id, probe, epoch if probe in OF_BATCHES else 1),
        ).fetchall()
        values = [
            np.frombuffer(numbers, traces.NUMBER)[0]
            for numbers, step in newest
            if step > newest[0][1] - epoch
        ]
        if values:
            found[probe] = float(np.mean(values, dtype=np.float64))
    return found


def annotate(
    connection: sqlite3.Connection,
    ids: Iterable[int],
    tags: Sequence[str] | None,
    note: str | None,
    pinned: bool | None,
) -> None:
    """Write tags, note or pin on runs; StoreError for what is too long."""
    if note is not None and len(note) > LONGEST_NOTE:
        raise StoreError(f"note: {quote(note)} is not allowed; at most {LONGEST_NOTE} characters")
    written = None if tags is None else json.dumps(_tidy(tags))
    for run_id in ids:
        traces.require_run(connection, run_id)
        connection.execute(
            "UPDATE run SET tags = coalesce(?, tags), note = coalesce(?, note),"
            " pinned = coalesce(?, pinned) WHERE id = ?",
            (written, note, pinned, run_id),
        )


def _tidy(tags: Sequence[str]) -> list[str]:
    """Tags without blanks around them, each once."""
    found = list(dict.fromkeys(tag.strip() for tag in tags if tag.strip()))
    if len(found) > MOST_TAGS:
        raise StoreError(f"tags: {quote(len(found))} is not allowed; at most {MOST_TAGS}")
    for tag in found:
        if len(tag) > LONGEST_TAG:
            raise StoreError(f"tag: {quote(tag)} is not allowed; at most {LONGEST_TAG} characters")
    return found


def set_aside(connection: sqlite3.Connection, ids: Iterable[int], aside: bool) -> None:
    """Hide runs until they are taken back or deleted for good, or take them back."""
    moment = time.time() if aside else None
    connection.executemany(
        "UPDATE run SET deleted = ?, updated = updated WHERE id = ?", [(moment, i) for i in ids]
    )


def set_aside_before(connection: sqlite3.Connection, moment: float) -> list[int]:
    """The runs that were set aside before that moment."""
    rows = connection.execute("SELECT id FROM run WHERE deleted < ?", (moment,)).fetchall()
    return [row[0] for row in rows]


def add_watched(
    connection: sqlite3.Connection, name: str, owner: str, device: str, facts: dict[str, str]
) -> int:
    """Insert a running run without a spec, as a comparison of its own; returns its id."""
    runs.check_arms([name])
    comparison, now = runs.new_id(), time.time()
    connection.execute(
        "INSERT INTO comparison (id, created, owner) VALUES (?, ?, ?)", (comparison, now, owner)
    )
    cursor = connection.execute(
        'INSERT INTO run (comparison, "index", arm, spec, key, state, device, created, updated,'
        " versions) VALUES (?, 0, ?, '', '', 'running', ?, ?, ?, ?)",
        (comparison, name, device, now, now, json.dumps(facts)),
    )
    return int(cursor.lastrowid or 0)
