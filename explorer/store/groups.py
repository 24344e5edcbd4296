"""What the store keeps of sweeps, and its runs as a table: `store.sweeps`, `store.table`."""

import time
from collections.abc import Iterable, Sequence

from explorer.spec import RunSpec
from explorer.store import checkpoints, rows, runs, sweeps
from explorer.store.database import Database
from explorer.store.records import Row, StoreError, Sweep, SweepState

KEPT_ASIDE = 24 * 3600.0  # seconds for which a deletion can be taken back


class Sweeps:
    """Sweeps by id; StoreError, one line, for what cannot be done."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, name: str, specs: Sequence[RunSpec], owner: str, reuse: bool = True) -> Sweep:
        """A new sweep of these specs; with `reuse` what is finished already is not trained again.

        A spec counts as finished where an unedited run of the same key came to its end.
        """
        with self._database.writing() as connection:
            made = sweeps.sweep(connection, sweeps.add(connection, name, specs, owner, reuse))
        assert made is not None
        return made

    def get(self, name: str) -> Sweep | None:
        """The sweep with that id."""
        with self._database.reading() as connection:
            return sweeps.sweep(connection, name)

    def recent(self, limit: int = 20) -> list[Sweep]:
        """The newest sweeps, newest first."""
        with self._database.reading() as connection:
            return sweeps.recent(connection, limit)

    def update(
        self,
        name: str,
        *,
        state: SweepState | None = None,
        owner: str | None = None,
        message: str | None = None,
    ) -> None:
        """Change what is given of a sweep."""
        with self._database.writing() as connection:
            sweeps.update(connection, name, state, owner, message)

    def state(self, name: str) -> SweepState | None:
        """The sweep's state alone, which is cheap to ask."""
        with self._database.reading() as connection:
            row = connection.execute("SELECT state FROM sweep WHERE id = ?", (name,)).fetchone()
        return None if row is None else row[0]

    def link(self, name: str, index: int, run_id: int | None) -> None:
        """Give a member its run, or take it away."""
        with self._database.writing() as connection:
            sweeps.link(connection, name, index, run_id)

    def finished(self, key: str) -> int | None:
        """The newest run of a spec that came to its end and that nobody changed."""
        with self._database.reading() as connection:
            return runs.finished(connection, key)

    def tag(self, name: str) -> str:
        """A token that changes with every change of a sweep or its runs; "" if it is gone."""
        with self._database.reading() as connection:
            row = connection.execute("SELECT changes FROM sweep WHERE id = ?", (name,)).fetchone()
        return "" if row is None else str(row[0])

    def delete(self, name: str) -> None:
        """Forget that runs belonged together; the runs stay."""
        with self._database.writing() as connection:
            connection.execute("DELETE FROM sweep WHERE id = ?", (name,))


class Table:
    """All runs as lines of a table, those of watched modules too, and what is written on them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def rows(self, limit: int = 1000, deleted: bool = False) -> list[Row]:
        """The newest runs, newest first; those set aside for deletion if `deleted`."""
        with self._database.reading() as connection:
            return rows.rows(connection, limit, None, deleted)

    def some(self, ids: Sequence[int]) -> list[Row]:
        """The runs with these ids that are there, in the order of `ids`."""
        with self._database.reading() as connection:
            found = {row.id: row for row in rows.rows(connection, len(ids), ids, False)}
        return [found[one] for one in ids if one in found]

    def tag(self) -> str:
        """A token that changes whenever any run does."""
        with self._database.reading() as connection:
            row = connection.execute(
                "SELECT count(*), coalesce(sum(changes), 0), (SELECT count(*) FROM run"
                f" WHERE {runs.PRESENT}) FROM comparison"
            ).fetchone()
        return "-".join(str(number) for number in row)

    def annotate(
        self,
        ids: Iterable[int],
        *,
        tags: Sequence[str] | None = None,
        note: str | None = None,
        pinned: bool | None = None,
    ) -> None:
        """Write what is given on runs: tags (in place of those before), note, pin."""
        with self._database.writing() as connection:
            rows.annotate(connection, ids, tags, note, pinned)

    def set_aside(self, ids: Iterable[int]) -> None:
        """Hide runs; `take_back` undoes it until `delete_aside` deletes them for good."""
        with self._database.writing() as connection:
            rows.set_aside(connection, list(ids), True)

    def take_back(self, ids: Iterable[int]) -> None:
        """Show runs again that were set aside."""
        with self._database.writing() as connection:
            rows.set_aside(connection, list(ids), False)

    def delete_aside(self, older_than: float = KEPT_ASIDE) -> int:
        """Delete for good what was set aside so many seconds ago; returns how many runs."""
        with self._database.writing() as connection:
            ids = rows.set_aside_before(connection, time.time() - older_than)
            deleted = runs.delete(connection, ids)
        with self._database.in_words():
            for run_id in deleted:
                checkpoints.remove(run_id)
        self._database.shrink()
        return len(deleted)

    def sizes(self) -> dict[int, int]:
        """Bytes that each run's readings take, by run id, without checkpoints."""
        with self._database.reading() as connection:
            found = connection.execute(
                "SELECT run, sum(length(numbers) + 24) FROM reading GROUP BY 1"
            )
            return {run_id: int(size) for run_id, size in found}

    def watch(self, name: str, owner: str, device: str, facts: dict[str, str]) -> Row:
        """A new running run of somebody's own module; `facts` has at least "module".

        Its readings are described and written as any run's, its state updated likewise.
        """
        if "module" not in facts:
            raise StoreError("facts: 'module' is missing; name the module's class")
        with self._database.writing() as connection:
            run_id = rows.add_watched(connection, name, owner, device, facts)
            (row,) = rows.rows(connection, 1, [run_id], False)
        return row
