"""Training from the command line into the store, and what the store says of its runs."""

import os
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from explorer.comparison import names
from explorer.experiments.arms import MOST_ARMS
from explorer.spec import RunSpec, SpecError, short_form
from explorer.store import Comparison, Run, Store, StoreError, this_process

POLL = 0.1  # seconds between looks at the store while training


class Commands:
    """The commands of a terminal: none, until Ctrl-C asks for an orderly end."""

    def __init__(self) -> None:
        self.ended = threading.Event()

    def take(self, block: bool = False) -> dict[str, Any] | None:
        """The end, once it was asked for."""
        if block:
            self.ended.wait()
        return {"do": "stop"} if self.ended.is_set() else None


def train_here(
    arms: Sequence[RunSpec], device: str, fresh: bool, show_progress: bool
) -> Comparison:
    """Train the arms in this process, in lockstep, into the store; returns how they ended.

    Arms that the store holds finished and untouched are taken from there unless `fresh`.
    Ctrl-C stops in order: what was trained is kept and can be resumed in the app.
    """
    if not 1 <= len(arms) <= MOST_ARMS:
        raise SpecError("specs", len(arms), f"one to {MOST_ARMS} networks at a time")
    store = Store()
    found = None if fresh else store.find([arm.key for arm in arms])
    if found is not None and found.state in ("done", "diverged"):
        return found
    from explorer.session import Session
    from explorer.training import one_thread, resolve_device

    one_thread()
    place = resolve_device(device)
    named = list(zip(names(arms), arms, strict=True))
    comparison = store.add_comparison(named, this_process())
    commands = Commands()
    session = Session(comparison.id, place, commands)
    with stopping(commands), _progress(store, comparison, arms, show_progress):
        session.run()
    ended = store.comparison(comparison.id)
    if ended is None:
        raise StoreError(f"comparison: '{comparison.id}' was deleted while it trained")
    return ended


@contextmanager
def stopping(commands: Commands) -> Iterator[None]:
    """While open, Ctrl-C asks for an orderly end, and a second one ends at once."""
    before = signal.getsignal(signal.SIGINT)

    def stop(number: int, frame: object) -> None:
        if commands.ended.is_set():
            os._exit(130)
        commands.ended.set()

    signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def _progress(
    store: Store, comparison: Comparison, arms: Sequence[RunSpec], show: bool
) -> Iterator[None]:
    """While open, one bar an arm follows the store on standard error."""
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.completed}/{task.total} steps"),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    show = show and console.is_terminal
    with Progress(*columns, console=console, disable=not show) as bars:
        tasks = [
            bars.add_task(run.arm, total=arm.recipe.steps)
            for run, arm in zip(comparison.runs, arms, strict=True)
        ]
        done = threading.Event()

        def follow() -> None:
            last = False
            while not last:
                last = done.wait(POLL)
                now = store.comparison(comparison.id)
                for task, run in zip(tasks, now.runs if now else (), strict=False):
                    bars.update(task, completed=max(run.step, 0))

        follower = threading.Thread(target=follow, daemon=True)
        if show:
            follower.start()
        yield
        done.set()
        if show:
            follower.join()


def summary(store: Store, run: Run) -> dict[str, Any]:
    """One run as a row: what it was, how it ended, its last readings (None: not read).

    Loss and accuracy in training are means over the last epoch: one batch is too few to tell
    a small error from none.
    """
    row: dict[str, Any] = {
        "id": run.comparison,
        "arm": run.arm,
        "key": run.key,
        "spec": short_form(run.spec),
        "state": run.state,
        "steps": max(run.step, 0),
    }
    epoch = run.spec.steps_per_epoch
    for probe, newest in (("train_loss", epoch), ("train_accuracy", epoch), ("test_accuracy", 1)):
        trace = store.trace(run.id, probe)
        row[probe] = float(trace.values[-newest:, 0].mean()) if len(trace) else None
    return {
        **row,
        "device": run.device,
        "elapsed_s": run.elapsed_s,
        "edited": run.edited,
        "message": run.message,
    }


def summaries(store: Store, comparison: str | None = None) -> list[dict[str, Any]]:
    """The rows of one comparison, or of all, newest first; ValueError for an unknown one."""
    if comparison is None:
        return [summary(store, run) for group in store.comparisons() for run in group.runs]
    found = store.comparison(comparison)
    if found is None:
        raise SpecError("comparison", comparison, "an id that `explorer runs list` shows")
    return [summary(store, run) for run in found.runs]
