"""What a race of depths shows, in words: does a deeper network train worse than a shallower one?

He et al. 2015 (section 4.2, fig. 6) ask it of the *training* error, so that overfitting is no
answer. A word follows from the rule alone; that a network is plain plays no part.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from explorer.trace import Trace

Kind = Literal["plain", "residual"]
Metric = Literal["train_error", "test_error"]
Word = Literal["trains worse", "no worse", "inconclusive", "not tested"]
Group = tuple[Kind, str, int]  # kind, variant, depth

MARGIN = 0.01  # of training error; less is not worth the name of degradation
LEVEL = 0.95
KINDS: tuple[Kind, ...] = ("plain", "residual")

RACE_RULE = (
    "rule: a depth trains worse than the best shallower one of its kind if its training error "
    f"is at least {100 * MARGIN:.0f} point higher and the 95 % interval of the difference "
    "(Welch's t, over seeds) excludes 0; it is no worse if the whole interval lies below "
    f"{100 * MARGIN:.0f} point; else it is inconclusive, and with one seed there is no test; "
    "not corrected for the number of comparisons"
)


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


@dataclass(frozen=True)
class Finding:
    """What the finished runs show, with the comparisons behind it, of every kind and variant."""

    sentence: str
    rows: tuple[Compared, ...]
    rule: str = RACE_RULE


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


ERRORS = {"train_error": train_error, "test_error": test_error}


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


def finished_groups(runs: Iterable[RaceRun]) -> dict[Group, list[RaceRun]]:
    """The finished runs by kind, variant and depth, shallow ones first.

    A seed counts once: the same run done again is no second sample.
    """
    seeds: dict[Group, dict[int, RaceRun]] = {}
    for run in sorted(runs, key=lambda run: (KINDS.index(run.kind), run.variant, run.depth)):
        if run.finished and not math.isnan(train_error(run)):
            seeds.setdefault((run.kind, run.variant, run.depth), {})[run.seed] = run
    return {group: list(by_seed.values()) for group, by_seed in seeds.items()}


def _mean(runs: Sequence[RaceRun]) -> float:
    return float(np.mean([train_error(run) for run in runs]))


def _compared(deep: Sequence[RaceRun], best: Sequence[RaceRun]) -> Compared:
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
            rows.append(_compared(deep, groups[best]))
    return rows


def losers(runs: Sequence[RaceRun]) -> list[RaceRun]:
    """The finished runs, as asked, of every kind and depth that trains worse."""
    rows = compare(run for run in runs if not run.variant)
    worse = {(row.kind, row.depth) for row in rows if row.word == "trains worse"}
    groups = finished_groups(run for run in runs if not run.variant)
    return [run for (kind, _, d), group in groups.items() if (kind, d) in worse for run in group]


def finding(runs: Sequence[RaceRun]) -> Finding:
    """One sentence on the runs as asked; the rows are of the variants, too."""
    rows = tuple(compare(runs))
    asked = [run for run in runs if not run.variant]
    finished = sum(run.finished for run in asked)
    groups = finished_groups(asked)
    if not groups:
        return Finding(f"no run has finished with readings yet, of {len(asked)}", rows)
    start = f"so far ({finished} of {len(asked)} runs finished): " if finished < len(asked) else ""
    parts = []
    for kind in KINDS:
        wanted = [run.depth for run in asked if run.kind == kind]
        if wanted:
            mine = [row for row in rows if row.kind == kind and not row.variant]
            parts += _said_of(kind, mine, [d for k, _, d in groups if k == kind], max(wanted))
    parts += [text for group in groups.values() for text in _diverged(group)]
    return Finding(start + "; ".join(parts), rows)


def _said_of(
    kind: Kind, rows: Sequence[Compared], depths: Sequence[int], deepest: int
) -> list[str]:
    """The clauses on one kind: each depth that is worse or open, and the others together.

    `depths` have finished; `deepest` was asked for.
    """
    if not rows:
        there = f"only {kind}-{depths[0]}" if depths else "none"
        return [f"{kind} networks cannot be compared: {there} has finished with readings"]
    fine = [row for row in rows if row.word == "no worse"]
    if len(fine) == len(rows):
        return [f"{kind} networks do not train worse {reach(depths[-1], deepest)}"]
    parts = [_clause(row) for row in rows if row not in fine]
    if fine:
        names = " and ".join(f"{kind}-{row.depth}" for row in fine)
        do = "does" if len(fine) == 1 else "do"
        parts.append(f"{names} {do} not train worse than a shallower one")
    return parts


def reach(finished: int, asked: int) -> str:
    """How far a statement on all depths goes: the deepest that has finished, of those asked for."""
    return "with depth" if finished >= asked else f"up to depth {finished}"


def _clause(row: Compared) -> str:
    deep, best = f"{row.kind}-{row.depth}", f"{row.kind}-{row.best}"
    numbers = f"{share(row.error)} against {share(row.best_error)} ({row.tested})"
    if row.word == "trains worse":
        return f"{deep} trains worse than {best}: {numbers}"
    return f"{deep} beside {best} is {row.word}: {numbers}"


def _diverged(group: Sequence[RaceRun]) -> list[str]:
    gone = [run for run in group if run.diverged]
    if not gone:
        return []
    count = f"{len(gone)} of {len(group)} runs" if len(group) > 1 else "the run"
    counts = "counts" if len(gone) == 1 else "count"
    return [f"{count} of {gone[0].name} diverged and {counts} at chance, {share(gone[0].chance)}"]


def explanation(runs: Sequence[RaceRun]) -> list[str]:
    """Sentences on each depth that trains worse: what more steps, and normalised ones, left of it.

    By the same rule; what has not been trained, or not to the end, is said.
    """
    said = []
    for row in compare(run for run in runs if not run.variant):
        if row.word == "trains worse":
            said += [_after_more_steps(row, runs), _with_normalised_steps(row, runs)]
    return said


def _after_more_steps(row: Compared, runs: Sequence[RaceRun]) -> str:
    """The depth with 3x the steps against the best shallower one as it was asked for."""
    groups = finished_groups(runs)
    deep, missing = _of_variant(row, runs, "longer")
    if not deep:
        return f"{row.kind}-{row.depth} with 3x the steps: {missing}"
    best = groups[row.kind, "", row.best]
    now = _compared(deep, best)
    words = {"trains worse": "still worse", "no worse": "caught up"}
    return "; ".join(
        [
            f"{deep[0].name} after {deep[0].steps} steps: {share(now.error)}, {best[0].name} "
            f"after {best[0].steps}: {share(now.best_error)} ({now.tested}): "
            f"{words.get(now.word, now.word)}{missing}",
            *_diverged(deep),
        ]
    )


def _with_normalised_steps(row: Compared, runs: Sequence[RaceRun]) -> str:
    """The depth against the best shallower one, both with steps normalised by layer."""
    name = f"{row.kind}-{row.depth} with normalised steps"
    deep, missing = _of_variant(row, runs, "normalized")
    if not deep:
        return f"{name}: {missing}"
    rows = compare(run for run in runs if run.variant == "normalized" and run.kind == row.kind)
    now = next((other for other in rows if other.depth == row.depth), None)
    if now is None:
        return f"{name}: no shallower one to compare with has finished yet"
    words = {"trains worse": "a gap stayed", "no worse": "no gap stayed"}
    return "; ".join(
        [
            f"{name}: {share(now.error)}, {row.kind}-{now.best} likewise: "
            f"{share(now.best_error)} ({now.tested}), where the steps as asked left a difference "
            f"of {share(row.difference)}: {words.get(now.word, now.word)}{missing}",
            *_diverged(deep),
        ]
    )


def _of_variant(row: Compared, runs: Sequence[RaceRun], variant: str) -> tuple[list[RaceRun], str]:
    """The finished runs of the row's depth in that variant, and what is missing of them."""
    key = (row.kind, variant, row.depth)
    asked = [run for run in runs if (run.kind, run.variant, run.depth) == key]
    finished = finished_groups(asked).get(key, [])
    if not asked:
        return [], "not trained yet"
    count = f"{sum(run.finished for run in asked)} of {len(asked)} runs finished"
    if not finished:
        return [], count
    return finished, "" if all(run.finished for run in asked) else f" so far ({count})"


def share(value: float) -> str:
    """An error or a difference of errors in two digits, at most four after the point."""
    text = f"{float(f'{value:.2g}'):.4f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text
