"""Lesioned networks: what runs in the place of each block, and how well it still classifies.

A route has one step for each block; the network itself is not touched, but for BatchNorm's
statistics while they are estimated anew, and these are put back. Blocks are numbered from 1.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from explorer.data import Dataset
from explorer.init import generator_for
from explorer.inside.maps import placed, reading
from explorer.network import Block, Network
from explorer.shortcuts import ZeroPad
from explorer.spec import SpecError
from explorer.training import TEST_BATCH

Route = Sequence[Callable[[Tensor], Tensor]]  # one step for each block, (N, ...) -> (N, ...)
Harm = Literal["zero", "noise"]
Place = Literal["residual", "output"]

ESTIMATE_BATCH = 128  # examples a batch when BatchNorm's statistics are estimated anew


@dataclass(frozen=True)
class Score:
    """On the whole test set, in evaluation mode: share correct, mean cross-entropy in nats."""

    accuracy: float
    loss: float


def score(network: Network, route: Route, data: Dataset, reestimate: bool = False) -> Score:
    """The network's score on `data` along `route`; `list(network.all_blocks)` is the intact one."""
    estimated = reestimated(network, route, data.x_train) if reestimate else nullcontext()
    with reading(network), estimated:
        parts = [logits_along(network, route, x) for x in torch.split(data.x_test, TEST_BATCH)]
    logits = torch.cat(parts)
    y = data.y_test.to(logits.device)
    right = (logits.argmax(1) == y).sum()
    return Score(int(right) / len(y), float(F.cross_entropy(logits, y)))


def without(network: Network, gone: Iterable[int]) -> Route:
    """The network without the blocks numbered in `gone`; SpecError for a number it has not.

    Of a residual block its shortcut is left, as if its residual gate were 0: act(skip x).
    Of a plain one (no shortcut, or skip 0) nothing is left, so its input is handed on, which
    is how Veit et al. (section 4.1) drop a layer of VGG; where the shape changes, as the
    parameter-free shortcut of option A would: every stride-th pixel, missing channels zero.
    """
    numbers = frozenset(gone)
    for number in numbers:
        _check_number(network, number)
    parts = enumerate(network.all_blocks, 1)
    return [_handed_on(block) if number in numbers else block for number, block in parts]


def reordered(network: Network, order: Sequence[int]) -> Route:
    """The network with its blocks in another order; SpecError unless each is there once."""
    parts = network.all_blocks
    if sorted(order) != list(range(1, len(parts) + 1)):
        raise SpecError("order", tuple(order), f"the numbers 1 to {len(parts)}, each once")
    return [parts[number - 1] for number in order]


def damaged(
    network: Network, number: int, harm: Harm, place: Place = "residual", seed: int = 0
) -> Route:
    """The network with one block's F(x), or its output, spoilt; SpecError for a bad value.

    "zero" puts 0 in its place. "noise" adds Gaussian noise of its own standard deviation over
    the batch, drawn from (seed, block) again for every route. Where F(x) is spoilt a skip
    connection still delivers x; a spoilt output is what no shortcut passes by.
    """
    _check_number(network, number)
    for field, value, kinds in (("harm", harm, Harm), ("place", place, Place)):
        if value not in get_args(kinds):
            raise SpecError(field, value, f"choose one of {', '.join(get_args(kinds))}")
    block = network.all_blocks[number - 1]
    generator = generator_for(seed, f"noise in block {number}")

    def spoil(values: Tensor) -> Tensor:
        if harm == "zero":
            return torch.zeros_like(values)
        noise = torch.randn(values.shape, generator=generator).to(values.device)
        return values + values.std(correction=0) * noise

    def step(x: Tensor) -> Tensor:
        if place == "output":
            return spoil(block(x))
        y = spoil(block.branch(x))
        if block.shortcut is not None:
            y = torch.add(y, block.shortcut(x), alpha=block.skip)
        return F.relu(y) if block.act_after_sum else y

    parts = enumerate(network.all_blocks, 1)
    return [step if index == number else part for index, part in parts]


def logits_along(network: Network, route: Route, x: Tensor) -> Tensor:
    """The logits for `x` when each block's place is taken by a step of `route`; (N, classes)."""
    x = placed(network, x)
    x = network.stem(x if network.convolves else x.flatten(1))
    for step in route:
        x = step(x)
    return network.logits(x)


@contextmanager
def reestimated(network: Network, route: Route, x: Tensor) -> Iterator[None]:
    """While open, BatchNorm's statistics are those of the activations along `route`.

    They are plain averages over the batches of one pass over `x`, in its order (what PyTorch
    does with momentum None); what fills no batch of ESTIMATE_BATCH is left out. Afterwards the
    statistics are again what they were, bit for bit. Without BatchNorm nothing changes.
    """
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)]
    before = [(n.momentum, n.training, [b.clone() for b in n.buffers()]) for n in norms]
    size = min(ESTIMATE_BATCH, len(x))
    try:
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None
            norm.train()
        with torch.no_grad():
            for part in torch.split(x, size)[: len(x) // size] if norms else ():
                logits_along(network, route, part)
        for norm in norms:
            norm.eval()
        yield
    finally:
        for norm, (momentum, training, buffers) in zip(norms, before, strict=True):
            norm.momentum, norm.training = momentum, training
            for buffer, earlier in zip(norm.buffers(), buffers, strict=True):
                buffer.copy_(earlier)


def changes_shape(block: Block) -> bool:
    """Whether it puts out another shape than it reads: it downsamples or widens."""
    c_in, c_out, stride = _shape(block)
    return c_in != c_out or stride > 1


def _handed_on(block: Block) -> Callable[[Tensor], Tensor]:
    """What a deleted block still does."""
    plain = block.shortcut is None or block.skip == 0
    shortcut = ZeroPad(*_shape(block)) if plain else block.shortcut
    skip = 1.0 if plain else block.skip

    def step(x: Tensor) -> Tensor:
        assert shortcut is not None
        y: Tensor = shortcut(x)
        y = y if skip == 1 else y * skip
        return F.relu(y) if block.act_after_sum else y

    return step


def _shape(block: Block) -> tuple[int, int, int]:
    """Channels in, channels out, stride."""
    layers = [m for m in block.residual if isinstance(m, nn.Conv2d | nn.Linear)]
    strides = [m.stride[0] for m in layers if isinstance(m, nn.Conv2d)]
    return layers[0].weight.shape[1], layers[-1].weight.shape[0], max(strides, default=1)


def _check_number(network: Network, number: int) -> None:
    if not 1 <= number <= len(network.blocks):
        raise SpecError("block", number, f"1 to {len(network.blocks)}")
