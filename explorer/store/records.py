"""What the store gives back: runs, comparisons and events, as frozen values."""

from dataclasses import dataclass
from typing import Literal

from pydantic import JsonValue

from explorer.spec import RunSpec

State = Literal[
    "queued", "running", "paused", "done", "stopped", "interrupted", "failed", "diverged"
]
ACTIVE: tuple[State, ...] = ("running", "paused", "queued")  # some process should own it
ENDED: tuple[State, ...] = ("done", "diverged")  # nothing is left to train
EventKind = Literal["lr", "skip", "residual"]
SweepState = Literal["running", "cancelled", "interrupted", "done"]

# The state of a group is the first of these that one of its runs is in; an arm that
# diverged beside one that is done is a finished comparison.
PRECEDENCE: tuple[State, ...] = (*ACTIVE, "failed", "interrupted", "stopped", "done", "diverged")


class StoreError(RuntimeError):
    """What the store cannot do and why, on one line for the user."""


class RecordError(StoreError, ValueError):
    """An exported comparison that cannot be read: the fault is in what was given."""


class DamageError(Exception):
    """Stored bytes that nobody can have written; the store says so in a StoreError."""


@dataclass(frozen=True)
class Run:
    """One arm of a comparison. Times are seconds since 1970; `arm` is a user's text.

    `step` is the last committed step, -1 before any; `key` is the spec's content key;
    `edited` says that someone changed a rate or a gate while it trained. `tags`, `note` and
    `pinned` are what a person has made of it.
    """

    id: int
    comparison: str
    arm: str
    index: int
    spec: RunSpec
    key: str
    state: State
    step: int
    device: str
    elapsed_s: float
    created: float
    updated: float
    message: str
    edited: bool
    versions: dict[str, str]
    tags: tuple[str, ...] = ()
    note: str = ""
    pinned: bool = False


@dataclass(frozen=True)
class Row:
    """A run as a line of a table, with or without a spec: watched modules have none.

    `network` is the spec's short form or the module's name; `last` has the newest value of
    every probe with one site, by name: of loss and accuracy in training the mean over the last
    epoch, where that is known.
    """

    id: int
    comparison: str
    arm: str
    spec: RunSpec | None
    network: str
    key: str
    state: State
    step: int
    device: str
    elapsed_s: float
    created: float
    updated: float
    message: str
    edited: bool
    versions: dict[str, str]
    tags: tuple[str, ...]
    note: str
    pinned: bool
    last: dict[str, float]

    @property
    def watched(self) -> bool:
        """Whether it is somebody's own loop, recorded by `explorer.watch`."""
        return not self.key


@dataclass(frozen=True)
class Member:
    """One run of a sweep: its spec, and the stored run (None: not started yet)."""

    index: int
    spec: RunSpec
    key: str
    run: Run | None

    @property
    def state(self) -> State:
        """The run's state; queued before it has one."""
        return self.run.state if self.run else "queued"


@dataclass(frozen=True)
class Sweep:
    """Runs over a grid, in the order in which they start."""

    id: str
    name: str
    created: float
    owner: str
    state: SweepState
    message: str
    members: tuple[Member, ...]

    @property
    def unfinished(self) -> tuple[Member, ...]:
        """The members that have not come to an end of their own."""
        return tuple(member for member in self.members if member.state not in ENDED)


@dataclass(frozen=True)
class Comparison:
    """Runs that train in lockstep, in the order of their arms."""

    id: str
    created: float
    runs: tuple[Run, ...]

    @property
    def state(self) -> State:
        """The group's state: active if any run is, else the worst end, else done."""
        states = {run.state for run in self.runs}
        return next(state for state in PRECEDENCE if state in states)

    @property
    def step(self) -> int:
        """The last committed step of the arm that is furthest."""
        return max(run.step for run in self.runs)


@dataclass(frozen=True)
class Event:
    """A change made while a run trained, in force from before `step`; arm None means all arms."""

    step: int
    kind: EventKind
    arm: int | None
    value: JsonValue

    def concerns(self, arm: int) -> bool:
        """Whether the change was made to that arm."""
        return self.arm is None or self.arm == arm

    @property
    def numbers(self) -> tuple[float, ...]:
        """The value as numbers: one learning rate, or one gate a block."""
        values = self.value if isinstance(self.value, list) else [self.value]
        return tuple(float(value) for value in values if isinstance(value, int | float))
