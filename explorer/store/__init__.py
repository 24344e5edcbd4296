"""The store: runs, readings and events in one SQLite file, all that app and workers share."""

from explorer.store.owners import owner_alive, this_process
from explorer.store.records import Comparison, Event, Run, State, StoreError
from explorer.store.store import Store

__all__ = [
    "Comparison",
    "Event",
    "Run",
    "State",
    "Store",
    "StoreError",
    "owner_alive",
    "this_process",
]
