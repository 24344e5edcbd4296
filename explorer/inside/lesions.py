"""What a trained network loses when blocks are deleted, swapped or damaged.

Source: Veit et al. 2016, arXiv 1605.06431, section 4. Blocks are numbered from 1.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations

import numpy as np
import torch
from numpy.typing import NDArray

from explorer.data import Dataset
from explorer.init import generator_for
from explorer.inside.mode import Report
from explorer.inside.routes import (
    Harm,
    Place,
    Route,
    Score,
    changes_shape,
    damaged,
    reordered,
    score,
    without,
)
from explorer.network import Block, Network
from explorer.probes import blocks
from explorer.spec import SpecError

Numbers = NDArray[np.float64]
Order = tuple[int, ...]  # numbers of the blocks that run, in the order in which they do


@dataclass(frozen=True)
class OneByOne:
    """The test set's scores with one block at a time lesioned.

    `changes_shape` marks the blocks that put out another shape than they read: those that
    downsample or widen. `reestimated`: with BatchNorm's statistics estimated anew each time,
    for `intact` too.
    """

    blocks: tuple[str, ...]
    changes_shape: tuple[bool, ...]
    intact: Score
    accuracy: Numbers  # (block,)
    loss: Numbers  # (block,)
    reestimated: bool

    @property
    def ranked(self) -> Order:
        """Block numbers, first the one whose lesion costs most accuracy, or of equals most loss."""
        order = np.lexsort((-self.loss, self.accuracy))
        return tuple(int(index) + 1 for index in order)


@dataclass(frozen=True)
class Drawn:
    """The test set's accuracy after lesions drawn at random, `counts` blocks or swaps at a time.

    `orders[count][draw]` are the blocks that ran. The interval holds 80 % of the draws.
    """

    counts: tuple[int, ...]
    orders: tuple[tuple[Order, ...], ...]
    accuracy: Numbers  # (count, draw)
    reestimated: bool

    @property
    def error(self) -> Numbers:
        """Mean test error over the draws, a share; (count,)."""
        error: Numbers = 1 - self.accuracy.mean(1)
        return error

    @property
    def interval(self) -> tuple[Numbers, Numbers]:
        """The 10 % and 90 % quantiles of the test error over the draws; (count,) each."""
        low, high = np.quantile(1 - self.accuracy, (0.1, 0.9), axis=1)
        return low, high

    @property
    def tau(self) -> Numbers:
        """Kendall's tau of each draw's order with the trained one; (count, draw)."""
        return np.array([[kendall_tau(order) for order in row] for row in self.orders])


def delete_each(
    network: Network, data: Dataset, *, reestimate: bool = False, report: Report | None = None
) -> OneByOne:
    """Every block deleted, one at a time (`without` says how)."""
    return _one_by_one(network, data, lambda n: without(network, (n,)), reestimate, report)


def damage_each(
    network: Network,
    data: Dataset,
    harm: Harm,
    place: Place = "residual",
    *,
    seed: int = 0,
    reestimate: bool = False,
    report: Report | None = None,
) -> OneByOne:
    """Every block damaged, one at a time (`damaged` says how)."""
    route = partial(damaged, network, harm=harm, place=place, seed=seed)
    return _one_by_one(network, data, route, reestimate, report)


def delete_random(
    network: Network,
    data: Dataset,
    *,
    counts: Iterable[int] | None = None,
    draws: int = 10,
    seed: int = 0,
    reestimate: bool = False,
    report: Report | None = None,
) -> Drawn:
    """`counts` blocks (0 to all of them) deleted, each set of blocks as likely; `draws` times.

    SpecError for a count above the number of blocks, or fewer than one draw.
    """
    total = len(network.blocks)

    def left(count: int, draw: int) -> Order:
        generator = generator_for(seed, f"delete {count} draw {draw}")
        stays = torch.randperm(total, generator=generator)[count:]
        return tuple(sorted(int(index) + 1 for index in stays))

    def route(order: Order) -> Route:
        return without(network, set(range(1, total + 1)) - set(order))

    counted = _counts(counts, total, draws)
    return _drawn(network, data, counted, draws, left, route, reestimate, report)


def swap_random(
    network: Network,
    data: Dataset,
    *,
    counts: Iterable[int] | None = None,
    draws: int = 10,
    seed: int = 0,
    reestimate: bool = False,
    report: Report | None = None,
) -> Drawn:
    """`counts` swaps, one after another, of two blocks of one shape in one stage; `draws` times.

    Each swap takes any such pair of places as likely; a later one may undo an earlier one.
    SpecError if there is no pair, a count is above the number of blocks, or draws below 1.
    """
    pairs = _pairs(network.all_blocks)
    if not pairs:
        raise SpecError("blocks", len(network.blocks), "two of one shape in one stage are needed")

    def swapped(count: int, draw: int) -> Order:
        generator = generator_for(seed, f"swap {count} draw {draw}")
        order = list(range(1, len(network.blocks) + 1))
        for pick in torch.randint(len(pairs), (count,), generator=generator).tolist():
            i, j = pairs[pick]
            order[i], order[j] = order[j], order[i]
        return tuple(order)

    counted = _counts(counts, len(network.blocks), draws)
    route = partial(reordered, network)
    return _drawn(network, data, counted, draws, swapped, route, reestimate, report)


def kendall_tau(order: Sequence[int]) -> float:
    """Kendall's tau of an order of distinct numbers with the rising one; 1 for fewer than two."""
    pairs = list(combinations(order, 2))
    return 1 - 2 * sum(a > b for a, b in pairs) / len(pairs) if pairs else 1.0


def _pairs(parts: Sequence[Block]) -> list[tuple[int, int]]:
    """Places, from 0, of two blocks with no change of shape at or between them."""
    changes = np.cumsum([changes_shape(block) for block in parts])
    same = [place for place, block in enumerate(parts) if not changes_shape(block)]
    return [(i, j) for i, j in combinations(same, 2) if changes[i] == changes[j]]


def _one_by_one(
    network: Network,
    data: Dataset,
    route: Callable[[int], Route],
    reestimate: bool,
    report: Report | None,
) -> OneByOne:
    parts = network.all_blocks
    scores = [score(network, parts, data, reestimate)]
    for number in range(1, len(parts) + 1):
        if report is not None:
            report(number, len(parts) + 1)
        scores.append(score(network, route(number), data, reestimate))
    if report is not None:
        report(len(parts) + 1, len(parts) + 1)
    return OneByOne(
        blocks=blocks(network),
        changes_shape=tuple(changes_shape(block) for block in parts),
        intact=scores[0],
        accuracy=np.array([s.accuracy for s in scores[1:]]),
        loss=np.array([s.loss for s in scores[1:]]),
        reestimated=reestimate,
    )


def _drawn(
    network: Network,
    data: Dataset,
    counts: tuple[int, ...],
    draws: int,
    draw: Callable[[int, int], Order],
    route: Callable[[Order], Route],
    reestimate: bool,
    report: Report | None,
) -> Drawn:
    """The scores of all draws, each order that comes more than once computed once."""
    orders = tuple(tuple(draw(count, i) for i in range(draws)) for count in counts)
    distinct = list(dict.fromkeys(order for row in orders for order in row))
    known: dict[Order, float] = {}
    for done, order in enumerate(distinct, 1):
        known[order] = score(network, route(order), data, reestimate).accuracy
        if report is not None:
            report(done, len(distinct))
    accuracy = np.array([[known[order] for order in row] for row in orders])
    return Drawn(counts, orders, accuracy, reestimate)


def _counts(counts: Iterable[int] | None, most: int, draws: int) -> tuple[int, ...]:
    """The counts, all up to `most` by default; SpecError if one, or `draws`, is out of range."""
    chosen = tuple(range(most + 1)) if counts is None else tuple(counts)
    if not chosen or not all(0 <= count <= most for count in chosen):
        raise SpecError("counts", chosen, f"one or more of 0 to {most}")
    if draws < 1:
        raise SpecError("draws", draws, "1 or more")
    return chosen
