"""Questions about networks at initialisation, put to a worker of their own.

So they are answered while others train. No torch here.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any

from explorer.processes import Worker
from explorer.spec import RunSpec, short_form

Answer = list[dict[str, Any]]
GONE = "the measuring process has ended"


class Measurements:
    """Open questions and the worker that answers them, which is made anew when it dies.

    Its owner holds a lock around every call.
    """

    def __init__(self, make_worker: Callable[[], Worker], warm: bool) -> None:
        self.make_worker = make_worker
        self.worker: Worker | None = make_worker() if warm else None
        self.asked: dict[int, tuple[Worker, Future[Answer]]] = {}
        self.questions = 0

    def ask(self, specs: Sequence[RunSpec], seeds: int, trouble: str) -> "Future[Answer]":
        """The flows of `specs`, as JSON objects, when the worker has them."""
        self.questions += 1
        future: Future[Answer] = Future()
        texts = [short_form(spec) for spec in specs]
        self.worker = self.worker or (None if trouble else self.make_worker())
        question = {"do": "measure", "id": self.questions, "specs": texts, "seeds": seeds}
        if self.worker is not None and self.worker.send(**question):
            self.asked[self.questions] = (self.worker, future)
        else:
            future.set_exception(ValueError(trouble or GONE))
        return future

    def answered(self, reply: dict[str, Any]) -> None:
        """Hand a worker's answer to who asked."""
        future = self.asked.pop(reply["id"])[1]
        if "error" in reply:
            future.set_exception(ValueError(reply["error"]))
        else:
            future.set_result(reply["flows"])

    def lost(self, worker: Worker, why: str, again: bool) -> None:
        """A worker died: say so to those who asked it; `again` says whether to make another."""
        for number, (asked, future) in list(self.asked.items()):
            if asked is worker:
                del self.asked[number]
                future.set_exception(ValueError(f"the measuring process ended ({why})"))
        if worker is self.worker and again:
            self.worker = self.make_worker()

    def revive(self) -> None:
        """Make another worker if the one there was is gone."""
        if self.worker is not None and self.worker.process.poll() is not None:
            self.worker = self.make_worker()
