"""One comparison being trained in this process: commands in, readings into the store."""

import platform
import sys
import time
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors import SafetensorError

from explorer import checkpoint
from explorer.changes import apply, check
from explorer.data import load
from explorer.spec import RunSpec, SpecError, parse
from explorer.store import Comparison, Event, Run, State, Store, StoreError, checkpoints
from explorer.trace import Reading
from explorer.training import Lockstep, Trainer, one_thread, resolve_device

COMMIT = 0.05  # seconds between transactions
CHECKPOINT = 5.0  # seconds between checkpoints
TROUBLE = (RuntimeError, ValueError, OSError, MemoryError)  # what a run may end of
DIVERGED = (
    "The loss is no longer a finite number at step {step}: the numbers of the forward pass "
    "left the range of float32, or the last update threw the weights there."
)


class Inbox(Protocol):
    """Where commands wait."""

    def take(self, block: bool = False) -> dict[str, Any] | None:
        """The next command, or None."""


def warm_up(device_name: str) -> torch.device:
    """Import, settle and exercise what the first step needs; returns the device to train on."""
    one_thread()
    device = resolve_device(device_name)
    lockstep = Lockstep([Trainer(parse("resnet-8,width=4"), device) for _ in range(2)])
    lockstep.advance(everything=True)
    lockstep.close()
    return device


def gpu_count(device: torch.device) -> int:
    """How many graphics cards like that one there are; 0 where it trains on the CPU."""
    return torch.cuda.device_count() if device.type == "cuda" else int(device.type != "cpu")


def versions_of(run: Run, trainer: Trainer) -> dict[str, str]:
    """What a curve depends on besides its spec: torch, machine, CPU capability, a GPU's name.

    "mixed" is there once a run goes on elsewhere than it began: no one place makes it again.
    """
    device = trainer.device
    here = {"torch": torch.__version__, "machine": platform.machine()}
    here["cpu"] = torch.backends.cpu.get_cpu_capability()
    if device.type == "cuda":
        here["gpu"] = torch.cuda.get_device_name(device)
    moved = run.versions != here or not run.device.startswith(device.type)
    return here | ({"mixed": "yes"} if trainer.step and moved else {})


class Session:
    """Trains the comparison `comparison_id` until its arms are done or a command ends it."""

    def __init__(
        self, comparison_id: str, device: torch.device, inbox: Inbox, paused: bool = False
    ) -> None:
        self.inbox = inbox
        self.store = Store()
        found = self.store.comparison(comparison_id)
        if found is None:
            raise StoreError(f"comparison: '{comparison_id}' is not in the store")
        self.comparison: Comparison = found
        self.runs = found.runs
        self.device = device
        self.events = self.store.events(comparison_id)
        self.elapsed = {run.id: run.elapsed_s for run in self.runs}
        self.pending: list[tuple[int, Reading]] = []
        self.ended: set[int] = set()  # runs whose end the store knows
        self.paused = paused
        self.single = 0
        self.ending: State | None = None
        self.message = ""

    def run(self) -> None:
        """Train; whatever ends it, the store says how."""
        try:
            self.lockstep = self._prepare()
        except TROUBLE as error:
            self._last_words(error)
            return
        try:
            self._loop()
            self._close()
        except TROUBLE as error:
            self._last_words(error)
        finally:
            self.lockstep.close()

    def _prepare(self) -> Lockstep:
        trainers = []
        for run in self.runs:
            trainer = Trainer(run.spec, self.device)
            checkpoint.restore(trainer, run.id)
            for name, probe in trainer.probes.items():
                self.store.describe(run.id, name, trainer.sites(probe), probe.unit, probe.log)
            keep_points(self.store, run.spec)
            trainers.append(trainer)
            versions = versions_of(run, trainer)
            self.store.update(run.id, device=str(self.device), versions=versions)
            if trainer.finished:
                self._mark_ended(run, trainer)
            else:
                self.store.update(run.id, state="running", message="")
        return Lockstep(trainers)

    def _loop(self) -> None:
        committed = saved = time.monotonic()
        while not self.lockstep.finished:
            self._obey()
            if self.ending is not None:
                return
            self._replay()
            started = time.monotonic()
            self.pending += self.lockstep.advance(everything=self.single > 0)
            self.single = max(self.single - 1, 0)
            self._keep_weights()
            now = time.monotonic()
            self._account(now - started)
            if now - committed > COMMIT:
                self._commit()
                committed = now
            if now - saved > CHECKPOINT:
                self._save()
                saved = now

    def _keep_weights(self) -> None:
        """At some steps, the weights as they are then, for those who look inside the blocks.

        A run does not fail for want of them.
        """
        if not checkpoints.is_kept(self.lockstep.step):
            return
        for run, trainer in self._going:
            if trainer.step == self.lockstep.step:
                try:
                    save(trainer, run, checkpoints.snapshot(run.id, trainer.step))
                except StoreError as error:
                    print(error, file=sys.stderr, flush=True)

    def _account(self, seconds: float) -> None:
        for run, trainer in zip(self.runs, self.lockstep.trainers, strict=True):
            if not trainer.finished:
                self.elapsed[run.id] += seconds

    def _obey(self) -> None:
        """Carry out the commands that have come; while paused, wait for more."""
        while self.ending is None and (command := self.inbox.take()) is not None:
            self._do(command)
        if not self._waiting:
            return
        self._save()
        self._mark_going("paused")
        while self._waiting:
            command = self.inbox.take(block=True)
            if command is not None:
                self._do(command)
        if not self.paused and self.ending is None:
            self._mark_going("running")

    @property
    def _waiting(self) -> bool:
        return self.paused and self.single == 0 and self.ending is None

    def _do(self, command: dict[str, Any]) -> None:
        kind = command["do"]
        if kind == "pause":
            self.paused = True
        elif kind == "resume":
            self.paused = False
        elif kind == "step":
            self.paused = True
            self.single += 1
        elif kind in ("stop", "end"):
            self.ending = "stopped" if kind == "stop" else "interrupted"
            self.message = "" if kind == "stop" else "the program that ran it ended"
        elif kind in ("lr", "skip", "residual"):
            self._intervene(command)

    def _intervene(self, command: dict[str, Any]) -> None:
        """Record a change of a rate or a gate at this step; `_replay` carries it out.

        An arm may be behind another after a kill between two checkpoints. The change then
        waits until it has caught up, so that it has one step in all arms.
        """
        step = max(trainer.step for trainer in self.lockstep.trainers if not trainer.finished)
        event = Event(step, command["do"], command.get("arm"), command["value"])
        try:
            check(event, [run.spec for run in self.runs])
        except SpecError as error:
            print(error, file=sys.stderr, flush=True)
            return
        self.store.add_event(self.comparison.id, event)
        for run in self.runs:
            checkpoints.forget_after(run.id, step)
        self.events.append(event)
        self._replay()

    def _replay(self) -> None:
        """Carry out the changes recorded for the step that comes next."""
        step = self.lockstep.step
        for event in self.events:
            if event.step != step:
                continue
            for index, trainer in enumerate(self.lockstep.trainers):
                if event.concerns(index) and trainer.step == step:
                    apply(event, trainer)

    def _commit(self) -> None:
        """Write what was read since the last time, and mark the arms that have ended."""
        readings = [(self.runs[arm].id, reading) for arm, reading in self.pending]
        self.store.write(readings, self.elapsed)
        self.pending = []
        for run, trainer in self._going:
            if trainer.finished:
                save(trainer, run)
                self._mark_ended(run, trainer)

    def _save(self) -> None:
        self._commit()
        for run, trainer in self._going:
            save(trainer, run)

    @property
    def _going(self) -> list[tuple[Run, Trainer]]:
        """The arms whose end the store does not know yet."""
        pairs = zip(self.runs, self.lockstep.trainers, strict=True)
        return [(run, trainer) for run, trainer in pairs if run.id not in self.ended]

    def _mark_ended(self, run: Run, trainer: Trainer) -> None:
        diverged = trainer.diverged_at is not None
        message = DIVERGED.format(step=trainer.diverged_at) if diverged else ""
        self.store.update(run.id, state="diverged" if diverged else "done", message=message)
        self.ended.add(run.id)

    def _close(self) -> None:
        """The orderly end: everything written, every arm's state said."""
        self._save()
        if self.ending is not None:
            self._mark_going(self.ending, self.message)

    def _mark_going(self, state: State, message: str = "") -> None:
        for run in self.runs:
            if run.id not in self.ended:
                self.store.update(run.id, state=state, message=message)

    def _last_words(self, error: BaseException) -> None:
        """Say why it failed, if the store still takes it; committed steps stay either way."""
        try:
            self._mark_going("failed", one_line(error))
        except StoreError:
            print(one_line(error), file=sys.stderr, flush=True)


def run_session(
    comparison_id: str, device: torch.device, inbox: Inbox, paused: bool = False
) -> None:
    """Train a comparison; one line on standard error if it is not there any more."""
    try:
        session = Session(comparison_id, device, inbox, paused)
    except StoreError as error:
        print(error, file=sys.stderr, flush=True)
        return
    session.run()


def one_line(error: BaseException) -> str:
    """The first line of what an error says, or its kind if it says nothing."""
    return (str(error).splitlines() or [type(error).__name__])[0]


def save(trainer: Trainer, run: Run, snapshot: Path | None = None) -> None:
    """Write the arm's checkpoint, or a snapshot of its weights; StoreError if it cannot be."""
    try:
        if snapshot is None:
            checkpoint.save(trainer, run.id)
        else:
            checkpoint.save_weights(trainer, snapshot)
    except (OSError, SafetensorError) as error:
        raise StoreError(f"the checkpoint of {run.arm} cannot be written: {error}") from None


def keep_points(store: Store, spec: RunSpec) -> None:
    """Leave the training points of 2-D data where the app, which has no torch, can draw them."""
    if spec.data.info.kind == "plane":
        data = load(spec.data)
        points = {"x": data.x_train.tolist(), "y": data.y_train.tolist()}
        store.cache_put("points", spec.data.name, points)
