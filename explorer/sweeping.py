"""Sweeps on this machine: their members one after the other to the workers, several at once.

A member that the store has finished is taken from there; one whose worker died is tried again.
What a sweep's state is stands in the store, so whoever cancels it there, from a second browser
or another program, is obeyed.
"""

import threading
from collections import Counter, deque
from collections.abc import Sequence
from typing import Any, Protocol

from explorer.comparison import names
from explorer.spec import RunSpec
from explorer.store import (
    ACTIVE,
    ENDED,
    Member,
    Run,
    Store,
    StoreError,
    Sweep,
    owner_alive,
    this_process,
)

RETRIES = 2  # of a member whose worker died
LOOK = 0.3  # seconds between looks at whether somebody cancelled
APP_ENDED = "the app ended; Resume trains what is left"
FAILED = "{count} of {all} runs failed; Resume tries them again"


class Trains(Protocol):
    """What trains the members: an Executor, or its twin on Ray."""

    lock: Any  # held while members are handed out and taken back
    behind: Any  # the Sweeping, once there is one

    def dispatch(self) -> None:
        """Look for work."""

    def worker_of(self, comparison: str) -> object | None:
        """What trains it, if anything does."""

    def command(self, comparison: str, do: str) -> bool:
        """Send a command to what trains it."""


class Sweeping:
    """The sweeps of this process. Its methods may be called from any thread."""

    def __init__(self, store: Store, executor: Trains) -> None:
        self.store = store
        self.executor = executor
        self.lock = executor.lock
        self.pending: dict[str, deque[int]] = {}  # members of each active sweep, in order
        self.going: dict[str, tuple[str, int]] = {}  # by comparison: sweep and member
        self.tries: Counter[tuple[str, int]] = Counter()
        self.stopping: set[str] = set()  # comparisons that a cancelled sweep has told to stop
        self.fresh: set[str] = set()  # sweeps that take nothing from the store
        self.watcher: threading.Thread | None = None
        executor.behind = self

    def start(self, name: str, specs: Sequence[RunSpec], reuse: bool = True) -> Sweep:
        """Train these specs, those not finished yet; with `reuse` false, all of them."""
        with self.lock:
            sweep = self.store.sweeps.add(name, specs, this_process(), reuse)
            self.fresh |= set() if reuse else {sweep.id}
            self._activate(sweep)
        return self.store.sweeps.get(sweep.id) or sweep

    def resume(self, sweep_id: str) -> None:
        """Train what a cancelled, interrupted or partly failed sweep has left.

        StoreError if it is not there, or if another program trains it.
        """
        with self.lock:
            sweep = self._found(sweep_id)
            if sweep_id in self.pending:
                return
            if sweep.state == "running" and owner_alive(sweep.owner):
                process = sweep.owner.partition(":")[0]
                raise StoreError(
                    f"sweep: '{sweep_id}' is trained by another program (process {process});"
                    " cancel it first"
                )
            self.store.sweeps.update(sweep_id, state="running", owner=this_process(), message="")
            self._activate(sweep)

    def cancel(self, sweep_id: str) -> None:
        """Start no more of its members and stop those that train; what they did is kept."""
        if self._found(sweep_id).state == "running":
            self.store.sweeps.update(sweep_id, state="cancelled")
        with self.lock:
            self._drop(sweep_id)

    def _found(self, sweep_id: str) -> Sweep:
        sweep = self.store.sweeps.get(sweep_id)
        if sweep is None:
            raise StoreError(f"sweep: '{sweep_id}' is not in the store")
        return sweep

    def _activate(self, sweep: Sweep) -> None:
        self.pending[sweep.id] = deque(member.index for member in sweep.unfinished)
        for member in sweep.unfinished:
            self.tries[sweep.id, member.index] = 0
        self._watch()
        self._settle(sweep.id)
        self.executor.dispatch()

    def _drop(self, sweep_id: str) -> None:
        self.pending.pop(sweep_id, None)
        mine = [comparison for comparison, (sweep, _) in self.going.items() if sweep == sweep_id]
        for comparison in mine:
            self.stopping.add(comparison)
            self.executor.command(comparison, "stop")

    def next(self) -> str | None:
        """The comparison that an idle worker should train next; None if nothing waits."""
        for sweep_id, waiting in list(self.pending.items()):
            while waiting:
                comparison = self._ready(sweep_id, waiting.popleft())
                if comparison is not None:
                    return comparison
            self._settle(sweep_id)
        return None

    def _ready(self, sweep_id: str, index: int) -> str | None:
        """A member as a comparison that can start; None if it is finished or trains elsewhere."""
        member = self._found(sweep_id).members[index]
        fresh = sweep_id in self.fresh
        finished = None if fresh else self.store.sweeps.finished(member.key)
        if finished is not None:  # another sweep may have trained it meanwhile
            self.store.sweeps.link(sweep_id, index, finished)
            return None
        comparison = member.run.comparison if member.run else self._added(sweep_id, member)
        self.going[comparison] = (sweep_id, index)
        if self.executor.worker_of(comparison) is not None:  # a visitor resumed it
            return None
        if member.run is not None:
            self._revive(member.run)
        return comparison

    def _added(self, sweep_id: str, member: Member) -> str:
        name = names([member.spec])[0]
        arms = [(f"{name}, seed {member.spec.seed}", member.spec)]
        made = self.store.add_comparison(arms, this_process())
        self.store.sweeps.link(sweep_id, member.index, made.runs[0].id)
        return made.id

    def _revive(self, run: Run) -> None:
        self.store.set_owner(run.comparison, this_process())
        self.store.update(run.id, state="queued", message="")

    def ended(self, comparison: str) -> None:
        """A worker has let go of a comparison: try it again if it died, else go on."""
        if comparison not in self.going:
            return
        sweep_id, index = self.going.pop(comparison)
        found = self.store.comparison(comparison)
        died = found is not None and found.state == "interrupted"
        told, resumed = comparison in self.stopping, sweep_id in self.pending
        self.stopping.discard(comparison)
        if resumed and (told or (died and self.tries[sweep_id, index] < RETRIES)):
            self.tries[sweep_id, index] += not told
            self.pending[sweep_id].appendleft(index)
        self._settle(sweep_id)

    def _settle(self, sweep_id: str) -> None:
        """Say that a sweep is done once nothing of it waits or trains."""
        going = any(sweep == sweep_id for sweep, _ in self.going.values())
        if going or self.pending.get(sweep_id, True):
            return
        del self.pending[sweep_id]
        sweep = self._found(sweep_id)
        count = sum(member.state not in (*ENDED, *ACTIVE) for member in sweep.members)
        message = FAILED.format(count=count, all=len(sweep.members)) if count else ""
        self.store.sweeps.update(sweep_id, state="done", message=message)

    def _watch(self) -> None:
        """See to it that somebody looks for cancellations while anything is active."""
        if self.watcher is None or not self.watcher.is_alive():
            self.watcher = threading.Thread(target=self._look, daemon=True)
            self.watcher.start()

    def _look(self) -> None:
        pause = threading.Event()
        while self.pending or self.going:
            pause.wait(LOOK)
            for sweep_id in {*self.pending, *(sweep for sweep, _ in self.going.values())}:
                self._look_at(sweep_id)

    def _look_at(self, sweep_id: str) -> None:
        try:
            running = self.store.sweeps.state(sweep_id) == "running"
        except StoreError:  # a full disk, say: the next look will tell
            return
        if not running:
            with self.lock:
                self._drop(sweep_id)

    def close(self, message: str = APP_ENDED) -> None:
        """Nothing more will be trained by this process: its sweeps can be resumed by another."""
        for sweep_id in list(self.pending):
            self.store.sweeps.update(sweep_id, state="interrupted", message=message)
        self.pending.clear()
