"""Singular values of Jacobians: how a block, or a network, stretches small changes of its input.

Small Jacobians are written out by torch.func and decomposed whole. Of large ones the largest
and smallest singular values are found by scipy's `svds`, which only asks for J v (torch.func's
jvp) and J^T u (vjp); the matrix is never formed.

A dynamical isometry has all singular values near 1 (Saxe et al. 2013, arXiv 1312.6120;
Pennington et al. 2017, arXiv 1711.04735). Functions here are any that map a tensor to a tensor
and keep no state, such as a module in evaluation mode.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.func import jacrev, jvp, vjp

from explorer.spec import SpecError

Numbers = NDArray[np.float64]
Function = Callable[[Tensor], Tensor]

LARGEST = 1536  # a Jacobian of so many squared entries is still written out: about a second
FEW = 6  # singular values at either end of a larger one
CHUNK = 256  # rows of a Jacobian at a time
SEARCH, RESTARTS = 40, 30  # ARPACK's vectors and restarts: a bound where it cannot converge
EPSILON = float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class Spectrum:
    """Singular values of one Jacobian of `shape` (outputs, inputs), largest first; (k,).

    `complete`: all min(outputs, inputs) are there, else the largest and the smallest few; the
    last is then NaN if the smallest did not converge. What lies below `floor` is not told from
    0, for it is rounding of the largest.
    """

    name: str
    values: Numbers
    shape: tuple[int, int]
    complete: bool
    floor: float

    @property
    def largest(self) -> float:
        """The largest stretch."""
        return float(self.values[0])

    @property
    def smallest(self) -> float:
        """The smallest stretch; 0 where it is below the floor, NaN where it is not known."""
        return 0.0 if self.values[-1] <= self.floor else float(self.values[-1])

    @property
    def condition(self) -> float:
        """Largest over smallest; infinite where a direction is lost, NaN if all are."""
        if self.largest == 0:
            return math.nan
        return self.largest / self.smallest if self.smallest else math.inf

    @property
    def rank(self) -> int | None:
        """How many lie above the floor; None unless all are known."""
        return int((self.values > self.floor).sum()) if self.complete else None

    @property
    def mean_square(self) -> float | None:
        """||J||_F^2 over the number of inputs; None unless all are known.

        For a random gradient at the output it is the expected factor on its square, if there
        are as many outputs as inputs: the factor on G of `explorer.theory`.
        """
        return float((self.values**2).sum() / self.shape[1]) if self.complete else None

    @property
    def mean_log(self) -> float | None:
        """Mean of ln(singular value) over those above the floor: 0 for an isometry.

        None unless all are known, NaN if none is above the floor.
        """
        if not self.complete:
            return None
        kept = self.values[self.values > self.floor]
        return float(np.log(kept).mean()) if len(kept) else math.nan


def jacobian(function: Function, x: Tensor) -> Tensor:
    """d function(x) / dx written out; (outputs, inputs), whatever the shapes of both."""
    derive = jacrev(lambda flat: function(flat.view(x.shape)).flatten(), chunk_size=CHUNK)
    matrix: Tensor = derive(x.detach().flatten())
    return matrix.detach()


def spectrum(function: Function, x: Tensor, name: str = "", few: int = FEW) -> Spectrum:
    """The singular values of `function` at `x`: all of them, or `few` at either end if large."""
    with torch.no_grad():
        entries = function(x).numel() * x.numel()
    if entries <= LARGEST**2:
        return of_matrix(jacobian(function, x), name)
    return extremes(function, x, name, few)


def of_matrix(matrix: Tensor, name: str = "") -> Spectrum:
    """All singular values of a matrix (outputs, inputs); NaN if an entry is not finite."""
    shape = (matrix.shape[0], matrix.shape[1])
    if not matrix.isfinite().all():
        return Spectrum(name, np.full(min(shape), np.nan), shape, True, math.nan)
    values = torch.linalg.svdvals(matrix.detach().cpu().double()).numpy()
    return Spectrum(name, values, shape, True, EPSILON * max(shape) * float(values[0]))


def extremes(function: Function, x: Tensor, name: str = "", few: int = FEW) -> Spectrum:
    """The `few` largest and `few` smallest singular values of `function` at `x`, by ARPACK.

    It works on J^T J, so the floor is the root of the machine's precision. Where the smallest
    crowd at 0, as after a ReLU, they may not converge within RESTARTS; then they are NaN.
    SpecError if the Jacobian has too few singular values for that.
    """
    from scipy.sparse.linalg import (  # here, because the import takes a while
        ArpackNoConvergence,
        LinearOperator,
        svds,
    )

    shape, forward, back = _products(function, x)
    if not 1 <= few <= (min(shape) - 1) // 2:
        allowed = f"1 to {(min(shape) - 1) // 2}, for the Jacobian is {shape[0]} x {shape[1]}"
        raise SpecError("few", few, allowed)
    operator = LinearOperator(shape, matvec=forward, rmatvec=back, dtype=np.float64)
    start = np.random.default_rng(0).standard_normal(min(shape))
    ends = []
    for which in ("LM", "SM"):
        try:
            found = svds(
                operator,
                few,
                ncv=min(*shape, max(SEARCH, 2 * few + 1)),
                which=which,
                v0=start,
                maxiter=RESTARTS,
                return_singular_vectors=False,
            )
        except ArpackNoConvergence:
            found = np.full(few, np.nan)
        ends.append(np.sort(found)[::-1])
    values = np.concatenate(ends)
    return Spectrum(name, values, shape, False, math.sqrt(EPSILON) * float(values[0]))


def _products(
    function: Function, x: Tensor
) -> tuple[tuple[int, int], Callable[[Numbers], Numbers], Callable[[Numbers], Numbers]]:
    """The Jacobian's shape, v -> J v, and u -> J^T u, on vectors in float64."""
    x = x.detach()
    value = function(x)
    pull = vjp(function, x)[1]

    def forward(v: Numbers) -> Numbers:
        tangent = torch.from_numpy(np.ascontiguousarray(v)).view(x.shape)
        pushed: Numbers = jvp(function, (x,), (tangent,))[1].detach().flatten().numpy()
        return pushed

    def back(u: Numbers) -> Numbers:
        cotangent = torch.from_numpy(np.ascontiguousarray(u)).view(value.shape)
        pulled: Numbers = pull(cotangent)[0].detach().flatten().numpy()
        return pulled

    return (value.numel(), x.numel()), forward, back
