"""The tables of the store, and how a connection to them is made ready."""

import sqlite3
import time
from pathlib import Path

from explorer.store import checkpoints
from explorer.store.records import StoreError

VERSION = 2  # of the tables; raise it when an older program could not read them
APPLICATION = 0x52455850  # "REXP": tells our files from other programs' databases
BUSY_SECONDS = 10.0
LONGEST_LOG = 16_000_000  # bytes the write-ahead log keeps once its content is in the file

# A reading is one row, and rows are clustered by (run, probe, step): a trace is one range scan.
# Run ids are never used again, since checkpoint files bear them. The triggers keep
# `changes`, the token by which a reader sees that anything of a comparison is new.
FIRST = (
    """CREATE TABLE comparison (
        id TEXT PRIMARY KEY,
        created REAL NOT NULL,
        owner TEXT NOT NULL,
        changes INTEGER NOT NULL DEFAULT 1)""",
    """CREATE TABLE run (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        comparison TEXT NOT NULL REFERENCES comparison (id) ON DELETE CASCADE,
        "index" INTEGER NOT NULL,
        arm TEXT NOT NULL,
        spec TEXT NOT NULL,
        key TEXT NOT NULL,
        state TEXT NOT NULL DEFAULT 'queued',
        step INTEGER NOT NULL DEFAULT -1,
        device TEXT NOT NULL DEFAULT '',
        elapsed_s REAL NOT NULL DEFAULT 0,
        created REAL NOT NULL,
        updated REAL NOT NULL,
        message TEXT NOT NULL DEFAULT '',
        edited INTEGER NOT NULL DEFAULT 0,
        versions TEXT NOT NULL DEFAULT '{}',
        UNIQUE (comparison, "index"))""",
    "CREATE INDEX run_key ON run (key)",
    """CREATE TABLE probe (
        run INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,
        name TEXT NOT NULL,
        sites TEXT NOT NULL,
        site_count INTEGER NOT NULL,
        unit TEXT NOT NULL,
        log INTEGER NOT NULL,
        PRIMARY KEY (run, name))""",
    """CREATE TABLE reading (
        run INTEGER NOT NULL,
        probe TEXT NOT NULL,
        step INTEGER NOT NULL,
        numbers BLOB NOT NULL,
        PRIMARY KEY (run, probe, step),
        FOREIGN KEY (run, probe) REFERENCES probe (run, name) ON DELETE CASCADE) WITHOUT ROWID""",
    """CREATE TABLE event (
        id INTEGER PRIMARY KEY,
        comparison TEXT NOT NULL REFERENCES comparison (id) ON DELETE CASCADE,
        step INTEGER NOT NULL,
        kind TEXT NOT NULL,
        arm INTEGER,
        value TEXT NOT NULL)""",
    "CREATE INDEX event_comparison ON event (comparison)",
    """CREATE TABLE cache (
        kind TEXT NOT NULL,
        key TEXT NOT NULL,
        value TEXT NOT NULL,
        PRIMARY KEY (kind, key))""",
    """CREATE TRIGGER run_updated AFTER UPDATE ON run BEGIN
        UPDATE comparison SET changes = changes + 1 WHERE id = new.comparison; END""",
    """CREATE TRIGGER run_deleted AFTER DELETE ON run BEGIN
        UPDATE comparison SET changes = changes + 1 WHERE id = old.comparison; END""",
    """CREATE TRIGGER probe_described AFTER INSERT ON probe BEGIN
        UPDATE comparison SET changes = changes + 1
        WHERE id = (SELECT comparison FROM run WHERE id = new.run); END""",
    """CREATE TRIGGER event_added AFTER INSERT ON event BEGIN
        UPDATE comparison SET changes = changes + 1 WHERE id = new.comparison; END""",
)

# Format 2: what a person writes on a run, runs set aside for deletion, and sweeps. A member
# of a sweep has its run once that is started or found; a run may be in several sweeps.
SECOND = (
    "ALTER TABLE run ADD COLUMN tags TEXT NOT NULL DEFAULT '[]'",
    "ALTER TABLE run ADD COLUMN note TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE run ADD COLUMN pinned INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE run ADD COLUMN deleted REAL",
    """CREATE TABLE sweep (
        id TEXT PRIMARY KEY,
        name TEXT NOT NULL,
        created REAL NOT NULL,
        owner TEXT NOT NULL,
        state TEXT NOT NULL DEFAULT 'running',
        message TEXT NOT NULL DEFAULT '',
        changes INTEGER NOT NULL DEFAULT 1)""",
    """CREATE TABLE member (
        sweep TEXT NOT NULL REFERENCES sweep (id) ON DELETE CASCADE,
        "index" INTEGER NOT NULL,
        spec TEXT NOT NULL,
        key TEXT NOT NULL,
        run INTEGER REFERENCES run (id) ON DELETE SET NULL,
        PRIMARY KEY (sweep, "index")) WITHOUT ROWID""",
    "CREATE INDEX member_run ON member (run)",
    """CREATE TRIGGER member_run_updated AFTER UPDATE ON run BEGIN
        UPDATE sweep SET changes = changes + 1
        WHERE id IN (SELECT sweep FROM member WHERE run = new.id); END""",
    """CREATE TRIGGER member_updated AFTER UPDATE ON member BEGIN
        UPDATE sweep SET changes = changes + 1 WHERE id = new.sweep; END""",
    """CREATE TRIGGER sweep_updated AFTER UPDATE OF state, owner, message ON sweep BEGIN
        UPDATE sweep SET changes = changes + 1 WHERE id = new.id; END""",
)
FORMATS = (FIRST, SECOND)  # the statements that lead from each format to the next


def connect(path: Path) -> sqlite3.Connection:
    """A connection in autocommit mode with every table there; sqlite3.Error or StoreError."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            return _connect(path)
        except sqlite3.OperationalError as error:
            # Where two processes turn a new file to WAL mode at once, SQLite lets one fail
            # without waiting for the other.
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
        time.sleep(0.01)


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(
        path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
    )
    try:
        _refuse_foreign(connection, path)
        if not _number(connection, "user_version"):
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # before the first table
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute(f"PRAGMA journal_size_limit = {LONGEST_LOG}")
        _create(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _number(connection: sqlite3.Connection, pragma: str) -> int:
    return int(connection.execute(f"PRAGMA {pragma}").fetchone()[0])


def _refuse_foreign(connection: sqlite3.Connection, path: Path) -> None:
    """StoreError if the file is another program's, or one of a newer version of ours."""
    # One statement, so that a store which another process is just making is seen whole or not.
    version, application, tables = connection.execute(
        "SELECT user_version, application_id, (SELECT count(*) FROM sqlite_master)"
        " FROM pragma_user_version, pragma_application_id"
    ).fetchone()
    if application != APPLICATION and (tables or version):
        raise StoreError(f"the file {path} is another program's database; choose another store")
    if version > VERSION:
        raise StoreError(
            f"the store {path} has format {version}, made by a newer version of this program,"
            f" which reads formats up to {VERSION}; update it or choose another store"
        )


def _create(connection: sqlite3.Connection) -> None:
    """Make the tables, or those that an older format lacks: all or, if interrupted, none."""
    if _number(connection, "user_version") == VERSION:
        return
    connection.execute("BEGIN IMMEDIATE")
    version = _number(connection, "user_version")  # perhaps another process was faster
    for statement in (statement for format_ in FORMATS[version:] for statement in format_):
        connection.execute(statement)
    if version == 0:
        # Checkpoints may have outlived an earlier store; no new run may take them for its own.
        first = ("run", checkpoints.largest_id())
        connection.execute("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", first)
        connection.execute(f"PRAGMA application_id = {APPLICATION}")
    connection.execute(f"PRAGMA user_version = {VERSION}")
    connection.execute("COMMIT")
