"""What the Playground does when something is pressed: the callbacks, apart from the layout."""

from collections.abc import Callable
from dataclasses import replace

import streamlit as st

from explorer.comparison import names
from explorer.experiments.arms import change_all, with_value
from explorer.spec import SpecError
from explorer.store import Comparison, StoreError
from explorer.ui.components import Gates
from explorer.ui.lab import lab
from explorer.ui.state import LEFT, Choice, change, choose, complain, current, leave

GOING = ("queued", "running", "paused")


def attached(choice: Choice) -> Comparison | None:
    """The comparison that the address names, if the store has it."""
    return lab().store.comparison(choice.run) if choice.run else None


def command(name: str) -> None:
    """Carry out a press of play, pause, resume, step, stop or reset."""
    try:
        _COMMANDS[name]()
    except (SpecError, StoreError) as error:
        complain(str(error))


def _play(paused: bool = False) -> Comparison:
    """Start the arms on show, in place of the comparison that this visitor left."""
    choice = current()
    left = st.session_state.pop(LEFT, None)
    if left:
        lab().executor.command(left, "stop")
    named = list(zip(names(choice.arms), choice.arms, strict=True))
    comparison = lab().executor.start(named, paused)
    choose(replace(choice, run=comparison.id))
    return comparison


def _pause() -> None:
    _send("pause")


def _resume() -> None:
    comparison = attached(current())
    if comparison is None:
        return
    if comparison.state == "paused" and lab().executor.command(comparison.id, "resume"):
        return
    lab().executor.resume(comparison.id)


def _step() -> None:
    comparison = attached(current())
    if comparison is None or comparison.state not in GOING:
        comparison = _play(paused=True)
        lab().executor.command(comparison.id, "step")  # step 0, which is on show already
    lab().executor.command(comparison.id, "step")


def _stop() -> None:
    _send("stop")


def _reset() -> None:
    choice = current()
    _send("stop")
    choose(replace(choice, run=None))


def _send(do: str) -> None:
    comparison = attached(current())
    if comparison is None or comparison.state not in GOING:
        return
    if not lab().executor.command(comparison.id, do):
        complain(f"{do}: this run is trained by another program; {do} it there")


_COMMANDS: dict[str, Callable[[], object]] = {
    "play": _play,
    "pause": _pause,
    "resume": _resume,
    "step": _step,
    "stop": _stop,
    "reset": _reset,
}


def set_gates(gates: Gates) -> None:
    """Set the skip gates of all arms: at once if they train, and for the next start."""
    choice = current()
    comparison = attached(choice)
    live = comparison is not None and comparison.state in GOING
    try:
        arms = tuple(
            arm if arm.network.shortcut == "none" else with_value(arm, "skip", compact(row))
            for arm, row in zip(choice.arms, gates, strict=True)
        )
    except (SpecError, ValueError) as error:
        complain(str(error))
        return
    if live and comparison is not None:
        for index, row in enumerate(gates):
            if arms[index] != choice.arms[index]:
                value = list(row)
                lab().executor.command(comparison.id, "skip", arm=index, value=value)
        choose(Choice(arms, choice.run))
        return
    leave(choice)
    choose(Choice(arms))


def compact(row: tuple[float, ...]) -> tuple[float, ...]:
    """Gates as a spec states them: one number where all are equal."""
    return row[:1] if len(set(row)) == 1 else row


def set_field(field: str, value: object) -> None:
    """Change a field of all arms that share it; the learning rate also while they train."""
    choice = current()
    comparison = attached(choice)
    if field != "lr" or comparison is None or comparison.state not in GOING:
        change(field, value)
        return
    try:
        arms = change_all(choice.arms, field, value)
    except SpecError as error:
        complain(str(error))
        return
    for index, arm in enumerate(arms):
        if arm != choice.arms[index]:
            lab().executor.command(comparison.id, "lr", arm=index, value=value)
    choose(Choice(arms, choice.run))


def add_arm(field: str, value: object) -> None:
    """Add an arm that differs from the first in one named field."""
    choice = current()
    try:
        arms = (*choice.arms, with_value(choice.arms[0], field, value))
    except SpecError as error:
        complain(str(error))
        return
    leave(choice)
    choose(Choice(arms))


def remove_arm(index: int) -> None:
    """Take an arm away."""
    choice = current()
    leave(choice)
    choose(Choice((*choice.arms[:index], *choice.arms[index + 1 :])))


def stop(comparison: str) -> None:
    """Stop a comparison that is not on show; it is kept and can be resumed."""
    lab().executor.command(comparison, "stop")


def show_run(comparison: Comparison) -> None:
    """Attach the page to a stored comparison; one of the arms on show is what a link expects."""
    st.session_state.pop(LEFT, None)
    choice = current()
    arms = tuple(run.spec for run in comparison.runs)
    choose(Choice(arms, comparison.id, choice.expect if arms == choice.arms else None))


def going_elsewhere(choice: Choice) -> Comparison | None:
    """The newest comparison that trains or waits while the page shows something else."""
    for comparison in lab().store.comparisons(10, swept=False):
        if comparison.state in GOING and comparison.id != choice.run:
            return comparison
    return None


def interrupted(choice: Choice) -> Comparison | None:
    """The newest comparison, if it was interrupted and is not the one on show."""
    newest = next(iter(lab().store.comparisons(1, swept=False)), None)
    if newest is None or newest.state != "interrupted" or newest.id == choice.run:
        return None
    return newest


def trained_before(choice: Choice) -> Comparison | None:
    """The newest finished comparison of just these arms, while none is on show."""
    if choice.run:
        return None
    found = lab().store.find([arm.key for arm in choice.arms])
    return found if found is not None and found.state in ("done", "diverged") else None
