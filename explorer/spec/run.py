"""RunSpec: one training, named by its content."""

import hashlib
import json
from functools import cached_property
from typing import Any, Self

from pydantic import Field, model_validator

from explorer.spec.base import Frozen, SpecError, checked
from explorer.spec.network import NetworkSpec
from explorer.spec.recipe import DataSpec, Recipe

FORMAT = 1  # raise it when the same spec would train differently than before


class RunSpec(Frozen):
    """A network, its data, its recipe and a seed. Same RunSpec, same device: the same curve."""

    network: NetworkSpec = NetworkSpec()
    data: DataSpec = DataSpec()
    recipe: Recipe = Recipe()
    seed: int = Field(0, ge=0, lt=2**31)

    @model_validator(mode="before")
    @classmethod
    def _shape_from_data(cls, values: Any) -> Any:
        """The network reads what the data has: its shape and its number of classes."""
        if not isinstance(values, dict):
            return values
        data, network = values.get("data", {}), values.get("network", {})
        if not (isinstance(data, DataSpec | dict) and isinstance(network, NetworkSpec | dict)):
            return values  # the fields' own check refuses it
        data = DataSpec.model_validate(data)
        fields = network.fields() if isinstance(network, NetworkSpec) else dict(network)
        if fields.get("family", "resnet") == "resnet" and data.info.kind != "image":
            raise SpecError("data", data.name, "a resnet reads images; use an mlp for 2-D points")
        shape = {"inputs": data.info.shape, "classes": data.info.classes}
        return {**values, "data": data, "network": checked(NetworkSpec, {**fields, **shape})}

    @model_validator(mode="after")
    def _possible(self) -> Self:
        smallest = 2 if self.network.norm == "batch" else 1
        largest = self.data.info.train
        if not smallest <= self.recipe.batch <= largest:
            allowed = f"{smallest} to {largest} ({self.data.name}, norm {self.network.norm})"
            raise SpecError("batch", self.recipe.batch, allowed)
        if self.network.family == "mlp" and self.recipe.channels_last:
            raise SpecError("channels_last", True, "an mlp has no image channels to lay out")
        if self.network.family == "mlp" and self.data.augment:
            raise SpecError("augment", True, "only a resnet's images are augmented")
        return self

    @property
    def steps_per_epoch(self) -> int:
        """Batches of one pass over the training data; what fills no batch is left out."""
        return self.data.info.train // self.recipe.batch

    @property
    def json_form(self) -> str:
        """The one JSON form: what differs from the defaults, sorted, without spaces."""
        stated = self.model_dump(exclude_defaults=True, mode="json")
        return json.dumps(stated, sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> "RunSpec":
        """The RunSpec of a `json_form`; SpecError if it is none."""
        try:
            values = json.loads(text)
        except (ValueError, RecursionError):  # no JSON, a number too long to read, or too deep
            raise SpecError("spec", text, "JSON with network, data, recipe and seed") from None
        if not isinstance(values, dict):
            raise SpecError("spec", text, "a JSON object")
        return checked(cls, values)

    @cached_property
    def key(self) -> str:
        """The content key: 16 hexadecimal digits, equal for equal specs on every machine."""
        return _digest(self.json_form)

    @cached_property
    def start_key(self) -> str:
        """The content key of what holds before the first step: network, data, batch and seed."""
        recipe = Recipe(batch=self.recipe.batch)
        return _digest(self.replace(recipe=recipe).json_form)


def _digest(text: str) -> str:
    return hashlib.sha256(f"{FORMAT}:{text}".encode()).hexdigest()[:16]
