"""The gradient by path length, as vectors: exactly, or for a few lengths by drawing paths.

A path goes through F in k of the n blocks and through the shortcut in the others (Veit et al.
2016, arXiv 1605.06431, section 3; how activations after the sum and shortcuts that change the
shape are counted is said in `explorer.inside.paths`). All paths together are the network's
gradient. A share is a projection onto it over its square, as in `split`: one below 0 works
against the rest.
"""

import copy
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from explorer.init import generator_for
from explorer.inside.backward import Opened, opened
from explorer.inside.mode import Report
from explorer.inside.paths import length_gradients
from explorer.network import Network
from explorer.spec import SpecError

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class LengthSplit:
    """dL/dx by path length, each the vector sum over all C(n, k) paths of that length.

    All arrays are (length,), for the path lengths in `lengths`. `share`: projection onto dL/dx
    over its square; over all lengths they add up to 1. `power`: the square of the vector sum's
    norm over that of dL/dx. `share_error` and `power_error` are standard errors, 0 where every
    path was taken; `paths` is how many were. `total` is the norm of dL/dx.
    """

    lengths: tuple[int, ...]
    share: Numbers
    share_error: Numbers
    power: Numbers
    power_error: Numbers
    paths: NDArray[np.float64]
    total: float


def by_length(
    network: Network, x: Tensor, y: Tensor, training: bool = True, report: Report | None = None
) -> LengthSplit:
    """All path lengths 0, 1, …, n, exactly, in float64 on the CPU.

    It takes n (n + 1) backward passes of one block, fewer than drawing a single path of each
    length, so it is the way to go up to about a hundred blocks.
    """
    twin = in_double(network)
    sums = length_gradients(twin, x.cpu().double(), y.cpu(), training, report).flatten(1)
    total = sums.sum(0)
    square = float(total @ total)
    n = len(network.blocks)
    zero = np.zeros(n + 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return LengthSplit(
            lengths=tuple(range(n + 1)),
            share=(sums @ total).numpy() / square,
            share_error=zero,
            power=(sums * sums).sum(1).numpy() / square,
            power_error=zero,
            paths=np.array([float(math.comb(n, k)) for k in range(n + 1)]),
            total=math.sqrt(square),
        )


def sampled_lengths(
    network: Network,
    x: Tensor,
    y: Tensor,
    lengths: Sequence[int],
    *,
    draws: int = 32,
    seed: int = 0,
    training: bool = True,
    report: Report | None = None,
) -> LengthSplit:
    """A few path lengths of a network too deep for `by_length`, from `draws` paths of each.

    A length's vector sum is estimated by C(n, k) times the mean gradient g of the drawn paths,
    so `share` and `power` have no bias (power by products of different draws, for the square
    of a mean is too large). It can tell the share of lengths near 0 or n, and of those whose
    paths agree. It cannot tell that of long lengths with many paths that nearly cancel: the
    error falls as 1/sqrt(draws) alone while C(n, k) multiplies it, and a share within its
    error of 0 says nothing. Errors are estimates too: that of `power`, a jackknife's, is up to
    sqrt 2 too large where paths cancel, and both are too small where a rare path carries most.
    SpecError for fewer than 3 draws, or a length the network has not.
    """
    n = len(network.blocks)
    if draws < 3:
        raise SpecError("draws", draws, "3 or more, for a standard error")
    if not lengths or min(lengths) < 0 or max(lengths) > n:
        raise SpecError("lengths", tuple(lengths), f"one or more from 0 to {n}")
    drawn = [draws if math.comb(n, k) > 1 else 1 for k in lengths]
    done, rows = 0, []
    with opened(in_double(network), x.cpu().double(), y.cpu(), training) as run:
        total = _whole(run)
        for length, count in zip(lengths, drawn, strict=True):
            gradients = []
            for taken in _drawn_paths(n, length, count, seed):
                gradients.append(run.along(taken).flatten())
                done += 1
                if report is not None:
                    report(done, sum(drawn))
            rows.append(_estimates(torch.stack(gradients), total, math.comb(n, length)))
    norm = float(torch.linalg.vector_norm(total))
    share, share_error, power, power_error = np.array(rows).T
    paths = np.array(drawn, dtype=float)
    return LengthSplit(tuple(lengths), share, share_error, power, power_error, paths, norm)


def in_double(network: Network) -> Network:
    """A copy in float64 on the CPU, gates and modes as they are."""
    return copy.deepcopy(network).to("cpu", torch.float64)


def _whole(run: Opened) -> Tensor:
    """dL/dx, both ways of every block added."""
    gradient = run.gradient
    for piece in reversed(run.pieces):
        gradient = piece.back(gradient, True) + piece.back(gradient, False)
    return run.to_input(gradient).flatten()


def _drawn_paths(n: int, length: int, draws: int, seed: int) -> Iterator[frozenset[int]]:
    """Independent random paths, with replacement; blocks count from 1."""
    generator = generator_for(seed, f"paths of length {length}")
    for _ in range(draws):
        order = torch.randperm(n, generator=generator)
        yield frozenset((order[:length] + 1).tolist())


def _estimates(gradients: Tensor, total: Tensor, count: int) -> list[float]:
    """Share, its error, power, its error, from paths' gradients (draw, value)."""
    norm = torch.linalg.vector_norm(total)
    scaled = count * gradients / norm  # in units of dL/dx; C(n, k) would overflow if squared
    projections = scaled @ (total / norm)
    m = len(scaled)
    if m == 1:  # the only path there is
        return [float(projections[0]), 0.0, float(scaled[0] @ scaled[0]), 0.0]
    products = scaled @ scaled.T
    products.fill_diagonal_(0)
    power = float(products.sum()) / (m * (m - 1))
    without = (products.sum() - 2 * products.sum(1)) / ((m - 1) * (m - 2))  # each left out once
    error = math.sqrt((m - 1) * float(without.var(correction=0)))  # the jackknife's
    share_error = float(projections.std()) / math.sqrt(m)
    return [float(projections.mean()), share_error, power, error]
