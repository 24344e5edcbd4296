"""What an image becomes in every block: x, F(x) and their sum, and the classes read off early.

All in evaluation mode (BatchNorm by its running statistics) and in float32.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from explorer.inside.mode import Report, in_mode
from explorer.network import Block, Network
from explorer.probes import blocks, walked
from explorer.spec import SpecError

Map = NDArray[np.float32]

BATCH = 256  # examples in memory at a time


@dataclass(frozen=True)
class BlockMaps:
    """One block's sum: output = act(residual + skip x), with an act if `act_after_sum`.

    Maps are (channels, H, W), in an MLP (features,). `x` is what the shortcut adds, before its
    gate `skip`; None in a plain network, where nothing is added. `residual` is F(x), gated and
    scaled as it enters the sum.
    """

    name: str
    x: Map | None
    residual: Map
    output: Map
    skip: float
    act_after_sum: bool


@dataclass(frozen=True)
class Maps:
    """One image on its way: the stem's output, every block's maps, and the logits (classes,)."""

    stem: Map
    blocks: tuple[BlockMaps, ...]
    logits: Map


@dataclass(frozen=True)
class Sum:
    """One block's sum laid open, as tensors of a batch (N, ...); of `x` see BlockMaps."""

    block: Block
    input: Tensor
    x: Tensor | None
    residual: Tensor
    output: Tensor


@contextmanager
def reading(network: nn.Module) -> Iterator[None]:
    """While open: evaluation mode and no gradients; then every module has its own mode again."""
    with in_mode(network, training=False), torch.no_grad():
        yield


def sums(network: Network, x: Tensor) -> Iterator[Sum]:
    """Every block's sum for the batch `x`, as the network walks; inside `reading`."""
    before = [block.kept for block in network.all_blocks]
    kept: list[Tensor] = []
    for block in network.all_blocks:
        block.kept = kept
    try:
        walk = network.walk(x)
        _, x = next(walk)
        for block, (_, output) in zip(network.all_blocks, walk, strict=True):
            added = None if block.shortcut is None else block.shortcut(x)
            yield Sum(block, x, added, kept.pop(), output)
            x = output
    finally:
        for block, earlier in zip(network.all_blocks, before, strict=True):
            block.kept = earlier


def maps(network: Network, image: Tensor) -> Maps:
    """The maps of `image`, (1, *network.inputs); SpecError if it has another shape."""
    if image.shape != (1, *network.inputs):
        raise SpecError("image", tuple(image.shape), f"one of shape {(1, *network.inputs)}")
    with reading(network):
        found = list(sums(network, placed(network, image)))
        logits = network.logits(found[-1].output)
    names = blocks(network)
    parts = [_block_maps(name, part) for name, part in zip(names, found, strict=True)]
    return Maps(_array(found[0].input[0]), tuple(parts), _array(logits[0]))


def logit_lens(
    network: Network, x: Tensor, report: Report | None = None
) -> dict[str, NDArray[np.float32] | None]:
    """The logits if the network ended at a site, for stem and blocks; (N, classes) by name.

    The head reads the site's output as it does the last block's: in pre-activation networks
    through the last norm (with the statistics of the last block) and ReLU, then averaged over
    all pixels. It fits only sites with as many channels as the last block; others give None,
    for nothing learned says how to widen them. Source: nostalgebraist 2020, "interpreting GPT:
    the logit lens". SpecError unless x is (N, *network.inputs) with N at least 1.
    """
    found: dict[str, list[Tensor]] = {name: [] for name in walked(network)}
    channels = network.head.in_features
    with reading(network):
        for part in batches(network, x, report):
            for name, output in network.walk(part):
                if output.shape[1] == channels:
                    found[name].append(network.logits(output))
    return {name: _array(torch.cat(parts)) if parts else None for name, parts in found.items()}


def batches(network: Network, x: Tensor, report: Report | None) -> Iterator[Tensor]:
    """`x` in parts of BATCH where the network lies, with a report after each.

    SpecError unless x is (N, *network.inputs) with N at least 1.
    """
    if x.shape[1:] != network.inputs or len(x) < 1:
        allowed = f"examples of shape {network.inputs}, one or more"
        raise SpecError("x", tuple(x.shape), allowed)
    parts = torch.split(x, BATCH)
    for done, part in enumerate(parts, 1):
        yield placed(network, part)
        if report is not None:
            report(done, len(parts))


def placed(network: Network, x: Tensor) -> Tensor:
    """`x` on the network's device."""
    return x.to(network.head.weight.device)


def _block_maps(name: str, part: Sum) -> BlockMaps:
    """The first example's maps."""
    return BlockMaps(
        name=name,
        x=None if part.x is None else _array(part.x[0]),
        residual=_array(part.residual[0]),
        output=_array(part.output[0]),
        skip=part.block.skip,
        act_after_sum=part.block.act_after_sum,
    )


def _array(values: Tensor) -> Map:
    """A copy of its own, in numpy."""
    copy: Map = values.cpu().numpy().copy()
    return copy
