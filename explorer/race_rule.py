"""Does a deeper network train worse than a shallower one? The rule, and the test behind it.

He et al. 2015 (section 4.2, fig. 6) ask it of the *training* error, so that overfitting is no
answer. A word follows from the rule alone; that a network is plain plays no part.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from explorer.race_runs import Kind, RaceRun, finished_groups, train_error

Word = Literal["trains worse", "no worse", "inconclusive", "not tested"]
MARGIN = 0.01  # of training error; less is not worth the name of degradation
LEVEL = 0.95
RACE_RULE = (
    "rule: a depth trains worse than the best shallower one of its kind if its training error "
    f"is at least {100 * MARGIN:.0f} point higher and the 95 % interval of the difference "
    "(Welch's t, over seeds) excludes 0; it is no worse if the whole interval lies below "
    f"{100 * MARGIN:.0f} point; else it is inconclusive, and with one seed there is no test; "
    "not corrected for the number of comparisons"
)


@dataclass(frozen=True)
class Compared:
    """One depth against the best shallower one: mean training errors and their difference.

    `low` and `high` bound the difference (NaN without a test); `seeds` are counts, of the
    depth and of `best`.
    """

    kind: Kind
    variant: str
    depth: int
    best: int
    error: float
    best_error: float
    low: float
    high: float
    seeds: tuple[int, int]
    word: Word

    @property
    def difference(self) -> float:
        """How much higher the deeper one's error is; below 0 if it is lower."""
        return self.error - self.best_error

    @property
    def tested(self) -> str:
        """The difference with its interval and seeds, or why there is no test."""
        start = f"difference {share(self.difference)}"
        mine, other = self.seeds
        if self.word == "not tested":
            why = "one seed" if mine == other else f"{mine} and {other} seeds"
            return f"{start}, {why}: no test"
        seeds = f"{mine} seeds" if mine == other else f"{mine} and {other} seeds"
        return f"{start}, 95 % interval {share(self.low)} to {share(self.high)}, {seeds}"


def mean_interval(values: Sequence[float]) -> tuple[float, float]:
    """The 95 % t interval of the mean; (NaN, NaN) for fewer than two values."""
    if len(values) < 2:
        return math.nan, math.nan
    mean, half = float(np.mean(values)), math.sqrt(_square_error(values))
    half *= _t_quantile(len(values) - 1)
    return mean - half, mean + half


def difference_interval(one: Sequence[float], other: Sequence[float]) -> tuple[float, float]:
    """The 95 % interval of mean(one) - mean(other) by Welch; NaN for fewer than two values a side.

    Not paired by seed: networks of two depths share the data's order but few of their
    weights, so their errors hardly move together, and pairs would halve the degrees of
    freedom. Without any variance it is the difference itself.
    """
    if min(len(one), len(other)) < 2:
        return math.nan, math.nan
    difference = float(np.mean(one) - np.mean(other))
    a, b = _square_error(one), _square_error(other)
    if a + b == 0:
        return difference, difference
    freedom = 1 / ((a / (a + b)) ** 2 / (len(one) - 1) + (b / (a + b)) ** 2 / (len(other) - 1))
    half = _t_quantile(freedom) * math.sqrt(a + b)
    return difference - half, difference + half


def _square_error(values: Sequence[float]) -> float:
    """The squared standard error of the mean, of two values or more."""
    return 0.0 if len(set(values)) == 1 else float(np.var(values, ddof=1)) / len(values)


def _t_quantile(freedom: float) -> float:
    from scipy.special import stdtrit  # here, because the import takes a while

    return float(stdtrit(freedom, (1 + LEVEL) / 2))


def _mean(runs: Sequence[RaceRun]) -> float:
    return float(np.mean([train_error(run) for run in runs]))


def compared(deep: Sequence[RaceRun], best: Sequence[RaceRun]) -> Compared:
    """The rule: one group of finished runs against another."""
    one, other = ([train_error(run) for run in runs] for runs in (deep, best))
    low, high = (round(end, 6) for end in difference_interval(one, other))
    first = deep[0]
    word: Word = "inconclusive"
    if math.isnan(low):
        word = "not tested"
    elif low > 0 and round(_mean(deep) - _mean(best), 6) >= MARGIN:
        word = "trains worse"
    elif high < MARGIN:
        word = "no worse"
    return Compared(
        first.kind, first.variant, first.depth, best[0].depth,
        _mean(deep), _mean(best), low, high, (len(one), len(other)), word,
    )  # fmt: skip


def compare(runs: Iterable[RaceRun]) -> list[Compared]:
    """Every finished depth but the shallowest, against the best shallower one of its kind."""
    groups = finished_groups(runs)
    rows = []
    for (kind, variant, depth), deep in groups.items():
        shallower = [g for g in groups if g[:2] == (kind, variant) and g[2] < depth]
        if shallower:
            best = min(shallower, key=lambda group: _mean(groups[group]))
            rows.append(compared(deep, groups[best]))
    return rows


def losers(runs: Sequence[RaceRun]) -> list[RaceRun]:
    """The finished runs, as asked, of every kind and depth that trains worse."""
    rows = compare(run for run in runs if not run.variant)
    worse = {(row.kind, row.depth) for row in rows if row.word == "trains worse"}
    groups = finished_groups(run for run in runs if not run.variant)
    return [run for (kind, _, d), group in groups.items() if (kind, d) in worse for run in group]


def share(value: float) -> str:
    """An error or a difference of errors in two digits, at most four after the point."""
    text = f"{float(f'{value:.2g}'):.4f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text
