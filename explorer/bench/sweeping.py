"""Whether several one-thread workers beat one worker with all threads: the same sweep, timed."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from explorer.bench import Rows, paired, row
from explorer.bench._lab import own_home, wait_until
from explorer.executors import Executor
from explorer.experiments.race import Race
from explorer.spec import RunSpec, parse
from explorer.store import Store, this_process
from explorer.sweeping import Sweeping

RACE = Race(depths=(20, 56), seeds=2, base=parse("resnet-20,width=8,steps=60"))
PAIRS = 3


class TwoThreads:
    """One warm process that trains with two threads."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.process = subprocess.Popen(
            [sys.executable, "-m", "explorer.bench._two_threads"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._answer()

    def _answer(self) -> None:
        assert self.process.stdout is not None
        if not self.process.stdout.readline():
            raise RuntimeError("the process with two threads ended")

    def seconds(self, specs: tuple[RunSpec, ...]) -> float:
        """How long it takes over all of them, one after the other."""
        assert self.process.stdin is not None
        began = time.perf_counter()
        for spec in specs:
            comparison = self.store.add_comparison([("run", spec)], this_process())
            self.process.stdin.write(f"{comparison.id}\n")
            self.process.stdin.flush()
            self._answer()
        return time.perf_counter() - began

    def close(self) -> None:
        """End it."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(10)


@contextmanager
def two_workers(store: Store) -> Iterator[Sweeping]:
    """A sweeper with two warm workers."""
    executor = Executor(store, "cpu", max_workers=2, reserve=2)
    try:
        wait_until(lambda: executor.pool.workers[0].was_ready)
        sweeping = Sweeping(store, executor)
        seconds(sweeping, (parse("resnet-8,width=4,steps=2"), parse("plain-8,width=4,steps=2")))
        wait_until(lambda: all(worker.was_ready for worker in executor.workers))
        yield sweeping
    finally:
        executor.shutdown()


def seconds(sweeping: Sweeping, specs: tuple[RunSpec, ...]) -> float:
    """How long the sweep of `specs` takes."""
    began = time.perf_counter()
    sweep = sweeping.start("bench", specs, reuse=False)
    wait_until(lambda: sweeping.store.sweeps.state(sweep.id) == "done", 0.02)
    return time.perf_counter() - began


def rows() -> Rows:
    """The time of two one-thread workers over that of one two-thread worker, all of them warm."""
    with own_home():
        store = Store()
        with two_workers(store) as sweeping:
            other = TwoThreads(store)
            try:
                value = paired(
                    lambda: seconds(sweeping, RACE.specs), lambda: other.seconds(RACE.specs), PAIRS
                )
            finally:
                other.close()
        store.close()
    what = "sweep on two one-thread workers / on one two-thread worker"
    yield row(what, value, "x", "at most", 0.8)
