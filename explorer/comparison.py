"""What two or more runs share and where they differ, read off their specs field by field."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any, Literal

from explorer.spec import NetworkSpec, RunSpec, Stage

GATES: tuple[Literal["skip", "residual"], ...] = ("skip", "residual")
FROM_DATA = {"inputs", "classes"}  # fields of a network that its data decides
LAYER_FIELDS = ("family", "block", "width", "init")  # if one differs, blocks share no weights


def names(specs: Sequence[RunSpec]) -> list[str]:
    """A name for each run, no two equal: "plain-56", "residual-56", "residual-56, lr 0.01".

    A residual network is called so however many of its skips are cut. Where two names would
    be equal, the later run's adds the first field that differs, and then its number.
    """
    short = [_short_name(spec) for spec in specs]
    told: list[str] = []
    for number, (spec, name) in enumerate(zip(specs, short, strict=True), 1):
        first = specs[short.index(name)]
        label = name if first is spec else ", ".join([name, *_difference(first, spec)])
        told.append(f"{label} ({number})" if label in told else label)
    return told


def _short_name(spec: RunSpec) -> str:
    kind = "plain" if spec.network.shortcut == "none" else "residual"
    family = "mlp-" if spec.network.family == "mlp" else ""
    return f"{kind}-{family}{spec.network.depth}"


def _difference(first: RunSpec, other: RunSpec) -> list[str]:
    """The first field that differs and its value in `other`; nothing for equal specs."""
    changes = [(field, value) for field, _, value in differences(first, other)]
    if not changes:
        return []
    field, value = changes[0]
    if field not in GATES or len(set(value)) == 1:
        return [f"{field} {_text(value)}"]
    cut = sum(gate == 0 for gate in value)
    return [f"{cut} of {len(value)} {field}s cut" if cut else f"other {field} gates"]


def held_fixed(specs: Sequence[RunSpec], labels: Sequence[str] = ()) -> tuple[str, list[str]]:
    """One sentence on what all runs share, and per run after the first what differs from it.

    A difference names its field as one types it: "residual-56: shortcut none -> zero_pad".
    """
    labels = labels or names(specs)
    first, others = specs[0], specs[1:]
    shared = [what for what, held in _shared(first, others) if held]
    sentence = f"Held fixed: {', '.join(shared) or 'nothing'}."
    lines = []
    for label, other in zip(labels[1:], others, strict=True):
        changes = [f"{field} {_text(a)} -> {_text(b)}" for field, a, b in differences(first, other)]
        lines.append(f"{label}: {', '.join(changes) or 'nothing differs'}")
    return sentence, lines


def _shared(first: RunSpec, others: Sequence[RunSpec]) -> Iterator[tuple[str, bool]]:
    """What could be held fixed, and whether it is."""

    def same(read: Any) -> bool:
        return all(read(other) == read(first) for other in others)

    seed = same(lambda run: run.seed)
    layers = same(lambda run: [getattr(run.network, field) for field in LAYER_FIELDS])
    order = same(lambda run: (run.data.name, run.recipe.batch))
    network = not any(_network_changes(first.network, other.network) for other in others)
    yield "network", network
    yield "data", same(lambda run: run.data)
    yield "order of batches", seed and order
    weights = "initial weights" if network else "weights wherever a layer is shared"
    yield weights, seed and layers
    yield "recipe", same(lambda run: run.recipe)
    yield f"seed {first.seed}", seed


def differences(first: RunSpec, other: RunSpec) -> list[tuple[str, Any, Any]]:
    """(field, value in `first`, value in `other`) for every field that differs, nested ones too."""
    found = _network_changes(first.network, other.network)
    if first.data.name != other.data.name:
        found = [change for change in found if change[0] not in FROM_DATA]
        found.append(("data", first.data.name, other.data.name))
    found += [change for change in _differing(first.data, other.data) if change[0] != "name"]
    found += _differing(first.recipe, other.recipe)
    if first.seed != other.seed:
        found.append(("seed", first.seed, other.seed))
    return found


def _network_changes(first: NetworkSpec, other: NetworkSpec) -> list[tuple[str, Any, Any]]:
    """The fields that differ; one gate for all blocks equals the same gate for each."""
    equal_gates = {gate for gate in GATES if first.gates(gate) == other.gates(gate)}
    return [change for change in _differing(first, other) if change[0] not in equal_gates]


def _differing(first: Any, other: Any) -> Iterator[tuple[str, Any, Any]]:
    theirs = other.fields()
    for field, value in first.fields().items():
        if value != theirs[field]:
            yield field, value, theirs[field]


def _text(value: Any) -> str:
    """A field's value on one short line; lists as run lengths."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if not isinstance(value, tuple):
        return f"{value:g}" if isinstance(value, float) else str(value)
    if value and isinstance(value[0], Stage):
        return ", ".join(f"{stage.blocks} blocks of {stage.width}" for stage in value)
    runs = [(len(list(group)), entry) for entry, group in groupby(value)]
    parts = [f"{entry:g}" if count == 1 else f"{count} of {entry:g}" for count, entry in runs]
    return ", ".join(parts) or "by depth and width"
