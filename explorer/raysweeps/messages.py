"""What a node and the driver tell each other: plain values, so that the driver needs no torch."""

from dataclasses import dataclass
from typing import Any, Literal

Batch = list[tuple[str, int, bytes]]  # (probe, step, float32 of its sites, little-endian)


@dataclass(frozen=True)
class Beginning:
    """What the store is told before a run's first reading.

    `probes` has (name, sites, unit, log); `points` the training points of 2-D data, as JSON.
    """

    device: str
    versions: dict[str, str]
    probes: tuple[tuple[str, tuple[str, ...], str, bool], ...]
    points: dict[str, Any] | None


@dataclass(frozen=True)
class Report:
    """What was done since the last report. `seconds` of training; `state` says that it ended."""

    readings: Batch
    seconds: float
    state: Literal["running", "done", "diverged"]
    message: str
    checkpoint: bytes | None


@dataclass(frozen=True)
class Failure:
    """Why a run cannot be trained on that node, in one line."""

    message: str


def first_line(error: BaseException) -> str:
    """The first line of what an error says, or its kind if it says nothing."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
