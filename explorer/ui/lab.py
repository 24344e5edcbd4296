"""The one store and the one set of workers of this server, shared by all visitors."""

import os
import sys
import threading
import types
from dataclasses import dataclass, field
from functools import cached_property

from explorer.executors import Executor
from explorer.store import Store
from explorer.sweeping import Sweeping

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

    @cached_property
    def sweeping(self) -> Sweeping:
        """What trains sweeps with the executor's workers."""
        return Sweeping(self.store, self.executor)

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
            store.table.delete_aside()
            made = Lab(store, Executor(store, device, most))
            made.sweeping  # noqa: B018  # now, while nobody else can make another
            holder.lab = made  # type: ignore[attr-defined]
        found: Lab = holder.lab
        return found


def close() -> None:
    """End this process's workers, if it has any."""
    holder = sys.modules.get("_explorer_lab")
    if holder is not None and hasattr(holder, "lab"):
        holder.lab.executor.shutdown()
