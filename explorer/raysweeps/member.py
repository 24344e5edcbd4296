"""One run trained by a process on a node, as the driver sees it: its reports into the store."""

import contextlib
import os
import time
from pathlib import Path
from typing import Any

import numpy as np

from explorer.raysweeps.messages import Beginning, Failure, Report, first_line
from explorer.store import Run, State, Store, StoreError, checkpoints
from explorer.store.database import unusable
from explorer.trace import Reading

PIECE = 0.2  # seconds of training between reports
CHECKPOINT = 5.0  # seconds between checkpoints
WAIT = 0.1  # seconds between looks at whether it should stop
GRACE = 1.2  # seconds to a last report and checkpoint after being told to stop
LOST = "the Ray worker{node} that trained it was lost; Resume goes on from the last checkpoint"


class Stop:
    """Asks for an end; `state` and `message` are what the run is marked with."""

    def __init__(self) -> None:
        self.state: State | None = None
        self.message = ""
        self.deadline = 0.0

    def ask(self, state: State, message: str = "") -> None:
        """The first to ask is heeded."""
        if self.state is None:
            self.deadline = time.monotonic() + GRACE
            self.state, self.message = state, message

    @property
    def overdue(self) -> bool:
        """Whether it has been asked for, and long enough ago."""
        return self.state is not None and time.monotonic() > self.deadline


class Overdue(Exception):
    """A node has not answered in the time that a stop leaves."""


class LostError(Exception):
    """The process or its node is gone."""


def answer(ray: Any, future: Any, stop: Stop) -> Any:
    """What a call to a node returns; Overdue, LostError, or RuntimeError of what it failed of."""
    errors = ray.exceptions
    while True:
        try:
            return ray.get(future, timeout=WAIT)
        except errors.GetTimeoutError:
            if stop.overdue:
                raise Overdue from None
        except errors.RayTaskError as error:
            raise RuntimeError(first_line(error.cause or error)) from None
        except (errors.RuntimeEnvSetupError, errors.ActorUnschedulableError) as error:
            raise RuntimeError(first_line(error)) from None
        except errors.RayError as error:
            raise LostError(first_line(error)) from None


class MemberOnNode:
    """Trains the only run of the comparison `name` by `actor`; `train` returns when it ends."""

    def __init__(self, store: Store, ray: Any, actor: Any, name: str, stop: Stop) -> None:
        found = store.comparison(name)
        if found is None:
            raise StoreError(f"comparison: '{name}' is not in the store")
        self.store = store
        self.ray = ray
        self.actor = actor
        self.run: Run = found.runs[0]
        self.events = store.events(name)
        self.stop = stop
        self.elapsed = self.run.elapsed_s

    def train(self, node: str) -> bool:
        """Train to the end, or until asked to stop; whether the process can be used again."""
        try:
            self._mark(*self._trained())
            return True
        except Overdue:
            self._mark(self.stop.state or "stopped", self.stop.message)
        except LostError:
            on = f" on node {node}" if node else ""
            state = self.stop.state or "interrupted"
            self._mark(state, self.stop.message if self.stop.state else LOST.format(node=on))
        except (StoreError, RuntimeError) as error:
            self._mark("failed", first_line(error))
        return False

    def _trained(self) -> tuple[State, str]:
        """The state and message in which it ended."""
        begun = self._get(self.actor.begin.remote(self.run, self.events, _read(self.run.id)))
        if isinstance(begun, Failure):
            return "failed", begun.message
        self._begin(begun)
        following, saved = self.actor.work.remote(PIECE), time.monotonic()
        while following is not None:
            report, following = self._get(following), None
            if isinstance(report, Failure):
                return "failed", report.message
            if report.state == "running" and self.stop.state is None:
                due = time.monotonic() - saved > CHECKPOINT
                saved = time.monotonic() if due else saved
                # The node goes on while this is written.
                following = self.actor.work.remote(PIECE, due)
            self._write(report)
            if report.state != "running":
                return report.state, report.message
        return self._stopped()

    def _stopped(self) -> tuple[State, str]:
        """Take a last checkpoint."""
        last = self._get(self.actor.work.remote(0.0, True))
        if isinstance(last, Report):
            self._write(last)
        return self.stop.state or "stopped", self.stop.message

    def _get(self, future: Any) -> Any:
        return answer(self.ray, future, self.stop)

    def _begin(self, begun: Beginning) -> None:
        for name, sites, unit, log in begun.probes:
            self.store.describe(self.run.id, name, sites, unit, log)
        if begun.points is not None:
            self.store.cache_put("points", self.run.spec.data.name, begun.points)
        self.store.update(
            self.run.id,
            state="running",
            message="",
            device=begun.device,
            versions=begun.versions,
        )

    def _write(self, report: Report) -> None:
        self.elapsed += report.seconds
        readings = [
            (self.run.id, Reading(probe, step, np.frombuffer(numbers, "<f4").astype(np.float32)))
            for probe, step, numbers in report.readings
        ]
        self.store.write(readings, {self.run.id: self.elapsed})
        if report.checkpoint is not None:
            _keep(self.run.id, report.checkpoint)

    def _mark(self, state: State, message: str) -> None:
        with contextlib.suppress(StoreError):  # deleted meanwhile, or a full disk
            self.store.update(self.run.id, state=state, message=message)


def _read(run_id: int) -> bytes | None:
    try:
        return _checkpoint(run_id).read_bytes()
    except OSError:
        return None


def _checkpoint(run_id: int) -> Path:
    return checkpoints.folder() / f"{run_id}.safetensors"


def _keep(run_id: int, checkpoint: bytes) -> None:
    """Write a checkpoint; an earlier one stays whole until the new one is."""
    path = _checkpoint(run_id)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_suffix(".fresh")
        fresh.write_bytes(checkpoint)
        os.replace(fresh, path)
    except OSError as error:
        raise unusable(path, error) from None
