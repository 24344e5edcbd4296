"""A block laid open: its edges against hooks on the whole network, and what addition promises."""

import copy
from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from explorer.gradients.sum_node import SumNode, sum_node
from explorer.network import Network, build
from explorer.probes.flow import gradient_flow
from explorer.spec import SpecError, parse

SPECS = (
    "resnet-8,width=4",
    "resnet-8,width=4,block=preact,shortcut=projection_all,norm=group,branch_scale=0.5",
    "resnet-8,width=4,skip=0.5~1~-2,residual=1~0.3~1",
    "mlp-8,width=6,shortcut=none",
)


def network(text: str) -> Network:
    return build(parse(text).network.replace(inputs=(3, 8, 8)), seed=1)


def batch(count: int = 12) -> tuple[Tensor, Tensor]:
    x = torch.randn(count, 3, 8, 8, generator=torch.Generator().manual_seed(2))
    return x, torch.arange(count) % 10


def hooked(net: Network, number: int) -> dict[str, tuple[Tensor, Tensor]]:
    """Value and gradient of every layer's output in a block's F, from the network's own pass."""
    twin, outputs = copy.deepcopy(net).train(), {}
    for name, layer in twin.all_blocks[number - 1].residual.named_children():
        layer.register_forward_hook(lambda _m, _i, out, name=name: outputs.update({name: out}))
    x, y = batch()
    logits = twin(x)
    for value in outputs.values():
        value.retain_grad()
    F.cross_entropy(logits, y).backward()
    return {name: (value.detach(), value.grad) for name, value in outputs.items()}


@pytest.mark.parametrize("text", SPECS)
@pytest.mark.parametrize("number", [1, 2, 3])
def test_edges_carry_what_hooks_on_the_network_see(text: str, number: int) -> None:
    net = network(text)
    found = sum_node(net, number, *batch())
    inside = hooked(net, number)
    names = [*list(inside)[:-1], "F(x)"]
    for name, (value, gradient) in zip(names, inside.values(), strict=True):
        edge = found.edge(name)
        assert edge.shape == value.shape[1:]
        assert edge.value_norm == pytest.approx(value.norm().item(), rel=1e-5)
        assert edge.value_std == pytest.approx(value.std(correction=0).item(), rel=1e-5)
        assert edge.gradient_norm == pytest.approx(gradient.norm().item(), rel=1e-4)
    whole = gradient_flow(net.train(), *batch()).values[0]
    last = found.edges[-1]
    assert last.name == ("output" if found.act_after_sum else "sum")
    assert found.edge("x").gradient_norm == pytest.approx(whole[number - 1], rel=1e-4)
    assert last.gradient_norm == pytest.approx(whole[number], rel=1e-4)


@pytest.mark.parametrize("text", SPECS)
@pytest.mark.parametrize("act", [True, False])
def test_the_sum_copies_the_gradient_and_gates_multiply_it(text: str, act: bool) -> None:
    found = sum_node(network(text), 2, *batch(), act_after_sum=act, skip=0.7, residual_gate=-0.4)
    upstream = found.edge("sum").gradient_norm
    assert upstream > 0
    assert found.into_residual <= 1e-6
    assert found.edge("gated F(x)").gradient_norm == pytest.approx(upstream, rel=1e-6)
    scale = 0.5 if "branch_scale" in text else 1
    assert found.edge("F(x)").gradient_norm == pytest.approx(0.4 * scale * upstream, rel=1e-5)
    if "none" in text:
        assert (found.into_shortcut, found.at_fork) == (None, None)
        return
    assert found.into_shortcut is not None
    assert found.into_shortcut <= 1e-6
    assert found.at_fork is not None
    assert found.at_fork <= 1e-5
    assert found.edge("shortcut(x)").gradient_norm == pytest.approx(0.7 * upstream, rel=1e-5)


def test_the_activation_after_the_sum_is_no_copy() -> None:
    net = network("resnet-8,width=4")
    with_act = sum_node(net, 2, *batch())
    assert with_act.edge("sum").gradient_norm < 0.95 * with_act.edge("output").gradient_norm
    without = sum_node(net, 2, *batch(), act_after_sum=False)
    assert [edge.name for edge in without.edges][-1] == "sum"


def test_a_zeroed_branch_passes_x_on_and_teaches_its_weights_nothing() -> None:
    net = network("resnet-8,width=4,block=preact")
    found = sum_node(net, 1, *batch(), residual_gate=0.0)
    upstream = found.edge("sum").gradient_norm
    assert found.edge("x").gradient_norm == pytest.approx(upstream, rel=1e-6)
    assert found.edge("x to F").gradient_norm == 0
    assert [norm for _, norm in found.weights] == [0, 0]
    assert found.edge("gated F(x)").gradient_norm == pytest.approx(upstream, rel=1e-6)
    assert all(norm > 0 for _, norm in sum_node(net, 1, *batch()).weights)


def test_options_are_what_a_network_built_so_would_do() -> None:
    net, other = network("resnet-8,width=4"), network("resnet-8,width=4")
    block = other.all_blocks[1]
    projection = network("resnet-8,width=4,shortcut=projection_all").all_blocks[1].shortcut
    block.skip, block.residual_gate, block.act_after_sum = 0.0, 0.5, False
    options = {"skip": 0.0, "residual_gate": 0.5, "act_after_sum": False}
    assert sum_node(net, 2, *batch(), **options) == sum_node(other, 2, *batch())
    block.skip, block.shortcut = 1.0, copy.deepcopy(projection)
    options |= {"skip": 1.0, "shortcut": projection}
    buffers = {name: value.clone() for name, value in projection.state_dict().items()}
    found = sum_node(net, 2, *batch(), **options)
    assert found == sum_node(other, 2, *batch())
    assert "shortcut.0" in dict(found.weights)
    assert all(torch.equal(value, buffers[name]) for name, value in projection.state_dict().items())


def test_the_edges_can_be_stepped_through_both_ways() -> None:
    found = sum_node(network("resnet-8,width=4"), 2, *batch())
    names = [edge.name for edge in found.edges]
    assert len(set(names)) == len(names)
    reached = {"input"}
    for edge in found.edges:
        before = [other.name for other in found.edges if other.end == edge.start]
        assert edge.start == "input" or (before and set(before) <= reached)
        reached.add(edge.name)
    sides = [edge.name for edge in found.edges if edge.end == "sum"]
    assert sides == ["gated F(x)", "gated shortcut(x)"]
    chain = [edge for edge in found.edges if edge.start not in {"input", "fork", "sum", "act"}]
    inside = [edge for edge in chain if "shortcut" not in edge.name]
    assert all(one.end == two.start for one, two in pairwise(inside))


def test_nothing_of_the_network_changes() -> None:
    net = network("resnet-8,width=4")
    net.blocks[1].eval()
    modes = [part.training for part in net.modules()]
    before = {name: value.clone() for name, value in net.state_dict().items()}
    random = torch.get_rng_state()
    first: SumNode = sum_node(net, 2, *batch())
    assert first == sum_node(net, 2, *batch())
    assert [part.training for part in net.modules()] == modes
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert all(p.grad is None for p in net.parameters())
    assert torch.equal(torch.get_rng_state(), random)
    evaluated = sum_node(net, 2, *batch(), training=False)
    assert evaluated.edge("norm1").value_std != first.edge("norm1").value_std


def test_bad_input_is_one_line() -> None:
    net: nn.Module = network("resnet-8,width=4")
    x, y = batch()
    with pytest.raises(SpecError, match="block: '4' is not allowed; 1 to 3"):
        sum_node(net, 4, x, y)
    with pytest.raises(SpecError, match=r"x: .* \(N, \(3, 8, 8\)\) with N labels"):
        sum_node(net, 1, x[:, :1], y)
    with pytest.raises(SpecError, match=r"x: .* with N labels"):
        sum_node(net, 1, x, y[:3])
