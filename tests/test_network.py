"""Networks: published parameter counts, equal twins, and a twin written out by hand."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from explorer.network import Network, build
from explorer.shortcuts import SHORTCUTS
from explorer.spec import NetworkSpec

# He et al. 2015, table 6, gives 0.27, 0.46, 0.66, 0.85, 1.7 and 19.4 million.
PUBLISHED = {
    20: 269_722,
    32: 464_154,
    44: 658_586,
    56: 853_018,
    110: 1_727_962,
    1202: 19_421_274,
}
IMAGES = (3, 8, 8)


def spec(**fields: Any) -> NetworkSpec:
    return NetworkSpec(**{"depth": 14, "width": 4, "inputs": IMAGES, **fields})


def images(size: int = 4) -> Tensor:
    return torch.randn(size, *IMAGES, generator=torch.Generator().manual_seed(5))


@pytest.mark.parametrize(("depth", "count"), PUBLISHED.items())
@pytest.mark.parametrize("shortcut", ["none", "zero_pad"])
def test_published_parameter_counts(depth: int, count: int, shortcut: str) -> None:
    with torch.device("meta"):
        network = Network(NetworkSpec(depth=depth, shortcut=shortcut))
    assert sum(parameter.numel() for parameter in network.parameters()) == count


@pytest.mark.parametrize("block", ["basic", "bottleneck", "preact", "preact_bottleneck"])
@pytest.mark.parametrize("n", [1, 3])
def test_depth_counts_the_weighted_layers(block: str, n: int) -> None:
    depth = {"basic": 6, "preact": 6}.get(block, 9) * n + 2
    network = build(spec(block=block, depth=depth))
    weighted = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert len(weighted) == depth


@pytest.mark.parametrize("shortcut", [name for name in SHORTCUTS if name != "none"])
@pytest.mark.parametrize("norm", ["batch", "none"])
def test_twins_share_every_weight(shortcut: str, norm: str) -> None:
    plain = build(spec(shortcut="none", norm=norm), seed=7).state_dict()
    twin = build(spec(shortcut=shortcut, norm=norm), seed=7).state_dict()
    extra = set(twin) - set(plain)
    assert set(plain) <= set(twin)
    assert all(torch.equal(plain[name], twin[name]) for name in plain)
    assert all(".shortcut." in name for name in extra)
    assert bool(extra) == shortcut.startswith("projection")


def test_another_seed_gives_other_weights_and_the_same_seed_the_same() -> None:
    first, same, other = (build(spec(), seed=seed).stem[0].weight for seed in (0, 0, 1))
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


def by_hand(weights: dict[str, Tensor], x: Tensor, blocks: int, residual: bool) -> Tensor:
    """A network of basic blocks in functional PyTorch, written from the paper."""

    def layer(x: Tensor, name: str, norm: str, stride: int = 1) -> Tensor:
        x = F.conv2d(x, weights[f"{name}.weight"], stride=stride, padding=1)
        scale, shift = weights[f"{norm}.weight"], weights[f"{norm}.bias"]
        return F.batch_norm(x, None, None, scale, shift, training=True)

    x = layer(x, "stem.0", "stem.1").relu()
    for number in range(blocks):
        prefix = f"blocks.{number}.residual"
        strides = number > 0 and number % (blocks // 3) == 0
        y = layer(x, f"{prefix}.layer0", f"{prefix}.norm1", 2 if strides else 1).relu()
        y = layer(y, f"{prefix}.layer3", f"{prefix}.norm4")
        if residual:
            missing = y.shape[1] - x.shape[1]
            rows = x[:, :, ::2, ::2] if strides else x
            y = y + F.pad(rows, (0, 0, 0, 0, missing // 2, missing - missing // 2))
        x = y.relu()
    return F.linear(x.mean((2, 3)), weights["head.weight"], weights["head.bias"])


@pytest.mark.parametrize("shortcut", ["zero_pad", "none"])
def test_a_twin_by_hand_agrees_bit_for_bit(shortcut: str) -> None:
    network = build(spec(depth=20, shortcut=shortcut), seed=2)
    parameters = dict(network.named_parameters())
    results = []
    for compute in (network, lambda x: by_hand(parameters, x, 9, shortcut != "none")):
        logits = compute(images())
        loss = F.cross_entropy(logits, torch.tensor([0, 1, 2, 3]))
        results.append([logits, *torch.autograd.grad(loss, list(parameters.values()))])
    for ours, theirs in zip(*results, strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize("block", ["basic", "preact"])
@pytest.mark.parametrize("shortcut", SHORTCUTS)
@pytest.mark.parametrize("norm", ["batch", "none", "group", "layer"])
def test_nothing_works_in_place(block: str, shortcut: str, norm: str) -> None:
    network = build(spec(block=block, shortcut=shortcut, norm=norm))
    assert not any(getattr(module, "inplace", False) for module in network.modules())
    outputs, copies = [], []

    def keep(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        outputs.append(output)
        copies.append(output.detach().clone())

    for module in network.modules():
        module.register_forward_hook(keep)
    network(images()).sum().backward()
    assert len(outputs) > 20
    for output, copy in zip(outputs, copies, strict=True):
        assert torch.equal(output, copy)
        assert output._version == 0


def test_walk_yields_the_sites_that_the_spec_names() -> None:
    described = spec(depth=20)
    network = build(described)
    names, outputs = zip(*network.walk(images()), strict=True)
    assert names == described.sites == ("stem", *(f"block {i}" for i in range(1, 10)))
    assert torch.equal(network.logits(outputs[-1]), network(images()))
    assert [tuple(x.shape[1:]) for x in outputs[::3]] == [
        (4, 8, 8),
        (4, 8, 8),
        (8, 4, 4),
        (16, 2, 2),
    ]


def test_gates_come_from_the_spec_one_for_all_or_one_a_block() -> None:
    skips = (1.0, 0.0, 0.5, -1.0)
    network = build(NetworkSpec(family="mlp", depth=10, inputs=(2,), skip=skips, residual=0.5))
    assert [block.skip for block in network.blocks] == list(skips)
    assert [block.residual_gate for block in network.blocks] == [0.5] * 4


def test_gates_for_the_wrong_number_of_blocks_are_an_error() -> None:
    with pytest.raises(ValueError, match=r"shorter|longer"):
        build(spec()).set_gates((1.0,), (1.0,))


@pytest.mark.parametrize("side", [7, 8, 9, 1])
@pytest.mark.parametrize("shortcut", SHORTCUTS)
@pytest.mark.parametrize(("block", "depth"), [("basic", 8), ("bottleneck", 11)])
def test_odd_and_tiny_images(side: int, shortcut: str, block: str, depth: int) -> None:
    described = spec(inputs=(1, side, side), shortcut=shortcut, depth=depth, block=block)
    network = build(described).eval()
    assert network(torch.zeros(2, 1, side, side)).shape == (2, 10)


def test_an_mlp_reads_images_as_points() -> None:
    network = build(NetworkSpec(family="mlp", depth=6, inputs=(1, 4, 4)))
    x = torch.randn(3, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    assert torch.equal(network(x), network(x.flatten(1)))


def test_training_mode_and_dtype_of_a_new_network() -> None:
    network = build(spec())
    assert network.training
    assert {parameter.dtype for parameter in network.parameters()} == {torch.float32}
    assert all(parameter.requires_grad for parameter in network.parameters())
