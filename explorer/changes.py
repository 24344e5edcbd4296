"""Changes that a visitor makes while a run trains: whether they can be made, and making them."""

from collections.abc import Sequence

from explorer.spec import RunSpec, SpecError
from explorer.store import Event
from explorer.training import Trainer


def check(event: Event, specs: Sequence[RunSpec]) -> None:
    """SpecError if the change cannot be made to the arms, of these specs, that it concerns.

    A plain network has no skip to set, so a change of all skips leaves it as it is.
    """
    for spec in (spec for index, spec in enumerate(specs) if event.concerns(index)):
        blocks = spec.network.block_count
        if event.kind == "lr":
            spec.recipe.replace(lr=event.value)
        elif len(event.numbers) != blocks:
            raise SpecError(event.kind, event.value, f"a list of {blocks} gates")
        elif event.kind == "residual" or spec.network.shortcut != "none":
            spec.network.replace(**{event.kind: event.value})


def apply(event: Event, trainer: Trainer) -> None:
    """Carry out a recorded change on one arm."""
    if event.kind == "lr":
        trainer.set_lr(event.numbers[0])
        return
    for block, gate in zip(trainer.network.all_blocks, event.numbers, strict=True):
        if event.kind == "skip":
            block.skip = gate
        else:
            block.residual_gate = gate
