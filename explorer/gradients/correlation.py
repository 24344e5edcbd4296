"""The correlation of the gradients at two inputs, by depth, measured beside its theory.

The network is that of `shattering`, without stem and readout: h_0 holds the inputs, (B,
width), drawn orthogonal where there is no BatchNorm and from N(0, 1) where it centres them
anyway. For a depth L, readouts u ~ N(0, 1) of h_L are drawn, and g_i = d(u . h_L(x_i))/dx_i is
taken by autograd. The correlation is the mean of g_i . g_j over pairs i != j and readouts, over
the mean of g_i . g_i: Balduzzi et al. 2017, arXiv 1702.08591, with expectations over weights
replaced by these means. All seeds together still give one number a seed.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from explorer.gradients.shattering import Arm, step, weight
from explorer.init import generator_for
from explorer.inside.mode import Report
from explorer.spec import SpecError
from explorer.theory.correlation import FEWEST, CorrelationCurve, gradient_correlation

Numbers = NDArray[np.float64]

DEPTHS = (1, 2, 4, 8, 16, 32)
READOUTS = 16


@dataclass(frozen=True)
class Correlations:
    """By depth: the mean over the seeds and its standard error (NaN for one seed); (depth,).

    `theory` runs over every depth from 1 to the last measured one.
    """

    depths: tuple[int, ...]
    mean: Numbers
    error: Numbers
    theory: CorrelationCurve
    seeds: int


def correlations(
    arm: Arm,
    depths: Sequence[int] = DEPTHS,
    *,
    width: int = 256,
    batch: int = 32,
    seeds: int = 8,
    readouts: int = READOUTS,
    report: Report | None = None,
) -> Correlations:
    """Measure `arm` at `depths` with seeds 0, 1, …; SpecError for values that cannot be."""
    _check(depths, width, batch, seeds, readouts, arm.norm)
    depths = tuple(sorted(set(depths)))
    rows = []
    for seed in range(seeds):
        rows.append(_one_seed(arm, depths, width, batch, readouts, seed))
        if report is not None:
            report(seed + 1, seeds)
    values = np.array(rows)
    spread = values.std(0, ddof=1) if seeds > 1 else np.full(len(depths), np.nan)
    theory = gradient_correlation(
        depths[-1], skip=arm.skip, beta=arm.beta, norm=arm.norm, width=width, batch=batch
    )
    return Correlations(depths, values.mean(0), spread / math.sqrt(seeds), theory, seeds)


def _one_seed(
    arm: Arm, depths: tuple[int, ...], width: int, batch: int, readouts: int, seed: int
) -> list[float]:
    """The correlation at each depth."""
    inputs = torch.randn(batch, width, generator=generator_for(seed, "inputs"))
    if not arm.norm:
        inputs = torch.linalg.qr(inputs.T).Q.T * math.sqrt(width)
    x = inputs.contiguous().requires_grad_()
    h, found = x, []
    with torch.enable_grad():
        for number in range(1, depths[-1] + 1):
            h = step(arm, h, weight(seed, number, width))
            if number in depths:
                drawn = generator_for(seed, f"readouts at {number}")
                u = torch.randn(readouts, 1, width, generator=drawn).expand(-1, batch, -1)
                found.append(_correlation(_gradients(h, x, u)))
    return found


def _gradients(h: Tensor, x: Tensor, u: Tensor) -> Tensor:
    """d(u . h)/dx for each of the readouts `u`; (readout, example, width)."""
    gradients = torch.autograd.grad(h, x, u, retain_graph=True, is_grads_batched=True)
    return gradients[0]


def _correlation(gradients: Tensor) -> float:
    """Mean product over pairs of examples over the mean square; NaN where no gradient arrives."""
    products = torch.einsum("kbn,kcn->bc", gradients, gradients).double()
    count = len(products)
    own = products.trace() / count
    pairs = (products.sum() - products.trace()) / (count * (count - 1))
    return float(pairs / own)


def _check(
    depths: Sequence[int], width: int, batch: int, seeds: int, readouts: int, norm: bool
) -> None:
    if not depths or min(depths) < 1:
        raise SpecError("depths", tuple(depths), "one or more, each 1 or more")
    for field, value in (("width", width), ("seeds", seeds), ("readouts", readouts)):
        if value < 1:
            raise SpecError(field, value, "1 or more")
    if norm and batch < FEWEST:
        raise SpecError("batch", batch, f"{FEWEST} or more with BatchNorm")
    if not norm and not 2 <= batch <= width:
        raise SpecError("batch", batch, f"2 to {width}, for so many inputs can be orthogonal")
