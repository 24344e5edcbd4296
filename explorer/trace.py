"""What was measured, as plain arrays: a Reading is one value at one step, a Trace a run's readings.

Nothing here knows of torch, of a database or of a screen, so every layer can pass these on.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Reading:
    """One probe's value at one step.

    `values` has one float32 per site of the probe (a scalar probe has one site);
    `step` counts finished optimiser steps, so 0 is the network as initialised.
    """

    probe: str
    step: int
    values: Array


@dataclass(frozen=True)
class Trace:
    """All readings of one probe in one run: `values[i, s]` was read at `steps[i]` at `sites[s]`."""

    probe: str
    steps: NDArray[np.int64]  # (reading,)
    values: Array  # (reading, site)
    sites: tuple[str, ...]
    unit: str
    log: bool = False

    def __len__(self) -> int:
        return len(self.steps)

    @property
    def last(self) -> Array:
        """The newest reading; shape (site,)."""
        newest: Array = self.values[-1]
        return newest

    def at(self, step: int) -> Array:
        """The newest reading not after `step`, or the first one; shape (site,)."""
        index = int(np.searchsorted(self.steps, step, side="right")) - 1
        newest: Array = self.values[max(index, 0)]
        return newest


def trace_of(
    readings: Iterable[Reading], probe: str, sites: tuple[str, ...], unit: str, log: bool = False
) -> Trace:
    """Gather the readings of `probe`, sorted by step, into a Trace (possibly of length 0)."""
    chosen = sorted((r for r in readings if r.probe == probe), key=lambda r: r.step)
    steps = np.array([r.step for r in chosen], dtype=np.int64)
    values = np.zeros((0, len(sites)), np.float32)
    if chosen:
        values = np.stack([r.values for r in chosen]).astype(np.float32)
    return Trace(probe, steps, values, sites, unit, log)
