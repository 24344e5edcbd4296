"""Record the race that ships with the program: `python -m explorer.experiments.record_race`.

It trains on this machine's CPU into the store of EXPLORER_HOME, from which what is finished
already is taken: depths 8 to 110, three seeds, as asked, those that trained worse for longer,
and all with normalised steps.
"""

import gzip
import json
import os
import platform
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from explorer.experiments.doctor import installed
from explorer.experiments.grid import usual
from explorer.experiments.race import DEPTHS, Race, longer, normalized, race_runs
from explorer.experiments.reference import FILE, packed_trace
from explorer.experiments.sweeps import Place, sweep_here, what_is_left
from explorer.race_rule import losers
from explorer.spec import RunSpec
from explorer.store import Member, Store, Sweep

PROBES = ("train_loss", "train_accuracy", "test_accuracy", "activation_gradient")
EVERY = 25  # steps between recorded profiles; curves are recorded whole


def record() -> None:
    """Train what is missing and write the file."""
    race = Race(depths=DEPTHS)
    store = Store()
    asked = _trained("the race as asked", race.specs)
    lost = {(run.kind, run.depth, run.seed) for run in losers(race_runs(asked, store.trace))}
    runs = race_runs(asked, store.trace)
    worse = [
        spec
        for spec, run in zip(race.specs, runs, strict=True)
        if (run.kind, run.depth, run.seed) in lost
    ]
    more = _trained("longer and normalised", (*longer(worse), *normalized(race.specs)))
    grid = _trained("the grid of the Sweeps page", usual())
    today = datetime.now(UTC).date().isoformat()
    machine = f"{platform.machine()}, {os.cpu_count()} cores, torch {installed('torch')}"
    written = {
        "where": f"{today}, {machine}",
        "command": "python -m explorer.experiments.record_race",
        "runs": [_run(store, member) for sweep in (asked, more, grid) for member in sweep.members],
    }
    path = Path(__file__).parents[1] / "recorded" / FILE
    path.write_bytes(gzip.compress(json.dumps(written).encode(), mtime=0))
    print(f"{path}: {path.stat().st_size:,} bytes")


def _run(store: Store, member: Member) -> dict[str, Any]:
    """What is kept of a run: its spec, how it ended, its curves and some profiles."""
    assert member.run is not None
    traces = {probe: store.trace(member.run.id, probe) for probe in PROBES}
    profiles = traces["activation_gradient"]
    chosen = profiles.steps % EVERY == 0
    traces["activation_gradient"] = replace(
        profiles, steps=profiles.steps[chosen], values=profiles.values[chosen]
    )
    return {
        "spec": json.loads(member.spec.json_form),
        "state": member.run.state,
        "elapsed_s": round(member.run.elapsed_s, 2),
        "traces": {probe: packed_trace(trace) for probe, trace in traces.items()},
    }


def _trained(name: str, specs: tuple[RunSpec, ...]) -> Sweep:
    ended = sweep_here(name, specs, Place(device="cpu"))
    left = what_is_left(ended)
    if left:
        raise SystemExit(left)
    return ended


if __name__ == "__main__":
    record()
