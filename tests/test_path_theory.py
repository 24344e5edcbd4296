"""Predicted path lengths: against sums over all subsets, closed forms and measured gradients."""

import math
from fractions import Fraction
from itertools import combinations

import numpy as np
import pytest
import torch
from torch import Tensor

from explorer.inside.paths import length_gradients, path_gradients
from explorer.network import build
from explorer.spec import SpecError, parse
from explorer.theory import predict
from explorer.theory.path_lengths import Measure, PathLengths, path_lengths, path_weights

LARGE = 10**9
VARIANCE = 0.5
SEEDS = 8


def predicted(text: str, batch: int = 128, measure: Measure = "squares") -> PathLengths:
    found = path_lengths(parse(text).network, batch, VARIANCE, measure)
    assert found is not None
    return found


def batch(features: int, seed: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    x = math.sqrt(VARIANCE) * torch.randn(128, features, generator=generator)
    return x, torch.arange(128) % 10


def moments(share: np.ndarray) -> tuple[float, float]:
    k = np.arange(len(share))
    mean = float(share @ k)
    return mean, math.sqrt(share @ (k - mean) ** 2)


@pytest.mark.parametrize("n", [1, 2, 7])
def test_weights_are_the_sums_over_all_subsets(n: int) -> None:
    gamma = np.random.default_rng(n).uniform(0, 3, n)
    sums = [sum(map(math.prod, combinations(gamma, k))) for k in range(n + 1)]
    np.testing.assert_allclose(path_weights(gamma), np.array(sums) / sum(sums), rtol=1e-12)


def test_weights_of_600_blocks_are_exact_to_the_last_of_them() -> None:
    """e_k(a/64) in whole numbers, as the coefficients of the product of (64 + a x)."""
    numerators = [1 + block % 64 for block in range(600)]
    exact = [1]
    for a in numerators:
        exact = [64 * x + a * y for x, y in zip([*exact, 0], [0, *exact], strict=True)]
    found = path_weights([a / 64 for a in numerators])
    expected = [float(Fraction(value, sum(exact))) for value in exact]
    np.testing.assert_allclose(found, expected, rtol=1e-11)
    assert found[0] < 1e-90


@pytest.mark.parametrize(("n", "gamma"), [(16, 1.0), (600, 1 / 36)])
def test_equal_gains_are_a_binomial(n: int, gamma: float) -> None:
    chance = gamma / (1 + gamma)
    expected = [math.comb(n, k) * chance**k * (1 - chance) ** (n - k) for k in range(30)]
    n_first = min(n + 1, 30)
    np.testing.assert_allclose(path_weights([gamma] * n)[:n_first], expected[:n_first], rtol=1e-10)


def test_sixteen_and_54_blocks_with_batch_norm_have_the_known_lengths() -> None:
    short, long = (predicted(f"mlp-{2 * n + 2},block=preact,width=256", LARGE) for n in (16, 54))
    assert short.mean == pytest.approx(3.89, abs=0.005)
    assert math.prod(1 + short.gamma) == pytest.approx(117, rel=0.01)
    assert (round(long.mean, 1), round(long.std, 1)) == (6.2, 2.2)
    variance = 1 + (1 - 1 / math.pi) * np.arange(54)  # He: the stem doubles 0.5
    np.testing.assert_allclose(long.gamma, math.pi / (math.pi - 1) / variance, rtol=1e-6)
    assert short.valid


def test_mean_and_deviation_are_those_of_the_shares_and_their_product_is_the_growth() -> None:
    for text in ("mlp-66,block=preact,width=256,skip=0.7", "resnet-14,block=preact,norm=none"):
        found, flow = predicted(text), predict(parse(text).network, 128, VARIANCE)
        assert flow is not None
        assert moments(found.share) == pytest.approx((found.mean, found.std))
        skips = 1.0 if "skip" not in text else 0.7 ** (2 * len(found.gamma))
        growth = skips * math.prod(1 + found.gamma)
        if "resnet" in text:  # half of the channels of two of its blocks are padded with zeros
            growth /= 4
        assert math.log(growth) == pytest.approx(flow.log_ratio[0])


@pytest.mark.parametrize(("init", "r"), [("he", 1.0), ("xavier", 0.25), ("torch_default", 1 / 36)])
def test_without_norm_the_lengths_are_binomial(init: str, r: float) -> None:
    found = predicted(f"mlp-42,norm=none,block=preact,width=384,init={init}")
    np.testing.assert_allclose(found.gamma, r)
    assert found.mean == pytest.approx(20 * r / (1 + r))
    norms = predicted(f"mlp-42,norm=none,block=preact,width=384,init={init}", measure="norms")
    assert norms.mean == pytest.approx(20 * math.sqrt(r) / (1 + math.sqrt(r)))


def test_gates_decide_where_the_gradient_goes() -> None:
    found = predicted("mlp-10,norm=none,block=preact,width=64,skip=1~0~1~2,residual=0~1~1~1")
    assert found.gamma.tolist() == pytest.approx([0, math.inf, 1, 0.25])
    assert found.mean == pytest.approx(0 + 1 + 1 / 2 + 1 / 5)
    plain = predicted("mlp-10,norm=none,shortcut=none,width=64")
    assert plain.share.tolist() == [0, 0, 0, 0, 1]


def test_nothing_is_predicted_where_no_gradient_comes_or_no_formula_is_known() -> None:
    for text in ("mlp-8,norm=none,shortcut=none,residual=0", "resnet-20"):
        assert path_lengths(parse(text).network, 128) is None


@pytest.mark.parametrize(
    ("text", "tolerance"),
    [
        ("mlp-34,block=preact,width=128", 0.05),
        ("mlp-26,block=preact,width=256,norm=none", 0.03),
        ("mlp-26,block=preact,width=256,norm=none,init=xavier", 0.03),
    ],
)
def test_squared_gradients_by_length_are_as_predicted(text: str, tolerance: float) -> None:
    spec = parse(text).network
    shares = []
    for seed in range(SEEDS):
        x, y = batch(64, seed)
        sums = length_gradients(build(spec.replace(inputs=(64,)), seed), x, y)
        squares = sums.double().flatten(1).square().sum(1).numpy()
        shares.append(squares / squares.sum())
    mean, std = moments(np.mean(shares, axis=0))
    found = predicted(text)
    assert mean == pytest.approx(found.mean, rel=tolerance)
    assert std == pytest.approx(found.std, rel=0.1)


def test_norms_by_length_are_as_predicted() -> None:
    text = "mlp-34,block=preact,width=128"
    found = predicted(text, measure="norms")
    spec = parse(text).network.replace(inputs=(64,))
    means = [
        path_gradients(build(spec, seed), *batch(64, seed), draws=4, seed=seed).effective
        for seed in range(SEEDS)
    ]
    assert np.mean(means) == pytest.approx(found.mean, rel=0.1)


def test_54_blocks_have_paths_as_short_as_predicted() -> None:
    spec = parse("mlp-110,block=preact,width=128").network.replace(inputs=(64,))
    sums = length_gradients(build(spec, 0), *batch(64, 0))
    squares = sums.double().flatten(1).square().sum(1).numpy()
    mean, _ = moments(squares / squares.sum())
    assert mean == pytest.approx(predicted("mlp-110,block=preact,width=128").mean, rel=0.1)


def test_narrow_networks_are_outside_the_region() -> None:
    for text in ("mlp-8,block=preact,width=8", "resnet-8,norm=none,block=preact,width=8"):
        assert not predicted(text).valid
    assert "borders" in predicted("resnet-8,norm=none,block=preact,width=8").region


def test_bad_input_is_one_line() -> None:
    with pytest.raises(SpecError, match="measure: 'sums' is not allowed; choose one of squares"):
        predicted("mlp-8,block=preact", measure="sums")  # type: ignore[arg-type]
    with pytest.raises(SpecError, match=r"gamma: '.*' is not allowed; numbers that are not below"):
        path_weights([-1.0])
