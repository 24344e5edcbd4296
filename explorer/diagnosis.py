"""What the readings say, in words: verdicts computed from numbers, each with its rule.

A word follows from the rule alone. Whether a network is plain, and what a text expects of
it, plays no part: plain networks with BatchNorm explode, and this says so.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from explorer.comparison import held_fixed
from explorer.trace import Array, Trace
from explorer.wording import capital, number, percent, place, times

__all__ = [
    "FLOW_RULE",
    "LEARNING_RULE",
    "Learning",
    "Verdict",
    "drift",
    "ends",
    "finding",
    "flow_ratio",
    "gradient_flow_verdict",
    "held_fixed",
    "learning_finding",
    "learning_verdict",
    "number",
]

FlowWord = Literal["vanishing", "exploding", "healthy", "dead", "not finite"]
LearningWord = Literal["learns", "partly learns", "stuck near chance", "diverged", "not started"]

EXPLODES_ABOVE = 100.0  # the first site's gradient over the last one's
VANISHES_BELOW = 1 / EXPLODES_ABOVE
LEARNS_FROM = 0.95  # test accuracy
CHANCE_MARGIN = 0.05  # test accuracy above chance that still counts as chance
LOSS_MARGIN = 0.02  # relative distance of the loss from ln(classes)
LOSS_WINDOW = 10  # newest batches whose mean loss is compared

FLOW_RULE = (
    f"rule: above {EXPLODES_ABOVE:.0f} x explodes, below 1/{EXPLODES_ABOVE:.0f} vanishes, "
    "between is healthy"
)
LEARNING_RULE = (
    f"rule: {percent(LEARNS_FROM)} test accuracy or more learns; at most "
    f"{100 * CHANCE_MARGIN:.0f} points above chance, or a loss within {percent(LOSS_MARGIN)} "
    f"of ln(classes) over the last {LOSS_WINDOW} batches, is stuck near chance; "
    "between, partly learns"
)


@dataclass(frozen=True)
class Verdict:
    """How the gradient flows: `ratio` is ‖dL/dx‖ at the first site over that at the last."""

    word: FlowWord
    ratio: float
    sentence: str
    rule: str = FLOW_RULE


@dataclass(frozen=True)
class Learning:
    """What a run has learned; `accuracy` was read on the test set at `step` (NaN: not yet)."""

    name: str
    word: LearningWord
    accuracy: float
    step: int
    classes: int
    sentence: str
    rule: str = LEARNING_RULE


def flow_ratio(values: Array) -> float:
    """‖dL/dx‖ at the first site over that at the last; 0 for no gradient, NaN if not finite.

    ValueError for fewer than two sites.
    """
    if np.size(values) < 2:
        raise ValueError(f"values: {np.size(values)} sites are too few; a ratio needs two")
    if not np.isfinite(values).all():
        return math.nan
    first, last = float(values[0]), float(values[-1])
    return first / last if last else 0.0


def gradient_flow_verdict(values: Array, sites: Sequence[str], name: str = "") -> Verdict:
    """Judge a gradient profile, sites from input to output; ValueError for fewer than two."""
    ratio = flow_ratio(values)
    first, last = place(sites[0]), _last(sites)
    if math.isnan(ratio):
        word: FlowWord = "not finite"
        broken = sites[int(np.flatnonzero(~np.isfinite(values))[-1])]
        text = f"the gradient at {place(broken)} is not finite"
    elif ratio == 0:
        word = "dead"
        where = last if values[-1] == 0 else first
        text = f"the gradient at {where} is 0 (or below float32): dead"
    else:
        word = _flow_word(ratio)
        text = f"{first} receives {times(ratio)} {last}'s gradient: {word}"
    return Verdict(word, ratio, f"{name}: {text}" if name else capital(text))


def _flow_word(ratio: float) -> FlowWord:
    if ratio > EXPLODES_ABOVE:
        return "exploding"
    return "vanishing" if ratio < VANISHES_BELOW else "healthy"


def finding(
    names: Sequence[str], ratios: Sequence[float], first: str = "stem", last: str = "the last block"
) -> str:
    """One sentence that compares the gradient at `first` with that at `last`, arm by arm."""
    start = f"{capital(place(first))} receives"
    if len(ratios) == 1:
        return f"{start} {_received(ratios[0], f'the gradient that {last} does')}"
    parts, whose = [], f"{last}'s gradient"
    for name, ratio in zip(names, ratios, strict=True):
        parts.append(f"{_received(ratio, whose)} in {name}")
        whose = "" if math.isfinite(ratio) else whose
    return f"{start} {_listed(parts, names)}"


def _listed(parts: Sequence[str], names: Sequence[str]) -> str:
    """`parts` one after the other; names with commas in them need more than a comma between."""
    return ("; " if any("," in name for name in names) else ", ").join(parts)


def _received(ratio: float, whose: str) -> str:
    """An amount of gradient: "1/430 of the last block's gradient", or "1/430" with no `whose`."""
    if math.isnan(ratio):
        return "a gradient that is not finite"
    amount = times(ratio) if ratio else "none of"
    return f"{amount} {whose}" if whose else amount.removesuffix(" of")


def learning_verdict(loss: Trace, test_accuracy: Trace, classes: int, name: str) -> Learning:
    """Judge a run by its training loss and test accuracy so far; chance is 1 / `classes`."""
    losses = loss.values[:, 0]
    broken = np.flatnonzero(~np.isfinite(losses))
    accuracy = math.nan
    if len(test_accuracy):
        accuracy = round(float(test_accuracy.last[0]), 6)  # a share of float32 is 0.95 again
    newest = test_accuracy if len(test_accuracy) else loss
    step = int(newest.steps[-1]) if len(newest) else 0
    if len(broken):
        step, value = int(loss.steps[broken[0]]), float(losses[broken[0]])
        sentence = f"{name} diverged at step {step} (loss is {number(value)})"
        return Learning(name, "diverged", accuracy, step, classes, sentence)
    trained = len(loss) > 0 and loss.steps[-1] > 0
    word = _learning_word(losses, accuracy if step else math.nan, classes) if trained else None
    read = "no test reading yet" if math.isnan(accuracy) else f"{percent(accuracy)} on the test set"
    sentence = (
        f"{name} {word or 'not started'}: {read}, step {step} (chance {percent(1 / classes)})"
    )
    return Learning(name, word or "not started", accuracy, step, classes, sentence)


def _learning_word(losses: Array, accuracy: float, classes: int) -> LearningWord:
    """The rule in code; an accuracy of NaN decides nothing."""
    if accuracy >= LEARNS_FROM:
        return "learns"
    chance_loss = math.log(classes)
    loss = float(np.mean(losses[-LOSS_WINDOW:]))
    at_chance = abs(loss - chance_loss) <= LOSS_MARGIN * chance_loss
    if at_chance or accuracy <= 1 / classes + CHANCE_MARGIN:
        return "stuck near chance"
    return "partly learns"


def learning_finding(runs: Sequence[Learning]) -> str:
    """One sentence that compares the runs, best test accuracy first, diverged ones last."""
    alive = [r for r in runs if r.word != "diverged" and not math.isnan(r.accuracy)]
    alive.sort(key=lambda run: -run.accuracy)
    diverged = [run.sentence for run in runs if run.word == "diverged"]
    if not alive:
        return ", ".join(diverged) or "No test accuracy read yet"
    together = len({run.step for run in alive}) == 1
    parts = [_reached(run, first=run is alive[0], step=not together) for run in alive]
    start = f"After {alive[0].step} steps: " if together else ""
    chance = f" (chance {percent(1 / alive[0].classes)})"
    reached = _listed(parts, [run.name for run in alive])
    return start + reached + chance + "".join(f"; {text}" for text in diverged)


def _reached(run: Learning, first: bool, step: bool) -> str:
    text = f"{run.name} reaches {percent(run.accuracy)} test accuracy"
    text = text if first else f"{run.name} {percent(run.accuracy)}"
    return f"{text} after {run.step} steps" if step else text


def ends(name: str, values: Array, sites: Sequence[str]) -> str:
    """Where a reading by site starts and ends: "1.2 at the stem, 0.03 at block 27 in plain-56"."""
    first, last = number(float(values[0])), number(float(values[-1]))
    return f"{first} at {place(sites[0])}, {last} at {place(sites[-1])} in {name}"


def drift(names: Sequence[str], traces: Sequence[Trace]) -> str:
    """How the ratio of the first site to the last changed from the first reading to the newest."""
    parts = []
    for name, trace in zip(names, traces, strict=True):
        then, now = (number(flow_ratio(values)) for values in (trace.values[0], trace.last))
        parts.append(f"{name} {then} to {now}")
    first, last = capital(place(traces[0].sites[0])), _last(traces[0].sites)
    what = f"{first}'s {traces[0].unit} over {last}'s"
    return f"{what}, first to newest step: {_listed(parts, names)}"


def _last(sites: Sequence[str]) -> str:
    return "the last block" if sites[-1].startswith("block ") else sites[-1]
