"""What a network loses when blocks are deleted, swapped or damaged, on the test set."""

from typing import Any

import numpy as np

from explorer.analyses.base import Json, Subject, analysis, numbers, one, whole
from explorer.inside.lesions import (
    Drawn,
    OneByOne,
    damage_each,
    delete_each,
    delete_random,
    swap_random,
)
from explorer.inside.mode import Report
from explorer.inside.routes import changes_shape, score, without
from explorer.network import Network
from explorer.spec import SpecError

MOST_DRAWS = 100
USUAL_DRAWS = 10
COUNTS = 12  # different numbers of blocks, at most, so that deep networks take no longer


@analysis("lesion", "order", "reestimate")
def lesion(subjects: tuple[Subject, ...], options: Json, report: Report) -> Json:
    """The score with the blocks of `order` in the blocks' places, 0 for a deleted one.

    `accuracy` and `loss` on the test set, and of the intact network. SpecError unless a block
    stands in a place that reads and puts out the shapes that it does.
    """
    subject = one(subjects)
    network = subject.network
    count = len(network.blocks)
    order = options.get("order", list(range(1, count + 1)))
    _check_order(network, order)
    gone = [place for place, runs in enumerate(order, 1) if runs == 0]
    route = list(without(network, gone))
    for place, runs in enumerate(order):
        if runs not in (0, place + 1):
            route[place] = network.all_blocks[runs - 1]
    again = bool(options.get("reestimate", False))
    found = score(network, route, subject.data, again)
    intact = score(network, list(network.all_blocks), subject.data, again)
    return {
        "accuracy": found.accuracy,
        "loss": numbers(np.array([found.loss]))[0],
        "intact": intact.accuracy,
        "changes_shape": [changes_shape(block) for block in network.all_blocks],
    }


def _check_order(network: Network, order: Any) -> None:
    """SpecError unless every block runs at most once, where its shapes fit."""
    count = len(network.blocks)
    if not isinstance(order, list) or len(order) != count:
        raise SpecError("order", order, f"{count} numbers, one for each block's place")
    kept = [runs for runs in order if runs != 0]
    if not all(type(runs) is int and 1 <= runs <= count for runs in kept):
        raise SpecError("order", order, f"0 for a deleted block, or 1 to {count}")
    if len(set(kept)) < len(kept):
        raise SpecError("order", order, "each block at most once")
    blocks = network.all_blocks
    for place, runs in enumerate(order, 1):
        if runs in (0, place):
            continue
        moved = changes_shape(blocks[place - 1]) or changes_shape(blocks[runs - 1])
        if moved or _stage(network, place) != _stage(network, runs):
            raise SpecError("order", order, f"block {runs} does not fit the place of {place}")


def _stage(network: Network, number: int) -> int:
    """How many blocks up to this one change the shape."""
    return sum(changes_shape(block) for block in network.all_blocks[:number])


@analysis("lesion_each", "harm", "place", "reestimate")
def each(subjects: tuple[Subject, ...], options: Json, report: Report) -> Json:
    """Every block lesioned alone; `harm` is delete, zero or noise, `place` residual or output."""
    subject = one(subjects)
    harm, place = options.get("harm", "delete"), options.get("place", "residual")
    again = bool(options.get("reestimate", False))
    if harm == "delete":
        found = delete_each(subject.network, subject.data, reestimate=again, report=report)
    else:
        found = damage_each(
            subject.network, subject.data, harm, place, reestimate=again, report=report
        )
    return _each(found)


def _each(found: OneByOne) -> Json:
    return {
        "blocks": list(found.blocks),
        "changes_shape": list(found.changes_shape),
        "intact": found.intact.accuracy,
        "accuracy": numbers(found.accuracy),
        "loss": numbers(found.loss),
        "ranked": list(found.ranked),
        "reestimated": found.reestimated,
    }


@analysis("lesion_some", "swap", "draws", "reestimate")
def some(subjects: tuple[Subject, ...], options: Json, report: Report) -> Json:
    """`draws` random sets of k blocks deleted, or k pairs of the same shape swapped (`swap`).

    `error` is the mean test error by k, `low` and `high` hold 80 % of the draws; for swaps
    `tau` and `errors` have every draw's Kendall tau and error, (k, draw).
    """
    subject = one(subjects)
    draws = whole(options, "draws", USUAL_DRAWS, MOST_DRAWS)
    again = bool(options.get("reestimate", False))
    run = swap_random if options.get("swap") else delete_random
    count = len(subject.network.blocks)
    every = max(1, -(-count // COUNTS))
    found = run(
        subject.network,
        subject.data,
        counts=range(0, count + 1, every),
        draws=draws,
        seed=subject.run.seed,
        reestimate=again,
        report=report,
    )
    return _drawn(found)


def _drawn(found: Drawn) -> Json:
    low, high = found.interval
    return {
        "counts": list(found.counts),
        "error": numbers(found.error),
        "low": numbers(low),
        "high": numbers(high),
        "tau": numbers(found.tau),
        "errors": numbers(1 - found.accuracy),
        "reestimated": found.reestimated,
    }
