"""The predicted curves against closed forms, published numbers and slow twins."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from explorer.init import INITS
from explorer.spec import NetworkSpec, parse
from explorer.theory import Prediction, border_rate, chi, predict
from explorer.theory.layers import Weighted, blocks_of, gain
from explorer.theory.pixels import through_copy, through_layer, uniform

LARGE = 10**9  # a batch for which BatchNorm's finite size does not show


def predicted(text: str, batch: int = 128, **options: float) -> Prediction:
    found = predict(parse(text).network, batch, **options)
    assert found is not None
    return found


def block_factors(found: Prediction) -> np.ndarray:
    return np.exp(found.log_ratio[:-1] - found.log_ratio[1:])


@pytest.mark.parametrize(("batch", "value"), [(8, 1.788), (32, 1.522), (128, 1.480)])
def test_chi_is_that_of_yang_et_al(batch: int, value: float) -> None:
    assert chi(batch) == pytest.approx(value, abs=5e-4)


def test_chi_of_large_batches() -> None:
    assert chi(math.inf) == pytest.approx(math.pi / (math.pi - 1))
    assert chi(10**7) == pytest.approx(chi(math.inf), rel=1e-5)
    with pytest.raises(ValueError, match="batch: 3 is not allowed"):
        chi(3)


@pytest.mark.parametrize("side", [1, 2, 4, 8, 32])
def test_border_rate_is_the_largest_eigenvalue(side: int) -> None:
    taps = (np.eye(side) + np.eye(side, k=1) + np.eye(side, k=-1)) / 3
    assert border_rate(side) == pytest.approx(np.linalg.eigvalsh(taps)[-1])


@pytest.mark.parametrize(("side", "value"), [(4, 0.762), (8, 0.921), (16, 0.977), (32, 0.994)])
def test_border_rate_of_published_sizes(side: int, value: float) -> None:
    assert border_rate(side) ** 2 == pytest.approx(value, abs=6e-4)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [(8, 8), (7, 4), (1, 5)])
def test_border_map_is_the_adjoint_of_a_mean_over_nine_taps(
    stride: int, size: tuple[int, int]
) -> None:
    x = torch.zeros(1, 1, *size, dtype=torch.float64, requires_grad=True)
    y = F.conv2d(x, torch.full((1, 1, 3, 3), 1 / 9, dtype=torch.float64), None, stride, 1)
    gradient = torch.rand(y.shape, dtype=torch.float64, generator=torch.manual_seed(0))
    y.backward(gradient)
    found = through_layer(gradient[0, 0].numpy(), Weighted(1, 1, 3, stride, size), False)
    assert x.grad is not None
    np.testing.assert_allclose(found, x.grad[0, 0].numpy())


def test_border_map_of_a_1x1_kernel_or_a_centre_tap_loses_nothing() -> None:
    gradient = uniform((4, 4))
    assert through_layer(gradient, Weighted(1, 1, 3, 2, (8, 8)), True).sum() == pytest.approx(1)
    spread = through_copy(gradient, 2, (7, 7))
    assert spread.sum() == pytest.approx(1)
    assert np.count_nonzero(spread) == 16


def test_border_loss_converges_to_lambda_squared_per_layer() -> None:
    found = predicted("plain-122,stages=60x64,norm=none")
    factors = block_factors(found)
    assert factors[0] == pytest.approx(border_rate(8) ** 4, rel=1e-9)
    along_one_axis = (6 * 1 + 2 * (2 / 3) ** 2) / 8  # two means over three taps, from all ones
    assert factors[-1] == pytest.approx(along_one_axis**2)
    assert found.rate == pytest.approx(border_rate(8) ** 2)


@pytest.mark.parametrize("init", list(INITS))
@pytest.mark.parametrize(("c_in", "c_out", "kernel"), [(60, 60, 3), (80, 360, 1), (90, 20, 3)])
def test_gain_is_what_the_drawn_weights_pass_back(
    init: str, c_in: int, c_out: int, kernel: int
) -> None:
    """||W' v||^2 / ||v||^2, from the squares of the weights themselves."""
    weight = torch.empty(c_out, c_in, kernel, kernel)
    with torch.no_grad():
        INITS[init](weight, torch.Generator().manual_seed(0))
    passed = weight.pow(2).sum((1, 2, 3)).mean().item()
    assert gain(init, Weighted(c_in, c_out, kernel, 1, (8, 8))) == pytest.approx(passed, rel=0.03)


@pytest.mark.parametrize(
    ("init", "rate"), [("he", 1), ("lecun", 0.5), ("xavier", 0.5), ("torch_default", 1 / 6)]
)
def test_plain_mlp_passes_half_of_s_per_layer(init: str, rate: float) -> None:
    found = predicted(f"mlp-30,shortcut=none,norm=none,width=256,init={init}")
    assert found.rate == pytest.approx(rate)
    assert found.log_ratio[0] == pytest.approx(28 * math.log(rate))
    assert found.log_second_moment is not None
    assert found.log_second_moment[-1] == pytest.approx(28 * math.log(rate))


def test_xavier_counts_the_fans_of_every_layer() -> None:
    spec = NetworkSpec(
        depth=8, width=16, shortcut="none", norm="none", init="xavier", inputs=(1, 1, 1)
    )
    found = predict(spec, 128)
    assert found is not None  # on one pixel a 3x3 kernel keeps one of nine taps
    widening = (2 * 16 / 48 / 2 / 9) * (1 / 2 / 9)
    np.testing.assert_allclose(block_factors(found), [(1 / 2 / 9) ** 2, widening, widening])


@pytest.mark.parametrize(
    ("init", "factor"), [("he", 2), ("torch_default", 1 + 1 / 36), ("xavier", 1.25)]
)
def test_residual_without_norm_adds_r(init: str, factor: float) -> None:
    found = predicted(f"mlp-42,norm=none,block=preact,width=384,init={init}")
    np.testing.assert_allclose(block_factors(found), factor)
    assert found.rate_per_block == pytest.approx(factor)


def test_branch_scale_of_one_over_root_n_gives_e() -> None:
    spec = parse("mlp-802,norm=none,block=preact,width=64").network.replace(branch_scale=0.05)
    found = predict(spec, 128)
    assert found is not None
    assert math.exp(found.log_ratio[0]) == pytest.approx((1 + 1 / 400) ** 400)
    assert math.exp(found.log_ratio[0]) == pytest.approx(math.e, rel=0.002)


def test_gates_enter_squared_and_block_by_block() -> None:
    found = predicted("mlp-8,norm=none,block=preact,width=64,skip=0.5~2~0,residual=1~0~3")
    np.testing.assert_allclose(block_factors(found), [0.25 + 1, 4, 9])


def test_a_residual_gate_of_zero_cuts_a_plain_network() -> None:
    found = predicted("mlp-8,norm=none,shortcut=none,width=64,residual=1~0~1")
    assert found.log_ratio.tolist() == [-math.inf, -math.inf, 0, 0]


def test_skips_of_zero_are_the_plain_network() -> None:
    plain, gated = (
        predicted(f"resnet-20,norm=none,width=64,{text}") for text in ("shortcut=none", "skip=0")
    )
    np.testing.assert_array_equal(plain.log_ratio, gated.log_ratio)


def test_padded_channels_send_nothing_back_through_the_shortcut() -> None:
    found = predicted("resnet-8,norm=none,block=preact,init=delta_orthogonal,residual=0")
    np.testing.assert_allclose(block_factors(found), [1, 0.5, 0.5])


def test_plain_batch_norm_grows_by_chi_whatever_the_init() -> None:
    for init in ("he", "torch_default"):
        found = predicted(f"mlp-30,shortcut=none,width=128,init={init}", batch=32)
        assert found.rate == pytest.approx(chi(32))
        np.testing.assert_allclose(block_factors(found), chi(32) ** 2)


def test_scale_of_a_plain_batch_norm_net_shows_at_the_stem_alone() -> None:
    found = predicted("mlp-8,shortcut=none,width=128,branch_scale=0.5", batch=LARGE)
    np.testing.assert_allclose(block_factors(found), chi(math.inf) ** 2 * np.array([0.25, 1, 1]))


def test_residual_batch_norm_divides_by_the_variance_on_the_sum() -> None:
    found = predicted("mlp-130,block=preact,width=256", batch=LARGE, input_variance=0.5)
    variance = 1 + (1 - 1 / math.pi) * np.arange(64)  # He: the stem doubles 0.5
    np.testing.assert_allclose(block_factors(found), 1 + chi(math.inf) / variance, rtol=1e-6)
    assert math.exp(found.log_ratio[0]) == pytest.approx(1.9e3, rel=0.05)


def test_residual_batch_norm_without_skips_is_the_plain_one() -> None:
    found = predicted("mlp-30,block=preact,width=128,skip=0", batch=64, input_variance=0.3)
    np.testing.assert_allclose(block_factors(found)[1:], chi(64) ** 2)


@pytest.mark.parametrize(
    "text",
    [
        "resnet-20",  # ReLU after the sum
        "resnet-20,norm=none",
        "resnet-20,norm=group,shortcut=none",
        "resnet-20,block=preact",  # BatchNorm, and the shape changes
        "resnet-20,block=preact,norm=none,shortcut=projection",
        "resnet-20,block=preact,norm=none,shortcut=projection_all",
        "mlp-8,shortcut=none,residual=0",  # BatchNorm of nothing
    ],
)
def test_nothing_is_predicted_where_no_formula_is_known(text: str) -> None:
    assert predict(parse(text).network, 128) is None


def test_batch_norm_of_three_examples_is_not_predicted() -> None:
    assert predict(parse("mlp-8,shortcut=none").network, 3) is None


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        ("mlp-30,shortcut=none,norm=none,width=8", False),
        ("mlp-30,shortcut=none,norm=none,width=256", True),
        ("plain-20,norm=none,width=8", False),
        ("plain-20,norm=none,width=64", True),
        ("plain-20,width=8", False),
        ("plain-20,width=128", True),
        ("mlp-30,shortcut=none,width=8", False),
        ("mlp-30,block=preact,width=128", True),
    ],
)
def test_narrow_networks_are_outside_the_region(text: str, valid: bool) -> None:
    found = predicted(text)
    assert found.valid is valid
    assert "width >=" in found.region


def test_blocks_of_a_spec_halve_the_map_and_follow_the_widths() -> None:
    blocks = blocks_of(parse("resnet-29,block=bottleneck,width=4").network)
    assert [block.c_out for block in blocks] == [16] * 3 + [32] * 3 + [64] * 3
    assert [block.size for block in blocks] == [(8, 8)] * 4 + [(4, 4)] * 3 + [(2, 2)] * 2
    assert [block.c_in for block in blocks[:2]] == [4, 16]
