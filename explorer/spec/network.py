"""NetworkSpec: everything that decides which network is built, except its random numbers."""

from functools import cached_property
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from explorer.blocks import BLOCKS, BlockForm
from explorer.spec.base import Frozen, SpecError

Family = Literal["resnet", "mlp"]
Norm = Literal["batch", "none", "group", "layer"]
Init = Literal["he", "xavier", "lecun", "torch_default", "orthogonal", "delta_orthogonal"]
Shortcut = Literal["none", "zero_pad", "projection", "projection_all"]
Gate = Annotated[float, Field(ge=-10, le=10)]

DEEPEST = 1202
WIDEST = 1024
LARGEST = 50_000_000  # parameters; a bound for a shared machine, not for science


class Stage(Frozen):
    """`blocks` blocks of `width` channels at one resolution."""

    blocks: int = Field(ge=1, le=600)  # of two layers each: as deep as anything here
    width: int = Field(ge=1, le=WIDEST)


class NetworkSpec(Frozen):
    """Stem, stages and head (He et al. 2015, section 4.2), or an MLP of the same form.

    `resnet`: a 3x3 convolution, stages of equal resolution (three of n blocks with width,
    2 width and 4 width channels unless `stages` says otherwise; each after the first halves
    the resolution), then average pooling and a linear layer.
    `mlp`: a linear layer, one stage of n blocks, a linear layer.
    `depth` counts weighted layers as the paper does: 6n+2 with two layers a block.
    `skip` and `residual` are the gates of the sum, one for all blocks or one each.
    `inputs` is (channels, height, width) or (features,); a RunSpec sets it from its data.
    """

    family: Family = "resnet"
    depth: int = Field(20, ge=4)
    stages: tuple[Stage, ...] = Field((), max_length=8)
    block: str = "basic"
    shortcut: Shortcut = "zero_pad"
    norm: Norm = "batch"
    init: Init = "he"
    width: int = Field(16, ge=1, le=WIDEST)
    bias: bool = False
    skip: tuple[Gate, ...] = (1.0,)
    residual: tuple[Gate, ...] = (1.0,)
    branch_scale: float = Field(1.0, ge=-10, le=10)
    inputs: tuple[int, ...] = (3, 32, 32)
    classes: int = Field(10, ge=2, le=100_000)

    @model_validator(mode="before")
    @classmethod
    def _complete(cls, values: Any) -> Any:
        """Fill depth and width from a stage list, and let one gate be written as a number."""
        if not isinstance(values, dict):
            return values
        values = dict(values)
        for gate in ("skip", "residual"):
            if isinstance(values.get(gate), int | float):
                values[gate] = (values[gate],)
        block, listed = values.get("block", "basic"), values.get("stages")
        if isinstance(block, str) and block in BLOCKS and isinstance(listed, list | tuple):
            values |= _from_stages(BLOCKS[block].layers, listed)
        return values

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.block not in BLOCKS:
            raise SpecError("block", self.block, f"choose one of {', '.join(BLOCKS)}")
        self._check_depth()
        self._check_width()
        for gate in ("skip", "residual"):
            self._check_gates(gate)
        if self.shortcut == "none" and set(self.skip) != {1.0}:
            raise SpecError("skip", self.skip, "a plain network has no skip connection to set")
        widths = [stage.width for stage in self.all_stages]
        if self.shortcut == "zero_pad" and widths != sorted(widths):
            raise SpecError("stages", widths, "zero_pad needs widths that never shrink")
        self._check_inputs()
        return self

    def _check_depth(self) -> None:
        layers = self.form.layers
        stage_count = len(self.stages) or (1 if self.family == "mlp" else 3)
        per_n = layers if self.stages else layers * stage_count
        if not 2 + per_n <= self.depth <= DEEPEST or (self.depth - 2) % per_n:
            examples = ", ".join(str(per_n * n + 2) for n in (1, 2, 3, 9))
            allowed = f"with {self.block} blocks {per_n}n+2 up to {DEEPEST}: {examples}, …"
            raise SpecError("depth", self.depth, allowed)
        if self.family == "mlp" and len(self.stages) > 1:
            raise SpecError("stages", len(self.stages), "an mlp has one stage")

    def _check_width(self) -> None:
        if self.family == "resnet" and not self.stages and 4 * self.width > WIDEST:
            allowed = f"at most {WIDEST // 4}, for the third stage is four times as wide"
            raise SpecError("width", self.width, allowed)
        if self.rough_size > LARGEST:
            allowed = f"about {self.rough_size:,} parameters, at most {LARGEST:,}"
            raise SpecError("width", self.width, allowed)

    def _check_gates(self, gate: str) -> None:
        values = getattr(self, gate)
        if len(values) not in (1, self.block_count):
            allowed = f"one gate for all blocks or one for each of the {self.block_count}"
            raise SpecError(gate, f"{len(values)} gates", allowed)

    def _check_inputs(self) -> None:
        ranks = {"resnet": (3,), "mlp": (1, 3)}[self.family]
        if len(self.inputs) not in ranks or min(self.inputs) < 1:
            allowed = "a resnet reads images (channels, height, width), an mlp points or images"
            raise SpecError("inputs", self.inputs, allowed)

    @property
    def form(self) -> BlockForm:
        """The block's description."""
        return BLOCKS[self.block]

    @cached_property
    def all_stages(self) -> tuple[Stage, ...]:
        """The stages in full, whether listed or implied by depth and width."""
        if self.stages:
            return self.stages
        if self.family == "mlp":
            return (Stage(blocks=(self.depth - 2) // self.form.layers, width=self.width),)
        blocks = (self.depth - 2) // (3 * self.form.layers)
        return tuple(Stage(blocks=blocks, width=self.width * 2**i) for i in range(3))

    @property
    def block_count(self) -> int:
        """Blocks in all stages together."""
        return sum(stage.blocks for stage in self.all_stages)

    @property
    def sites(self) -> tuple[str, ...]:
        """Where activations are read: the outputs of the stem and of every block, in order."""
        return ("stem", *(f"block {i}" for i in range(1, self.block_count + 1)))

    def gates(self, gate: Literal["skip", "residual"]) -> tuple[float, ...]:
        """The gate's value for every block; shape (block,)."""
        values: tuple[float, ...] = getattr(self, gate)
        return values * self.block_count if len(values) == 1 else values

    @property
    def plain(self) -> bool:
        """Whether no skip connection reaches anywhere."""
        return self.shortcut == "none" or not any(self.skip)

    @property
    def rough_size(self) -> int:
        """About how many parameters the blocks have, without building them."""
        total = 0
        for stage in self.all_stages:
            wide = stage.width * self.form.expansion
            kernels = [step.kernel for step in self.form.residual if not isinstance(step, str)]
            taps = sum(k * k if self.family == "resnet" else 1 for k in kernels)
            c_out = wide if max(kernels) == 1 else stage.width
            total += stage.blocks * taps * stage.width * c_out
        return total


def _from_stages(layers: int, listed: Any) -> dict[str, int]:
    """Depth and width of a stage list; nothing if it is empty or its own check will refuse it."""
    try:
        stages = [Stage.model_validate(stage) for stage in listed]
    except ValidationError:
        return {}
    if not stages:
        return {}
    return {"depth": layers * sum(stage.blocks for stage in stages) + 2, "width": stages[0].width}
