"""Worker processes as the app sees them: warm, few, replaced when they die, with a short queue.

No torch here. A comparison goes to an idle worker or waits in a bounded queue; measurements
at initialisation go to a worker of their own, so that they answer while others train.
"""

import atexit
import contextlib
import os
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any

from explorer.home import home
from explorer.processes import Worker
from explorer.spec import RunSpec, SpecError, short_form
from explorer.store import Comparison, State, Store, StoreError, owner_alive, this_process
from explorer.store.records import ACTIVE

QUEUE = 8  # comparisons that may wait
ENDED = "the worker process ended unexpectedly ({why}); Resume goes on from the last checkpoint"
NO_WORKER = "no worker can be started ({why}); see {log}"
NOT_TRAINED = "it could not be trained to its end; the data folder's worker.log says why"


class Executor:
    """All workers of this process. Its methods may be called from any thread."""

    def __init__(self, store: Store, device: str = "auto", max_workers: int | None = None) -> None:
        self.store = store
        self.device = device
        self.max_workers = max_workers or max(1, (os.cpu_count() or 2) // 2)
        self.lock = threading.RLock()
        self.trainers: list[Worker] = []
        self.waiting: list[str] = []
        self.paused: set[str] = set()  # those that wait before their first step
        self.asked: dict[int, tuple[Worker, Future[list[dict[str, Any]]]]] = {}
        self.questions = 0
        self.closed = False
        self.trouble = ""  # why no worker can be started, in one line
        store.mark_orphans(owner_alive)
        self.measurer = self._worker()
        self.trainers.append(self._worker())
        atexit.register(self.shutdown)

    def _worker(self) -> Worker:
        return Worker(self.device, self._on_reply)

    def start(self, arms: Sequence[tuple[str, RunSpec]], paused: bool = False) -> Comparison:
        """Put a comparison of these (name, spec) arms to work, or into the queue.

        `paused`: it waits before its first step. SpecError when the queue is full.
        """
        with self.lock:
            self._check_room()
            comparison = self.store.add_comparison(arms, this_process())
            self._enqueue(comparison.id, paused)
            return comparison

    def resume(self, comparison: str) -> None:
        """Let a stopped, interrupted or failed comparison go on from its checkpoint.

        StoreError if it is not there, or if another program trains it.
        """
        with self.lock:
            found = self.store.comparison(comparison)
            active = found is not None and found.state in ACTIVE
            if comparison in self.waiting or (active and self.worker_of(comparison)):
                return
            self._check_room()
            if active:
                self._check_owner(comparison)
            self.store.set_owner(comparison, this_process())
            for run in found.runs if found else ():
                if run.state not in ("done", "diverged"):
                    self.store.update(run.id, state="queued", message="")
            self._enqueue(comparison)

    def _check_owner(self, comparison: str) -> None:
        owner = self.store.owner(comparison)
        if owner != this_process() and owner_alive(owner):
            process = owner.partition(":")[0]
            raise StoreError(
                f"comparison: '{comparison}' is trained by another program (process {process});"
                " stop it there"
            )

    def _check_room(self) -> None:
        if len(self.waiting) >= QUEUE:
            allowed = f"at most {QUEUE} wait at once; stop one or come back later"
            raise SpecError("queue", f"{len(self.waiting)} waiting", allowed)

    def _enqueue(self, comparison: str, paused: bool = False) -> None:
        self._try_again()
        self.waiting.append(comparison)
        if paused:
            self.paused.add(comparison)
        self._dispatch()

    def _try_again(self) -> None:
        """After trouble a visitor's next start is a new try, and nothing else is."""
        if self.trouble and not self.closed:
            self.trouble = ""
            if self.measurer.process.poll() is not None:
                self.measurer = self._worker()

    def _dispatch(self) -> None:
        """Give waiting comparisons to idle workers, and keep one idle worker warm."""
        while self.waiting and not self.closed and not self.trouble:
            idle = [worker for worker in self.trainers if worker.comparison is None]
            if not idle:
                if len(self.trainers) >= self.max_workers:
                    return
                idle = [self._worker()]
                self.trainers += idle
            # One that was resumed at once waits until the worker that ended it has said so.
            comparison = next((c for c in self.waiting if self.worker_of(c) is None), None)
            if comparison is None:
                return
            self.waiting.remove(comparison)
            idle[0].comparison = comparison
            paused = comparison in self.paused
            self.paused.discard(comparison)
            idle[0].send(do="start", comparison=comparison, paused=paused)

    def queue_position(self, comparison: str) -> int:
        """1 for the next to start, 0 for one that does not wait."""
        with self.lock:
            return self.waiting.index(comparison) + 1 if comparison in self.waiting else 0

    def worker_of(self, comparison: str) -> Worker | None:
        """The worker that trains it, if one of this process does."""
        with self.lock:
            found = (worker for worker in self.trainers if worker.comparison == comparison)
            return next(found, None)

    def command(self, comparison: str, do: str, **details: Any) -> bool:
        """Send pause, resume, step, stop, lr, skip or residual; False if nobody trains it."""
        with self.lock:
            if do == "stop" and comparison in self.waiting:
                self.waiting.remove(comparison)
                self.paused.discard(comparison)
                self._mark(comparison, "stopped", "")
                return True
            worker = self.worker_of(comparison)
            return worker is not None and worker.send(do=do, **details)

    def _mark(self, comparison: str, state: State, message: str) -> None:
        found = self.store.comparison(comparison)
        for run in found.runs if found else ():
            if run.state in ACTIVE:
                self.store.update(run.id, state=state, message=message)

    @property
    def measuring(self) -> bool:
        """Whether a measurement is under way or waits."""
        return bool(self.asked)

    def measure(self, specs: Sequence[RunSpec], seeds: int = 1) -> "Future[list[dict[str, Any]]]":
        """The flows of networks at initialisation, as JSON objects, when the worker has them.

        The future raises SpecError if they cannot be measured.
        """
        with self.lock:
            self.questions += 1
            future: Future[list[dict[str, Any]]] = Future()
            texts = [short_form(spec) for spec in specs]
            if self.measurer.send(do="measure", id=self.questions, specs=texts, seeds=seeds):
                self.asked[self.questions] = (self.measurer, future)
            else:
                future.set_exception(ValueError(self.trouble or "the measuring process has ended"))
            return future

    def _on_reply(self, worker: Worker, reply: dict[str, Any]) -> None:
        with self.lock:
            if reply["event"] == "measured":
                future = self.asked.pop(reply["id"])[1]
                if "error" in reply:
                    future.set_exception(ValueError(reply["error"]))
                else:
                    future.set_result(reply["flows"])
            elif reply["event"] == "idle":  # the session has said how it ended, if it could
                self._settle(worker, "failed", NOT_TRAINED)
                worker.comparison = None
                self._dispatch()
            elif reply["event"] == "gone" and not self.closed:
                self._replace(worker, reply["code"])

    def _replace(self, worker: Worker, code: int) -> None:
        """A worker died: say so on what it trained or measured, and start another."""
        why = f"signal {-code}" if code < 0 else f"exit code {code}"
        for number, (asked, future) in list(self.asked.items()):
            if asked is worker:
                del self.asked[number]
                future.set_exception(ValueError(f"the measuring process ended ({why})"))
        if not worker.was_ready:  # another one would fare no better
            self._give_up(NO_WORKER.format(why=worker.reason or why, log=home() / "worker.log"))
        if worker is self.measurer:
            self.measurer = self.measurer if self.trouble else self._worker()
        if worker not in self.trainers:
            return
        self.trainers.remove(worker)
        if worker.was_ready:
            self._settle(worker, "interrupted", ENDED.format(why=why))
        else:
            self._settle(worker, "failed", self.trouble)
        if not self.trainers and not self.trouble:
            self.trainers.append(self._worker())
        self._dispatch()

    def _give_up(self, trouble: str) -> None:
        self.trouble = trouble
        for waiting in self.waiting:
            with contextlib.suppress(StoreError):
                self._mark(waiting, "failed", trouble)
        self.waiting.clear()
        self.paused.clear()

    def _settle(self, worker: Worker, state: State, message: str) -> None:
        """Mark what the worker left unfinished; what the store does not take waits for restart."""
        if worker.comparison is not None and worker.comparison not in self.waiting:
            with contextlib.suppress(StoreError):
                self._mark(worker.comparison, state, message)

    def shutdown(self) -> None:
        """End all workers; what they trained is committed, checkpointed and resumable."""
        with self.lock:
            if self.closed:
                return
            self.closed = True
            workers = [self.measurer, *self.trainers]
        for worker in workers:
            worker.hang_up()
        for waiting in self.waiting:
            with contextlib.suppress(StoreError):
                self._mark(waiting, "interrupted", "the app ended before it was its turn")
        for worker in workers:
            worker.wait()
            self._settle(worker, "interrupted", "the app ended")
