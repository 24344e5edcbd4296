"""The store's file: opening it, setting a damaged one aside, transactions, errors in words."""

import errno
import json
import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from explorer.store.records import DamageError, StoreError
from explorer.store.schema import connect

DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
COMPANIONS = ("", "-wal", "-shm")  # the file, its write-ahead log and the log's index


class Database:
    """One connection for all threads of this process, used by one thread at a time.

    `notice` is a line for the user if a damaged file was set aside on opening, else "".
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.notice = ""
        self._lock = threading.RLock()
        with self.in_words():
            path.parent.mkdir(parents=True, exist_ok=True)
            self.connection = self._open()
        # At exit other threads may still use it, and what they committed is safe without.
        weakref.finalize(self, self.connection.close).atexit = False

    def _open(self) -> sqlite3.Connection:
        try:
            return connect(self.path)
        except sqlite3.Error as error:
            if _code(error) not in DAMAGE:
                raise
        if not _sound(self.path):  # asked again: another process may just have set it aside
            aside = _set_aside(self.path)
            self.notice = (
                f"The store was damaged; nothing was deleted: it is now {aside}, and a new one"
                " was started."
            )
        return connect(self.path)

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """The connection, for statements that all see the same moment."""
        with self._transaction("BEGIN") as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """The connection, for changes that are kept all together or not at all."""
        # Immediate: a transaction that first reads and then writes could not wait for its turn.
        with self._transaction("BEGIN IMMEDIATE") as connection:
            yield connection

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[sqlite3.Connection]:
        with self._lock, self.in_words():
            try:
                self.connection.execute(begin)
                yield self.connection
                self.connection.execute("COMMIT")
            finally:
                if self.connection.in_transaction:  # a full disk ends it without being asked
                    self.connection.execute("ROLLBACK")

    @contextmanager
    def in_words(self) -> Iterator[None]:
        """Turn what SQLite and the file system raise into a StoreError."""
        try:
            yield
        except sqlite3.Error as error:
            raise StoreError(_explained(error, self.path)) from error
        except OSError as error:
            raise unusable(self.path, error) from error
        except (DamageError, json.JSONDecodeError, UnicodeDecodeError) as error:
            raise StoreError(_damaged(self.path)) from error
        except (UnicodeEncodeError, OverflowError) as error:
            raise StoreError(f"the store cannot hold this text or number: {error}") from error

    def shrink(self) -> None:
        """Give the room of deleted rows back to the disk."""
        with self._lock, self.in_words():
            # A script, since `execute` takes one step of it only and so frees one page.
            self.connection.executescript(
                "PRAGMA incremental_vacuum; PRAGMA wal_checkpoint(PASSIVE);"
            )

    def size(self) -> int:
        """Bytes of the file and its write-ahead log."""
        files = (_companion(self.path, end) for end in COMPANIONS)
        return sum(file.stat().st_size for file in files if file.exists())

    def close(self) -> None:
        """Close the connection; the database cannot be used afterwards."""
        with self._lock:
            self.connection.close()


def _code(error: sqlite3.Error) -> int:
    """SQLite's primary result code; 0 for errors of Python's module itself."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _damaged(path: Path) -> str:
    return f"the store {path} is damaged; close the program and rename the file to start a new one"


def _full(path: Path) -> str:
    return f"the disk is full ({path}); free some space, committed steps are kept"


def unusable(path: Path, error: OSError) -> StoreError:
    """The error for a place where files cannot be read or written."""
    if error.errno == errno.ENOSPC:
        return StoreError(_full(path))
    return StoreError(f"the store {path} cannot be used ({error.strerror}); choose another place")


def _explained(error: sqlite3.Error, path: Path) -> str:
    code = _code(error)
    if code in DAMAGE or "decode to UTF-8" in str(error):
        return _damaged(path)
    if code == sqlite3.SQLITE_FULL:
        return _full(path)
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
        return f"the store {path} cannot be written ({error}); allow it or choose another place"
    if code == sqlite3.SQLITE_IOERR:
        return f"the disk fails under {path} ({error}); check its space, committed steps are kept"
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return f"the store {path} is held by another program; close that and try again"
    return f"the store {path} cannot do this: {error}"


def _sound(path: Path) -> bool:
    """Whether SQLite finds no damage in the file."""
    connection = sqlite3.connect(path)
    try:
        return bool(connection.execute("PRAGMA quick_check(1)").fetchone() == ("ok",))
    except sqlite3.DatabaseError as error:
        return _code(error) not in DAMAGE
    finally:
        connection.close()


def _set_aside(path: Path) -> Path:
    """Rename the file and its companions to a name that is free; returns it."""
    stamp = time.strftime("%Y%m%d-%H%M%S")
    names = (f"{path.name}.damaged-{stamp}{end}" for end in ("", *(f"-{i}" for i in range(2, 99))))
    aside = next(path.with_name(name) for name in names if not path.with_name(name).exists())
    for end in COMPANIONS:
        if _companion(path, end).exists():
            os.replace(_companion(path, end), _companion(aside, end))
    return aside


def _companion(path: Path, end: str) -> Path:
    return path.with_name(path.name + end)
