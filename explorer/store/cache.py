"""Measured objects by kind and key, so that nothing is measured twice. Inside a transaction."""

import json
import sqlite3
from typing import Any

MOST = 2000  # entries of all kinds together


def put(connection: sqlite3.Connection, kind: str, key: str, value: dict[str, Any]) -> None:
    """Keep a JSON-able object, and of all the newest MOST."""
    entry = (kind, key, json.dumps(value))
    connection.execute("INSERT OR REPLACE INTO cache VALUES (?, ?, ?)", entry)
    connection.execute(
        "DELETE FROM cache WHERE rowid IN"
        " (SELECT rowid FROM cache ORDER BY rowid DESC LIMIT -1 OFFSET ?)",
        (MOST,),
    )


def get(connection: sqlite3.Connection, kind: str, key: str) -> dict[str, Any] | None:
    """The object, if it is still kept."""
    row = connection.execute(
        "SELECT value FROM cache WHERE kind = ? AND key = ?", (kind, key)
    ).fetchone()
    value: dict[str, Any] | None = None if row is None else json.loads(row[0])
    return value
