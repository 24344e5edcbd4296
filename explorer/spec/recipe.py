"""DataSpec and Recipe: on what, and how, a network is trained."""

from typing import Literal, Self

from pydantic import Field, model_validator

from explorer.catalog import DatasetInfo, dataset_info
from explorer.spec.base import Frozen, SpecError

Optimizer = Literal["sgd", "adam", "adamw"]
Schedule = Literal["constant", "step", "one_cycle"]


class DataSpec(Frozen):
    """A data set by name; `augment` flips (not digits) and shifts the training images."""

    name: str = "digits"
    augment: bool = False

    @model_validator(mode="after")
    def _known(self) -> Self:
        try:
            info = dataset_info(self.name)
        except ValueError as error:
            raise SpecError("data", self.name, str(error)) from None
        if self.augment and info.kind != "image":
            raise SpecError("augment", self.augment, "only images can be augmented")
        return self

    @property
    def info(self) -> DatasetInfo:
        """Shape, classes and sizes of the data."""
        return dataset_info(self.name)


class Recipe(Frozen):
    """Optimiser, schedule, batch and steps.

    `lr` is the peak learning rate, reached after `warmup` steps that rise linearly.
    `step` divides it by 10 after a half and three quarters of the steps (He et al. 2015);
    `one_cycle` falls along a cosine to zero from there. `momentum` is SGD's, or Adam's beta 1.
    `clip` bounds the global gradient norm (0: no bound).
    `normalized` scales the gradient of every tensor to the size of the tensor before the step,
    so that all layers move by the same share (the layer-wise rates of LARS, You et al. 2017,
    arXiv 1708.03888, with trust coefficient 1); `lr` is that share.
    """

    optimizer: Optimizer = "sgd"
    lr: float = Field(0.1, gt=0, le=100)
    momentum: float = Field(0.9, ge=0, lt=1)
    nesterov: bool = False
    weight_decay: float = Field(0.0, ge=0, le=1)
    schedule: Schedule = "constant"
    warmup: int = Field(20, ge=0, le=1_000_000)
    label_smoothing: float = Field(0.0, ge=0, lt=1)
    clip: float = Field(0.0, ge=0, le=1e6)
    normalized: bool = False
    batch: int = Field(128, ge=1, le=8192)
    steps: int = Field(200, ge=1, le=1_000_000)
    bf16: bool = False
    channels_last: bool = False

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.nesterov and (self.optimizer != "sgd" or self.momentum == 0):
            raise SpecError("nesterov", self.nesterov, "it needs sgd with momentum above 0")
        return self
