"""Questions about networks, each put to a worker that does nothing else. No torch here.

So they are answered while others train. What is quick has a lane of its own, so that it does
not wait behind what takes long.
"""

import itertools
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from explorer.processes import Worker

Json = dict[str, Any]
GONE = "the measuring process has ended"
CANCELLED = "cancelled"
NUMBERS = itertools.count(1)  # of questions, one series for all lanes


@dataclass
class Asked:
    """A question under way: its answer to come, and how far it is."""

    number: int
    worker: Worker | None
    future: "Future[Json]" = field(default_factory=Future)
    progress: tuple[int, int] = (0, 0)  # done, of how many

    def cancel(self) -> None:
        """Have the worker give it up; its future then raises ValueError("cancelled")."""
        if self.worker is not None:
            self.worker.send(do="cancel", id=self.number)


class Lane:
    """Open questions and the worker that answers them in turn, made anew when it dies.

    Its owner holds a lock around every call.
    """

    def __init__(self, make_worker: Callable[[], Worker], warm: bool) -> None:
        self.make_worker = make_worker
        self.worker: Worker | None = make_worker() if warm else None
        self.asked: dict[int, Asked] = {}

    def ask(self, question: Json, trouble: str) -> Asked:
        """Put a question; `trouble` says why no worker can be made, if that is so."""
        number = next(NUMBERS)
        self.worker = self.worker or (None if trouble else self.make_worker())
        asked = Asked(number, self.worker)
        if self.worker is not None and self.worker.send(do="answer", id=number, **question):
            self.asked[number] = asked
        else:
            asked.future.set_exception(ValueError(trouble or GONE))
        return asked

    def take(self, reply: Json) -> None:
        """Hand on a worker's progress or answer; what is of another lane is let pass."""
        if reply["id"] not in self.asked:
            return
        if reply["event"] == "counted":
            self.asked[reply["id"]].progress = (reply["done"], reply["all"])
            return
        future = self.asked.pop(reply["id"]).future
        if "error" in reply:
            future.set_exception(ValueError(reply["error"]))
        else:
            future.set_result(reply["answer"])

    def lost(self, worker: Worker, why: str, again: bool) -> None:
        """A worker died: say so to those who asked it; `again` says whether to make another."""
        for number, asked in list(self.asked.items()):
            if asked.worker is worker:
                del self.asked[number]
                asked.future.set_exception(ValueError(f"the measuring process ended ({why})"))
        if worker is self.worker:
            self.worker = self.make_worker() if again else self.worker

    def revive(self) -> None:
        """Make another worker if the one there was is gone."""
        if self.worker is not None and self.worker.process.poll() is not None:
            self.worker = self.make_worker()
