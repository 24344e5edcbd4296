"""Worker processes as the app sees them: warm, few, replaced when they die, with a short queue.

No torch here. A comparison goes to an idle worker or waits in a bounded queue; measurements
at initialisation go to a worker of their own, so that they answer while others train. Work
behind the scenes (sweeps) takes the cores that are free: a visitor's comparison goes first.
"""

import atexit
import contextlib
import os
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any, Protocol

from explorer.home import home
from explorer.measuring import Measurements
from explorer.processes import Worker
from explorer.spec import RunSpec, SpecError
from explorer.store import Comparison, State, Store, StoreError, owner_alive, this_process
from explorer.store.records import ACTIVE

QUEUE = 8  # comparisons that may wait
MOST_WORKERS = 16  # unless more are asked for
RUNS_PER_GPU = 4  # small networks leave most of one idle
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
        cores = os.cpu_count() or 2
        self.store = store
        self.device = device
        self.max_workers = max_workers or max(1, cores // 2)
        self.max_behind = max_workers or min(cores, MOST_WORKERS)
        self.chosen = max_workers is not None
        self.threads = max(cores, self.max_behind)
        self.reserve = reserve
        self.behind: Behind | None = None
        self.lock = threading.RLock()
        self.trainers: list[Worker] = []
        self.waiting: list[str] = []
        self.paused: set[str] = set()  # those that wait before their first step
        self.closed = False
        self.trouble = ""  # why no worker can be started, in one line
        store.mark_orphans(owner_alive)
        self.measurements = Measurements(self._worker, warm=reserve > 0)
        self.trainers.append(self._worker())
        atexit.register(self.shutdown)

    def _worker(self) -> Worker:
        return Worker(self.device, self._on_reply)

    @property
    def workers(self) -> list[Worker]:
        """The one that measures, once there is one, and those that train."""
        measurer = self.measurements.worker
        return [*([measurer] if measurer else []), *self.trainers]

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
            self.measurements.revive()

    def dispatch(self) -> None:
        """Look for work for idle workers, and for workers for the work that waits."""
        with self.lock:
            self._try_again()
            self._dispatch()

    def _dispatch(self) -> None:
        """What visitors wait for first; then, on the cores that are free, what runs behind."""
        while self.waiting and self._able and len(self._busy(behind=False)) < self.max_workers:
            # One that was resumed at once waits until the worker that ended it has said so.
            comparison = next((c for c in self.waiting if self.worker_of(c) is None), None)
            if comparison is None:
                return
            self.waiting.remove(comparison)
            self._give(self._idle_worker(), comparison, behind=False)
        while self.behind is not None and self._able and self._has_free_core:
            comparison = self.behind.next()
            if comparison is None:
                self._send_home()
                return
            self._give(self._idle_worker(self.reserve), comparison, behind=True)

    @property
    def _able(self) -> bool:
        return not self.closed and not self.trouble

    def _busy(self, behind: bool) -> list[Worker]:
        return [w for w in self.trainers if w.comparison is not None and w.behind == behind]

    @property
    def _has_free_core(self) -> bool:
        behind = self._busy(behind=True)
        threads = sum(worker.arms for worker in (*behind, *self._busy(behind=False)))
        return len(behind) < self.max_behind and threads < self.threads

    def _idle_worker(self, keep: int = 0) -> Worker:
        """One that has nothing to do, or a new one; `keep` more of them are left or started."""
        idle = [worker for worker in self.trainers if worker.comparison is None]
        fresh = [self._worker() for _ in range(1 + keep - len(idle))]
        self.trainers += fresh
        return (idle + fresh)[0]

    def _give(self, worker: Worker, comparison: str, behind: bool) -> None:
        found = self.store.comparison(comparison)
        worker.comparison, worker.behind = comparison, behind
        worker.arms = len(found.runs) if found else 1
        paused = comparison in self.paused
        self.paused.discard(comparison)
        worker.send(do="start", comparison=comparison, paused=paused)

    def _send_home(self) -> None:
        """End idle workers that a sweep has left; one stays warm for visitors."""
        idle = [worker for worker in self.trainers if worker.comparison is None]
        for worker in idle[max(1, self.reserve) :]:
            self.trainers.remove(worker)
            worker.hang_up()

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
        return bool(self.measurements.asked)

    def measure(self, specs: Sequence[RunSpec], seeds: int = 1) -> "Future[list[dict[str, Any]]]":
        """The flows of networks at initialisation, as JSON objects, when the worker has them.

        The future raises SpecError if they cannot be measured.
        """
        with self.lock:
            return self.measurements.ask(specs, seeds, self.trouble)

    def _on_reply(self, worker: Worker, reply: dict[str, Any]) -> None:
        with self.lock:
            if reply["event"] == "measured":
                self.measurements.answered(reply)
            elif reply["event"] == "idle":  # the session has said how it ended, if it could
                self._settle(worker, "failed", NOT_TRAINED)
                self._let_go(worker)
                self._dispatch()
            elif reply["event"] == "ready" and reply["gpus"] and not self.chosen:
                self.max_behind = RUNS_PER_GPU * reply["gpus"]
            elif reply["event"] == "gone" and not self.closed:
                self._replace(worker, reply["code"])

    def _replace(self, worker: Worker, code: int) -> None:
        """A worker died: say so on what it trained or measured, and start another."""
        if worker not in self.workers:  # it was sent home
            return
        why = f"signal {-code}" if code < 0 else f"exit code {code}"
        if not worker.was_ready:  # another one would fare no better
            self._give_up(NO_WORKER.format(why=worker.reason or why, log=home() / "worker.log"))
        self.measurements.lost(worker, why, again=not self.trouble)
        if worker not in self.trainers:
            return
        self.trainers.remove(worker)
        if worker.was_ready:
            self._settle(worker, "interrupted", ENDED.format(why=why))
        else:
            self._settle(worker, "failed", self.trouble)
        self._let_go(worker)
        if not self.trainers and not self.trouble:
            self.trainers.append(self._worker())
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
