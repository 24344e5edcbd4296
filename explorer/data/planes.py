"""Points in the plane, in two classes that no straight line parts."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from explorer.catalog import BUILT_IN
from explorer.data.base import LOADERS, Examples, Loader
from explorer.init import generator_for

PER_CLASS = 400
TURNS = 1.5
Points = NDArray[np.float64]  # (2 * PER_CLASS, 2), the first half of them of class 0


def _spirals() -> Points:
    """Two arms of TURNS turns around the origin, half a turn apart; noise 0.03 of the radius."""
    random = np.random.default_rng(0)
    radius = np.sqrt(random.uniform(0.01, 1, (2, PER_CLASS)))
    angle = 2 * np.pi * TURNS * radius + np.array([[0], [np.pi]])
    points = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=-1)
    return (points + random.normal(0, 0.03, points.shape)).reshape(-1, 2)


def _xor() -> Points:
    """Four unit squares around the origin, noise 0.05: class 0 where the signs agree."""
    random = np.random.default_rng(0)
    points = random.uniform(0, 1, (2, PER_CLASS, 2))
    points[:, PER_CLASS // 2 :] -= 1  # the opposite square
    points[1, :, 0] *= -1
    return (points + random.normal(0, 0.05, points.shape)).reshape(-1, 2)


def _moons() -> Points:
    from sklearn.datasets import make_moons  # here, because the import takes a second

    points, labels = make_moons(2 * PER_CLASS, noise=0.15, random_state=0)
    return np.concatenate([points[labels == 0], points[labels == 1]])


def _circles() -> Points:
    from sklearn.datasets import make_circles  # here, because the import takes a second

    points, labels = make_circles(2 * PER_CLASS, noise=0.08, factor=0.5, random_state=0)
    return np.concatenate([points[labels == 0], points[labels == 1]])


MAKERS: dict[str, Callable[[], Points]] = {
    "spirals": _spirals,
    "moons": _moons,
    "circles": _circles,
    "xor": _xor,
}


def _plane(name: str) -> Examples:
    """Shuffled, with as many of one class as of the other in either split."""
    points = torch.from_numpy(MAKERS[name]()).float().view(2, PER_CLASS, 2)
    order = torch.randperm(PER_CLASS, generator=generator_for(0, name))
    train = BUILT_IN[name].train // 2
    x_train, y_train = _mixed(points[:, order[:train]])
    x_test, y_test = _mixed(points[:, order[train:]])
    return Examples(x_train, y_train, x_test, y_test, ("0", "1"))


def _mixed(points: Tensor) -> tuple[Tensor, Tensor]:
    """Classes in turn: (2, N, 2) -> x (2N, 2), y (2N,)."""
    return points.transpose(0, 1).reshape(-1, 2), torch.arange(2).repeat(points.shape[1])


for plane in MAKERS:
    LOADERS.add(plane, Loader(_plane))
