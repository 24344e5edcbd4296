"""What an exported program's run is: seed, recipe, sizes, and the changes made by hand."""

from collections.abc import Sequence
from dataclasses import dataclass

from explorer.exports.program.block import Gates, gate_constants
from explorer.exports.program.source import NARROW, Section, gates, lines_of, number
from explorer.spec import RunSpec
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
        elif event.kind == "residual" or spec.network.shortcut != "none":
            blocks = spec.network.block_count
            values = event.numbers if len(event.numbers) == blocks else (0.0,) * (blocks + 1)
            changed = spec.network.replace(**{event.kind: values})
            getattr(found, event.kind)[event.step] = getattr(changed, event.kind)
    return found


def constants_section(spec: RunSpec, changes: Changes, kept: Gates) -> Section:
    """What the run is: seed, sizes, recipe and the changes made while it trained."""
    recipe, network = spec.recipe, spec.network
    lines = [f"SEED = {spec.seed}", f"STEPS = {recipe.steps}", f"BATCH = {recipe.batch}"]
    peak = "  # the highest learning rate" if recipe.warmup or recipe.schedule != "constant" else ""
    lines.append(f"LR = {number(recipe.lr)}{peak}")
    if recipe.warmup:
        lines.append(f"WARMUP = {recipe.warmup}  # steps over which it is reached")
    if network.family == "resnet":
        stages = [f"({stage.blocks}, {stage.width})" for stage in network.all_stages]
        one = f"STAGES = [{', '.join(stages)}]"
        lines += ["# (blocks, channels); each stage after the first halves the image"]
        lines += [one] if len(one) <= NARROW else ["STAGES = [", *lines_of(stages), "]"]
    else:
        stage = network.all_stages[0]
        lines += [f"BLOCKS, WIDTH = {stage.blocks}, {stage.width}"]
    lines += gate_constants(network, kept)
    for gate, name in (("skip", "SKIP"), ("residual", "RESIDUAL")):
        if gate in kept.own:
            what = "shortcut" if gate == "skip" else "F(x)"
            lines += [f"# The gate on the {what} of each block.", gates(name, network.gates(gate))]  # type: ignore[arg-type]
    lines += change_lines(changes)
    settle = [
        "torch.set_num_threads(1)  # more threads add in another order: other last digits",
        "torch.set_flush_denormal(True)  # numbers below 1e-38 are zero; else they are slow",
    ]
    note = "All that says which run this is. The same constants give the same curve."
    code = "\n".join([*lines, "", *settle]) + "\n"
    return Section("The run", note, code, ("import torch",))


def change_lines(changes: Changes) -> list[str]:
    """The changes made by hand, as dictionaries by step."""
    lines = []
    if changes.lr:
        rates = [f"{step}: {number(lr)}" for step, lr in changes.lr.items()]
        lines += ["# Set by hand while it trained, in force from before the step."]
        lines += ["LR_CHANGES = {", *lines_of(rates), "}"]
    for gate in sorted(changes.gates, reverse=True):
        by_step = getattr(changes, gate)
        lines += [f"# The {gate} gates, set by hand while it trained, from before the step."]
        for step, values in by_step.items():
            lines += [gates(f"{gate.upper()}_FROM_{step}", values)]
        named = [f"{step}: {gate.upper()}_FROM_{step}" for step in by_step]
        lines += [f"{gate.upper()}_CHANGES = {{", *lines_of(named), "}"]
    return lines
