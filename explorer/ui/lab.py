"""The one store and the one set of workers of this server, shared by all visitors."""

import os
import sys
import threading
import types
from dataclasses import dataclass, field

from explorer.executors import Executor
from explorer.store import Store

LOCK = threading.Lock()


@dataclass(frozen=True)
class Lab:
    """Where runs live and what trains them, and what is still to be said of their store."""

    store: Store
    executor: Executor
    notices: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.store.notice:
            self.notices.append(self.store.notice)

    def take_notice(self) -> str:
        """A line for the first visitor who asks, such as that a damaged store was set aside."""
        return self.notices.pop() if self.notices else ""


def lab() -> Lab:
    """This process's lab, made and warmed up by the first call.

    It hangs on a module of its own, which outlives the re-import of an edited source file.
    `EXPLORER_DEVICE` and `EXPLORER_MAX_WORKERS` are set by `explorer app`.
    """
    holder = sys.modules.setdefault("_explorer_lab", types.ModuleType("_explorer_lab"))
    with LOCK:
        if not hasattr(holder, "lab"):
            device = os.environ.get("EXPLORER_DEVICE", "auto")
            most = int(os.environ.get("EXPLORER_MAX_WORKERS", "0")) or None
            store = Store()
            holder.lab = Lab(store, Executor(store, device, most))  # type: ignore[attr-defined]
        made: Lab = holder.lab
        return made


def close() -> None:
    """End this process's workers, if it has any."""
    holder = sys.modules.get("_explorer_lab")
    if holder is not None and hasattr(holder, "lab"):
        holder.lab.executor.shutdown()
