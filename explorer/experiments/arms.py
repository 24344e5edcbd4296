"""Comparisons as values: the arms, their names, what they differ in, and the four regimes.

No torch: the pages and the command line build what they train from here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from explorer.catalog import dataset_info
from explorer.spec import NetworkSpec, RunSpec, SpecError, parse
from explorer.spec.recipe import DataSpec, Recipe

MOST_ARMS = 4
Arms = tuple[RunSpec, ...]


@dataclass(frozen=True)
class Preset:
    """A comparison at one click: its arms in short form, and what to look at."""

    name: str
    arms: tuple[str, ...]
    look_at: str

    @property
    def specs(self) -> Arms:
        """The arms as RunSpecs."""
        return tuple(parse(arm) for arm in self.arms)


PRESETS = (
    Preset(
        "Small init, no norm",
        (
            "plain-56,width=8,norm=none,init=torch_default",
            "resnet-56,width=8,norm=none,init=torch_default",
        ),
        "The one case of the popular tale: watch the plain network's gradient fall by orders of "
        "magnitude towards the input, and the skip connections bring it back.",
    ),
    Preset(
        "He init, no norm",
        ("plain-56,width=8,norm=none,init=he", "resnet-56,width=8,norm=none,init=he"),
        "The plain network's gradient norms are fine and it still does not learn; raw skip "
        "connections double the signal at every block until the loss blows up.",
    ),
    Preset(
        "BatchNorm, no skips",
        ("plain-20,width=8", "plain-56,width=8"),
        "Gradients grow towards the input, they do not vanish; yet the deeper of two plain "
        "networks trains worse, although it could copy the shallower one.",
    ),
    Preset(
        "BatchNorm and skips",
        ("plain-56,width=8", "resnet-56,width=8"),
        "The same layers, weights and batches: with skip connections the gradient reaches every "
        "block at about the same size, and the network learns.",
    ),
)
DEFAULT = PRESETS[-1]


def section(field: str) -> str:
    """Where in a RunSpec a field of the short form lives: network, data, recipe or run."""
    if field in NetworkSpec.model_fields:
        return "network"
    if field in ("data", "augment"):
        return "data"
    if field in Recipe.model_fields:
        return "recipe"
    if field == "seed":
        return "run"
    raise SpecError("field", field, "a field of a network, data, recipe or the seed")


def value_of(spec: RunSpec, field: str) -> Any:
    """The value of a field of the short form."""
    where = section(field)
    if field == "data":
        return spec.data.name
    return getattr(spec if where == "run" else getattr(spec, where), field)


def with_value(spec: RunSpec, field: str, value: Any) -> RunSpec:
    """A copy of `spec` with one field changed; SpecError if that cannot be.

    What only fits the old value gives way: gates per block when the number of blocks changes,
    and the family when the data turns from images to points or back.
    """
    where = section(field)
    if where == "run":
        return spec.replace(seed=value)
    if field == "data":
        return _with_data(spec, value)
    part: NetworkSpec | DataSpec | Recipe = getattr(spec, where)
    changes: dict[str, Any] = {field: value}
    if where == "network" and field in ("depth", "block", "stages"):
        changes |= {"skip": (1.0,), "residual": (1.0,)}
        changes |= {"stages": ()} if field == "depth" else {}
    if field == "shortcut" and value == "none":
        changes["skip"] = (1.0,)
    return spec.replace(**{where: part.replace(**changes)})


def _with_data(spec: RunSpec, name: str) -> RunSpec:
    try:
        info = dataset_info(name)
    except ValueError as error:
        raise SpecError("data", name, str(error)) from None
    family = "mlp" if info.kind == "plane" else "resnet"
    network = spec.network
    if family != network.family and (family == "mlp" or len(network.inputs) == 1):
        kept = {"depth", "block", "shortcut", "norm", "init", "width", "bias", "branch_scale"}
        fields = {k: v for k, v in network.fields().items() if k in kept}
        network = NetworkSpec(**{**fields, "family": family})
    recipe = spec.recipe.replace(batch=min(spec.recipe.batch, info.train))
    augment = spec.data.augment and family == "resnet"
    return RunSpec(
        network=network,
        data=DataSpec(name=name, augment=augment),
        recipe=recipe.replace(channels_last=recipe.channels_last and family == "resnet"),
        seed=spec.seed,
    )


def change_all(arms: Arms, field: str, value: Any) -> Arms:
    """Every arm with `field` changed, but for those that differ from the first arm in it."""
    old = value_of(arms[0], field)
    return tuple(
        with_value(arm, field, value) if value_of(arm, field) == old else arm for arm in arms
    )


def names(arms: Sequence[RunSpec]) -> list[str]:
    """A name for each arm: plain-56, residual-56; equal ones are told apart by what differs."""
    short = [_short_name(arm) for arm in arms]
    result: list[str] = []
    for index, (arm, name) in enumerate(zip(arms, short, strict=True)):
        first = short.index(name)
        told = name if first == index else f"{name}, {_difference(arms[first], arm)}"
        result.append(told if told not in result else f"{told} ({index + 1})")
    return result


def _short_name(arm: RunSpec) -> str:
    kind = "plain" if arm.network.shortcut == "none" else "residual"
    family = "mlp-" if arm.network.family == "mlp" else ""
    return f"{kind}-{family}{arm.network.depth}"


COMPARED = (
    *(f for f in NetworkSpec.model_fields if f not in ("inputs", "classes", "depth", "family")),
    *("data", "augment"),
    *Recipe.model_fields,
    "seed",
)


def _difference(first: RunSpec, other: RunSpec) -> str:
    fields = [f for f in COMPARED if value_of(first, f) != value_of(other, f)]
    if not fields:
        return "again"
    if fields[0] == "skip":
        cut = sum(gate == 0 for gate in other.network.gates("skip"))
        return f"{cut} skips cut" if cut else "weaker skips"
    return f"{fields[0]} {value_of(other, fields[0])}"
