"""Every block form with every shortcut, norm and family: shapes, gradients, and its two gates."""

import pytest
import torch
from torch import Tensor, nn

from explorer.blocks import BLOCKS
from explorer.network import Block, Network, build
from explorer.shortcuts import SHORTCUTS
from explorer.spec import NetworkSpec
from explorer.spec.network import Family, Norm

FAMILIES = Family.__args__
NORMS = Norm.__args__
SHAPES = {"resnet": (3, 8, 8), "mlp": (12,)}
WIDTH = 8

every_block = pytest.mark.parametrize("block", BLOCKS)
every_shortcut = pytest.mark.parametrize("shortcut", SHORTCUTS)
every_skip = pytest.mark.parametrize("shortcut", [name for name in SHORTCUTS if name != "none"])
every_norm = pytest.mark.parametrize("norm", NORMS)
every_family = pytest.mark.parametrize("family", FAMILIES)


def small(family: str, block: str, norm: str, shortcut: str, blocks: int = 2) -> Network:
    """A network of two stages (one in an MLP), `blocks` blocks each."""
    widths = (WIDTH, 2 * WIDTH) if family == "resnet" else (WIDTH,)
    stages = tuple({"blocks": blocks, "width": width} for width in widths)
    spec = NetworkSpec(
        family=family,
        block=block,
        norm=norm,
        shortcut=shortcut,
        stages=stages,
        inputs=SHAPES[family],
        classes=5,
    )
    return build(spec, seed=3)


def batch(family: str, size: int = 4) -> Tensor:
    return torch.randn(size, *SHAPES[family], generator=torch.Generator().manual_seed(1))


def set_all(network: Network, skip: float = 1.0, residual: float = 1.0) -> Network:
    count = len(network.blocks)
    network.set_gates((skip,) * count, (residual,) * count)
    return network


@every_block
def test_a_form_names_its_source_and_its_layers(block: str) -> None:
    form = BLOCKS[block]
    assert form.name == block
    assert "arXiv" in form.source
    assert form.layers >= 1
    assert sum(getattr(step, "strided", False) for step in form.residual) == 1
    assert [step for step in form.residual if not isinstance(step, str)][-1].outer


@every_family
@every_norm
@every_shortcut
@every_block
def test_shapes_and_gradients(family: str, norm: str, shortcut: str, block: str) -> None:
    network = small(family, block, norm, shortcut)
    x = batch(family)
    outputs = dict(network.walk(x))
    channels = 2 * WIDTH if family == "resnet" else WIDTH
    expected = (4, channels * BLOCKS[block].expansion, *((4, 4) if family == "resnet" else ()))
    assert outputs[f"block {len(network.blocks)}"].shape == expected
    logits = network(x)
    assert logits.shape == (4, 5)
    nn.functional.cross_entropy(logits, torch.tensor([0, 1, 2, 3])).backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.any(), name


@every_family
@every_norm
@every_block
def test_skip_0_is_the_plain_network_bit_for_bit(family: str, norm: str, block: str) -> None:
    cut = set_all(small(family, block, norm, "zero_pad"), skip=0.0)
    plain = small(family, block, norm, "none")
    results = []
    for network in (cut, plain):
        x = batch(family).requires_grad_()
        logits = network(x)
        logits.logsumexp(1).sum().backward()
        weights = [parameter.grad for parameter in network.parameters()]
        results.append([logits, x.grad, *weights])
    for ours, theirs in zip(*results, strict=True):
        assert torch.equal(ours, theirs)


@every_family
@every_skip
@every_block
def test_residual_gate_0_leaves_the_shortcut_alone(family: str, shortcut: str, block: str) -> None:
    network = set_all(small(family, block, "batch", shortcut).eval(), residual=0.0)
    x = network.stem(batch(family).flatten(1) if family == "mlp" else batch(family))
    for module in network.blocks:
        assert isinstance(module, Block)
        alone = module.shortcut(x)
        expected = alone.relu() if module.act_after_sum else alone
        x = module(x)
        assert torch.equal(x, expected)


@every_family
@every_block
def test_a_gate_scales_what_it_gates(family: str, block: str) -> None:
    module = small(family, block, "none", "zero_pad").blocks[1]
    assert isinstance(module, Block)
    channels = WIDTH * BLOCKS[block].expansion
    x = torch.randn(4, channels, *SHAPES[family][1:], generator=torch.Generator().manual_seed(2))
    module.act_after_sum = False
    residual = module.residual(x)
    for skip, gate, scale in [(1, 1, 1), (0.5, 1, 1), (1, 0.25, 1), (-2, 3, 0.5)]:
        module.skip, module.residual_gate, module.branch_scale = skip, gate, scale
        torch.testing.assert_close(module(x), skip * x + gate * scale * residual)


@every_block
def test_gates_change_while_a_network_is_in_use(block: str) -> None:
    network = small("resnet", block, "none", "zero_pad")
    x = batch("resnet")
    whole = network(x)
    cut = set_all(network, skip=0.0)(x)
    assert not torch.allclose(whole, cut)
    assert torch.equal(set_all(network)(x), whole)
