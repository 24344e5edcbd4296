"""From a foreign loop into the store: in batches, without a thread, and never in its way.

What goes wrong with the store is said once and costs readings, never the training. There is
no thread, so a loop may fork DataLoader workers at any moment.
"""

import logging
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from explorer.probes import PROBES
from explorer.store import State, Store, StoreError, this_process
from explorer.store.store import FILE
from explorer.trace import Reading

COMMIT = 0.05  # seconds between transactions
RETRY = 5.0  # seconds after the store refused one
MOST_WAITING = 20_000  # readings kept while it refuses
TROUBLE = (StoreError, OSError)

log = logging.getLogger("explorer.watch")


@dataclass(frozen=True)
class Batch:
    """Readings on their way from the device: `numbers` is valid once `ready` has passed."""

    heads: list[tuple[str, int, int]]  # probe, step, number of values
    numbers: Tensor  # all values, one after the other, in main memory
    ready: torch.cuda.Event | None

    @property
    def arrived(self) -> bool:
        """Whether the copy is there."""
        return self.ready is None or bool(self.ready.query())  # type: ignore[no-untyped-call]

    def readings(self) -> list[Reading]:
        """The readings; waits for the copy."""
        if self.ready is not None:
            self.ready.synchronize()
        ends = np.cumsum([count for _, _, count in self.heads])[:-1]
        parts = np.split(self.numbers.numpy(), ends)
        pairs = zip(self.heads, parts, strict=True)
        return [Reading(probe, step, values) for (probe, step, _), values in pairs]


class Recorder:
    """Writes one watched run; `run_id` is None where there is no store to write to."""

    def __init__(self, store: Path | Store | None, device: torch.device) -> None:
        self.device = device
        self.run_id: int | None = None
        self.failed = False
        self.message = ""
        self.sites: dict[str, tuple[str, ...]] = {}  # by probe
        self.described: set[str] = set()
        self.values: list[tuple[str, int, Tensor]] = []  # still on the device
        self.batches: deque[Batch] = deque()
        self.waiting: list[Reading] = []
        self.bad_loss_at: int | None = None
        self.last_loss = 0.0
        self.store: Store | None = None
        self._given = store

    def open(self, name: str, facts: dict[str, str]) -> None:
        """Begin the run in the store."""
        self.began = self.due = time.monotonic()
        try:
            given = self._given
            self.store = given if isinstance(given, Store) else Store(given and given / FILE)
            row = self.store.table.watch(name, this_process(), str(self.device), facts)
            self.run_id = row.id
        except TROUBLE as error:
            self._refused(error, "nothing of this run is recorded")

    def add(self, probe: str, step: int, values: Sequence[Tensor] | Tensor) -> None:
        """Take one reading, on whatever device its values are; nothing waits for them."""
        parts = (
            values if isinstance(values, Tensor) else torch.stack([self._here(v) for v in values])
        )
        self.values.append((probe, step, self._here(parts.reshape(-1))))

    def _here(self, value: Tensor) -> Tensor:
        return value.detach().to(self.device, torch.float32, non_blocking=True)

    def say(self, message: str) -> None:
        """A line for the user, beside the run and in the log; the first one stays beside it."""
        log.warning(message)
        if not self.message:
            self.message = message
            self._update(message=message)

    def write(self, now: bool = False) -> None:
        """Write what has arrived if it is time, or all of it `now`."""
        moment = time.monotonic()
        if self.run_id is None:
            self.values.clear()
        elif now or moment >= self.due:
            self.due = moment + COMMIT
            self._send()
            while self.batches and (now or self.batches[0].arrived):
                self._take(self.batches.popleft().readings())
            self._commit(moment - self.began)

    def close(self, state: State, message: str) -> None:
        """Write all that is left, and how the run ended."""
        self.write(now=True)
        if state == "done" and not np.isfinite(self.last_loss):
            state = "diverged"
        self._update(state=state, message=message or self.message)
        if self.store is not None and not isinstance(self._given, Store):
            self.store.close()

    def _send(self) -> None:
        """Start one copy of all values to main memory."""
        if not self.values:
            return
        heads = [(probe, step, len(values)) for probe, step, values in self.values]
        together = torch.cat([values for _, _, values in self.values])
        self.values = []
        if self.device.type != "cuda":
            self.batches.append(Batch(heads, together.cpu(), None))
            return
        with torch.cuda.device(self.device):
            numbers = torch.empty(len(together), pin_memory=True)
            numbers.copy_(together, non_blocking=True)
            ready = torch.cuda.Event()  # type: ignore[no-untyped-call]
            ready.record()
        self.batches.append(Batch(heads, numbers, ready))

    def _take(self, readings: list[Reading]) -> None:
        for reading in readings:
            if reading.probe == "train_loss":
                self.last_loss = float(reading.values[0])
                if self.bad_loss_at is None and not np.isfinite(self.last_loss):
                    self.bad_loss_at = reading.step
                    self.say(f"the loss is not a finite number at step {reading.step}")
        self.waiting = (self.waiting + readings)[-MOST_WAITING:]

    def _commit(self, elapsed: float) -> None:
        if self.store is None or self.run_id is None or not self.waiting:
            return
        try:
            for name in dict.fromkeys(reading.probe for reading in self.waiting):
                if name in self.described:
                    continue
                unit, logarithmic = PROBES[name].unit, PROBES[name].log
                self.store.describe(self.run_id, name, self.sites[name], unit, logarithmic)
                self.described.add(name)
            self.store.write([(self.run_id, r) for r in self.waiting], {self.run_id: elapsed})
            self.waiting = []
        except TROUBLE as error:
            self._refused(error, f"recording is tried again every {RETRY:.0f} s")
            self.due = time.monotonic() + RETRY

    def _update(self, *, message: str, state: State | None = None) -> None:
        if self.store is None or self.run_id is None:
            return
        try:
            self.store.update(self.run_id, state=state, message=message)
        except TROUBLE as error:
            self._refused(error, "the run's end is not recorded")

    def _refused(self, error: Exception, consequence: str) -> None:
        if not self.failed:
            log.warning(f"{error}; training goes on, {consequence}")
        self.failed = True
