"""A product of factors and a ratio over depths: against autograd, plain products and theory."""

import math
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from explorer.flow import flow
from explorer.gradients.by_depth import (
    DEPTHS,
    Point,
    by_depth,
    depths_of,
    leaves,
)
from explorer.gradients.factors import factors, walk
from explorer.init import generator_for
from explorer.spec import RunSpec, SpecError, parse
from explorer.theory import chi
from explorer.theory.mean_field import Activation
from explorer.theory.trainable import trainable_depth

TINY = float(np.finfo(np.float32).tiny)
SEEDS = 8


def through_autograd(
    activation: Activation, variance: float, depth: int, width: int
) -> tuple[np.ndarray, np.ndarray]:
    """ln of the mean of x^2 and of |dL/dx|^2, in float64 and without any rescaling; batch 3."""
    x = torch.empty(3, width).normal_(generator=generator_for(5, "input")).double()
    values = [x / x.square().mean(1, keepdim=True).sqrt()]
    values[0].requires_grad_()
    phi = {"linear": lambda h: h, "relu": torch.relu, "tanh": torch.tanh}[activation]
    for layer in range(1, depth + 1):
        weight = torch.empty(width, width)
        generator = generator_for(5, f"layer {layer}.weight")
        weight.normal_(0, math.sqrt(variance / width), generator=generator)
        values.append(phi(values[-1] @ weight.double().T))
    end = torch.empty(3, width).normal_(generator=generator_for(5, "gradient")).double()
    loss = (values[-1] * end / end.norm(dim=1, keepdim=True)).sum()
    gradients = torch.autograd.grad(loss, values)
    forward = [value.detach().square().mean().log().item() for value in values]
    return np.array(forward), np.array([g.square().sum(1).mean().log().item() for g in gradients])


@pytest.mark.parametrize(
    ("activation", "variance", "depth"),
    [
        ("linear", 1.3, 12),
        ("relu", 2, 12),
        ("tanh", 25 / 9, 12),
        ("relu", 0.1, 160),  # both ways far below float32's 1e-38
        ("tanh", 1 / 3, 160),
        ("relu", 50, 60),
    ],
)
def test_sizes_are_those_of_autograd_also_beyond_float32(
    activation: Activation, variance: float, depth: int
) -> None:
    found = factors(activation, variance, depth, 24, batch=3, seed=5)
    forward, backward = through_autograd(activation, variance, depth, 24)
    np.testing.assert_allclose(found.log_second_moment[0], forward, atol=2e-3)
    np.testing.assert_allclose(found.log_gradient[0], backward, atol=2e-3)
    np.testing.assert_allclose(np.log(found.factor[0]), -np.diff(backward), atol=2e-3)
    assert not found.predicted.valid


def test_a_slider_changes_what_it_says_and_nothing_else() -> None:
    one, other = (factors("relu", s, 8, 16, batch=4, seeds=2) for s in (0.5, 2))
    np.testing.assert_allclose(4 * one.factor, other.factor, rtol=1e-4)
    deeper = factors("relu", 2, 11, 16, batch=4, seeds=2)
    np.testing.assert_array_equal(other.log_second_moment, deeper.log_second_moment[:, :9])
    second = factors("relu", 2, 8, 16, batch=4, seed=1)
    np.testing.assert_array_equal(other.log_gradient[1], second.log_gradient[0])


def test_a_layer_that_dies_lets_nothing_through() -> None:
    found = factors("relu", 2, 30, 1, batch=2, seeds=4)
    assert (found.log_gradient[:, 0] == -math.inf).all()
    assert found.chain().lost is not None
    assert found.chain().float32[-1] == 0


def test_the_chain_of_a_network_s_factors_ends_at_its_gradient() -> None:
    found = factors("relu", 1 / 3, 90, 64, batch=8, seeds=2)
    chain = found.chain(1)
    norms = found.log_gradient[1, ::-1] / 2 / math.log(10)
    np.testing.assert_allclose(chain.log10, norms, atol=1e-9)
    assert chain.lost is None
    assert factors("relu", 1 / 3, 110, 64, batch=8).chain().lost == pytest.approx(98, abs=3)


def test_a_walk_is_the_product_and_float32_loses_it() -> None:
    numbers = np.random.default_rng(0).uniform(0.3, 1.2, 400)
    found = walk(numbers)
    np.testing.assert_allclose(10 ** found.log10[:200], np.cumprod([1, *numbers[:199]]), rtol=1e-9)
    plain = np.multiply.accumulate(np.float32([1, *numbers]), dtype=np.float32)
    np.testing.assert_array_equal(found.float32, np.where(plain < TINY, 0, plain))
    assert found.float32.dtype == np.float32
    assert found.lost == int(np.flatnonzero(plain < TINY)[0])


def test_a_walk_is_lost_beyond_either_end_of_float32() -> None:
    assert walk([0.5] * 200).lost == 127  # 2^-126 is the smallest normal number
    assert walk([0.5] * 126).lost is None
    assert walk([1e10] * 5).lost == 4
    assert walk([2, 0, 1]).log10.tolist() == pytest.approx([0, math.log10(2), -math.inf, -math.inf])
    assert walk([]).log10.tolist() == [0]


def test_factors_are_drawn_apart_and_can_be_cancelled() -> None:
    random, seen = torch.get_rng_state(), []

    def cancel(done: int, total: int) -> None:
        seen.append((done, total))
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        factors("tanh", 1, 3, 8, seeds=5, report=cancel)
    assert seen == [(1, 5), (2, 5)]
    assert torch.equal(torch.get_rng_state(), random)


def test_bad_factors_are_one_line() -> None:
    with pytest.raises(SpecError, match="width: '1024' is not allowed; at most 223 at depth 1000"):
        factors("relu", 2, 1000, 1024)
    with pytest.raises(SpecError, match="depth: '0' is not allowed; 1 to 1202"):
        factors("relu", 2, 0)
    with pytest.raises(SpecError, match="batch: '0' is not allowed; 1 or more"):
        factors("relu", 2, 5, batch=0)
    with pytest.raises(SpecError, match=r"factors: .* is not allowed; finite numbers"):
        walk([0.5, -1])


def measured(text: str, depths: tuple[int, ...], seeds: int = SEEDS) -> list[Point]:
    return list(by_depth([parse(text)], depths, seeds))


def logs(points: list[Point]) -> tuple[np.ndarray, np.ndarray]:
    """ln ratio, measured and predicted."""
    assert all(point.predicted is not None for point in points)
    expected = [math.log(point.predicted or 0) for point in points]
    return np.log([point.ratio for point in points]), np.array(expected)


def test_default_init_without_norm_falls_by_the_known_factor_per_layer() -> None:
    text = "mlp-4,shortcut=none,norm=none,init=torch_default,width=256,batch=64"
    points = measured(text, (4, 14))
    assert all(point.valid for point in points)
    found, expected = logs(points)
    slope = (found[1] - found[0]) / 10
    assert math.exp(slope) == pytest.approx(math.sqrt(1 / 6), rel=0.03)
    assert math.exp((expected[1] - expected[0]) / 10) == pytest.approx(math.sqrt(1 / 6))


def test_plain_batch_norm_leaves_the_range_where_theory_says() -> None:
    points = measured("mlp-4,shortcut=none,width=128,batch=64", (24, 44))
    found, expected = logs(points)
    assert math.exp((found[1] - found[0]) / 20) == pytest.approx(math.sqrt(chi(64)), rel=0.1)
    assert leaves(points) == pytest.approx(2 + 2 * math.log(1e3) / math.log(chi(64)), rel=0.1)
    assert (found > expected - 1).all()


def test_residual_batch_norm_grows_with_a_power_of_depth() -> None:
    found, expected = logs(measured("mlp-4,block=preact,width=128,batch=64", (18, 34, 66)))
    blocks = np.log([8, 16, 32])
    (slope, _), (theory, _) = (np.polyfit(blocks, 2 * values, 1) for values in (found, expected))
    assert slope == pytest.approx(theory, abs=0.3)


def test_points_come_shallowest_first_and_are_those_of_the_gradient_profile() -> None:
    arms = [parse("mlp-4,width=16,batch=32"), parse("plain-8,width=4,norm=none,seed=3,batch=16")]
    calls: list[tuple[int, int]] = []
    running = by_depth(arms, (4, 9, 16), seeds=2, report=lambda *at: calls.append(at))
    assert isinstance(running, Iterator)
    first = next(running)
    assert calls == [(1, 10), (2, 10)]  # nothing is computed before it is asked for
    points = [first, *running]
    assert [(p.depth, p.arm) for p in points] == [(4, 0), (8, 0), (8, 1), (14, 1), (16, 0)]
    assert points[-1].left_s == 0
    last = points[3]
    assert last.spec == "plain-14,norm=none,width=4,batch=16,seed=3"
    for seed, ratio in enumerate(last.ratios, 3):
        profile = flow(parse(last.spec).replace(seed=seed))
        norms = profile.activation_gradient
        assert ratio == norms[0] / norms[-1]
        assert profile.predicted is not None
        assert last.predicted == pytest.approx(profile.predicted[0] / profile.predicted[-1])
    assert last.ratio == pytest.approx(math.sqrt(math.prod(last.ratios)))
    assert (points[0].predicted, points[0].valid) == (None, None)  # a ReLU after the sum


def test_a_narrow_arm_says_that_theory_does_not_hold() -> None:
    (point,) = measured("mlp-4,shortcut=none,norm=none,width=8", (6,), 1)
    assert (point.valid, point.region) == (False, "wide limit: width >= 256")


def test_what_float32_cannot_hold_still_leaves_the_range() -> None:
    text = "mlp-4,shortcut=none,norm=none,init=torch_default,width=16,batch=16"
    points = measured(text, (4, 150), 1)
    assert points[1].ratio == 0
    depth = leaves(points)
    assert depth is not None
    assert 4 < depth < 150


def depths(text: str, *named: int) -> list[int]:
    return [run.network.depth for run in depths_of(parse(text), named or DEPTHS)]


def test_every_arm_has_depths_of_its_own() -> None:
    assert depths("mlp-30,width=32", 2, 4, 5, 9, 100) == [4, 8, 100]
    assert depths("resnet-20", 2, 8, 20, 50, 1000) == [8, 20, 50, 998]
    assert depths("resnet-20,block=bottleneck", 50, 60) == [47, 56]
    listed = depths_of(parse("resnet-12,stages=3x8~2x16"), (20,))[0].network
    assert [(stage.blocks, stage.width) for stage in listed.all_stages] == [(4, 8), (4, 16)]
    assert max(depths("mlp-8,width=1024", 20, 1000)) == 20  # the other has a thousand million
    assert depths("resnet-4,block=preact,stages=1x8", 2, 1202) == [4, 1202]
    gated = depths_of(parse("mlp-8,width=8,skip=0.5~0.5~0.5"), (12,))[0].network
    assert gated.skip == (0.5,)


def point(depth: int, ratio: float) -> Point:
    return Point(0, "", depth, np.array([ratio]), None, None, None, 0.0)


def test_an_arm_leaves_where_its_power_law_does() -> None:
    assert leaves([point(d, d**-2.5) for d in (4, 8, 30, 9)]) == pytest.approx(1e3 ** (1 / 2.5))
    assert leaves([point(d, d**2.0) for d in (4, 8, 64)]) == pytest.approx(1e3**0.5)
    assert leaves([point(4, 1e-4), point(8, 1)]) == 4
    assert leaves([point(4, 1), point(8, 900)]) is None
    assert leaves([point(10, 1), point(1000, 0)]) == pytest.approx(10 ** (1 + 2 * 3 / 38))
    assert leaves([point(10, 1), point(1000, math.nan)]) == pytest.approx(10 ** (1 + 2 * 3 / 38))
    assert leaves([]) is None


def test_theory_bounds_the_depth_of_plain_networks() -> None:
    def bound(text: str) -> float | None:
        run = parse(text)
        found = trainable_depth(run.network, run.recipe.batch)
        return None if found is None else found.depth

    assert bound("mlp-30,shortcut=none") == pytest.approx(16 / math.log(chi(128)))
    assert bound("plain-20,batch=1000") == pytest.approx(42, abs=0.5)  # Yang et al. 2019
    assert bound("plain-20,norm=none,init=torch_default") == pytest.approx(6 / math.log(6))
    assert bound("mlp-8,shortcut=none,norm=none,init=lecun") == pytest.approx(6 / math.log(2))
    assert bound("mlp-8,shortcut=none,norm=none,width=8,residual=0.5") == pytest.approx(
        6 / math.log(2)  # 1/4 a block of two layers
    )
    for text in ("plain-20,norm=none", "plain-20,norm=group", "plain-8,norm=none,residual=0"):
        assert bound(text) is None
    for text in ("resnet-20", "resnet-20,norm=none,init=lecun", "mlp-8,shortcut=none,batch=3"):
        assert bound(text) is None


def test_bad_depths_are_one_line() -> None:
    run: RunSpec = parse("mlp-8,width=8")
    with pytest.raises(SpecError, match="seeds: '0' is not allowed; 1 or more"):
        by_depth([run], seeds=0)
    with pytest.raises(SpecError, match="depths: '1300' is not allowed; numbers from 1 to 1202"):
        by_depth([run], (4, 1300))
    with pytest.raises(SpecError, match=r"arms: .* is not allowed; one or more runs"):
        by_depth([])
    with pytest.raises(SpecError, match=r"skip: .* is not allowed; one gate for all blocks"):
        by_depth([parse("mlp-8,width=8,skip=0~1~1")])
    with pytest.raises(SpecError, match=r"low: .* is not allowed"):
        leaves([], 2.0)
