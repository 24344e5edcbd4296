"""Store: what is kept of runs, in one file that the app and its workers share."""

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from explorer.home import home
from explorer.spec import RunSpec, quote
from explorer.store import cache, checkpoints, runs, sweeps, traces, transfer
from explorer.store.database import Database, unusable
from explorer.store.groups import Sweeps, Table
from explorer.store.owners import this_process
from explorer.store.records import Comparison, Event, Run, State, StoreError
from explorer.trace import Reading, Trace

FILE = "runs.sqlite"
T = TypeVar("T")
UNTIMED: Mapping[int, float] = MappingProxyType({})


class Store:
    """Runs, readings and events. Any thread, and any number of processes, may use it at once.

    `sweeps` keeps which runs belong to a sweep; `table` has all runs as lines, with their tags.

    Every method raises StoreError, one line, for what cannot be done; a change is made
    whole or not at all, and survives the process from the moment its method returns.
    """

    def __init__(self, path: Path | None = None) -> None:
        if path is None:
            try:
                path = home() / FILE
            except OSError as error:
                raise unusable(Path(str(error.filename)), error) from error
        self._database = Database(path)
        self.sweeps = Sweeps(self._database)
        self.table = Table(self._database)

    @property
    def path(self) -> Path:
        """The file."""
        return self._database.path

    @property
    def notice(self) -> str:
        """A line for the user if opening found a damaged file and set it aside; else ""."""
        return self._database.notice

    def close(self) -> None:
        """Close the file; the store cannot be used afterwards."""
        self._database.close()

    def add_comparison(self, arms: Sequence[tuple[str, RunSpec]], owner: str) -> Comparison:
        """A new comparison of queued runs, one for each (name, spec); 1 to 4 of them."""
        with self._database.writing() as connection:
            name, _ = runs.add(connection, arms, owner, time.time())
            return self._found(runs.comparison(connection, name), name)

    def comparison(self, name: str) -> Comparison | None:
        """The comparison with that id."""
        with self._database.reading() as connection:
            return runs.comparison(connection, name)

    def comparisons(self, limit: int = 50, swept: bool = True) -> list[Comparison]:
        """The newest comparisons, newest first; without those whose data sets are gone.

        With `swept` false the members of sweeps are left out.
        """
        with self._database.reading() as connection:
            return runs.recent_comparisons(connection, limit, swept)

    def find(self, keys: Sequence[str]) -> Comparison | None:
        """The newest comparison of exactly these specs, in order, that nobody changed."""
        with self._database.reading() as connection:
            return runs.find(connection, keys)

    def run(self, run_id: int) -> Run | None:
        """The run with that id."""
        with self._database.reading() as connection:
            return runs.run(connection, run_id)

    def runs(self, limit: int = 1000) -> list[Run]:
        """The newest runs, newest first; without those whose data sets are gone."""
        with self._database.reading() as connection:
            return runs.recent(connection, limit)

    def update(
        self,
        run_id: int,
        *,
        state: State | None = None,
        device: str | None = None,
        elapsed_s: float | None = None,
        message: str | None = None,
        versions: Mapping[str, str] | None = None,
        edited: bool | None = None,
    ) -> None:
        """Change what is given of a run."""
        written = None if versions is None else json.dumps(dict(versions))
        with self._database.writing() as connection:
            traces.require_run(connection, run_id)
            connection.execute(
                "UPDATE run SET state = coalesce(?, state), device = coalesce(?, device),"
                " elapsed_s = coalesce(?, elapsed_s), message = coalesce(?, message),"
                " versions = coalesce(?, versions), edited = coalesce(?, edited), updated = ?"
                " WHERE id = ?",
                (state, device, elapsed_s, message, written, edited, time.time(), run_id),
            )

    def delete(self, what: str | Iterable[int]) -> int:
        """Delete a comparison, or runs, with readings, events and checkpoints; returns how many.

        A comparison whose last run is deleted is gone too.
        """
        with self._database.writing() as connection:
            ids = runs.delete(connection, what)
        with self._database.in_words():
            for run_id in ids:
                checkpoints.remove(run_id)
        self._database.shrink()
        return len(ids)

    def tag(self, name: str) -> str:
        """A token that changes with every change of a comparison or its runs; "" if it is gone."""
        with self._database.reading() as connection:
            row = connection.execute(
                "SELECT changes FROM comparison WHERE id = ?", (name,)
            ).fetchone()
        return "" if row is None else str(row[0])

    def owner(self, name: str) -> str:
        """The process that trains the comparison, as `this_process` names it."""
        with self._database.reading() as connection:
            row = connection.execute("SELECT owner FROM comparison WHERE id = ?", (name,))
            return str(self._found(row.fetchone(), name)[0])

    def set_owner(self, name: str, owner: str) -> None:
        """Hand the comparison to another process."""
        with self._database.writing() as connection:
            row = connection.execute(
                "UPDATE comparison SET owner = ? WHERE id = ? RETURNING id", (owner, name)
            )
            self._found(row.fetchone(), name)

    def mark_orphans(self, is_alive: Callable[[str], bool]) -> list[str]:
        """Mark as interrupted what is active but whose owner is gone; returns the comparisons."""
        with self._database.reading() as connection:
            orphans = [(n, owner) for n, owner in runs.active(connection) if not is_alive(owner)]
            lost = [(n, owner) for n, owner in sweeps.orphans(connection) if not is_alive(owner)]
        if not orphans and not lost:
            return []
        with self._database.writing() as connection:
            for name, owner in lost:
                sweeps.interrupt(connection, name, owner)
            return [name for name, owner in orphans if runs.interrupt(connection, name, owner)]

    def describe(self, run_id: int, probe: str, sites: Sequence[str], unit: str, log: bool) -> None:
        """Record where a probe reads in a run and in what unit, before its first reading."""
        with self._database.writing() as connection:
            traces.describe(connection, run_id, probe, sites, unit, log)

    def write(
        self, readings: Iterable[tuple[int, Reading]], elapsed: Mapping[int, float] = UNTIMED
    ) -> None:
        """Record (run id, reading) pairs and the runs' seconds so far, in one transaction."""
        with self._database.writing() as connection:
            traces.write(connection, list(readings), elapsed)

    def trace(self, run_id: int, probe: str, since: int = -1) -> Trace:
        """The readings of a probe after step `since`; length 0 if there are none."""
        with self._database.reading() as connection:
            return traces.trace(connection, run_id, probe, since)

    def probes(self, run_id: int) -> list[str]:
        """The probes of a run, in the order in which they were described."""
        with self._database.reading() as connection:
            return traces.probes(connection, run_id)

    def last_step(self, run_id: int) -> int:
        """The run's last committed step; -1 before any."""
        with self._database.reading() as connection:
            row = connection.execute("SELECT step FROM run WHERE id = ?", (run_id,)).fetchone()
        return -1 if row is None else int(row[0])

    def add_event(self, name: str, event: Event) -> None:
        """Record a change made while the comparison trains; its runs count as edited."""
        with self._database.writing() as connection:
            runs.add_event(connection, name, event)

    def events(self, name: str) -> list[Event]:
        """The changes made while the comparison trained, in order."""
        with self._database.reading() as connection:
            return runs.events(connection, name)

    def cache_put(self, kind: str, key: str, value: dict[str, Any]) -> None:
        """Keep a measured object; of all kinds together the newest 2000 are kept."""
        with self._database.writing() as connection:
            cache.put(connection, kind, key, value)

    def cache_get(self, kind: str, key: str) -> dict[str, Any] | None:
        """The object that was kept so, if it still is."""
        with self._database.reading() as connection:
            return cache.get(connection, kind, key)

    def size(self) -> int:
        """Bytes on disk: the file, its log and the checkpoints."""
        with self._database.in_words():
            return self._database.size() + checkpoints.size()

    def export(self, name: str) -> dict[str, Any]:
        """The comparison with all its traces as one JSON-able record."""
        with self._database.reading() as connection:
            comparison = self._found(runs.comparison(connection, name), name)
            events = runs.events(connection, name)
            found = [traces.all_of(connection, run.id) for run in comparison.runs]
        return transfer.to_record(comparison, found, events)

    def import_(self, record: object) -> Comparison:
        """Add an exported comparison under a new id; StoreError if anything in it is wrong."""
        checked = transfer.from_record(record)
        with self._database.writing() as connection:
            name = transfer.insert(connection, checked, this_process())
            return self._found(runs.comparison(connection, name), name)

    @staticmethod
    def _found(found: T | None, name: str) -> T:
        if found is None:
            raise StoreError(f"comparison: {quote(name)} is not in the store")
        return found
