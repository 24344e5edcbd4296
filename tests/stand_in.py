"""A lab without processes: questions are answered here and now, commands are written down."""

import json
import sys
import threading
import types
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch

from explorer.answering import CANCELLED, Answerer
from explorer.flow import flow
from explorer.lanes import NUMBERS, Asked, Json
from explorer.spec import RunSpec
from explorer.store import Comparison, Store, this_process
from explorer.ui.lab import Lab

Answer = list[dict[str, Any]]
ANSWERS: dict[str, str] = {}  # of all tests of this process, as JSON by the question


@dataclass
class Inquired(Asked):
    """A question that was put, what it was, and in which lane."""

    question: Json = field(default_factory=dict)
    slow: bool = False
    cancelled: bool = False

    @property
    def what(self) -> str:
        return str(self.question["what"])

    def cancel(self) -> None:
        """Give it up, as a worker does."""
        self.cancelled = True
        if not self.future.done():
            self.future.set_exception(ValueError(CANCELLED))


class StandIn:
    """What pages and views call of an Executor."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.trouble = ""
        self.busy = False  # then nothing is answered
        self.error = ""  # then everything is answered with this line
        self.asked: list[str] = []  # keys of what was measured, in order
        self.open: list[tuple[list[RunSpec], Future[Answer]]] = []
        self.inquired: list[Inquired] = []  # questions about networks, in order
        self.left_open: set[str] = set()  # analyses that are not answered before `settle`
        self.answerer = Answerer(torch.device("cpu"))
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

    def ask(self, question: Json, slow: bool) -> Asked:
        """A question about networks, answered in process unless its analysis is left open."""
        asked = Inquired(next(NUMBERS), None, question=question, slow=slow)
        self.inquired.append(asked)
        if asked.what not in self.left_open:
            self._settle(asked)
        return asked

    def settle(self, *what: str) -> None:
        """Answer the open questions of these analyses, by default all."""
        for asked in self.inquired:
            if not asked.future.done() and asked.what in (what or {asked.what}):
                self._settle(asked)

    def count(self, what: str, done: int, total: int) -> None:
        """Report progress of the open questions of that analysis."""
        for asked in self.inquired:
            if asked.what == what and not asked.future.done():
                asked.progress = (done, total)

    def _settle(self, asked: Inquired) -> None:
        try:
            if self.error:
                raise ValueError(self.error)
            asked.future.set_result(self._answer(asked.question))
        except (ValueError, RuntimeError) as error:
            asked.future.set_exception(ValueError(str(error)))

    def _answer(self, question: Json) -> Json:
        """The answer as it comes through a pipe; computed once for all tests."""
        said = json.dumps(question)
        if said not in ANSWERS:
            answer = self.answerer.answer(question, lambda done, total: None, lambda: False)
            ANSWERS[said] = json.dumps(answer)
        found: Json = json.loads(ANSWERS[said])
        return found

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
