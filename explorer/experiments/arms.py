"""Comparisons as values: the arms, one field changed in one or in all, and the four regimes.

No torch: the pages and the command line build what they train from here.
"""

from dataclasses import dataclass
from typing import Any

from explorer.comparison import FROM_DATA, GATES
from explorer.spec import NetworkSpec, RunSpec, SpecError, Stage, parse
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
    # One resolution throughout: at 2x2 pixels zero padding takes half of each layer's gradient.
    Preset(
        "He init, no norm",
        (
            "plain-56,stages=27x8,norm=none,init=he",
            "resnet-56,stages=27x8,norm=none,init=he",
        ),
        "The plain network's gradients arrive at a healthy size, and it still does not learn; raw "
        "skip connections double the signal at every block until the loss overflows. (All blocks "
        "at 8 by 8 pixels, where zero padding costs little gradient.)",
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
        "The same layers, weights and batches: with skip connections the gradient grows some tens "
        "of times towards the input instead of thousands, and the network learns.",
    ),
)
DEFAULT = PRESETS[-1]


def section(field: str) -> str:
    """Where in a RunSpec a field of the short form lives: network, data, recipe or run."""
    if field in NetworkSpec.model_fields and field not in FROM_DATA:
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
    listed stages of unequal length for another depth, and the family when the data turns from
    images to points or back.
    """
    where = section(field)
    if where == "run":
        return spec.replace(seed=value)
    if field == "data":
        return _with_data(spec, value)
    if where == "network":
        return spec.replace(network=_with_network(spec.network, field, value))
    part: DataSpec | Recipe = getattr(spec, where)
    return spec.replace(**{where: part.replace(**{field: value})})


def _with_network(network: NetworkSpec, field: str, value: Any) -> NetworkSpec:
    if field == "family" and value != network.family:
        return _of_family(network, value)
    if field in GATES:
        return network.replace(**{field: value})
    if field == "depth":
        return _reshaped(network, depth=value, stages=_lengthened(network, value))
    if field == "width":
        return _reshaped(network, width=value, stages=_widened(network, value))
    return _reshaped(network, **{field: value})


def _lengthened(network: NetworkSpec, depth: Any) -> tuple[Stage, ...]:
    """The listed stages at another depth, if they are equally long and stay so; else none."""
    layers = network.form.layers * len(network.stages)
    even = len({stage.blocks for stage in network.stages}) == 1
    if not even or not isinstance(depth, int) or depth <= 2 or (depth - 2) % layers:
        return ()
    return tuple(stage.replace(blocks=(depth - 2) // layers) for stage in network.stages)


def _widened(network: NetworkSpec, width: Any) -> tuple[Stage, ...]:
    """The listed stages with the first of them `width` wide, the others in proportion."""
    first = network.all_stages[0].replace(width=width)
    share = first.width / network.width
    return tuple(
        stage.replace(width=max(1, round(stage.width * share))) for stage in network.stages
    )


def _reshaped(network: NetworkSpec, **changes: Any) -> NetworkSpec:
    """`network` with `changes`, and of its gates those that still have a block."""
    changed = network.replace(skip=1.0, residual=1.0, **changes)
    kept = {gate: getattr(network, gate) for gate in GATES}
    if changed.shortcut == "none":
        del kept["skip"]
    fitting = {gate: kept[gate] for gate in kept if len(kept[gate]) in (1, changed.block_count)}
    return changed.replace(**fitting)


def _of_family(network: NetworkSpec, family: str) -> NetworkSpec:
    """`network` as a resnet or an mlp, of the nearest depth that there is, without its stages."""
    layers = network.form.layers * (3 if family == "resnet" else 1)
    depth = 2 + layers * max(1, round((network.depth - 2) / layers))
    inputs = NetworkSpec.model_fields["inputs"].default  # until a RunSpec puts those of its data
    return _reshaped(network, family=family, stages=(), depth=depth, inputs=inputs)


def _with_data(spec: RunSpec, name: str) -> RunSpec:
    info = DataSpec().replace(name=name).info
    network = spec.network
    if info.kind == "plane" and network.family == "resnet":
        network = _of_family(network, "mlp")
    elif info.kind == "image" and len(network.inputs) == 1:
        network = _of_family(network, "resnet")
    pictures = info.kind == "image"
    batch = min(spec.recipe.batch, info.train)
    channels_last = spec.recipe.channels_last and pictures
    return spec.replace(
        network=network,
        data=DataSpec(name=name, augment=spec.data.augment and pictures),
        recipe=spec.recipe.replace(batch=batch, channels_last=channels_last),
    )


def change_all(arms: Arms, field: str, value: Any) -> Arms:
    """Every arm with `field` changed, but for those that differ from the first arm in it."""
    old = value_of(arms[0], field)
    return tuple(
        with_value(arm, field, value) if value_of(arm, field) == old else arm for arm in arms
    )
