"""Traces as an event file that TensorBoard reads.

tensorboardX imports torch if it finds it, which an app's server has no room for; so the
server has the file written by `python -m explorer.exports.tensorboard STORE RUN FOLDER NAME`.
"""

import subprocess
import sys
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from explorer.store import Store
from explorer.trace import Array, Trace

MOST_CURVES = 60  # sites of a probe that get a curve each; more are drawn as a histogram
BINS = 30
PATIENCE_S = 300.0


def tensorboard(
    folder: Path, name: str, traces: Mapping[str, Trace], seconds: Mapping[int, float] | None = None
) -> Path:
    """Write the traces as the run `name` below `folder`; returns the event file.

    A probe of one site is the curve `probe`, one of up to MOST_CURVES sites a curve
    `probe/site` each, one of more a histogram of the finite values. `seconds` has the time of
    a step, in seconds since 1970; without it every step was at time 0.
    """
    events: Any = import_module("tensorboardX.event_file_writer")  # here: it may import torch
    messages: Any = import_module("tensorboardX.proto.event_pb2")
    summaries: Any = import_module("tensorboardX.proto.summary_pb2")
    place = folder / name
    place.mkdir(parents=True, exist_ok=True)
    writer = events.EventsWriter(str(place / "events"))
    for step in sorted({step for trace in traces.values() for step in trace.steps.tolist()}):
        values = [value for trace in traces.values() for value in _values(trace, step)]
        moment = 0.0 if seconds is None else seconds.get(step, 0.0)
        summary = summaries.Summary(value=[summaries.Summary.Value(**value) for value in values])
        writer.write_event(messages.Event(wall_time=moment, step=step, summary=summary))
    writer.close()
    return Path(writer._file_name)


def _values(trace: Trace, step: int) -> Iterator[dict[str, Any]]:
    """What one probe has to say at a step: nothing if it was not read then."""
    place = int(np.searchsorted(trace.steps, step))
    if place == len(trace) or trace.steps[place] != step:
        return
    row = trace.values[place]
    if len(trace.sites) > MOST_CURVES:
        finite = row[np.isfinite(row)]
        if finite.size:
            yield {"tag": trace.probe, "histo": _histogram(finite)}
        return
    for site, value in zip(trace.sites, row.tolist(), strict=True):
        tag = trace.probe if len(trace.sites) == 1 else f"{trace.probe}/{site}"
        yield {"tag": tag, "simple_value": value}


def _histogram(values: Array) -> dict[str, Any]:
    """The values in BINS bins of equal width, as TensorBoard's histogram message."""
    exact = values.astype(np.float64)
    counts, edges = np.histogram(exact, BINS)
    return {
        "min": exact.min(),
        "max": exact.max(),
        "num": exact.size,
        "sum": exact.sum(),
        "sum_squares": exact @ exact,
        "bucket_limit": edges[1:].tolist(),
        "bucket": counts.tolist(),
    }


def written_apart(store: Store, run_id: int, folder: Path, name: str) -> None:
    """Have a process of its own write the run's event file; ValueError if it cannot."""
    command = [sys.executable, "-m", __name__, str(store.path), str(run_id), str(folder), name]
    try:
        subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=True)
    except subprocess.TimeoutExpired:
        raise ValueError(f"tensorboard: no event file after {PATIENCE_S:.0f} s") from None
    except subprocess.CalledProcessError as error:
        said = (error.stderr.strip().splitlines() or ["it gave no reason"])[-1]
        raise ValueError(f"tensorboard: no event file could be written: {said}") from None


def main(path: str, run_id: str, folder: str, name: str) -> None:
    """Write the event file of a run in the store at `path`."""
    sys.modules["torch"] = None  # type: ignore[assignment]  # tensorboardX does without it, sooner
    store = Store(Path(path))
    traces = {probe: store.trace(int(run_id), probe) for probe in store.probes(int(run_id))}
    seconds = {}
    for row in store.table.some([int(run_id)]):  # as if all steps had taken equally long
        each = row.elapsed_s / max(row.step, 1)
        seconds = {step: row.created + each * step for step in range(row.step + 1)}
    tensorboard(Path(folder), name, traces, seconds)
    store.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
