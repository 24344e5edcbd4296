"""How much of the gradient comes back along paths of each length, predicted at initialisation.

A path goes back through F in k of the n blocks and through the shortcut in the others. With
gamma the squared gain of a block's F over that of its shortcut, and weights that are
independent from block to block, the squared gradients of all paths of length k add up to the
elementary symmetric polynomial e_k(gamma). Over the sum of all, the product of (1 + gamma),
that is the chance of k successes in n trials of chance gamma/(1 + gamma) each: a Poisson
binomial distribution, which a sum of positive terms gives for any n. (Derived here.)

Veit et al. 2016 (arXiv 1605.06431) add the norms of the paths, not their squares; in a wide
network the norm of one path is a product of sqrt(gamma), so their measure is e_k(sqrt(gamma)).
It finds longer paths: a hundred of norm 1/10 count as 10 in norms, as 1 in squares.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from explorer.spec import NetworkSpec, SpecError
from explorer.theory import predict
from explorer.theory.layers import blocks_of

Numbers = NDArray[np.float64]
Measure = Literal["squares", "norms"]

SQUARES = "e_k(gamma), gamma = squared gain of F over that of the shortcut, block by block"
NORMS = "e_k(sqrt(gamma)), gamma = squared gain of F over that of the shortcut, block by block"
SOURCE = "derived here; paths as in Veit et al. 2016, arXiv 1605.06431"


@dataclass(frozen=True)
class PathLengths:
    """The share of path lengths 0, 1, …, n, (n + 1,), with its mean and standard deviation.

    `gamma` is (block,), from input to output, inf where no gradient takes the shortcut.
    `valid` says whether the network lies in `region`.
    """

    share: Numbers
    mean: float
    std: float
    gamma: Numbers
    formula: str
    source: str
    region: str
    valid: bool


def path_lengths(
    network: NetworkSpec, batch: int, input_variance: float = 1.0, measure: Measure = "squares"
) -> PathLengths | None:
    """The prediction for `network`; None where `predict` knows no curve, or no gradient comes.

    "squares": what the squared gradient consists of, as `length_gradients` measures it.
    "norms": what Veit et al. plot, as `path_gradients` measures it.
    """
    if measure not in get_args(Measure):
        raise SpecError("measure", measure, f"choose one of {', '.join(get_args(Measure))}")
    found = predict(network, batch, input_variance)
    if found is None or not np.isfinite(found.log_ratio).all():
        return None
    total = np.exp(found.log_ratio[:-1] - found.log_ratio[1:])  # a block's factor on G
    # Channels that the shortcut pads with zeros send nothing back through it.
    copied = np.array([b.skip**2 * b.c_in / b.c_out for b in blocks_of(network)])
    through_f = np.maximum(total - copied, 0)
    with np.errstate(divide="ignore"):
        gamma = through_f / copied
    if measure == "norms":
        through_f, copied = np.sqrt(through_f), np.sqrt(copied)
    chances = through_f / (through_f + copied)
    padded = "; borders of a map and changes of shape only on average"
    return PathLengths(
        share=successes(chances),
        mean=float(chances.sum()),
        std=float(np.sqrt((chances * (1 - chances)).sum())),
        gamma=gamma,
        formula=SQUARES if measure == "squares" else NORMS,
        source=SOURCE,
        region=found.region + (padded if network.family == "resnet" else ""),
        valid=found.valid,
    )


def path_weights(gamma: Sequence[float] | Numbers) -> Numbers:
    """e_k(gamma) over its sum, the product of (1 + gamma), for k = 0, …, n; (n + 1,)."""
    values = np.asarray(gamma, dtype=np.float64)
    if values.ndim != 1 or not (np.isfinite(values) & (values >= 0)).all():
        raise SpecError("gamma", values.tolist(), "numbers that are not below 0")
    return successes(values / (1 + values))


def successes(chances: Sequence[float] | Numbers) -> Numbers:
    """The chance of k successes in trials of these chances, k = 0, …, n; (n + 1,)."""
    share = np.ones(1)
    for chance in chances:  # all terms are positive: nothing cancels, however many there are
        share = np.append(share * (1 - chance), 0.0) + np.append(0.0, share * chance)
    return share
