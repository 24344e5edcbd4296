"""The checked form of an exported comparison. Nothing in a file from elsewhere is believed."""

from typing import Annotated, Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator

from explorer.spec import RunSpec, SpecError
from explorer.spec.base import checked
from explorer.store.records import ACTIVE, Event, EventKind, State
from explorer.store.runs import LONGEST_ARM, MOST_ARMS
from explorer.trace import Reading

MOST_STEPS = 10**9

Step = Annotated[int, Field(ge=0, le=MOST_STEPS)]
Moment = Annotated[float, Field(ge=0, lt=253_402_300_800)]  # before the year 10000


class Checked(BaseModel):
    """Base of the record's parts: no unknown fields, finite numbers."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class TraceRecord(Checked):
    """A Trace as lists; what JSON has no number for stands as "NaN", "Infinity", "-Infinity"."""

    model_config = ConfigDict(allow_inf_nan=True)

    probe: str
    sites: list[str]
    unit: str
    log: bool
    steps: list[Step]
    values: list[list[float]]

    @model_validator(mode="after")
    def _regular(self) -> Self:
        if any(a >= b for a, b in zip(self.steps, self.steps[1:], strict=False)):
            raise SpecError("steps", self.steps, "steps rise")
        widths = {len(row) for row in self.values}
        if len(self.values) != len(self.steps) or not widths <= {len(self.sites)}:
            given = f"{len(self.values)} rows of {sorted(widths)}"
            allowed = f"{len(self.steps)} rows of {len(self.sites)} numbers"
            raise SpecError("values", given, allowed)
        return self

    def readings(self) -> list[Reading]:
        """The trace, reading by reading."""
        with np.errstate(over="ignore"):  # beyond float32 is infinite, as it would have been
            arrays = [np.array(row, np.float32) for row in self.values]
        pairs = zip(self.steps, arrays, strict=True)
        return [Reading(self.probe, step, array) for step, array in pairs]


class RunRecord(Checked):
    """A Run with all its traces; `short` is the spec's short form, for people."""

    arm: str = Field(max_length=LONGEST_ARM)
    short: str
    spec: dict[str, JsonValue]
    key: str
    state: State
    step: int = Field(ge=-1, le=MOST_STEPS)
    device: str
    elapsed_s: float = Field(ge=0)
    created: Moment
    updated: Moment
    message: str
    edited: bool
    versions: dict[str, str]
    tags: list[str] = []
    note: str = ""
    traces: list[TraceRecord]

    @model_validator(mode="after")
    def _true(self) -> Self:
        if self.run_spec.key != self.key:
            raise SpecError("key", self.key, f"the spec beside it has {self.run_spec.key}")
        probes = [trace.probe for trace in self.traces]
        if len(set(probes)) < len(probes):
            raise SpecError("traces", probes, "one trace a probe")
        return self

    @property
    def run_spec(self) -> RunSpec:
        """The spec, checked."""
        return checked(RunSpec, self.spec)

    @property
    def unfinished(self) -> bool:
        """Whether it waits to be resumed; its checkpoint stayed where it came from."""
        return self.state in (*ACTIVE, "interrupted")


class EventRecord(Checked):
    """An Event: a learning rate, or a gate for every block."""

    step: Step
    kind: EventKind
    arm: int | None = Field(ge=0, lt=MOST_ARMS)
    value: float | list[float]

    @property
    def event(self) -> Event:
        """The event itself."""
        value: JsonValue = list(self.value) if isinstance(self.value, list) else self.value
        return Event(self.step, self.kind, self.arm, value)


class Record(Checked):
    """A comparison: the whole of what `explorer runs export` writes."""

    format: Literal[1]
    comparison: str
    created: Moment
    runs: list[RunRecord] = Field(min_length=1, max_length=MOST_ARMS)
    events: list[EventRecord]

    @model_validator(mode="after")
    def _replayable(self) -> Self:
        for event in self.events:
            if event.arm is not None and event.arm >= len(self.runs):
                raise SpecError("arm", event.arm, f"there are {len(self.runs)} runs")
            for run in self.runs if event.arm is None else [self.runs[event.arm]]:
                _check_value(event, run.run_spec.network.block_count)
        return self


def _check_value(event: EventRecord, blocks: int) -> None:
    if event.kind == "lr" and isinstance(event.value, list):
        raise SpecError("value", event.value, "a learning rate is a number")
    if event.kind != "lr" and (not isinstance(event.value, list) or len(event.value) != blocks):
        raise SpecError("value", event.value, f"a list of {blocks} gates")
