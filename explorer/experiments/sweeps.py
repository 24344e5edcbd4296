"""A sweep from the command line: on workers of this machine or on a Ray cluster."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from explorer.experiments.runs import Commands, stopping, summary
from explorer.spec import RunSpec, SpecError
from explorer.store import ACTIVE, Member, Store, StoreError, Sweep

POLL = 0.2  # seconds between looks at the store
UNFINISHED = "{count} of {all} runs are not finished; resume with `explorer sweep --resume {id}`"


class Runner(Protocol):
    """What trains sweeps: `explorer.sweeping.Sweeping`, or the one on Ray."""

    def start(self, name: str, specs: Sequence[RunSpec], reuse: bool = True) -> Sweep:
        """Begin."""

    def resume(self, sweep_id: str) -> None:
        """Go on with what is left."""

    def cancel(self, sweep_id: str) -> None:
        """End in order."""


@dataclass(frozen=True)
class Place:
    """Where a sweep is trained; `address` and `gpus_per_run` are Ray's."""

    executor: str = "local"
    device: str = "auto"
    max_workers: int | None = None
    address: str | None = None
    gpus_per_run: float = 0.0


@contextmanager
def runner_at(place: Place, store: Store) -> Iterator[Runner]:
    """A runner of sweeps, which ends with its processes when the block is left."""
    if place.executor == "ray":
        from explorer.raysweeps import RaySweeping

        on_ray = RaySweeping(
            store, place.address, gpus_per_run=place.gpus_per_run, max_runs=place.max_workers
        )
        try:
            yield on_ray
        finally:
            on_ray.close()
        return
    if place.executor != "local":
        raise SpecError("executor", place.executor, "choose local or ray")
    from explorer.executors import Executor
    from explorer.sweeping import Sweeping

    executor = Executor(store, place.device, place.max_workers, reserve=0)
    try:
        yield Sweeping(store, executor)
    finally:
        executor.shutdown()


def sweep_here(
    name: str,
    specs: Sequence[RunSpec],
    place: Place,
    *,
    resume: str | None = None,
    reuse: bool = True,
    show_progress: bool = True,
) -> Sweep:
    """Train a sweep to its end, or what the sweep `resume` has left; returns how it ended.

    Ctrl-C, or somebody who cancels it in the app, ends it in order.
    """
    store = Store()
    with runner_at(place, store) as runner:
        if resume is None:
            sweep_id = runner.start(name, specs, reuse).id
        else:
            runner.resume(resume)
            sweep_id = resume
        commands = Commands()
        with stopping(commands), _bars(show_progress) as bars:
            while (sweep := _found(store, sweep_id)).state == "running":
                bars.show(sweep)
                if commands.ended.wait(POLL):
                    runner.cancel(sweep_id)
            _let_stop(store, sweep_id, bars)
    return _found(store, sweep_id)


def _let_stop(store: Store, sweep_id: str, bars: "_Bars") -> None:
    """Wait until what was told to stop has written its end; at most some seconds."""
    for _ in range(50):
        sweep = _found(store, sweep_id)
        bars.show(sweep)
        if not any(m.run is not None and m.state in ACTIVE for m in sweep.members):
            return
        Commands().ended.wait(POLL)


def _found(store: Store, sweep_id: str) -> Sweep:
    sweep = store.sweeps.get(sweep_id)
    if sweep is None:
        raise StoreError(f"sweep: '{sweep_id}' is not in the store")
    return sweep


def rows(store: Store, sweep: Sweep) -> list[dict[str, Any]]:
    """A row for each run of the sweep, as `explorer train` prints them."""
    return [summary(store, member.run) for member in sweep.members if member.run is not None]


def what_is_left(sweep: Sweep) -> str:
    """One line on runs that did not come to an end; "" if all did."""
    count = len(sweep.unfinished)
    said = UNFINISHED.format(count=count, all=len(sweep.members), id=sweep.id) if count else ""
    first = next((m.run.message for m in sweep.unfinished if m.run and m.run.message), "")
    return f"{said} ({first})" if said and first else said


class _Bars:
    """One bar for the sweep in optimiser steps, and a line for every run that trains."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.all = progress.add_task("", total=None)
        self.going: dict[int, Any] = {}

    def show(self, sweep: Sweep) -> None:
        """Bring the bars to what the store says."""
        ended = sum(member.state not in ACTIVE for member in sweep.members)
        steps = sum(_steps_done(member) for member in sweep.members)
        total = sum(member.spec.recipe.steps for member in sweep.members)
        text = f"{ended} of {len(sweep.members)} runs"
        self.progress.update(self.all, description=text, completed=steps, total=total)
        running = {m.index: m for m in sweep.members if m.run and m.state == "running"}
        for index in [index for index in self.going if index not in running]:
            self.progress.remove_task(self.going.pop(index))
        for index, member in running.items():
            if index not in self.going and member.run is not None:
                steps = member.spec.recipe.steps
                self.going[index] = self.progress.add_task(member.run.arm, total=steps)
            self.progress.update(self.going[index], completed=_steps_done(member))


def _steps_done(member: Member) -> int:
    return max(member.run.step, 0) if member.run else 0


@contextmanager
def _bars(show: bool) -> Iterator[_Bars]:
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.completed}/{task.total} steps"),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    with Progress(
        *columns, console=console, disable=not (show and console.is_terminal)
    ) as progress:
        yield _Bars(progress)
