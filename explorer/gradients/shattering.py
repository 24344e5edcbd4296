"""Shattered gradients in one dimension: df/dx along a line, and its autocorrelation.

Balduzzi et al. 2017, arXiv 1702.08591, section 2: f: R -> R on 256 points in [-2, 2], 200
wide. The exact network here: h_0 = w x + b with w, b ~ N(0, 1); L blocks of one layer,
h <- skip h + beta W relu(BN(h)), W ~ N(0, 2/200) (He), no further biases; f = v . h_L with
v ~ N(0, 1/200). BatchNorm reads the 256 points as its batch, and its statistics are held fixed
in the derivative, so that df/dx is the slope of one function. (Were they differentiated as
well, a residual network with beta 1 would be white by depth 50.) Without BatchNorm BN(h) = h,
and only the bias b lets f be more than two straight lines.

df/dx is centred and set to length one; its autocorrelation at lag k is the sum over i of
g_i g_(i+k), averaged over seeds. White noise has 0, a random walk ("brown") stays near 1.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from explorer.init import generator_for
from explorer.inside.mode import Report
from explorer.spec import SpecError

Numbers = NDArray[np.float64]
Noise = Literal["white", "brown"]

POINTS = 256
REACH = 2.0  # the points lie in [-REACH, REACH]
WIDTH = 200
LAGS = 30
EPSILON = 1e-5  # as torch's BatchNorm


@dataclass(frozen=True)
class Arm:
    """One kind of network: h <- skip h + beta W relu(h), the ReLU after BatchNorm if `norm`."""

    name: str
    label: str
    skip: float
    beta: float
    norm: bool


ARMS = {
    arm.name: arm
    for arm in (
        Arm("plain", "plain, no norm", skip=0.0, beta=1.0, norm=False),
        Arm("plain_batch", "plain, BatchNorm", skip=0.0, beta=1.0, norm=True),
        Arm("residual", "residual, no norm", skip=1.0, beta=1.0, norm=False),
        Arm("residual_batch", "residual, BatchNorm", skip=1.0, beta=1.0, norm=True),
        Arm("residual_small", "residual, BatchNorm, beta 0.1", skip=1.0, beta=0.1, norm=True),
    )
}


@dataclass(frozen=True)
class Shattering:
    """Autocorrelation of df/dx over `lags` 0, 1, …; `mean` and `std` over the seeds, (lag,).

    `std` is NaN for one seed. `gradient` is df/dx for the first seed, centred and of length
    one, at `x`; both (points,).
    """

    lags: NDArray[np.int64]
    mean: Numbers
    std: Numbers
    x: Numbers
    gradient: Numbers
    seeds: int


def shattering(
    arm: Arm,
    depth: int,
    *,
    seeds: int = 8,
    lags: int = LAGS,
    width: int = WIDTH,
    points: int = POINTS,
    report: Report | None = None,
) -> Shattering:
    """The curve of `arm` with `depth` blocks, seeds 0, 1, …; twins share all their weights."""
    _check(depth, seeds, lags, width, points)
    gradients = []
    for seed in range(seeds):
        gradients.append(slope(arm, depth, seed=seed, width=width, points=points))
        if report is not None:
            report(seed + 1, seeds)
    return _summary(gradients, lags)


def noise(kind: Noise, *, seeds: int = 8, lags: int = LAGS, points: int = POINTS) -> Shattering:
    """The same of a reference: "white" draws from N(0, 1), "brown" their cumulative sum."""
    if kind not in ("white", "brown"):
        raise SpecError("kind", kind, "choose one of white, brown")
    _check(1, seeds, lags, 1, points)
    series = []
    for seed in range(seeds):
        white = torch.randn(points, generator=generator_for(seed, "noise")).double().numpy()
        series.append(white if kind == "white" else np.cumsum(white))
    return _summary(series, lags)


def slope(
    arm: Arm, depth: int, *, seed: int = 0, width: int = WIDTH, points: int = POINTS
) -> Numbers:
    """df/dx at every point, by autograd; (points,)."""
    x = torch.linspace(-REACH, REACH, points).unsqueeze(1).requires_grad_()
    w, b = (torch.randn(1, width, generator=generator_for(seed, name)) for name in ("w", "b"))
    v = torch.randn(width, 1, generator=generator_for(seed, "v")) / math.sqrt(width)
    with torch.enable_grad():
        h = x @ w + b
        for number in range(1, depth + 1):
            h = step(arm, h, weight(seed, number, width))
        # The statistics are constants, so each f depends on its own x: one pass for all.
        (gradient,) = torch.autograd.grad((h @ v).sum(), x)
    return gradient.squeeze(1).double().numpy()


def step(arm: Arm, h: Tensor, w: Tensor) -> Tensor:
    """One block: skip h + beta relu(BN(h)) W with fixed statistics; (N, width) -> (N, width)."""
    before = h
    if arm.norm:
        mean, variance = h.detach().mean(0), h.detach().var(0, correction=0)
        h = (h - mean) / torch.sqrt(variance + EPSILON)
    branch = torch.relu(h) @ w
    if arm.skip == 0:
        return branch * arm.beta
    return before * arm.skip + branch * arm.beta


def weight(seed: int, number: int, width: int) -> Tensor:
    """The He weights of block `number`, the same for every arm; (width, width)."""
    drawn = torch.randn(width, width, generator=generator_for(seed, f"block {number}"))
    return drawn * math.sqrt(2 / width)


def autocorrelation(series: Numbers, lags: int) -> Numbers:
    """At lags 0, …, `lags` of the centred series over its lag 0; (lags + 1,), NaN if constant."""
    centred = series - series.mean()
    length = float(centred @ centred)
    if not length > 0:
        return np.full(lags + 1, np.nan)
    count = len(centred)
    return np.array([centred[: count - k] @ centred[k:] / length for k in range(lags + 1)])


def _summary(series: list[Numbers], lags: int) -> Shattering:
    curves = np.stack([autocorrelation(values, lags) for values in series])
    many = len(series) > 1
    first = series[0] - series[0].mean()
    length = float(np.linalg.norm(first))
    return Shattering(
        lags=np.arange(lags + 1),
        mean=curves.mean(0),
        std=curves.std(0, ddof=1) if many else np.full(lags + 1, np.nan),
        x=np.linspace(-REACH, REACH, len(first)),
        gradient=first / length if length > 0 else first,
        seeds=len(series),
    )


def _check(depth: int, seeds: int, lags: int, width: int, points: int) -> None:
    for field, value in (("depth", depth), ("seeds", seeds), ("width", width)):
        if value < 1:
            raise SpecError(field, value, "1 or more")
    if points < 2:
        raise SpecError("points", points, "2 or more")
    if not 1 <= lags < points:
        raise SpecError("lags", lags, f"1 to {points - 1}, for there are {points} points")
