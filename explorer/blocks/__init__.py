"""The repeated unit, as the papers draw it: a list of layers read from input to output.

A block form is a description without torch, so that specs, theory and the diagram read
the same list from which `network` builds the module. A new block is one new file here.
"""

import sys
from dataclasses import dataclass
from typing import Literal

from explorer.registry import Registry, discover


@dataclass(frozen=True)
class Layer:
    """One weighted layer of the residual: a `kernel` x `kernel` convolution, or linear in an MLP.

    `outer`: it ends at the block's output channels (width x expansion), else at its width.
    `strided`: it carries the block's stride.
    """

    kernel: int
    outer: bool = False
    strided: bool = False


Step = Layer | Literal["norm", "act"]


@dataclass(frozen=True)
class BlockForm:
    """A residual F(x), and where the activation stands.

    The block computes act(F(x) + shortcut(x)) when `act_after_sum`, else F(x) + shortcut(x).
    `expansion` is output channels over width; `source` names the paper and its figure.
    """

    name: str
    residual: tuple[Step, ...]
    act_after_sum: bool
    expansion: int
    source: str

    @property
    def layers(self) -> int:
        """Weighted layers in the residual."""
        return sum(isinstance(step, Layer) for step in self.residual)


BLOCKS: Registry[BlockForm] = Registry("block")


def block_form(
    name: str, *residual: Step, act_after_sum: bool, expansion: int = 1, source: str
) -> BlockForm:
    """Register a block form under `name` and return it."""
    return BLOCKS.add(name, BlockForm(name, residual, act_after_sum, expansion, source))


discover(sys.modules[__name__])
