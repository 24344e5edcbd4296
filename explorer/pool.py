"""The workers that train: which are idle, which are busy with what, and how many may be. No torch.

An arm takes a core. What a visitor waits for may start while sweeps use all of them; what runs
behind the scenes only on cores that are free.
"""

import os
from collections.abc import Callable

from explorer.processes import Worker

MOST_WORKERS = 16  # behind the scenes, unless more are asked for
RUNS_PER_GPU = 4  # small networks leave most of one idle


class Pool:
    """Training workers; its owner holds a lock around every call.

    `most_in_front` and `most_behind` bound the comparisons trained at once. `reserve` idle
    workers are kept warm.
    """

    def __init__(
        self, make_worker: Callable[[], Worker], max_workers: int | None, reserve: int
    ) -> None:
        cores = os.cpu_count() or 2
        self.make_worker = make_worker
        self.most_in_front = max_workers or max(1, cores // 2)
        self.most_behind = max_workers or min(cores, MOST_WORKERS)
        self.chosen = max_workers is not None
        self.threads = max(cores, self.most_behind)
        self.reserve = reserve
        self.workers = [make_worker()]

    def of(self, comparison: str) -> Worker | None:
        """The worker that trains it, if one does."""
        return next((w for w in self.workers if w.comparison == comparison), None)

    def has_room(self, behind: bool) -> bool:
        """Whether one more comparison may start."""
        busy = [w for w in self.workers if w.comparison is not None]
        alike = sum(worker.behind == behind for worker in busy)
        if not behind:
            return alike < self.most_in_front
        return alike < self.most_behind and sum(w.arms for w in busy) < self.threads

    def give(self, comparison: str, arms: int, behind: bool, paused: bool) -> None:
        """Have an idle worker train it; as many idle ones as are in reserve are left or started."""
        keep = self.reserve if behind else 0
        idle = [worker for worker in self.workers if worker.comparison is None]
        fresh = [self.make_worker() for _ in range(1 + keep - len(idle))]
        self.workers += fresh
        worker = (idle + fresh)[0]
        worker.comparison, worker.arms, worker.behind = comparison, arms, behind
        worker.send(do="start", comparison=comparison, paused=paused)

    def send_home(self) -> None:
        """End idle workers that a sweep has left; one stays warm."""
        idle = [worker for worker in self.workers if worker.comparison is None]
        for worker in idle[max(1, self.reserve) :]:
            self.workers.remove(worker)
            worker.hang_up()

    def has_gpus(self, count: int) -> None:
        """A worker found graphics cards: they, not cores, bound what runs behind the scenes."""
        if count and not self.chosen:
            self.most_behind = self.threads = RUNS_PER_GPU * count
