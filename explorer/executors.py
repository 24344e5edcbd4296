"""Worker processes as the app sees them: warm, few, replaced when they die, with a short queue.

No torch here. A comparison goes to an idle worker or waits in a bounded queue; measurements
at initialisation go to a worker of their own, so that they answer while others train. Work
behind the scenes (sweeps) takes the cores that are free: a visitor's comparison goes first.
"""

import atexit
import contextlib
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any, Protocol, cast

from explorer.home import home
from explorer.lanes import GONE, Asked, Json, Lane
from explorer.pool import Pool
from explorer.processes import Worker
from explorer.spec import RunSpec, SpecError, short_form
from explorer.store import Comparison, State, Store, StoreError, owner_alive, this_process
from explorer.store.records import ACTIVE

QUEUE = 8  # comparisons that may wait
ENDED = "the worker process ended unexpectedly ({why}); Resume goes on from the last checkpoint"
NO_WORKER = "no worker can be started ({why}); see {log}"
NOT_TRAINED = "it could not be trained to its end; the data folder's worker.log says why"


class Behind(Protocol):
    """Where comparisons come from that are trained behind the scenes."""

    def next(self) -> str | None:
        """The next comparison to train, or None."""

    def ended(self, comparison: str) -> None:
        """A comparison has ended, however it did."""

    def close(self, message: str = ...) -> None:
        """No more will be trained."""


class Executor:
    """All workers of this process. Its methods may be called from any thread.

    `max_workers` bounds the comparisons trained at once; by default half the cores, as two arms
    take two, and as many as there are cores for runs of one arm behind the scenes. `reserve`
    idle workers stay for visitors.
    """

    def __init__(
        self,
        store: Store,
        device: str = "auto",
        max_workers: int | None = None,
        reserve: int = 1,
    ) -> None:
        self.store = store
        self.device = device
        self.behind: Behind | None = None
        self.lock = threading.RLock()
        self.waiting: list[str] = []
        self.paused: set[str] = set()  # those that wait before their first step
        self.closed = False
        self.trouble = ""  # why no worker can be started, in one line
        store.mark_orphans(owner_alive)
        self.quick = Lane(self._worker, warm=reserve > 0)
        self.slow = Lane(self._worker, warm=False)
        self.pool = Pool(self._worker, max_workers, reserve)
        atexit.register(self.shutdown)

    def _worker(self) -> Worker:
        return Worker(self.device, self._on_reply)

    @property
    def workers(self) -> list[Worker]:
        """Those that answer questions, once there are any, and those that train."""
        answering = [lane.worker for lane in (self.quick, self.slow) if lane.worker is not None]
        return [*answering, *self.pool.workers]

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
            self.quick.revive()
            self.slow.revive()

    def dispatch(self) -> None:
        """Look for work for idle workers, and for workers for the work that waits."""
        with self.lock:
            self._try_again()
            self._dispatch()

    def _dispatch(self) -> None:
        """What visitors wait for first; then, on the cores that are free, what runs behind."""
        while self.waiting and self._able and self.pool.has_room(behind=False):
            # One that was resumed at once waits until the worker that ended it has said so.
            comparison = next((c for c in self.waiting if self.pool.of(c) is None), None)
            if comparison is None:
                return
            self.waiting.remove(comparison)
            self._give(comparison, behind=False)
        while self.behind is not None and self._able and self.pool.has_room(behind=True):
            comparison = self.behind.next()
            if comparison is None:
                self.pool.send_home()
                return
            self._give(comparison, behind=True)

    @property
    def _able(self) -> bool:
        return not self.closed and not self.trouble

    def _give(self, comparison: str, behind: bool) -> None:
        found = self.store.comparison(comparison)
        paused = comparison in self.paused
        self.paused.discard(comparison)
        self.pool.give(comparison, len(found.runs) if found else 1, behind, paused)

    @property
    def runs_at_once(self) -> int:
        """How many members of a sweep may train at once."""
        return self.pool.most_behind

    def queue_position(self, comparison: str) -> int:
        """1 for the next to start, 0 for one that does not wait."""
        with self.lock:
            return self.waiting.index(comparison) + 1 if comparison in self.waiting else 0

    def worker_of(self, comparison: str) -> Worker | None:
        """The worker that trains it, if one of this process does."""
        with self.lock:
            return self.pool.of(comparison)

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
        """Whether a quick question is under way or waits."""
        return bool(self.quick.asked)

    def measure(self, specs: Sequence[RunSpec], seeds: int = 1) -> "Future[list[Json]]":
        """The flows of networks at initialisation, as JSON objects, when the worker has them.

        The future raises ValueError if they cannot be measured.
        """
        texts = [short_form(spec) for spec in specs]
        asked = self.ask({"what": "flow", "specs": texts, "seeds": seeds}, slow=False)
        return cast("Future[list[Json]]", asked.future)

    def ask(self, question: Json, slow: bool) -> Asked:
        """Put a question to a worker (explorer/answering.py); `slow` ones wait for each other."""
        with self.lock:
            lane = self.slow if slow else self.quick
            return lane.ask(question, self.trouble or (GONE if self.closed else ""))

    def _on_reply(self, worker: Worker, reply: dict[str, Any]) -> None:
        with self.lock:
            if reply["event"] in ("answered", "counted"):
                self.quick.take(reply)
                self.slow.take(reply)
            elif reply["event"] == "idle":  # the session has said how it ended, if it could
                self._settle(worker, "failed", NOT_TRAINED)
                self._let_go(worker)
                self._dispatch()
            elif reply["event"] == "ready":
                self.pool.has_gpus(reply["gpus"])
            elif reply["event"] == "gone" and not self.closed:
                self._replace(worker, reply["code"])

    def _replace(self, worker: Worker, code: int) -> None:
        """A worker died: say so on what it trained or measured, and start another."""
        if worker not in self.workers:  # it was sent home
            return
        why = f"signal {-code}" if code < 0 else f"exit code {code}"
        if not worker.was_ready:  # another one would fare no better
            self._give_up(NO_WORKER.format(why=worker.reason or why, log=home() / "worker.log"))
        for lane in (self.quick, self.slow):
            lane.lost(worker, why, again=not self.trouble)
        if worker not in self.pool.workers:
            return
        self.pool.workers.remove(worker)
        if worker.was_ready:
            self._settle(worker, "interrupted", ENDED.format(why=why))
        else:
            self._settle(worker, "failed", self.trouble)
        self._let_go(worker)
        if not self.pool.workers and not self.trouble:
            self.pool.workers.append(self._worker())
        self._dispatch()

    def _let_go(self, worker: Worker) -> None:
        comparison, worker.comparison = worker.comparison, None
        if comparison is not None and self.behind is not None:
            with contextlib.suppress(StoreError):
                self.behind.ended(comparison)

    def _give_up(self, trouble: str) -> None:
        self.trouble = trouble
        self._close_behind(trouble)
        for waiting in self.waiting:
            with contextlib.suppress(StoreError):
                self._mark(waiting, "failed", trouble)
        self.waiting.clear()
        self.paused.clear()

    def _close_behind(self, *message: str) -> None:
        if self.behind is not None:
            with contextlib.suppress(StoreError):
                self.behind.close(*message)

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
            self._close_behind()
            workers = self.workers
        for worker in workers:
            worker.hang_up()
        for waiting in self.waiting:
            with contextlib.suppress(StoreError):
                self._mark(waiting, "interrupted", "the app ended before it was its turn")
        for worker in workers:
            worker.wait()
            self._settle(worker, "interrupted", "the app ended")
