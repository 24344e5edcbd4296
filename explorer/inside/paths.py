"""What of the gradient comes back along paths of each length (Veit et al. 2016, 1605.06431).

A path of length k goes through F in k of the n blocks and through the shortcut in the others.
As in their section 5: the forward pass is complete; in the backward pass k blocks drawn at
random pass the gradient on through F alone, all others through the shortcut alone. The norm
that arrives at the input, times the C(n, k) paths of that length, is the length's share.

Where an activation stands after the sum (post-activation blocks), both ways pass through its
derivative, the mask of the forward pass; a shortcut that changes the shape is applied as it is.
So the gradients of all 2^n paths, added as vectors, are the network's gradient in every case.
The product above adds norms, and paths may cancel: `length_gradients` adds vectors instead.
"""

import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from explorer.init import generator_for
from explorer.inside.backward import opened
from explorer.inside.mode import Report
from explorer.network import Network
from explorer.spec import SpecError

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class PathGradients:
    """The gradient by path length 0, 1, …, n; every array is (n + 1,).

    `norm`: mean over the drawn paths of the L2 norm of dL/dx over the batch, L its mean cross
    entropy and x the input; `error`: its standard error, 0 where all paths were taken, NaN
    for one draw of several. `draws`: how many. `paths`: C(n, k) over 2^n. `share`: C(n, k)
    norm over its sum; `effective`: the mean length under it; both NaN if no gradient arrives.
    """

    norm: Numbers
    error: Numbers
    draws: NDArray[np.int64]
    paths: Numbers
    share: Numbers
    effective: float


def binomial(n: int) -> Numbers:
    """The share of n blocks' 2^n paths that have length 0, 1, …, n; (n + 1,)."""
    return np.array([math.comb(n, k) / 2**n for k in range(n + 1)])


def shares(norm: Numbers) -> tuple[Numbers, float]:
    """C(n, k) norm[k] over its sum, and the mean length under it; in logarithms, for large n."""
    n = len(norm) - 1
    counts = [
        math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1) for k in range(n + 1)
    ]
    if not np.isfinite(norm).all() or not norm.any():
        return np.full(n + 1, np.nan), math.nan
    with np.errstate(divide="ignore"):
        logs = np.array(counts) + np.log(norm)
    share: Numbers = np.exp(logs - logs.max())
    share /= share.sum()
    return share, float(share @ np.arange(n + 1))


def effective_lengths(share: Numbers, mass: float = 0.95) -> tuple[int, int]:
    """The first and last of the fewest neighbouring lengths that hold `mass` of the share."""
    total = np.concatenate([[0.0], np.cumsum(share)])
    for width in range(1, len(share) + 1):
        held = total[width:] - total[:-width]
        if held.max() >= mass:
            return int(held.argmax()), int(held.argmax()) + width - 1
    return 0, len(share) - 1


def path_gradients(
    network: Network,
    x: Tensor,
    y: Tensor,
    *,
    draws: int = 16,
    seed: int = 0,
    training: bool = True,
    report: Report | None = None,
) -> PathGradients:
    """Measure `draws` paths of every length on one batch, or all where there are no more.

    `training`: BatchNorm reads the batch's statistics, as in a training step.
    """
    if draws < 1:
        raise SpecError("draws", draws, "1 or more")
    n = len(network.blocks)
    drawn = [list(_paths(n, length, draws, seed)) for length in range(n + 1)]
    total, done = sum(map(len, drawn)), 0
    norms: list[list[float]] = []
    with opened(network, x, y, training) as run:
        for some in drawn:
            norms.append([])
            for taken in some:
                gradient = run.along(taken)  # in float64, for the square of 1e-23 is 0 in float32
                norms[-1].append(torch.linalg.vector_norm(gradient, dtype=torch.float64).item())
                done += 1
                if report is not None:
                    report(done, total)
    means = np.array([np.mean(values) for values in norms])
    errors = [_error(values, math.comb(n, k)) for k, values in enumerate(norms)]
    share, effective = shares(means)
    counts = np.array([len(values) for values in norms])
    return PathGradients(means, np.array(errors), counts, binomial(n), share, effective)


def path_gradient(
    network: Network, x: Tensor, y: Tensor, taken: Collection[int], training: bool = True
) -> Tensor:
    """dL/dx along the one path through F in the blocks `taken` (from 1); shaped as x."""
    with opened(network, x, y, training) as run:
        return run.along(taken)


def length_gradients(
    network: Network, x: Tensor, y: Tensor, training: bool = True, report: Report | None = None
) -> Tensor:
    """The sum over all paths of each length of dL/dx, exactly; (n + 1, *x.shape).

    No drawing: block by block the gradients of k and k - 1 blocks taken are added, n^2/2
    backward passes of one block in all. Summed over the lengths it is the network's gradient.
    """
    with opened(network, x, y, training) as run:
        sums = [run.gradient]
        for done, piece in enumerate(reversed(run.pieces), 1):
            skipped = [piece.back(gradient, through_residual=False) for gradient in sums]
            taken = [piece.back(gradient, through_residual=True) for gradient in sums]
            zero = torch.zeros_like(skipped[0])
            sums = [a + b for a, b in zip([*skipped, zero], [zero, *taken], strict=True)]
            if report is not None:
                report(done, len(run.pieces))
        return torch.stack([run.to_input(gradient) for gradient in sums])


def _paths(n: int, length: int, draws: int, seed: int) -> Iterator[frozenset[int]]:
    """`draws` random paths of this length through n blocks, or all of them if no more."""
    if math.comb(n, length) <= draws:
        yield from map(frozenset, combinations(range(1, n + 1), length))
        return
    generator = generator_for(seed, f"paths of length {length}")
    for _ in range(draws):
        order = torch.randperm(n, generator=generator)
        yield frozenset((order[:length] + 1).tolist())


def _error(values: list[float], count: int) -> float:
    if len(values) == count:
        return 0.0
    if len(values) == 1:
        return math.nan
    return float(np.std(values, ddof=1)) / math.sqrt(len(values))
