"""What an exported program's run is: seed, recipe, sizes, and the changes made by hand."""

from collections.abc import Sequence
from dataclasses import dataclass

from explorer.exports.program.block import Gates, gate_constants
from explorer.exports.program.source import NARROW, Section, gates, lines_of, listed, number
from explorer.spec import NetworkSpec, RunSpec, SpecError
from explorer.store import Event


@dataclass(frozen=True)
class Changes:
    """What was changed by hand on one arm: by step, the last value set before that step."""

    lr: dict[int, float]
    skip: dict[int, tuple[float, ...]]
    residual: dict[int, tuple[float, ...]]

    @property
    def gates(self) -> frozenset[str]:
        """The gates that change."""
        return frozenset(name for name in ("skip", "residual") if getattr(self, name))


def changes_of(spec: RunSpec, events: Sequence[Event], arm: int) -> Changes:
    """The events that concern the arm, checked; SpecError for one that cannot be made."""
    found = Changes({}, {}, {})
    for event in events:
        if not event.concerns(arm) or not 0 <= event.step < spec.recipe.steps:
            continue
        if event.kind == "lr":
            found.lr[event.step] = spec.recipe.replace(lr=event.value).lr
            continue
        if len(event.numbers) != spec.network.block_count:
            allowed = f"a list of {spec.network.block_count} gates"
            raise SpecError(event.kind, event.value, allowed)
        if event.kind == "residual" or spec.network.shortcut != "none":
            changed = spec.network.replace(**{event.kind: event.numbers})
            getattr(found, event.kind)[event.step] = getattr(changed, event.kind)
    return found


SETTLED = [
    "",
    "torch.set_num_threads(1)  # more threads add in another order: other last digits",
    "torch.set_flush_denormal(True)  # numbers below 1e-38 are zero; else they are slow",
]


def constants_section(spec: RunSpec, changes: Changes, kept: Gates) -> Section:
    """What the run is: seed, sizes, recipe and the changes made while it trained."""
    recipe = spec.recipe
    lines = [f"SEED = {spec.seed}", f"STEPS = {recipe.steps}", f"BATCH = {recipe.batch}"]
    varies = recipe.warmup or recipe.schedule != "constant"
    lines.append(f"LR = {number(recipe.lr)}{'  # the highest learning rate' if varies else ''}")
    if recipe.warmup:
        lines.append(f"WARMUP = {recipe.warmup}  # steps over which it is reached")
    lines += [*size_lines(spec.network), *gate_lines(spec.network, kept), *change_lines(changes)]
    note = "All that says which run this is. The same constants give the same curve."
    return Section("The run", note, "\n".join([*lines, *SETTLED, ""]), ("import torch",))


def size_lines(network: NetworkSpec) -> list[str]:
    """How many blocks there are, and how wide they are."""
    stages = network.all_stages
    if network.family == "mlp":
        return [f"BLOCKS, WIDTH = {stages[0].blocks}, {stages[0].width}"]
    pairs = [f"({stage.blocks}, {stage.width})" for stage in stages]
    about = "# (blocks, channels) of each stage; from stage to stage the image halves"
    return [about, listed("STAGES = ", pairs)]


def gate_lines(network: NetworkSpec, kept: Gates) -> list[str]:
    """The gates of the sum, if they are not all 1 for good."""
    lines = gate_constants(network, kept)
    if "skip" in kept.own:
        lines += ["# The gate on the shortcut of each block; 0 is the plain network."]
        lines += [gates("SKIP = ", network.gates("skip"))]
    if "residual" in kept.own:
        lines += [
            "# The gate on the F(x) of each block.",
            gates("RESIDUAL = ", network.gates("residual")),
        ]
    return lines


def change_lines(changes: Changes) -> list[str]:
    """The changes made by hand, as dictionaries by step."""
    lines = []
    if changes.lr:
        rates = [f"{step}: {number(lr)}" for step, lr in changes.lr.items()]
        lines += ["# Set by hand while it trained, in force from before the step."]
        lines += ["LR_CHANGES = {", *lines_of(rates), "}"]
    for gate in sorted(changes.gates):
        lines += [f"# The {gate} gates, set by hand while it trained, from before the step."]
        lines += [f"{gate.upper()}_CHANGES = {{"]
        for step, values in getattr(changes, gate).items():
            written = gates(f"{step}: ", values, NARROW - 5) + ","
            lines += [f"    {line}" for line in written.split("\n")]
        lines += ["}"]
    return lines
