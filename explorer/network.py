"""A NetworkSpec as a torch module: stem, blocks, head.

Plain and residual twins are one class; their weights carry the same names, and no
operation works in place, so that every intermediate value can be read.
"""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from explorer.blocks import BlockForm, Layer
from explorer.init import initialise
from explorer.shortcuts import SHORTCUTS
from explorer.spec import NetworkSpec

MOST_GROUPS = 8
SMALLEST_GROUP = 4  # channels: an MLP's group of one channel would normalise to zero


class LayerMaker:
    """Makes the layers of one network: convolutions for images, linear ones for an MLP."""

    def __init__(self, spec: NetworkSpec) -> None:
        self.convolves = spec.family == "resnet"
        self.norm_kind = spec.norm
        self.bias = spec.bias

    def weighted(self, c_in: int, c_out: int, kernel: int, stride: int = 1) -> nn.Module:
        """A kernel x kernel convolution that keeps the size at stride 1, or a linear layer."""
        if self.convolves:
            return nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2, bias=self.bias)
        return nn.Linear(c_in, c_out, bias=self.bias)

    def norm(self, channels: int) -> nn.Module:
        """The spec's normalisation over `channels`; nn.Identity for none."""
        if self.norm_kind == "batch":
            return nn.BatchNorm2d(channels) if self.convolves else nn.BatchNorm1d(channels)
        if self.norm_kind == "none":
            return nn.Identity()
        most = min(MOST_GROUPS, channels // SMALLEST_GROUP) if self.norm_kind == "group" else 1
        groups = next((g for g in range(most, 1, -1) if channels % g == 0), 1)
        return nn.GroupNorm(groups, channels)

    def projection(self, c_in: int, c_out: int, stride: int) -> nn.Module:
        """A 1x1 layer and its norm, the shortcut of options B and C."""
        return nn.Sequential(self.weighted(c_in, c_out, 1, stride), self.norm(c_out))


class Block(nn.Module):
    """act(scale F(x) + skip shortcut(x)); the form says whether there is an act.

    `skip` and `residual_gate` are numbers that may change at any time, also while training
    runs: skip 0 is the plain network, residual_gate 0 a lesion. At 1 they cost nothing.
    """

    def __init__(
        self, form: BlockForm, c_in: int, width: int, stride: int, shortcut: str, make: LayerMaker
    ) -> None:
        super().__init__()
        c_out = width * form.expansion
        self.residual = _residual(form, c_in, width, stride, make)
        self.shortcut = SHORTCUTS[shortcut](c_in, c_out, stride, make.projection)
        self.act_after_sum = form.act_after_sum
        self.skip = 1.0
        self.residual_gate = 1.0
        self.branch_scale = 1.0
        self.kept: list[Tensor] | None = None  # where a probe asks for F(x) to be left

    def branch(self, x: Tensor) -> Tensor:
        """F(x), gated and scaled as it enters the sum."""
        scale = self.residual_gate * self.branch_scale
        y: Tensor = self.residual(x)
        if scale != 1.0:
            y = y * scale
        if self.kept is not None:
            self.kept.append(y)
        return y

    def forward(self, x: Tensor) -> Tensor:  # (N, c_in, H, W) -> (N, c_out, H/stride, W/stride)
        y = self.branch(x)
        if self.shortcut is not None:
            y = torch.add(y, self.shortcut(x), alpha=self.skip)
        return F.relu(y) if self.act_after_sum else y


def _residual(
    form: BlockForm, c_in: int, width: int, stride: int, make: LayerMaker
) -> nn.Sequential:
    steps = nn.Sequential()
    channels = c_in
    for number, step in enumerate(form.residual):
        if isinstance(step, Layer):
            c_out = width * form.expansion if step.outer else width
            layer = make.weighted(channels, c_out, step.kernel, stride if step.strided else 1)
            steps.add_module(f"layer{number}", layer)
            channels = c_out
        elif step == "norm":
            if make.norm_kind != "none":
                steps.add_module(f"norm{number}", make.norm(channels))
        else:
            steps.add_module(f"act{number}", nn.ReLU())
    return steps


class Network(nn.Module):
    """Stem, blocks, head; `forward` maps (N, *inputs) to logits (N, classes)."""

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__()
        make = LayerMaker(spec)
        self.convolves = make.convolves
        self.inputs = spec.inputs
        width = spec.all_stages[0].width
        features = spec.inputs[0] if self.convolves else _product(spec.inputs)
        self.stem = nn.Sequential(make.weighted(features, width, 3))
        if spec.form.act_after_sum:  # a pre-activation block normalises what it reads itself
            self.stem.extend([*_unless_none(make, width), nn.ReLU()])
        self.blocks = nn.ModuleList(_blocks(spec, width, make))
        width = spec.all_stages[-1].width * spec.form.expansion
        last = [] if spec.form.act_after_sum else [*_unless_none(make, width), nn.ReLU()]
        self.last = nn.Sequential(*last)
        self.head = nn.Linear(width, spec.classes)
        self.set_gates(spec.gates("skip"), spec.gates("residual"))

    def forward(self, x: Tensor) -> Tensor:
        for _, output in self.walk(x):
            x = output
        return self.logits(x)

    def walk(self, x: Tensor) -> Iterator[tuple[str, Tensor]]:
        """Yield ("stem", output), then ("block 1", output) and so on, computing as it goes."""
        x = self.stem(x if self.convolves else x.flatten(1))
        yield "stem", x
        for number, block in enumerate(self.blocks, 1):
            x = block(x)
            yield f"block {number}", x

    def logits(self, x: Tensor) -> Tensor:
        """The head on the last block's output; (N, classes)."""
        x = self.last(x)
        return self.head(x.mean((2, 3)) if self.convolves else x)  # type: ignore[no-any-return]

    @torch.no_grad()
    def evaluate(self, x: Tensor) -> Tensor:
        """Logits in evaluation mode (running statistics of BatchNorm); the mode is put back."""
        training = self.training
        self.eval()
        try:
            return self(x)  # type: ignore[no-any-return]
        finally:
            self.train(training)

    @property
    def all_blocks(self) -> list[Block]:
        """The blocks, from input to output."""
        return [block for block in self.blocks if isinstance(block, Block)]

    def set_gates(self, skip: tuple[float, ...], residual: tuple[float, ...]) -> None:
        """Set every block's two gates; each tuple has one value a block."""
        for block, alpha, beta in zip(self.all_blocks, skip, residual, strict=True):
            block.skip, block.residual_gate = alpha, beta


def _unless_none(make: LayerMaker, channels: int) -> list[nn.Module]:
    return [] if make.norm_kind == "none" else [make.norm(channels)]


def _blocks(spec: NetworkSpec, c_in: int, make: LayerMaker) -> Iterator[Block]:
    for index, stage in enumerate(spec.all_stages):
        for number in range(stage.blocks):
            stride = 2 if index > 0 and number == 0 and make.convolves else 1
            block = Block(spec.form, c_in, stage.width, stride, spec.shortcut, make)
            block.branch_scale = spec.branch_scale
            yield block
            c_in = stage.width * spec.form.expansion


def _product(shape: tuple[int, ...]) -> int:
    total = 1
    for size in shape:
        total *= size
    return total


def build(spec: NetworkSpec, seed: int = 0) -> Network:
    """The network of `spec` on the CPU, in training mode, with weights drawn from `seed`.

    Networks of the same seed share the values of all parameters of the same name and shape.
    """
    network = Network(spec)
    initialise(network, spec.init, seed)
    return network
