"""Mean-field theory of a wide network at initialisation, for more activations than ReLU.

x_l = phi(h_l), h_l = W_l x_{l-1}, no biases, Var W = s / fan_in. In the wide limit the entries of
h_l are Gaussian, of variance q_l, the length: q_{l+1} = s E phi(sqrt(q_l) z)^2, z a standard
normal. A gradient that goes back through layer l is multiplied, in its squared length, by
chi_l = s E phi'(sqrt(q_l) z)^2, and small differences of two inputs grow by the same factor.
Two inputs of length q and correlation c have the covariance s E phi(u) phi(v) one layer on.
(Poole et al. 2016, arXiv 1606.05340; Schoenholz et al. 2017, arXiv 1611.01232.)

Lengths are followed from the input on, not only at their fixed point: on the way to it a factor
may still change from layer to layer, as for tanh at s = 1, whose gradient falls as a power.
"""

import math
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from explorer.spec import SpecError
from explorer.theory.normal_means import Numbers, mean_of_pairs, normal_mean

Activation = Literal["linear", "relu", "tanh"]

NARROWEST = 256
REGION = f"wide limit: width >= {NARROWEST}"
FORMULA = "G x s E phi'(sqrt(q) z)^2 per layer, q the layer's own pre-activation variance"
SOURCE = "Poole et al. 2016, arXiv 1606.05340; Schoenholz et al. 2017, arXiv 1611.01232"
TRAINABLE = 6  # times xi_c: what Schoenholz et al. 2017 saw
SMALL = 1e-12  # a length below which tanh is the identity in float64

STEEPEST = 1000.0  # the largest s: sqrt(q) is below its root


@dataclass(frozen=True)
class FixedPoint:
    """Where lengths and correlations end in a network without end.

    `length` is q*: 0 or inf where lengths vanish or grow for ever, NaN where each stays as it
    is. `chi` is the factor on G per layer there, `correlation` is c* of two different inputs, NaN
    where each correlation stays (linear networks, and tanh whose lengths vanish), and `chi_c` the
    factor per layer on small changes of the covariance at c*.
    Depth scales are in layers: `xi_grad` = -1/ln chi, negative where gradients grow, and
    `xi_c` = -1/ln chi_c; inf for a factor of 1. `trainable` = 6 xi_c: the depth to which
    networks were seen to train; NaN for chi_c > 1, where there is no fixed point to forget at.
    """

    length: float
    chi: float
    correlation: float
    chi_c: float
    xi_grad: float
    xi_c: float
    trainable: float


@dataclass(frozen=True)
class Signal:
    """Lengths and gradients layer by layer, from the input (0) to the output (depth).

    `length` is q of every layer's pre-activations (depth,); `factor` is chi, what a layer
    multiplies G by on the way to the input (depth,). `log_second_moment` is ln(mean of x^2 / at
    the input) and `log_ratio` ln(G / G at the output), both (depth + 1,). `valid` says whether
    the width lies in `region`.
    """

    length: Numbers
    factor: Numbers
    log_second_moment: Numbers
    log_ratio: Numbers
    formula: str
    source: str
    region: str
    valid: bool


def signal(
    activation: Activation, variance: float, depth: int, width: int, second_moment: float = 1.0
) -> Signal:
    """What `depth` square layers of Var W = `variance`/width do to inputs of that mean square."""
    _check(activation, variance)
    for field, value in (("depth", depth), ("width", width), ("second_moment", second_moment)):
        if not (math.isfinite(value) and value > 0):
            raise SpecError(field, value, "a number above 0")
    logs, lengths, factors = [math.log(second_moment)], [], []
    for _ in range(depth):  # in logarithms: 1/3 per layer leaves float64 after 650 layers
        log_length = logs[-1] + math.log(variance)
        length = math.exp(log_length) if log_length < 700 else math.inf
        lengths.append(length)
        factors.append(chi(activation, variance, length))
        logs.append(log_length + math.log(_kept(activation, length)))
    ratio = np.append(np.cumsum(np.log(factors)[::-1])[::-1], 0.0)
    moments = np.array(logs) - logs[0]
    valid = width >= NARROWEST
    return Signal(
        np.array(lengths), np.array(factors), moments, ratio, FORMULA, SOURCE, REGION, valid
    )


def length_map(activation: Activation, variance: float, length: float) -> float:
    """q of the next layer's pre-activations: s E phi(sqrt(q) z)^2."""
    _check(activation, variance)
    return variance * length * _kept(activation, length)


def chi(activation: Activation, variance: float, length: float) -> float:
    """Factor on G of one layer whose pre-activations have variance q: s E phi'(sqrt(q) z)^2."""
    _check(activation, variance)
    return variance * _passed(activation, length)


def correlation_map(activation: Activation, correlation: float, length: float) -> float:
    """Correlation (uncentred) one layer on of two inputs that both have `length`."""
    if activation == "linear" or (activation == "tanh" and length < SMALL):
        return correlation
    if activation == "relu":
        return _relu_overlap(correlation)
    return mean_of_pairs(np.tanh, correlation, length) / (length * _kept(activation, length))


def correlation_slope(
    activation: Activation, variance: float, correlation: float, length: float
) -> float:
    """s E phi'(u) phi'(v): the factor of one layer on a small change of the covariance.

    At correlation 1 it is chi, at the fixed point of the correlations it is chi_c.
    """
    _check(activation, variance)
    if activation == "linear" or (activation == "tanh" and length < SMALL):
        return variance
    if activation == "relu":
        return variance * (math.pi - math.acos(correlation)) / (2 * math.pi)
    return variance * mean_of_pairs(_slope, correlation, length)


def fixed_point(activation: Activation, variance: float) -> FixedPoint:
    """q*, chi, c*, chi_c and their depth scales; see FixedPoint for what has none."""
    _check(activation, variance)
    length = _fixed_length(activation, variance)
    factor = chi(activation, variance, length)
    if activation == "tanh" and length > 0:
        correlation = 0.0  # tanh is odd and there are no biases: c = 0 stays, c = 1 repels
        slope = variance * normal_mean(_slope, length, 0.0) ** 2
    else:
        correlation = 1.0 if activation == "relu" else math.nan
        slope = factor
    xi_c = _scale(slope)
    trainable = TRAINABLE * xi_c if xi_c > 0 else math.nan
    return FixedPoint(length, factor, correlation, slope, _scale(factor), xi_c, trainable)


def _fixed_length(activation: Activation, variance: float) -> float:
    kept = variance * _kept(activation, 0.0)
    if activation != "tanh":
        return math.nan if kept == 1 else (0.0 if kept < 1 else math.inf)
    if kept <= 1:
        return 0.0
    low, high = 0.0, variance  # q* = s E tanh^2 < s; what is kept falls as the length grows
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if variance * _kept("tanh", middle) > 1 else (low, middle)
    return (low + high) / 2


def _kept(activation: Activation, length: float) -> float:
    """E phi(sqrt(q) z)^2 / q: the share of the length that the activation lets through."""
    if activation != "tanh":
        return 1.0 if activation == "linear" else 0.5
    if length < SMALL:
        return 1.0
    return normal_mean(lambda u: np.tanh(u) ** 2, length, 1.0) / length


def _passed(activation: Activation, length: float) -> float:
    """E phi'(sqrt(q) z)^2."""
    if activation != "tanh":
        return 1.0 if activation == "linear" else 0.5
    if length < SMALL:
        return 1.0
    return normal_mean(lambda u: _slope(u) ** 2, length, 0.0)


def _relu_overlap(c: float) -> float:
    """J(c) of Cho & Saul 2009: E relu(u) relu(v) over E relu(u)^2."""
    return (math.sqrt(1 - c * c) + (math.pi - math.acos(c)) * c) / math.pi


def _slope(u: Numbers) -> Numbers:
    """tanh'(u)."""
    slope: Numbers = 1 - np.tanh(u) ** 2
    return slope


def _scale(factor: float) -> float:
    return math.inf if factor == 1 else -1 / math.log(factor)


def _check(activation: str, variance: float) -> None:
    if activation not in get_args(Activation):
        allowed = f"choose one of {', '.join(get_args(Activation))}"
        raise SpecError("activation", activation, allowed)
    if not 0 < variance <= STEEPEST:
        raise SpecError("variance", variance, f"a number above 0, at most {STEEPEST:g}")
