"""Mean-field theory against closed forms, published numbers, other quadratures and real layers."""

import math
from collections.abc import Callable
from typing import get_args

import numpy as np
import pytest
import torch
from scipy.integrate import quad

from explorer.gradients.factors import factors
from explorer.init import generator_for
from explorer.spec import SpecError
from explorer.theory.mean_field import (
    Activation,
    chi,
    correlation_map,
    correlation_slope,
    fixed_point,
    length_map,
    signal,
)

GAIN = 25 / 9  # (5/3)^2, the gain that PyTorch recommends for tanh
SEEDS = 8
CASES: list[tuple[Activation, float]] = [
    ("linear", 1),
    ("relu", 2),
    ("relu", 1 / 3),
    ("tanh", 1),
    ("tanh", GAIN),
    ("tanh", 1 / 3),
]


def normal_mean(f: Callable[[float], float]) -> float:
    """E f(z) of an even f, by adaptive quadrature."""
    value, _ = quad(lambda z: f(z) * math.exp(-z * z / 2), 0, 12, epsabs=0, epsrel=1e-11, limit=500)
    return float(value) * math.sqrt(2 / math.pi)


def test_tanh_has_the_published_fixed_points() -> None:
    chaotic, ordered = fixed_point("tanh", GAIN), fixed_point("tanh", 1 / 3)
    assert (round(chaotic.length, 2), round(chaotic.chi, 2)) == (1.18, 1.21)
    assert chaotic.correlation == 0
    assert chaotic.xi_grad < 0 < chaotic.xi_c
    assert (ordered.length, ordered.chi) == (0, pytest.approx(1 / 3))
    assert ordered.trainable == pytest.approx(6 / math.log(3))
    critical = fixed_point("tanh", 1)
    assert (critical.length, critical.chi, critical.xi_c) == (0, 1, math.inf)


def test_relu_and_linear_have_closed_forms() -> None:
    he = fixed_point("relu", 2)
    assert math.isnan(he.length)  # each length is fixed
    assert (he.chi, he.correlation, he.trainable) == (1, 1, math.inf)
    default = fixed_point("relu", 1 / 3)
    assert (default.length, default.xi_grad) == (0, pytest.approx(1 / math.log(6)))
    assert default.trainable == pytest.approx(6 / math.log(6))
    large = fixed_point("relu", 4)
    assert (large.length, large.chi) == (math.inf, 2)
    assert math.isnan(large.trainable)
    assert fixed_point("linear", 0.5).chi == 0.5
    assert length_map("relu", 3, 0.7) == pytest.approx(3 * 0.7 / 2)


@pytest.mark.parametrize("variance", [1.05, 1.5, GAIN, 9])
@pytest.mark.parametrize("start", [0.1, 5])
def test_lengths_of_tanh_run_to_the_fixed_point(variance: float, start: float) -> None:
    length = start
    for _ in range(400):
        length = length_map("tanh", variance, length)
    assert length == pytest.approx(fixed_point("tanh", variance).length, rel=1e-6)


@pytest.mark.parametrize("length", [1e-11, 0.1, 1.18, 4, 30, 900])
def test_integrals_agree_with_adaptive_quadrature(length: float) -> None:
    root = math.sqrt(length)
    kept = normal_mean(lambda z: math.tanh(root * z) ** 2)
    passed = normal_mean(lambda z: (1 - math.tanh(root * z) ** 2) ** 2)
    slope = normal_mean(lambda z: 1 - math.tanh(root * z) ** 2) ** 2
    assert length_map("tanh", GAIN, length) == pytest.approx(GAIN * kept, rel=1e-8)
    assert chi("tanh", GAIN, length) == pytest.approx(GAIN * passed, rel=1e-8)
    assert correlation_slope("tanh", GAIN, 0.0, length) == pytest.approx(GAIN * slope, rel=1e-6)


def test_integrals_of_a_steep_tanh_are_those_of_the_sign() -> None:
    """E tanh^2 -> 1, and with sech^4 of area 4/3: E sech^4(sqrt(q) z) -> 4/3 / sqrt(2 pi q)."""
    assert length_map("tanh", 2, 400) == pytest.approx(2, rel=0.05)
    assert chi("tanh", 1, 400) == pytest.approx(4 / 3 / math.sqrt(2 * math.pi * 400), rel=2e-3)


@pytest.mark.parametrize("activation", get_args(Activation))
@pytest.mark.parametrize("correlation", [-0.6, 0.0, 0.3, 0.9])
def test_correlations_agree_with_a_million_draws(
    activation: Activation, correlation: float
) -> None:
    u, w = np.random.default_rng(0).normal(size=(2, 1_000_000))
    v = correlation * u + math.sqrt(1 - correlation**2) * w
    phi = {"linear": lambda x: x, "relu": lambda x: x.clip(0), "tanh": np.tanh}[activation]
    x, y = phi(1.5 * u), phi(1.5 * v)
    drawn = (x * y).mean() / math.sqrt((x**2).mean() * (y**2).mean())
    assert correlation_map(activation, correlation, 2.25) == pytest.approx(drawn, abs=4e-3)


@pytest.mark.parametrize("activation", get_args(Activation))
@pytest.mark.parametrize("correlation", [-0.5, 0.0, 0.8])
def test_the_slope_is_the_derivative_of_the_covariance(
    activation: Activation, correlation: float
) -> None:
    length, step = 1.7, 1e-4
    following = length_map(activation, GAIN, length)
    low, high = (
        following * correlation_map(activation, correlation + d, length) for d in (-step, step)
    )
    slope = correlation_slope(activation, GAIN, correlation, length)
    assert slope == pytest.approx((high - low) / (2 * step * length), rel=1e-5)
    assert correlation_slope(activation, GAIN, 1.0, length) == pytest.approx(
        chi(activation, GAIN, length)
    )


@pytest.mark.parametrize("activation", get_args(Activation))
def test_equal_inputs_stay_equal(activation: Activation) -> None:
    assert correlation_map(activation, 1.0, 1.3) == pytest.approx(1)


def test_correlations_of_tanh_decay_over_xi_c() -> None:
    found, correlations = fixed_point("tanh", GAIN), [0.01]
    for _ in range(40):
        correlations.append(correlation_map("tanh", correlations[-1], found.length))
    fall = math.log(correlations[20] / correlations[40])
    assert 20 / fall == pytest.approx(found.xi_c, rel=1e-3)


def test_at_s_1_the_lengths_of_tanh_fall_as_a_power() -> None:
    found = signal("tanh", 1, 1000, 256)
    layers = np.arange(1, 1001)
    np.testing.assert_allclose((2 * layers * found.length)[100:], 1, atol=0.05)
    inner = slice(100, None)
    (slope, _) = np.polyfit(np.log(layers[inner]), -np.cumsum(np.log(found.factor))[inner], 1)
    assert slope == pytest.approx(1, abs=0.01)  # chi = 1 - 2q + ... = 1 - 1/l


@pytest.mark.parametrize("variance", [1 / 3, 2, 5])
def test_relu_loses_half_of_s_per_layer_beyond_any_float(variance: float) -> None:
    found = signal("relu", variance, 1200, 256, second_moment=0.25)
    assert found.log_ratio[0] == pytest.approx(1200 * math.log(variance / 2))
    assert found.log_second_moment[-1] == pytest.approx(1200 * math.log(variance / 2))
    assert found.length[0] == pytest.approx(variance / 4)


def test_a_tanh_network_of_vanishing_lengths_ends_linear() -> None:
    found = signal("tanh", 1 / 3, 1000, 256)
    assert found.log_ratio[500] == pytest.approx(-500 * math.log(3), rel=1e-9)
    assert np.isfinite(found.log_ratio).all()
    twice = found.log_second_moment[-1] - found.log_second_moment[500]
    assert twice == pytest.approx(-500 * math.log(3), rel=1e-9)


@pytest.mark.parametrize(("activation", "variance"), CASES)
def test_mlps_of_width_256_follow_within_3_percent(activation: Activation, variance: float) -> None:
    depth = 40
    found = factors(activation, variance, depth, seeds=SEEDS)
    assert found.predicted.valid
    for measured, expected in (
        (found.log_gradient[:, 0], found.predicted.log_ratio[0]),
        (found.log_second_moment[:, -1], found.predicted.log_second_moment[-1]),
    ):
        assert math.exp((measured.mean() - expected) / depth) == pytest.approx(1, abs=0.03)
    layers = np.exp(np.log(found.factor).mean(0)).reshape(-1, 8)
    expected = found.predicted.factor.reshape(-1, 8)
    np.testing.assert_allclose(layers.prod(1) ** (1 / 8), expected.prod(1) ** (1 / 8), rtol=0.03)


def test_the_power_of_tanh_at_s_1_is_measured_within_0_3() -> None:
    found = factors("tanh", 1, 100, seeds=SEEDS)
    layers = np.arange(1, 101)[10:]
    logs = -np.cumsum(np.log(found.factor), axis=1).mean(0)[10:]
    (measured, _), (expected, _) = (
        np.polyfit(np.log(layers), values, 1)
        for values in (logs, -np.cumsum(np.log(found.predicted.factor))[10:])
    )
    assert measured == pytest.approx(expected, abs=0.3)


@pytest.mark.parametrize(("activation", "variance"), [("tanh", GAIN), ("relu", 2.0)])
def test_correlations_of_real_layers_follow_the_map(
    activation: Activation, variance: float
) -> None:
    """Pairs of inputs of correlation 0.3 through networks of width 512."""
    width, expected, length = 512, 0.3, variance
    found = []
    for seed in range(SEEDS):
        generator = generator_for(seed, "pairs")
        u, w = torch.linalg.qr(torch.randn(width, 128, generator=generator))[0].T.split(64)
        x = math.sqrt(width) * torch.cat([u, 0.3 * u + math.sqrt(1 - 0.09) * w])
        rows = []
        for _ in range(5):
            weight = torch.randn(width, width, generator=generator) * math.sqrt(variance / width)
            x = (x @ weight.T).tanh() if activation == "tanh" else (x @ weight.T).relu()
            rows.append(torch.cosine_similarity(x[:64], x[64:]).mean().item())
        found.append(rows)
    for measured in np.mean(found, axis=0):
        expected = correlation_map(activation, expected, length)
        length = length_map(activation, variance, length)
        assert measured == pytest.approx(expected, abs=0.01)


def test_narrow_networks_are_outside_the_region() -> None:
    narrow, wide = signal("tanh", 1, 5, 8), signal("tanh", 1, 5, 256)
    assert (narrow.valid, wide.valid) == (False, True)
    assert narrow.region == "wide limit: width >= 256"


def test_bad_input_is_one_line() -> None:
    with pytest.raises(SpecError, match="activation: 'gelu' is not allowed; choose one of linear"):
        fixed_point("gelu", 1)  # type: ignore[arg-type]
    with pytest.raises(
        SpecError, match="variance: '-1' is not allowed; a number above 0, at most 1000"
    ):
        signal("relu", -1, 5, 256)
    with pytest.raises(SpecError, match="depth: '0' is not allowed"):
        signal("relu", 1, 0, 256)
