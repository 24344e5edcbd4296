"""The runs of a race as lines: one for every kind and depth, with the mean over its seeds."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from explorer.figures.shades import depth_colors
from explorer.figures.theme import PLAIN, RESIDUAL, Theme
from explorer.race_runs import KINDS, Kind, RaceRun
from explorer.trace import Array, Trace

Metric = Literal["train_error", "test_error", "loss"]
Steps = NDArray[np.int64]
COLORS: dict[Kind, str] = {"plain": PLAIN, "residual": RESIDUAL}
DASHES: dict[Kind, str] = {"plain": "6px,3px", "residual": "solid"}


@dataclass(frozen=True)
class Line:
    """Runs of one kind, depth and variant as they are drawn, from the step `start` on."""

    runs: tuple[RaceRun, ...]
    metric: Metric
    color: str
    dash: str
    start: int = 0

    @property
    def name(self) -> str:
        return self.runs[0].name

    @functools.cached_property
    def counted(self) -> tuple[RaceRun, ...]:
        """The seeds in the mean: as far as the furthest, within an epoch, or diverged.

        A seed that is behind would bend the mean where it ends. Of a loss, a diverged one has
        no value to go on with and is left out.
        """
        furthest = max(int(readings(run, self.metric)[0][-1]) for run in self.runs)
        return tuple(run for run in self.runs if self._counts(run, furthest))

    def _counts(self, run: RaceRun, furthest: int) -> bool:
        if run.diverged:
            return self.metric != "loss"
        return int(readings(run, self.metric)[0][-1]) >= furthest - run.epoch

    @functools.cached_property
    def mean(self) -> tuple[Steps, Array]:
        """The mean over the counted seeds at the steps that all have read."""
        if not self.counted:
            return np.zeros(0, np.int64), np.zeros(0, np.float32)
        read = [readings(run, self.metric) for run in self.counted]
        grid = max((steps for steps, _ in read), key=lambda steps: int(steps[-1]))
        pairs = zip(self.counted, read, strict=True)
        held = [_at_chance(run, one, grid) if run.diverged else one for run, one in pairs]
        common = functools.reduce(np.intersect1d, [steps for steps, _ in held])
        rows = [values[np.searchsorted(steps, common)] for steps, values in held]
        return common, np.asarray(np.mean(rows, axis=0, dtype=np.float64), np.float32)


def readings(run: RaceRun, metric: Metric) -> tuple[Steps, Array]:
    """Steps and what is drawn at them: errors in %, losses in nats (NaN where not finite)."""
    trace = _trace(run, metric)
    values = trace.values[:, 0]
    if metric == "loss":
        return trace.steps, np.where(np.isfinite(values), values, np.nan)
    return trace.steps, 100 * (1 - values)


def _trace(run: RaceRun, metric: Metric) -> Trace:
    if metric == "loss":
        return run.loss
    return run.train_accuracy if metric == "train_error" else run.test_accuracy


def _at_chance(run: RaceRun, read: tuple[Steps, Array], grid: Steps) -> tuple[Steps, Array]:
    """A diverged run's readings, and a guess's error at the steps of `grid` after them."""
    steps, values = read
    after = grid[grid > steps[-1]]
    chance = np.full(len(after), 100 * run.chance, np.float32)
    return np.concatenate([steps, after]), np.concatenate([values, chance])


def running_mean(steps: Steps, values: Array, window: int) -> Array:
    """At every step the mean of what was read in the last `window` steps, its own among them.

    After a run's last step this is its training error.
    """
    total = np.concatenate([[0.0], np.cumsum(values, dtype=np.float64)])
    first = np.searchsorted(steps, steps - window, side="right")
    last = np.arange(1, len(steps) + 1)
    return np.asarray((total[last] - total[first]) / (last - first), np.float32)


def race_lines(runs: Sequence[RaceRun], metric: Metric, theme: Theme, variant: str) -> list[Line]:
    """A line for every kind and depth with a reading, and tails of those with 3x the steps."""
    started = [run for run in runs if len(_trace(run, metric))]
    lines = []
    for kind in KINDS:
        mine = [r for r in started if r.kind == kind and r.variant in (variant, "longer")]
        depths = sorted({run.depth for run in mine if run.variant == variant})
        colors = depth_colors(COLORS[kind], len(depths), theme)
        for depth, color in zip(depths, colors, strict=True):
            here = [run for run in mine if run.depth == depth]
            base = tuple(run for run in here if run.variant == variant)
            lines.append(Line(base, metric, color, DASHES[kind]))
            longer = tuple(run for run in here if run.variant != variant)
            start = max(run.steps for run in base)
            longer = tuple(run for run in longer if _trace(run, metric).steps[-1] > start)
            if longer and not variant:
                lines.append(Line(longer, metric, color, "dot", start))
    return lines
