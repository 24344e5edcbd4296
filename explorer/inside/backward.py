"""Backward passes of which each block's way can be chosen: through F, or through the shortcut.

The forward pass is complete, and cut at every block, so each way back is an ordinary
autograd pass of one block from the values of that one forward pass.
"""

from collections.abc import Collection, Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor

from explorer.inside.mode import in_mode
from explorer.network import Block, Network
from explorer.probes.flow import unchanged


class Piece:
    """One block at the point of the forward pass, its two ways apart."""

    def __init__(self, block: Block, x: Tensor) -> None:
        self.start = x.detach().requires_grad_()
        self.residual = block.branch(self.start)
        self.shortcut = None if block.shortcut is None else block.shortcut(self.start)
        self.skip = block.skip
        total = self.residual
        if self.shortcut is not None:
            total = torch.add(total, self.shortcut, alpha=self.skip)
        self.mask = total > 0 if block.act_after_sum else None
        self.output = F.relu(total) if block.act_after_sum else total

    def back(self, gradient: Tensor, through_residual: bool) -> Tensor:
        """The gradient at the block's input, passed on through F or through the shortcut."""
        if self.mask is not None:
            gradient = gradient * self.mask
        if through_residual:
            return torch.autograd.grad(self.residual, self.start, gradient, retain_graph=True)[0]
        if self.shortcut is None:
            return torch.zeros_like(self.start)
        gradient = gradient * self.skip
        if self.shortcut is self.start:
            return gradient
        return torch.autograd.grad(self.shortcut, self.start, gradient, retain_graph=True)[0]


class Opened:
    """A network run forward once and cut at every block, so that backward ways can be chosen.

    `gradient` is dL/d(last block's output).
    """

    def __init__(self, network: Network, x: Tensor, y: Tensor) -> None:
        self.x = x.detach().requires_grad_()
        self.stem = network.stem(self.x if network.convolves else self.x.flatten(1))
        self.pieces: list[Piece] = []
        value = self.stem
        for block in network.all_blocks:
            self.pieces.append(Piece(block, value))
            value = self.pieces[-1].output
        end = value.detach().requires_grad_()
        loss = F.cross_entropy(network.logits(end), y)
        self.gradient = torch.autograd.grad(loss, end)[0]

    def along(self, taken: Collection[int]) -> Tensor:
        """dL/dx along the path through F in the blocks `taken`, counted from 1."""
        gradient = self.gradient
        for number in range(len(self.pieces), 0, -1):
            gradient = self.pieces[number - 1].back(gradient, number in taken)
        return self.to_input(gradient)

    def to_input(self, gradient: Tensor) -> Tensor:
        """A gradient at the stem's output, carried on to the input."""
        return torch.autograd.grad(self.stem, self.x, gradient, retain_graph=True)[0]


@contextmanager
def opened(network: Network, x: Tensor, y: Tensor, training: bool) -> Iterator[Opened]:
    """The network on a batch, cut at every block; it is left as it was, buffers and mode too."""
    device = network.head.weight.device
    # Buffers are put back only afterwards: BatchNorm's backward pass needs them untouched.
    with in_mode(network, training), unchanged(network), torch.enable_grad():
        yield Opened(network, x.to(device), y.to(device))
