"""A comparison out of the store as one JSON-able record, and from such a record into it."""

import json
import math
import sqlite3
from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError

from explorer.spec import quote, short_form
from explorer.spec.base import first_error
from explorer.store import rows, runs, traces
from explorer.store.exchange import Record, RunRecord
from explorer.store.records import Comparison, Event, RecordError, Run
from explorer.trace import Array, Trace

FORMAT = 1  # of the record; raise it when an older program could not read it
UNSAID = ("id", "comparison", "index", "pinned")  # of a run: they are this store's own
IMPORTED = "imported before it was done; Resume starts again from step 0"


def to_record(
    comparison: Comparison, traces: Sequence[Sequence[Trace]], events: Sequence[Event]
) -> dict[str, Any]:
    """The comparison as what json.dumps(allow_nan=False) takes; `traces` has a list a run."""
    arms: dict[int | None, int | None] = {run.index: i for i, run in enumerate(comparison.runs)}
    arms[None] = None
    return {
        "format": FORMAT,
        "comparison": comparison.id,
        "created": comparison.created,
        "runs": [_run(run, own) for run, own in zip(comparison.runs, traces, strict=True)],
        "events": [{**vars(e), "arm": arms[e.arm]} for e in events if e.arm in arms],
    }


def _run(run: Run, traces: Sequence[Trace]) -> dict[str, Any]:
    said = {k: v for k, v in vars(run).items() if k not in UNSAID}
    return {
        **said,
        "tags": list(run.tags),
        "short": short_form(run.spec),
        "spec": json.loads(run.spec.json_form),
        "traces": [_trace(trace) for trace in traces],
    }


def _trace(trace: Trace) -> dict[str, Any]:
    return {
        "probe": trace.probe,
        "sites": list(trace.sites),
        "unit": trace.unit,
        "log": trace.log,
        "steps": trace.steps.tolist(),
        "values": _numbers(trace.values),
    }


def _numbers(values: Array) -> list[list[float | str]]:
    """Rows of the shortest numbers that are the same float32, or of names where JSON has none."""
    rows = values.astype(str).astype(float).tolist()
    return [[x if math.isfinite(x) else _name(x) for x in row] for row in rows]


def _name(value: float) -> str:
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def from_record(record: object) -> Record:
    """The checked record; RecordError with the first thing that is wrong."""
    given = record.get("format") if isinstance(record, dict) else record
    if not isinstance(record, dict) or given != FORMAT:
        raise RecordError(f"format: {quote(given)} is not allowed; a record of format {FORMAT}")
    try:
        return Record.model_validate(record)
    except ValidationError as report:
        raise RecordError(f"record: {first_error(report)}") from None


def insert(connection: sqlite3.Connection, record: Record, owner: str) -> str:
    """Add a checked record as a new comparison, inside a transaction; returns its id."""
    arms = [(run.arm, run.run_spec) for run in record.runs]
    comparison, ids = runs.add(connection, arms, owner, record.created)
    for run_id, run in zip(ids, record.runs, strict=True):
        for trace in run.traces:
            traces.describe(connection, run_id, trace.probe, trace.sites, trace.unit, trace.log)
            traces.write(connection, [(run_id, one) for one in trace.readings()], {})
    for event in record.events:
        runs.insert_event(connection, comparison, event.event)
    for run_id, run in zip(ids, record.runs, strict=True):
        _state(connection, run_id, run)
    return comparison


def _state(connection: sqlite3.Connection, run_id: int, run: RunRecord) -> None:
    state = "interrupted" if run.unfinished else run.state
    message = IMPORTED if run.unfinished else run.message
    connection.execute(
        "UPDATE run SET state = ?, step = ?, device = ?, elapsed_s = ?, created = ?, updated = ?,"
        " message = ?, edited = ?, versions = ? WHERE id = ?",
        (
            *(state, run.step, run.device, run.elapsed_s, run.created, run.updated),
            *(message, run.edited, json.dumps(run.versions), run_id),
        ),
    )
    rows.annotate(connection, [run_id], run.tags, run.note, None)
