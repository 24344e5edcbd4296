"""Learning rate and optimiser of an exported program, as in explorer.training."""

from explorer.exports.program.source import indented, number
from explorer.spec import Recipe

KINDS = {"sgd": "SGD", "adam": "Adam", "adamw": "AdamW"}
AFTER_WARMUP = {  # in words, and in code
    "constant": ("it stays", "return PEAK"),
    "step": (
        "a tenth of it after 1/2 of the steps, and again after 3/4",
        "drops = (2 * step >= STEPS) + (4 * step >= 3 * STEPS)\nreturn PEAK / 10.0**drops",
    ),
    "one_cycle": (
        "it falls along a cosine to zero",
        "done = DONE\nreturn PEAK * (1 + math.cos(math.pi * done)) / 2",
    ),
}


def rate_function(recipe: Recipe, peak: str) -> str:
    """The function `learning_rate`, or "" where the rate is constant.

    `peak` names the rate that it starts from: LR, or an argument if that was changed by hand.
    """
    if not recipe.warmup and recipe.schedule == "constant":
        return ""
    said, code = AFTER_WARMUP[recipe.schedule]
    lines = code.replace("PEAK", peak).split("\n")
    rise = f"return {peak} * (step + 1) / WARMUP"
    if recipe.warmup >= recipe.steps:
        said, lines = "Rises to the last step", [rise]
    elif recipe.warmup:
        said = f"Rises for WARMUP steps; then {said}"
        lines = ["if step < WARMUP:", f"    {rise}", *lines]
    said = said[0].upper() + said[1:]
    done = "(step - WARMUP) / (STEPS - WARMUP)" if recipe.warmup else "step / STEPS"
    arguments = "step" if peak == "LR" else f"step, {peak}"
    head = f'def learning_rate({arguments}):\n    """{said}."""\n'
    return head + indented(lines, 1).replace("DONE", done)


def optimizer_arguments(recipe: Recipe) -> list[str]:
    """What the optimiser is given where it differs from PyTorch's defaults."""
    given = ["network.parameters()", "LR"]
    if recipe.optimizer == "sgd" and recipe.momentum:
        given.append(f"momentum={number(recipe.momentum)}")
    if recipe.optimizer != "sgd" and recipe.momentum != 0.9:
        given.append(f"betas=({number(recipe.momentum)}, 0.999)")
    if recipe.weight_decay or recipe.optimizer == "adamw":
        given.append(f"weight_decay={number(recipe.weight_decay)}")
    return [*given, "nesterov=True"] if recipe.nesterov else given
