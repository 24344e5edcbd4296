"""One run being trained on a node of a cluster: in goes its record, out come reports.

The twin of `explorer.session` where there is no store to write to. Nothing of Ray is in here.
"""

import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from explorer import checkpoint
from explorer.changes import apply
from explorer.data import load
from explorer.raysweeps.messages import Batch, Beginning, Report
from explorer.session import DIVERGED, TROUBLE, one_line, versions_of
from explorer.spec import RunSpec
from explorer.store import Event, Run
from explorer.trace import Reading
from explorer.training import Lockstep, Trainer, one_thread, resolve_device

__all__ = ["TROUBLE", "Training", "one_line"]


class Training:
    """Trains `run` in pieces, on one thread, from the step of a checkpoint's bytes if given."""

    def __init__(self, run: Run, events: Sequence[Event], saved: bytes | None, device: str) -> None:
        one_thread()
        self.run_id = run.id
        self.events = events
        self.trainer = Trainer(run.spec, resolve_device(device))
        if saved is not None:
            with _folder() as folder:
                _file(folder, run.id).write_bytes(saved)
                checkpoint.restore(self.trainer, run.id)
        self.lockstep = Lockstep([self.trainer])
        self.beginning = _beginning(run, self.trainer)

    def work(self, seconds: float, save: bool) -> Report:
        """Train for so long, or to the end; a checkpoint is in the report then, and if `save`."""
        start = time.monotonic()
        readings: list[Reading] = []
        while not self.trainer.finished and time.monotonic() - start < seconds:
            self._replay()
            readings += [reading for _, reading in self.lockstep.advance()]
        spent = time.monotonic() - start
        finished, diverged = self.trainer.finished, self.trainer.diverged_at
        if finished:
            self.lockstep.close()
        return Report(
            readings=_batch(readings),
            seconds=spent,
            state="running" if not finished else "done" if diverged is None else "diverged",
            message="" if diverged is None else DIVERGED.format(step=diverged),
            checkpoint=self._checkpoint() if finished or save else None,
        )

    def _replay(self) -> None:
        """Carry out the changes that somebody made to this run at the step that comes next."""
        for event in self.events:
            if event.step == self.trainer.step and event.concerns(0):
                apply(event, self.trainer)

    def _checkpoint(self) -> bytes:
        with _folder() as folder:
            checkpoint.save(self.trainer, self.run_id)
            return _file(folder, self.run_id).read_bytes()


def _beginning(run: Run, trainer: Trainer) -> Beginning:
    probes = ((n, trainer.sites(p), p.unit, p.log) for n, p in trainer.probes.items())
    return Beginning(
        device=str(trainer.device),
        versions=versions_of(run, trainer),
        probes=tuple(probes),
        points=_points(run.spec),
    )


def _points(spec: RunSpec) -> dict[str, list[object]] | None:
    """The training points of 2-D data; None for images."""
    if spec.data.info.kind != "plane":
        return None
    data = load(spec.data)
    return {"x": data.x_train.tolist(), "y": data.y_train.tolist()}


def _batch(readings: Sequence[Reading]) -> Batch:
    return [(r.probe, r.step, r.values.astype("<f4").tobytes()) for r in readings]


@contextmanager
def _folder() -> Iterator[Path]:
    """While open, this process keeps its checkpoints in a folder that is gone afterwards.

    The run's id is the driver's: in this node's own data folder another run may have it.
    """
    before = os.environ.get("EXPLORER_HOME")
    with tempfile.TemporaryDirectory(prefix="explorer-") as folder:
        os.environ["EXPLORER_HOME"] = folder
        try:
            yield Path(folder)
        finally:
            if before is None:
                del os.environ["EXPLORER_HOME"]
            else:
                os.environ["EXPLORER_HOME"] = before


def _file(folder: Path, run_id: int) -> Path:
    path = checkpoint.checkpoint_path(run_id)
    path.parent.mkdir(exist_ok=True)
    assert path.is_relative_to(folder)
    return path
