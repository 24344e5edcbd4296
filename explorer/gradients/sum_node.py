"""One block laid open: every edge of its diagram, forward and backward, by autograd.

The block stands at its place in the network, so the gradient that comes from above is that of
the mean cross entropy through all later blocks. Each edge is a tensor of its own in one graph,
also the two copies of x that the fork hands to F and to the shortcut.

    x -> fork -> layers of F -> residual_gate \\
          |                                    sum -> (act) -> output
          +----> shortcut ----> skip --------- /

Addition copies: dL/d(either input of the sum) is dL/d(sum). The fork adds: dL/dx is the sum of
what its two ways send back. Both are exact, whatever the network has learned; what lies before
and after the sum (an activation, a projection, a gate) is not a copy.
"""

from contextlib import ExitStack
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from explorer.inside.mode import in_mode
from explorer.network import Block, Network
from explorer.probes.flow import unchanged
from explorer.spec import SpecError


@dataclass(frozen=True)
class Edge:
    """One arrow of the diagram, from node `start` to node `end`, and what it carries.

    `name` is unique: "x", "x to F", "x to shortcut", the output of a layer of F by the layer's
    name ("layer0", "norm1", …), "F(x)" for the last of them, "gated F(x)", "shortcut(x)",
    "gated shortcut(x)", "sum", and "output" where an activation follows. `shape` is that of
    one example. Values and gradients are of the whole batch: L2 norms, and the standard
    deviation over all entries.
    """

    name: str
    start: str
    end: str
    shape: tuple[int, ...]
    value_norm: float
    value_std: float
    gradient_norm: float


@dataclass(frozen=True)
class SumNode:
    """A block as its arrows, in forward order: each comes after all that lead to its start.

    Read backwards the order is one of the backward pass. `into_residual` and `into_shortcut`
    are the largest difference between the gradient at that input of the sum and the gradient
    at the sum, over the largest entry of the latter; `at_fork` the same for the two gradients
    at the fork, added, and dL/dx. None where there is no shortcut; 0 where no gradient arrives.
    `weights`: L2 norm of dL/dW of each weighted layer, by the layer's name in the block.
    """

    block: int
    edges: tuple[Edge, ...]
    weights: tuple[tuple[str, float], ...]
    skip: float
    residual_gate: float
    act_after_sum: bool
    into_residual: float
    into_shortcut: float | None
    at_fork: float | None

    def edge(self, name: str) -> Edge:
        """The edge of that name; KeyError if the block has none."""
        found = {edge.name: edge for edge in self.edges}
        return found[name]


def sum_node(
    network: Network,
    number: int,
    x: Tensor,
    y: Tensor,
    *,
    training: bool = True,
    skip: float | None = None,
    residual_gate: float | None = None,
    act_after_sum: bool | None = None,
    shortcut: nn.Module | None = None,
) -> SumNode:
    """Block `number` (from 1) on the batch `x` (N, *network.inputs) with labels `y` (N,).

    None leaves an option as the block has it. `residual_gate` multiplies the block's
    branch_scale; `shortcut` stands in for the block's own, such as the projection of the same
    block of a network with shortcut=projection_all. `training`: BatchNorm reads the batch. A
    number the network has not, or an x of another shape, is a SpecError.
    """
    if not 1 <= number <= len(network.blocks):
        raise SpecError("block", number, f"1 to {len(network.blocks)}")
    if x.shape[1:] != network.inputs or len(x) != len(y) or not len(x):
        raise SpecError("x", tuple(x.shape), f"(N, {network.inputs}) with N labels, N at least 1")
    block = network.all_blocks[number - 1]
    opened = _Opened(
        block,
        block.skip if skip is None else skip,
        block.branch_scale * (block.residual_gate if residual_gate is None else residual_gate),
        block.act_after_sum if act_after_sum is None else act_after_sum,
        block.shortcut if shortcut is None else shortcut,
    )
    device = network.head.weight.device
    with ExitStack() as kept, torch.enable_grad():
        for module in (network, shortcut):
            if module is not None:
                kept.enter_context(in_mode(module, training))
                kept.enter_context(unchanged(module))
        with torch.no_grad():
            before = _before(network, number, x.to(device))
        output = opened.run(before.requires_grad_())
        for later in network.all_blocks[number:]:
            output = later(output)
        loss = F.cross_entropy(network.logits(output), y.to(device))
        return opened.result(number, loss)


class _Opened:
    """A block's forward pass with every edge kept as a tensor."""

    def __init__(
        self, block: Block, skip: float, gate: float, act: bool, shortcut: nn.Module | None
    ) -> None:
        self.block, self.shortcut = block, shortcut
        self.skip, self.gate, self.act = skip, gate, act
        self.kept: list[tuple[str, str, str, Tensor]] = []

    def run(self, x: Tensor) -> Tensor:
        """The block's output for its input `x`."""
        self._keep("x", "input", "fork", x)
        total = self._residual(x.clone())
        if self.shortcut is not None:
            total = total + self._shortcut(self.shortcut, x.clone())
        self._keep("sum", "sum", "act" if self.act else "output", total)
        return self._keep("output", "act", "output", F.relu(total)) if self.act else total

    def _residual(self, value: Tensor) -> Tensor:
        names = [name for name, _ in self.block.residual.named_children()]
        value = self._keep("x to F", "fork", names[0], value)
        ends = [*names[1:], "residual_gate"]
        for (name, layer), end in zip(self.block.residual.named_children(), ends, strict=True):
            last = end == "residual_gate"
            value = self._keep("F(x)" if last else name, name, end, layer(value))
        return self._keep("gated F(x)", "residual_gate", "sum", value * self.gate)

    def _shortcut(self, shortcut: nn.Module, value: Tensor) -> Tensor:
        value = self._keep("x to shortcut", "fork", "shortcut", value)
        value = self._keep("shortcut(x)", "shortcut", "skip", shortcut(value))
        return self._keep("gated shortcut(x)", "skip", "sum", value * self.skip)

    def _keep(self, name: str, start: str, end: str, value: Tensor) -> Tensor:
        self.kept.append((name, start, end, value))
        return value

    def result(self, number: int, loss: Tensor) -> SumNode:
        """One backward pass from `loss`, read on every edge."""
        weights = dict(self._weights())
        tensors = [value for *_, value in self.kept]
        gradients = torch.autograd.grad(loss, [*tensors, *weights.values()])
        edges = tuple(
            _edge(name, start, end, value, gradient)
            for (name, start, end, value), gradient in zip(self.kept, gradients, strict=False)
        )
        norms = [_norm(gradient) for gradient in gradients[len(tensors) :]]
        at = {edge.name: gradient for edge, gradient in zip(edges, gradients, strict=False)}
        joined = self.shortcut is not None
        return SumNode(
            block=number,
            edges=edges,
            weights=tuple(zip(weights, norms, strict=True)),
            skip=self.skip,
            residual_gate=self.gate,
            act_after_sum=self.act,
            into_residual=_apart(at["gated F(x)"], at["sum"]),
            into_shortcut=_apart(at["gated shortcut(x)"], at["sum"]) if joined else None,
            at_fork=_apart(at["x to F"] + at["x to shortcut"], at["x"]) if joined else None,
        )

    def _weights(self) -> list[tuple[str, Tensor]]:
        parts = {"residual": self.block.residual, "shortcut": self.shortcut or nn.Identity()}
        return [
            (f"{prefix}.{name}".rstrip("."), layer.weight)
            for prefix, part in parts.items()
            for name, layer in part.named_modules()
            if isinstance(layer, nn.Linear | nn.Conv2d) and layer.weight.requires_grad
        ]


def _before(network: Network, number: int, x: Tensor) -> Tensor:
    """The input of block `number`."""
    for site, value in network.walk(x):
        if site == ("stem" if number == 1 else f"block {number - 1}"):
            return value.clone()
    raise AssertionError(f"no block {number}")


def _edge(name: str, start: str, end: str, value: Tensor, gradient: Tensor) -> Edge:
    std = float(value.detach().double().std(correction=0))
    return Edge(name, start, end, tuple(value.shape[1:]), _norm(value), std, _norm(gradient))


def _norm(values: Tensor) -> float:
    """In float64, for the square of 1e-23 is 0 in float32."""
    return float(torch.linalg.vector_norm(values.detach(), dtype=torch.float64))


def _apart(one: Tensor, other: Tensor) -> float:
    """The largest difference over the largest entry of `other`; 0 where both are 0."""
    difference = float((one - other).abs().max())
    return difference / float(other.abs().max()) if difference else 0.0
