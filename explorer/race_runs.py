"""The runs of a race of depths: what each was, and its errors in training and in the test."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from explorer.trace import Trace

Kind = Literal["plain", "residual"]
Metric = Literal["train_error", "test_error"]
Group = tuple[Kind, str, int]  # kind, variant, depth
KINDS: tuple[Kind, ...] = ("plain", "residual")


@dataclass(frozen=True)
class RaceRun:
    """One training in a race; a trace that is not there yet has length 0.

    `variant`: "" as asked, "longer" with 3x the steps, "normalized" with steps normalised by
    layer. `steps` is what the recipe asks for; `state` is a store's, "queued" before the start.
    """

    kind: Kind
    depth: int
    seed: int
    variant: str
    state: str
    steps: int
    batch: int
    train_size: int
    classes: int
    loss: Trace
    train_accuracy: Trace
    test_accuracy: Trace
    elapsed_s: float
    flops_per_step: float

    @property
    def name(self) -> str:
        """Kind and depth: "plain-56"."""
        return f"{self.kind}-{self.depth}"

    @property
    def chance(self) -> float:
        """The error of a guess."""
        return 1 - 1 / self.classes

    @property
    def epoch(self) -> int:
        """Batches of one pass over the training examples; what fills none is left out."""
        return max(self.train_size // self.batch, 1)

    @cached_property
    def diverged(self) -> bool:
        """Whether the loss ceased to be finite."""
        return self.state == "diverged" or not bool(np.isfinite(self.loss.values).all())

    @property
    def finished(self) -> bool:
        """Whether nothing is left to train."""
        return self.state == "done" or self.diverged


def train_error(run: RaceRun) -> float:
    """1 - the mean batch accuracy of the last epoch; chance if diverged, NaN without a reading."""
    if run.diverged:
        return run.chance
    trace = run.train_accuracy
    if not len(trace):
        return math.nan
    newest = trace.values[trace.steps > trace.steps[-1] - run.epoch, 0]
    return round(1 - float(np.mean(newest, dtype=np.float64)), 6)  # float32 shares add up to 1


def test_error(run: RaceRun) -> float:
    """1 - the newest accuracy on the test set; chance if diverged, NaN without a reading."""
    if run.diverged:
        return run.chance
    trace = run.test_accuracy
    return round(1 - float(trace.last[0]), 6) if len(trace) else math.nan


def finished_groups(runs: Iterable[RaceRun]) -> dict[Group, list[RaceRun]]:
    """The finished runs by kind, variant and depth, shallow ones first.

    A seed counts once: the same run done again is no second sample.
    """
    seeds: dict[Group, dict[int, RaceRun]] = {}
    for run in sorted(runs, key=lambda run: (KINDS.index(run.kind), run.variant, run.depth)):
        if run.finished and not math.isnan(train_error(run)):
            seeds.setdefault((run.kind, run.variant, run.depth), {})[run.seed] = run
    return {group: list(by_seed.values()) for group, by_seed in seeds.items()}


ERRORS = {"train_error": train_error, "test_error": test_error}
