"""Runs in forms that others read: a program, a notebook, tables. Nothing here loads torch."""

import json
import re
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from explorer.exports.notebook import notebook
from explorer.exports.script import script
from explorer.exports.table import csv
from explorer.exports.tensorboard import written_apart
from explorer.registry import Registry
from explorer.spec import RunSpec, quote
from explorer.store import Event, Store, StoreError
from explorer.store.records import Row

__all__ = ["FORMATS", "Format", "csv", "export", "notebook", "script"]

Program = Callable[[RunSpec, list[Event], int, str], str]


@dataclass(frozen=True)
class Format:
    """A form of a run: its name on screen, the end of its file's name, its media type.

    `make` gives the content of the file, from the store and the run's id; ValueError, one
    line, if the run cannot take that form.
    """

    label: str
    suffix: str
    media_type: str
    make: Callable[[Store, int], bytes]


FORMATS: Registry[Format] = Registry("format")


def export(store: Store, run_id: int, format: str) -> tuple[str, bytes]:
    """The file name and the content of a run in that form; ValueError, one line, if it has none."""
    if format not in FORMATS:
        raise ValueError(f"format: {quote(format)} is not allowed; choose {', '.join(FORMATS)}")
    try:
        row = _row(store, run_id)
        return f"{_stem(row)}{FORMATS[format].suffix}", FORMATS[format].make(store, run_id)
    except StoreError as error:
        raise ValueError(str(error)) from error


def _row(store: Store, run_id: int) -> Row:
    found = store.table.some([run_id])
    if not found:
        raise ValueError(f"run: {quote(run_id)} is not in the store; it may have been deleted")
    return found[0]


def _stem(row: Row) -> str:
    """A file name of plain letters: the network's family and depth, and the content key."""
    words = re.sub(r"[^A-Za-z0-9]+", "-", row.network.partition(",")[0]).strip("-")[:40]
    return f"{words or 'run'}-{row.key or row.id}"


def _program(write: Program, store: Store, run_id: int) -> bytes:
    row = _row(store, run_id)
    if row.spec is None:
        allowed = "without a spec only csv and tensorboard are possible"
        raise ValueError(f"run: {quote(row.arm)} cannot be written as a program; {allowed}")
    run = store.run(run_id)
    events = store.events(row.comparison)
    where = ", ".join([row.device, *(f"{name} {v}" for name, v in row.versions.items())])
    return write(row.spec, events, run.index if run else 0, where).encode()


def _script(store: Store, run_id: int) -> bytes:
    return _program(script, store, run_id)


def _notebook(store: Store, run_id: int) -> bytes:
    return _program(notebook, store, run_id)


def _csv(store: Store, run_id: int) -> bytes:
    return csv({probe: store.trace(run_id, probe) for probe in store.probes(run_id)}).encode()


def _tensorboard(store: Store, run_id: int) -> bytes:
    """A folder with the event file, for `tensorboard --logdir`, zipped."""
    content, name = BytesIO(), _stem(_row(store, run_id))
    with tempfile.TemporaryDirectory() as made, zipfile.ZipFile(content, "w") as archive:
        folder = Path(made)
        written_apart(store, run_id, folder, name)
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                archive.write(file, file.relative_to(folder), zipfile.ZIP_DEFLATED)
    return content.getvalue()


def _json(store: Store, run_id: int) -> bytes:
    """The whole comparison, as the store exports it and takes it back."""
    record = store.export(_row(store, run_id).comparison)
    return json.dumps(record, allow_nan=False).encode()


FORMATS.add("script", Format("Python program", ".py", "text/x-python", _script))
FORMATS.add("notebook", Format("Notebook", ".ipynb", "application/x-ipynb+json", _notebook))
FORMATS.add("csv", Format("Table (CSV)", ".csv", "text/csv", _csv))
FORMATS.add(
    "tensorboard", Format("TensorBoard", ".tensorboard.zip", "application/zip", _tensorboard)
)
FORMATS.add("json", Format("JSON", ".json", "application/json", _json))
