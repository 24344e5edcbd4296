"""How the gradient divides at every block: through the shortcut, and through F.

At a block two vectors add up to dL/dx: what comes back through F, and what comes back through
the shortcut (He et al. 2016, arXiv 1603.05027, equation 5). Each is one vector-Jacobian
product from the same gradient above.

Vectors may cancel, so their norms do not add; their projections onto the whole do. A share is
such a projection over the square of the whole: shares add up to 1, and one below 0 works
against the rest.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from explorer.inside.backward import opened
from explorer.inside.mode import Report
from explorer.network import Network

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Split:
    """The two parts of dL/d(block's input) for every block; every array is (block,).

    `residual`, `shortcut` and `total`: L2 norms over the batch of the part through F, of the
    part through the shortcut, and of both added. `cosine`: between the two parts, NaN where one
    is 0. `residual_share` and `shortcut_share`: each part's projection onto the total over the
    total's square; they add up to 1, and are NaN where no gradient arrives.
    """

    residual: Numbers
    shortcut: Numbers
    total: Numbers
    cosine: Numbers
    residual_share: Numbers
    shortcut_share: Numbers


def split(
    network: Network, x: Tensor, y: Tensor, training: bool = True, report: Report | None = None
) -> Split:
    """Every block's two parts on one batch; `training`: BatchNorm reads the batch.

    The gradients are those of the mean cross entropy, in the network's own precision.
    """
    rows = []
    with opened(network, x, y, training) as run:
        gradient = run.gradient
        for done, piece in enumerate(reversed(run.pieces), 1):
            parts = [piece.back(gradient, through_residual=way) for way in (True, False)]
            rows.append(_two_parts(*(part.double().flatten() for part in parts)))
            gradient = parts[0] + parts[1]
            if report is not None:
                report(done, len(run.pieces))
    return Split(*np.array(rows[::-1]).T)


def _two_parts(residual: Tensor, shortcut: Tensor) -> list[float]:
    """One row of a Split."""
    total = residual + shortcut
    norms = [float(torch.linalg.vector_norm(part)) for part in (residual, shortcut, total)]
    if norms[2] == 0:
        return [*norms, math.nan, math.nan, math.nan]
    unit = total / norms[2]  # divided at once: the square of 1e-200 would be 0
    shares = [float(part @ unit) / norms[2] for part in (residual, shortcut)]
    cosine = math.nan
    if norms[0] and norms[1]:
        cosine = float((residual / norms[0]) @ (shortcut / norms[1]))
    return [*norms, cosine, *shares]
