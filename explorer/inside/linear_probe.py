"""How much a linear classifier can read off the output of every block."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from explorer.data import Dataset
from explorer.inside.maps import batches, reading
from explorer.inside.mode import Report
from explorer.network import Network
from explorer.probes import walked
from explorer.spec import SpecError

Numbers = NDArray[np.float64]

RIDGE = 1e-3  # penalty per example, on features of variance 1


@dataclass(frozen=True)
class LinearProbe:
    """Accuracy of a linear classifier on the features of each site, stem first; shares."""

    sites: tuple[str, ...]
    train_accuracy: Numbers  # (site,)
    test_accuracy: Numbers  # (site,)


def linear_probe(
    network: Network, data: Dataset, ridge: float = RIDGE, report: Report | None = None
) -> LinearProbe:
    """How well a linear classifier does on each site (Alain & Bengio 2016, arXiv 1610.01644).

    Features are the outputs of stem and blocks averaged over pixels, scaled to mean 0 and
    variance 1 over the training set. The classifier is one ridge regression a class, onto 1 for
    the class and -1 for all others, with a free constant and the penalty `ridge` x examples, in
    closed form (theirs is trained by gradient descent). NaN where a feature is not finite.
    SpecError if `ridge` is not above 0.
    """
    if not ridge > 0:
        raise SpecError("ridge", ridge, "a number above 0")
    both = torch.cat([data.x_train, data.x_test])
    y = torch.cat([data.y_train, data.y_test]).cpu().numpy()
    split, classes = len(data.x_train), network.head.out_features
    shares = [
        _shares(values, y, split, classes, ridge) for values in _pooled(network, both, report)
    ]
    return LinearProbe(walked(network), *np.array(shares).T)


def _pooled(network: Network, x: Tensor, report: Report | None) -> list[Numbers]:
    """Every site's output averaged over pixels; (N, channels) each."""
    found: list[list[Tensor]] = [[] for _ in walked(network)]
    with reading(network):
        for part in batches(network, x, report):
            for parts, (_, output) in zip(found, network.walk(part), strict=True):
                parts.append(output.mean((2, 3)) if network.convolves else output)
    return [torch.cat(parts).cpu().double().numpy() for parts in found]


def _shares(
    values: Numbers, y: NDArray[np.int64], split: int, classes: int, ridge: float
) -> tuple[float, float]:
    """Shares classified correctly before and after `split`, fitted on those before it."""
    if not np.isfinite(values).all():
        return math.nan, math.nan
    mean, std = values[:split].mean(0), values[:split].std(0)
    scaled = (values - mean) / np.where(std > 0, std, 1.0)
    x, targets = scaled[:split], 2.0 * (y[:split, None] == np.arange(classes)) - 1.0
    constant = targets.mean(0)
    penalty = ridge * split * np.eye(x.shape[1])
    weights = np.linalg.solve(x.T @ x + penalty, x.T @ (targets - constant))
    right = (scaled @ weights + constant).argmax(1) == y
    return float(right[:split].mean()), float(right[split:].mean())
