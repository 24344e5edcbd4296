"""The store: runs, readings and events in one SQLite file, all that app and workers share."""

from explorer.store.owners import owner_alive, this_process
from explorer.store.records import (
    ACTIVE,
    ENDED,
    Comparison,
    Event,
    Member,
    Row,
    Run,
    State,
    StoreError,
    Sweep,
)
from explorer.store.store import Store

__all__ = [
    "ACTIVE",
    "ENDED",
    "Comparison",
    "Event",
    "Member",
    "Row",
    "Run",
    "State",
    "Store",
    "StoreError",
    "Sweep",
    "owner_alive",
    "this_process",
]
