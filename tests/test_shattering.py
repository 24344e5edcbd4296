"""Shattering: slopes by a slow twin, curves against recorded numbers, correlations by theory."""

import math

import numpy as np
import pytest
import torch

from explorer.gradients.correlation import Correlations, correlations
from explorer.gradients.shattering import (
    ARMS,
    EPSILON,
    Shattering,
    autocorrelation,
    noise,
    shattering,
    slope,
    weight,
)
from explorer.init import generator_for
from explorer.spec import SpecError
from explorer.theory.correlation import both_active, gradient_correlation, overlap

SEEDS = 8
LAG = 5
RECORDED = {  # autocorrelation at lag 5 of earlier simulations, at depths 24 and 50
    "plain_batch": (0.01, -0.02),
    "residual_batch": (0.33, 0.14),
    "residual_small": (0.70, 0.57),
    "plain": (0.55, 0.36),
}


def slow_slope(name: str, depth: int, seed: int, width: int, points: int) -> np.ndarray:
    """df/dx carried forward by hand in float64, with the statistics of the points held fixed."""
    arm, x = ARMS[name], np.linspace(-2, 2, points)
    w, b = (torch.randn(1, width, generator=generator_for(seed, n)).numpy() for n in "wb")
    v = torch.randn(width, 1, generator=generator_for(seed, "v")).numpy() / math.sqrt(width)
    h, dh = x[:, None] * w + b, np.repeat(w.astype(float), points, axis=0)
    for number in range(1, depth + 1):
        z, dz = h, dh
        if arm.norm:
            scale = np.sqrt(h.var(0) + EPSILON)
            z, dz = (h - h.mean(0)) / scale, dh / scale
        matrix = weight(seed, number, width).numpy().astype(float)
        branch, d_branch = np.maximum(z, 0) @ matrix, (dz * (z > 0)) @ matrix
        h, dh = arm.skip * h + arm.beta * branch, arm.skip * dh + arm.beta * d_branch
    return (dh @ v)[:, 0]


@pytest.mark.parametrize("name", list(ARMS))
def test_slopes_are_those_of_a_slow_twin(name: str) -> None:
    fast = slope(ARMS[name], 4, seed=3, width=20, points=50)
    slow = slow_slope(name, 4, seed=3, width=20, points=50)
    off = np.abs(fast - slow) > 1e-4 * np.abs(slow).max()
    assert off.sum() <= 1  # a unit so near its kink that float32 sees the other side


def test_autocorrelation_is_its_definition() -> None:
    series = np.random.default_rng(0).normal(size=30) + 5
    g = series - series.mean()
    slow = [sum(g[i] * g[i + k] for i in range(30 - k)) / sum(g * g) for k in range(8)]
    np.testing.assert_allclose(autocorrelation(series, 7), slow, rtol=1e-12)
    assert autocorrelation(series, 7)[0] == pytest.approx(1)
    np.testing.assert_allclose(autocorrelation(3 - 2 * series, 7), slow, rtol=1e-12)
    assert np.isnan(autocorrelation(np.full(9, 0.25), 3)).all()


def test_white_and_brown_noise_are_what_they_are_called() -> None:
    white, brown = noise("white", seeds=32), noise("brown", seeds=32)
    assert white.seeds == brown.seeds == 32
    assert np.abs(white.mean[1:]).max() < 4 / math.sqrt(32 * 256)
    np.testing.assert_allclose(white.std[1:].mean(), 1 / 16, rtol=0.1)  # 1/sqrt(points)
    assert (np.diff(brown.mean) < 0).all()
    assert brown.mean[1] > 0.95
    steps = np.diff(brown.gradient) / np.diff(brown.gradient).std()
    assert np.abs(autocorrelation(steps, 5)[1:]).max() < 4 / 16
    assert not np.array_equal(white.gradient, brown.gradient)


@pytest.fixture(scope="module")
def curves() -> dict[str, tuple[Shattering, Shattering]]:
    return {
        name: tuple(shattering(ARMS[name], depth, seeds=SEEDS) for depth in (24, 50))
        for name in RECORDED
    }


def test_curves_give_the_recorded_numbers_within_the_noise_of_seeds(
    curves: dict[str, tuple[Shattering, Shattering]],
) -> None:
    """One spread for all, for that of a single arm over eight seeds is itself a rough guess."""
    spread = math.sqrt(np.mean([one.std[LAG] ** 2 for pair in curves.values() for one in pair]))
    for name, pair in curves.items():
        for found, recorded in zip(pair, RECORDED[name], strict=True):
            assert abs(found.mean[LAG] - recorded) < 3 * spread * math.sqrt(2 / SEEDS)
            assert found.mean[0] == pytest.approx(1)
            assert found.lags[LAG] == LAG


def test_normalised_plain_networks_are_white_and_skips_keep_structure(
    curves: dict[str, tuple[Shattering, Shattering]],
) -> None:
    for depth in (0, 1):
        plain, residual, small = (
            curves[name][depth].mean[LAG]
            for name in ("plain_batch", "residual_batch", "residual_small")
        )
        assert abs(plain) < 0.1
        assert plain + 0.03 < residual < small - 0.2


def test_a_curve_shows_its_first_seed_and_twins_share_weights() -> None:
    found = shattering(ARMS["residual_small"], 3, seeds=1, lags=4, width=16, points=40)
    by_hand = slope(ARMS["residual_small"], 3, seed=0, width=16, points=40)
    by_hand -= by_hand.mean()
    np.testing.assert_allclose(found.gradient, by_hand / np.linalg.norm(by_hand))
    np.testing.assert_allclose(found.mean, autocorrelation(by_hand, 4))
    assert np.isnan(found.std).all()
    assert (found.x[0], found.x[-1], len(found.x)) == (-2, 2, 40)


MEASURED = {  # depths at which the theory is to hold within 3 %
    "plain": (1, 2, 4),
    "plain_batch": (1, 2, 3),
    "residual": (1, 2, 4),
    "residual_batch": (1, 4, 8, 16),
    "residual_small": (1, 4, 8, 16),
}


@pytest.mark.parametrize("name", list(MEASURED))
def test_correlations_follow_theory(name: str) -> None:
    arm = ARMS[name]
    found: Correlations = correlations(arm, MEASURED[name], seeds=SEEDS)
    assert found.theory.holds_to >= max(found.depths)
    expected = found.theory.correlation[np.array(found.depths) - 1]
    np.testing.assert_allclose(found.mean, expected, rtol=0.03)
    assert (found.error < 0.03 * expected).all()


def test_theory_gives_the_numbers_of_earlier_simulations() -> None:
    plain = gradient_correlation(50).correlation
    assert plain[9] == pytest.approx(0.034, abs=5e-4)
    assert plain[49] == pytest.approx(9e-4, rel=0.02)
    batch = gradient_correlation(6, norm=True).correlation
    np.testing.assert_allclose(
        batch[[0, 1, 3, 5]], [0.479, 0.245, 0.057, 0.012], rtol=0.1, atol=4e-3
    )
    residual = gradient_correlation(32, skip=1, norm=True).correlation
    np.testing.assert_allclose(residual[[7, 15, 31]], [0.31, 0.19, 0.12], rtol=0.1)
    no_norm = gradient_correlation(32, skip=1).correlation
    np.testing.assert_allclose(no_norm[[7, 15, 31]], [0.17, 0.067, 0.020], rtol=0.12)


def test_rules_and_long_run_exponents() -> None:
    depth = np.arange(1, 4001)
    batch = gradient_correlation(40, norm=True)
    np.testing.assert_allclose(batch.correlation, 0.5 ** depth[:40], rtol=1e-12)
    np.testing.assert_allclose(batch.rule, batch.correlation)

    def exponent(**options: float | bool) -> float:
        logs = np.log(gradient_correlation(4000, **options).correlation)
        return float((logs[3999] - logs[1999]) / math.log(2))

    assert exponent() == pytest.approx(-3, abs=0.05)
    # With BatchNorm each of L blocks costs 1/(2 v), and v grows by 1 - 1/pi, not by 1.
    assert exponent(skip=1, norm=True) == pytest.approx(-0.5 / (1 - 1 / math.pi), abs=0.02)
    assert exponent(skip=1, norm=True) == pytest.approx(-0.5, abs=0.3)  # the paper's rule
    residual = gradient_correlation(32, skip=1)
    assert residual.rule is not None
    assert residual.correlation[0] == residual.rule[0] == 0.75
    assert (residual.correlation[1:] > residual.rule[1:]).all()
    assert gradient_correlation(5, skip=1, beta=0.1, norm=True).rule is None


@pytest.mark.parametrize("c", [-1.0, -0.4, 0.0, 0.3, 1.0])
def test_overlap_and_its_slope_are_the_moments_of_a_relu(c: float) -> None:
    a, b = np.random.default_rng(1).normal(size=(2, 400_000))
    other = c * a + math.sqrt(1 - c * c) * b
    relu = np.maximum(a, 0) * np.maximum(other, 0)
    assert overlap(c) == pytest.approx(2 * relu.mean(), abs=0.01)
    assert both_active(c) == pytest.approx(2 * ((a > 0) & (other > 0)).mean(), abs=0.01)
    if abs(c) < 1:
        assert (overlap(c + 1e-6) - overlap(c - 1e-6)) / 2e-6 == pytest.approx(both_active(c))


@pytest.mark.parametrize("norm", [False, True])
def test_theory_does_not_hold_where_networks_are_narrow_or_too_deep(norm: bool) -> None:
    assert not gradient_correlation(4, norm=norm, width=8, batch=32).valid
    assert gradient_correlation(4, norm=norm, width=256, batch=32).valid
    assert gradient_correlation(20, norm=norm, width=256, batch=32).holds_to == (20 if norm else 4)


def test_progress_may_cancel_random_numbers_stay_and_bad_values_are_named() -> None:
    seen, random = [], torch.get_rng_state()
    arm = ARMS["plain_batch"]
    shattering(arm, 2, seeds=3, lags=2, width=4, points=9, report=lambda *at: seen.append(at))
    correlations(arm, (1,), width=8, batch=4, seeds=2, report=lambda *at: seen.append(at))
    assert seen == [(1, 3), (2, 3), (3, 3), (1, 2), (2, 2)]
    assert torch.equal(torch.get_rng_state(), random)
    for call, message in (
        (lambda: shattering(arm, 0), "depth: '0' .* 1 or more"),
        (lambda: shattering(arm, 2, lags=256), "lags: '256' .* 1 to 255"),
        (lambda: noise("pink"), "kind: 'pink' .* white, brown"),
        (lambda: correlations(arm, ()), "depths: .* one or more"),
        (lambda: correlations(arm, (1,), batch=3), "batch: '3' .* 4 or more with BatchNorm"),
        (lambda: correlations(ARMS["plain"], (1,), width=8, batch=9), "batch: '9' .* 2 to 8"),
        (lambda: gradient_correlation(3, beta=0), "beta: '0' .* not 0 where skip is 0"),
    ):
        with pytest.raises(SpecError, match=message):
            call()
