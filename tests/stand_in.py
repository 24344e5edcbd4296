"""A lab without processes: flows are measured here and now, and commands are written down."""

import sys
import threading
import types
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any

import pytest

from explorer.flow import flow
from explorer.spec import RunSpec
from explorer.store import Comparison, Store, this_process
from explorer.ui.lab import Lab

Answer = list[dict[str, Any]]


class StandIn:
    """What pages and views call of an Executor."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.trouble = ""
        self.busy = False  # then nothing is answered
        self.error = ""  # then everything is answered with this line
        self.asked: list[str] = []  # keys of what was measured, in order
        self.open: list[tuple[list[RunSpec], Future[Answer]]] = []
        self.commands: list[tuple[str, str, dict[str, Any]]] = []
        self.position = 0
        self.ended = False
        self.lock = threading.RLock()
        self.behind: Any = None
        self.runs_at_once = 2

    def dispatch(self) -> None:
        """Nobody trains here: what a sweep would start next is left to it."""

    def worker_of(self, comparison: str) -> None:
        return None

    @property
    def measuring(self) -> bool:
        return bool(self.open)

    def measure(self, specs: Sequence[RunSpec], seeds: int = 1) -> "Future[Answer]":
        future: Future[Answer] = Future()
        self.asked += [spec.key for spec in specs]
        self.open.append((list(specs), future))
        if not self.busy:
            self.answer()
        return future

    def answer(self) -> None:
        """Answer every open question."""
        for specs, future in self.open:
            if self.error:
                future.set_exception(ValueError(self.error))
            else:
                future.set_result([flow(spec, device="cpu").to_json() for spec in specs])
        self.open.clear()

    def start(self, arms: Sequence[tuple[str, RunSpec]], paused: bool = False) -> Comparison:
        comparison = self.store.add_comparison(arms, this_process())
        self.commands.append((comparison.id, "start", {"paused": paused}))
        return comparison

    def resume(self, comparison: str) -> None:
        self.commands.append((comparison, "resume_it", {}))

    def command(self, comparison: str, do: str, **details: Any) -> bool:
        self.commands.append((comparison, do, details))
        return not self.trouble

    def queue_position(self, comparison: str) -> int:
        return self.position

    def shutdown(self) -> None:
        self.ended = True


def install(patch: pytest.MonkeyPatch) -> StandIn:
    """Make a StandIn this process's executor, on the store of EXPLORER_HOME."""
    executor = StandIn(Store())
    holder: Any = types.ModuleType("_explorer_lab")
    holder.lab = Lab(executor.store, executor)  # type: ignore[arg-type]
    patch.setitem(sys.modules, "_explorer_lab", holder)
    return executor
