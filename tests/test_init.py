"""Initial weights: each scheme has the variance or the shape that its paper gives it."""

import math

import pytest
import torch
from torch import Tensor, nn

from explorer.init import INITS, generator_for, initialise
from explorer.spec import NetworkSpec
from explorer.spec.network import Init

# s = fan_in x Var W where fans are equal; a ReLU layer passes s/2 of the squared gradient on.
VARIANCE = {
    "he": 2.0,
    "xavier": 1.0,
    "lecun": 1.0,
    "torch_default": 1 / 3,
    "orthogonal": 2.0,
    "delta_orthogonal": 2.0,
}


def filled(scheme: str, *shape: int) -> Tensor:
    weight = torch.empty(shape)
    with torch.no_grad():
        INITS[scheme](weight, generator_for(0, "weight"))
    return weight


def test_the_spec_and_the_registry_name_the_same_schemes() -> None:
    assert set(Init.__args__) == set(INITS) == set(VARIANCE)


@pytest.mark.parametrize("scheme", INITS)
@pytest.mark.parametrize("shape", [(256, 256), (256, 256, 3, 3)], ids=["linear", "convolution"])
def test_variance_times_fan_in(scheme: str, shape: tuple[int, ...]) -> None:
    weight = filled(scheme, *shape)
    fan_in = weight[0].numel()
    # The relative error of a variance of n samples is about sqrt(2/n): 0.6% of 65,536.
    assert fan_in * weight.var().item() == pytest.approx(VARIANCE[scheme], rel=0.02)
    assert abs(weight.mean().item()) < 5 * math.sqrt(VARIANCE[scheme] / fan_in / weight.numel())


def test_xavier_counts_both_fans() -> None:
    weight = filled("xavier", 512, 128)
    assert weight.var().item() == pytest.approx(2 / (512 + 128), rel=0.02)


def test_torch_default_is_what_torch_does() -> None:
    ours = filled("torch_default", 64, 16, 3, 3)
    theirs = nn.Conv2d(16, 64, 3).weight
    bound = 1 / math.sqrt(16 * 9)
    for weight in (ours, theirs):
        assert weight.abs().max().item() <= bound
        assert weight.abs().max().item() > 0.99 * bound


@pytest.mark.parametrize("shape", [(48, 48), (32, 64), (64, 32), (32, 8, 3, 3)])
def test_orthogonal_rows_or_columns(shape: tuple[int, ...]) -> None:
    flat = filled("orthogonal", *shape).flatten(1).double()
    gram = flat @ flat.T if flat.shape[0] <= flat.shape[1] else flat.T @ flat
    torch.testing.assert_close(gram, 2 * torch.eye(len(gram)).double(), atol=1e-5, rtol=0)


@pytest.mark.parametrize("kernel", [1, 3, 5])
def test_delta_orthogonal_is_orthogonal_at_the_centre_and_zero_elsewhere(kernel: int) -> None:
    weight = filled("delta_orthogonal", 32, 32, kernel, kernel)
    centre = weight[:, :, kernel // 2, kernel // 2].double()
    torch.testing.assert_close(centre @ centre.T, 2 * torch.eye(32).double(), atol=1e-5, rtol=0)
    assert weight.count_nonzero() == centre.count_nonzero()


def test_delta_orthogonal_keeps_the_norm_of_an_image_through_a_convolution() -> None:
    weight = filled("delta_orthogonal", 16, 16, 3, 3)
    x = torch.randn(2, 16, 8, 8, generator=torch.Generator().manual_seed(0))
    y = nn.functional.conv2d(x, weight, padding=1)
    assert (y.norm() / x.norm()).item() == pytest.approx(math.sqrt(2), rel=1e-4)


def test_a_generator_depends_on_seed_and_name_alone() -> None:
    def draw(seed: int, name: str) -> list[float]:
        return torch.rand(3, generator=generator_for(seed, name)).tolist()

    assert draw(0, "a") == draw(0, "a")
    assert len({tuple(draw(seed, name)) for seed in (0, 1) for name in ("a", "b")}) == 4


def test_the_global_random_state_is_neither_read_nor_moved() -> None:
    layer = nn.Linear(8, 8)
    torch.manual_seed(1)
    before = torch.get_rng_state()
    initialise(layer, "he", seed=0)
    first = layer.weight.clone()
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    initialise(layer, "he", seed=0)
    assert torch.equal(layer.weight, first)


@pytest.mark.parametrize("scheme", INITS)
def test_biases_are_zero_except_for_torch_default(scheme: str) -> None:
    layer = nn.Linear(64, 64)
    initialise(layer, scheme, seed=0)
    assert bool(layer.bias.any()) == (scheme == "torch_default")
    assert layer.bias.abs().max().item() <= 1 / 8


def test_every_spec_may_name_every_scheme() -> None:
    assert [NetworkSpec(init=scheme).init for scheme in INITS] == list(INITS)
