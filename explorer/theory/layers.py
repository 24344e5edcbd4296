"""The weighted layers of a spec, with the numbers that theory needs: fans, sizes, gains."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from explorer.blocks import Layer
from explorer.spec import NetworkSpec

Size = tuple[int, int]  # (height, width) of a map; (1, 1) in an MLP


@dataclass(frozen=True)
class Weighted:
    """A kernel x kernel convolution that reads a map of `size`; linear: kernel 1, size (1, 1)."""

    c_in: int
    c_out: int
    kernel: int
    stride: int
    size: Size

    @property
    def fan_in(self) -> int:
        return self.c_in * self.kernel**2

    @property
    def fan_out(self) -> int:
        return self.c_out * self.kernel**2


@dataclass(frozen=True)
class Block:
    """One block: its layers, the gate of its skip (0 if plain), the factor on its residual."""

    layers: tuple[Weighted, ...]
    skip: float
    scale: float

    @property
    def c_in(self) -> int:
        return self.layers[0].c_in

    @property
    def c_out(self) -> int:
        return self.layers[-1].c_out

    @property
    def stride(self) -> int:
        return max(layer.stride for layer in self.layers)

    @property
    def size(self) -> Size:
        """Height and width of the map that the block reads."""
        return self.layers[0].size

    @property
    def keeps_shape(self) -> bool:
        return self.c_in == self.c_out and self.stride == 1


def blocks_of(spec: NetworkSpec) -> tuple[Block, ...]:
    """The blocks of `spec` from input to output."""
    skips = (0.0,) * spec.block_count if spec.plain else spec.gates("skip")
    scales = (gate * spec.branch_scale for gate in spec.gates("residual"))
    gates = zip(_layers(spec), skips, scales, strict=True)
    return tuple(Block(layers, skip, scale) for layers, skip, scale in gates)


def stem_of(spec: NetworkSpec) -> Weighted:
    """The layer that reads the data."""
    width = spec.all_stages[0].width
    if spec.family == "resnet":
        channels, height, columns = spec.inputs
        return Weighted(channels, width, 3, 1, (height, columns))
    features = 1
    for side in spec.inputs:
        features *= side
    return Weighted(features, width, 1, 1, (1, 1))


def _layers(spec: NetworkSpec) -> Iterator[tuple[Weighted, ...]]:
    """The weighted layers of every block; kernels and strides of an MLP are 1."""
    channels, size = spec.all_stages[0].width, stem_of(spec).size
    for index, stage in enumerate(spec.all_stages):
        for number in range(stage.blocks):
            halve = index > 0 and number == 0 and spec.family == "resnet"
            found = []
            for step in spec.form.residual:
                if not isinstance(step, Layer):
                    continue
                c_out = stage.width * (spec.form.expansion if step.outer else 1)
                kernel = step.kernel if spec.family == "resnet" else 1
                stride = 2 if halve and step.strided else 1
                found.append(Weighted(channels, c_out, kernel, stride, size))
                channels, size = c_out, (-(-size[0] // stride), -(-size[1] // stride))
            yield tuple(found)


GAINS: dict[str, Callable[[Weighted], float]] = {
    "he": lambda _: 2.0,
    "lecun": lambda _: 1.0,
    "xavier": lambda layer: 2 * layer.fan_in / (layer.fan_in + layer.fan_out),
    "torch_default": lambda _: 1 / 3,
    # An orthogonal matrix taller than wide keeps lengths forward and loses the rest backward.
    "orthogonal": lambda layer: 2 * min(1.0, layer.fan_in / layer.c_out),
    "delta_orthogonal": lambda layer: 2 * min(1.0, layer.c_in / layer.c_out),
}


def knows(init: str) -> bool:
    """Whether the gain of the initialisation is known."""
    return init in GAINS


def gain(init: str, layer: Weighted) -> float:
    """s = fan_in x Var W: a ReLU and this layer pass s/2 of G on, borders aside."""
    return GAINS[init](layer)


def constant(spec: NetworkSpec, blocks: tuple[Block, ...]) -> bool:
    """Whether all blocks deep inside are alike: one stage, one pair of gates."""
    gates = {(block.skip, block.scale) for block in blocks}
    return len(spec.all_stages) == 1 and len(gates) == 1
