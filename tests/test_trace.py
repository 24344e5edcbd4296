"""Readings gather into traces: by probe, sorted by step, in float32."""

import numpy as np
import pytest

from explorer.trace import Reading, Trace, trace_of


def reading(step: int, *values: float, probe: str = "loss") -> Reading:
    return Reading(probe, step, np.array(values, np.float32))


@pytest.fixture
def trace() -> Trace:
    readings = [
        reading(10, 3, 4),
        reading(0, 1, 2),
        reading(5, 9, probe="other"),
        reading(20, 5, 6),
    ]
    return trace_of(readings, "loss", ("stem", "block 1"), "nats", log=True)


def test_readings_are_sorted_by_step_and_other_probes_left_out(trace: Trace) -> None:
    assert trace.steps.tolist() == [0, 10, 20]
    assert trace.values.tolist() == [[1, 2], [3, 4], [5, 6]]
    assert trace.values.dtype == np.float32
    assert trace.steps.dtype == np.int64
    assert (trace.probe, trace.unit, trace.log, len(trace)) == ("loss", "nats", True, 3)


def test_last_is_the_newest_reading(trace: Trace) -> None:
    assert trace.last.tolist() == [5, 6]


@pytest.mark.parametrize(
    ("step", "read_at"), [(-5, 0), (0, 0), (9, 0), (10, 10), (19, 10), (20, 20), (10**9, 20)]
)
def test_at_is_the_newest_reading_not_after_the_step(trace: Trace, step: int, read_at: int) -> None:
    index = trace.steps.tolist().index(read_at)
    assert trace.at(step).tolist() == trace.values[index].tolist()


def test_a_run_without_readings_has_a_trace_of_length_zero() -> None:
    trace = trace_of([], "loss", ("stem", "block 1"), "nats")
    assert len(trace) == 0
    assert trace.values.shape == (0, 2)


def test_nan_and_infinity_are_kept_as_read() -> None:
    trace = trace_of([reading(0, float("nan"), float("inf"))], "loss", ("a", "b"), "nats")
    assert np.isnan(trace.last[0])
    assert np.isposinf(trace.last[1])
