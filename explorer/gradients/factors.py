"""The product of n factors, by hand: what every layer of an MLP multiplies signal and gradient by.

x_l = phi(W_l x_{l-1}), n square layers without biases, W Gaussian of variance s/width. The
weights of a layer are the same draws at every s, depth and activation, so that moving a slider
changes what it says and nothing else. Signal and gradient are brought to size 1 after every
layer and their sizes kept in logarithms: what float32 would lose is measured all the same.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from explorer.init import generator_for
from explorer.inside.mode import Report
from explorer.spec import SpecError
from explorer.spec.network import DEEPEST
from explorer.theory.mean_field import Activation, Signal, signal

Numbers = NDArray[np.float64]

LARGEST = 50_000_000  # weights, all held at once: 200 MB
SMALLEST_NORMAL = float(np.finfo(np.float32).tiny)
IDENTITY = -16.0  # below e^-16 tanh(x) is x in float32


@dataclass(frozen=True)
class Walk:
    """A product of factors, one after the other; arrays are (n + 1,), from 1 on.

    `log10` is its logarithm. `float32` is the product as float32 keeps it, where a size below
    1.2e-38 counts as 0, as in every run here. `lost` is the number of factors after which that
    is 0 or inf for the first time, None if it never is.
    """

    log10: Numbers
    float32: NDArray[np.float32]
    lost: int | None


@dataclass(frozen=True)
class Factors:
    """What an MLP does to a batch of signals and gradients at initialisation, layer by layer.

    `log_second_moment` is ln(mean of x^2), 0 at the input, and `log_gradient` is ln(mean over
    the batch of the squared length of dL/dx), 0 at the output, where every example's gradient
    is a random direction of length 1; both (seed, depth + 1), from input to output, -inf where
    nothing arrives. `factor` is G_{l-1}/G_l, (seed, depth), NaN after that. `predicted` is the
    wide limit of the same.
    """

    log_second_moment: Numbers
    log_gradient: Numbers
    factor: Numbers
    predicted: Signal

    def chain(self, row: int = 0) -> Walk:
        """What a chain of single numbers does that has one seed's factors, output to input.

        The factors of a gradient, not of its square: the root of each layer's.
        """
        return walk(np.sqrt(np.nan_to_num(self.factor[row, ::-1])))


class Weights(NamedTuple):
    """What the backward pass needs of a layer: W (out, in), and phi'(h) (N, out) or None for 1."""

    weight: Tensor
    slope: Tensor | None


def factors(
    activation: Activation,
    variance: float,
    depth: int,
    width: int = 256,
    *,
    batch: int = 64,
    seeds: int = 1,
    seed: int = 0,
    report: Report | None = None,
) -> Factors:
    """Measure seeds `seed`, `seed` + 1, … of the MLP whose weights have variance s/width.

    Inputs are Gaussian, each scaled to a mean square of 1. SpecError for a bad value.
    """
    for field, value, most in (("depth", depth, DEEPEST), ("width", width, 1024)):
        if not 1 <= value <= most:
            raise SpecError(field, value, f"1 to {most}")
    if depth * width**2 > LARGEST:
        allowed = f"at most {math.isqrt(LARGEST // depth)} at depth {depth}"
        raise SpecError("width", width, allowed)
    for field, value in (("batch", batch), ("seeds", seeds)):
        if value < 1:
            raise SpecError(field, value, "1 or more")
    predicted = signal(activation, variance, depth, width)
    moments, gradients = [], []
    for done, number in enumerate(range(seed, seed + seeds), 1):
        forward, layers = _forward(activation, variance, depth, width, batch, number)
        moments.append(forward)
        gradients.append(_backward(layers, batch, number))
        if report is not None:
            report(done, seeds)
    log_gradient = np.array(gradients)
    with np.errstate(invalid="ignore"):
        ratios = np.exp(log_gradient[:, :-1] - log_gradient[:, 1:])
    return Factors(np.array(moments), log_gradient, ratios, predicted)


def walk(values: Sequence[float] | Numbers) -> Walk:
    """The partial products of `values`; SpecError for one that is negative or not finite."""
    numbers = np.asarray(values, dtype=np.float64)
    if numbers.ndim != 1 or not (np.isfinite(numbers) & (numbers >= 0)).all():
        raise SpecError("factors", numbers.tolist(), "finite numbers that are not below 0")
    with np.errstate(divide="ignore", over="ignore"):
        logs = np.concatenate([[0.0], np.cumsum(np.log10(numbers))])
        products = [np.float32(1)]
        for number in numbers.astype(np.float32):
            # Exact in float64, so rounding it is float32's own product, denormals or not.
            product = np.float32(float(products[-1]) * float(number))
            products.append(product if product >= SMALLEST_NORMAL else np.float32(0))
    kept = np.array(products)
    gone = np.flatnonzero((kept == 0) | ~np.isfinite(kept))
    return Walk(logs, kept, int(gone[0]) if len(gone) else None)


@torch.no_grad()
def _forward(
    activation: Activation, variance: float, depth: int, width: int, batch: int, seed: int
) -> tuple[list[float], list[Weights]]:
    """ln(mean of x^2) at the input and after every layer, and what the way back needs."""
    x = torch.empty(batch, width).normal_(generator=generator_for(seed, "input"))
    x = x / x.square().mean(1, keepdim=True).sqrt()
    logs, layers = [0.0], []
    log_scale = 0.0  # the signal is x times its exponential
    deviation = math.sqrt(variance / width)
    for number in range(1, depth + 1):
        weight = torch.empty(width, width)
        weight.normal_(0, deviation, generator=generator_for(seed, f"layer {number}.weight"))
        x, slope, log_scale = _activated(activation, x @ weight.T, log_scale)
        layers.append(Weights(weight, slope))
        x, size = _to_size_1(x, x.numel())
        log_scale += size / 2
        logs.append(2 * log_scale)
    return logs, layers


@torch.no_grad()
def _backward(layers: list[Weights], batch: int, seed: int) -> list[float]:
    """ln(mean over the batch of |dL/dx|^2) at the input and after every layer."""
    width = len(layers[0].weight)
    gradient = torch.empty(batch, width).normal_(generator=generator_for(seed, "gradient"))
    gradient = gradient / gradient.norm(dim=1, keepdim=True)
    logs = [0.0]
    for layer in reversed(layers):
        if layer.slope is not None:
            gradient = gradient * layer.slope
        gradient, size = _to_size_1(gradient @ layer.weight, batch)
        logs.append(logs[-1] + size)
    return logs[::-1]


def _activated(
    activation: Activation, h: Tensor, log_scale: float
) -> tuple[Tensor, Tensor | None, float]:
    """phi of h times e^log_scale, as a tensor and its new log_scale, and phi' there."""
    if activation == "relu":  # commutes with the scale
        return h.relu(), (h > 0).to(h.dtype), log_scale
    if activation == "linear" or log_scale < IDENTITY:
        return h, None, log_scale
    x = (h * math.exp(log_scale)).tanh()
    return x, 1 - x.square(), 0.0


def _to_size_1(values: Tensor, count: int) -> tuple[Tensor, float]:
    """`values` over the root of (the sum of their squares / count), and that sum's ln."""
    mean = float(values.square().sum(dtype=torch.float64)) / count
    return (values / math.sqrt(mean), math.log(mean)) if mean > 0 else (values, -math.inf)
