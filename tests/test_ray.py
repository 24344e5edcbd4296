"""Sweeps on a Ray of this machine: curves, crash, cancel, resume, refusals; the real Ray."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from explorer.raysweeps import RaySweeping
from explorer.raysweeps.connection import Connection
from explorer.spec import RunSpec, SpecError, parse
from explorer.store import Run, Store, StoreError, Sweep
from explorer.training import train

pytest.importorskip("ray")

LONG = "plain-8,width=4,steps=6000"
MIDDLE = "resnet-8,width=4,steps=300"  # some seconds


def until(true: Callable[[], Any], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.02)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch:
        folder = str(tmp_path_factory.mktemp("home"))
        patch.setenv("EXPLORER_HOME", folder)
        yield folder


@pytest.fixture(scope="module")
def sweeping(home: str) -> Iterator[RaySweeping]:
    """Ray with two processes; all that it started is gone afterwards."""
    before = set(psutil.Process().children(recursive=True))
    sweeping = RaySweeping(Store(), max_runs=2)
    started = set(psutil.Process().children(recursive=True)) - before
    try:
        yield sweeping
    finally:
        started |= set(psutil.Process().children(recursive=True)) - before
        sweeping.close()
        _, alive = psutil.wait_procs(started, timeout=20)
        for process in alive:
            process.kill()
    assert alive == []


def now(sweeping: RaySweeping, sweep: Sweep) -> Sweep:
    found = sweeping.cluster.store.sweeps.get(sweep.id)
    assert found is not None
    return found


def ended(sweeping: RaySweeping, sweep: Sweep) -> Sweep:
    until(lambda: now(sweeping, sweep).state != "running", 120)
    return now(sweeping, sweep)


def trained_here(spec: RunSpec) -> dict[str, np.ndarray]:
    """Every reading of every probe, by training it in this process."""
    found: dict[str, list[np.ndarray]] = {}
    for _, reading in train(spec, device="cpu"):
        found.setdefault(reading.probe, []).append(reading.values)
    return {probe: np.stack(values) for probe, values in found.items()}


def assert_same_curves(store: Store, run: Run) -> None:
    alone = trained_here(run.spec)
    assert set(store.probes(run.id)) == set(alone)
    for probe, values in alone.items():
        np.testing.assert_array_equal(store.trace(run.id, probe).values, values, probe)


def processes(sweeping: RaySweeping) -> list[psutil.Process]:
    """Those of Ray's processes that train."""
    children = psutil.Process().children(recursive=True)
    return [p for p in children if "Trainee" in " ".join(p.cmdline())]


def runs(sweep: Sweep) -> list[Run]:
    return [member.run for member in sweep.members if member.run is not None]


def test_members_train_to_the_curves_that_they_have_alone(sweeping: RaySweeping) -> None:
    specs = [parse(f"resnet-8,width=4,steps=12,seed={seed}") for seed in range(3)]
    specs.append(parse("mlp-4,width=8,data=spirals,steps=12"))
    sweep = ended(sweeping, sweeping.start("four", specs))
    store = sweeping.cluster.store
    assert (sweep.state, sweep.message, sweep.unfinished) == ("done", "", ())
    assert [run.state for run in runs(sweep)] == ["done"] * 4
    for run in runs(sweep):
        assert_same_curves(store, run)
        assert run.device == "cpu"
        assert run.versions["torch"]
        assert run.elapsed_s > 0
    points = store.cache_get("points", "spirals")
    assert points is not None
    assert len(points["x"]) == specs[3].data.info.train


def test_what_the_store_has_is_taken_from_there(sweeping: RaySweeping) -> None:
    spec = parse("resnet-8,width=4,steps=5,seed=50")
    first = ended(sweeping, sweeping.start("first", [spec]))
    second = ended(sweeping, sweeping.start("second", [spec]))
    assert [run.id for run in runs(second)] == [run.id for run in runs(first)]
    again = ended(sweeping, sweeping.start("again", [spec], reuse=False))
    assert [run.id for run in runs(again)] != [run.id for run in runs(first)]


def test_a_diverged_run_says_so(sweeping: RaySweeping) -> None:
    spec = parse("plain-20,width=4,norm=none,lr=100,steps=40")
    sweep = ended(sweeping, sweeping.start("wild", [spec]))
    (run,) = runs(sweep)
    assert run.state == "diverged"
    assert "no longer a finite number at step" in run.message
    assert (sweep.state, sweep.message) == ("done", "")


def test_a_killed_process_costs_no_point(
    sweeping: RaySweeping, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its run goes on in another process, from the last checkpoint that came back."""
    monkeypatch.setattr("explorer.raysweeps.member.CHECKPOINT", 0.3)
    specs = [parse(f"{MIDDLE},seed={seed}") for seed in (60, 61)]
    sweep = sweeping.start("killed", specs)
    store = sweeping.cluster.store
    until(lambda: all(m.run and m.run.step > 60 for m in now(sweeping, sweep).members))
    victim = processes(sweeping)[0]
    victim.send_signal(signal.SIGKILL)
    sweep = ended(sweeping, sweep)
    assert (sweep.state, sweep.message) == ("done", "")
    assert sum(sweeping.sweeping.tries[sweep.id, index] for index in (0, 1)) == 1
    for run in runs(sweep):
        assert run.state == "done"
        assert_same_curves(store, run)
    assert capfd.readouterr().out == ""  # Ray's own words would spoil --json


def test_somebody_cancels_in_the_store_and_resume_finishes(sweeping: RaySweeping) -> None:
    specs = [parse(f"{LONG},seed={seed}") for seed in (70, 71, 72)]
    sweep = sweeping.start("cancelled", specs)
    until(lambda: [m.state for m in now(sweeping, sweep).members].count("running") == 2)
    assert [m.state for m in now(sweeping, sweep).members] == ["running", "running", "queued"]
    with pytest.raises(StoreError, match="trained by another program"):
        another_program_resumes(sweep.id)
    until(lambda: all(run.step > 5 for run in runs(now(sweeping, sweep))))
    sweeping.cluster.store.sweeps.update(sweep.id, state="cancelled")
    until(lambda: not sweeping.sweeping.going, 20)
    sweep = now(sweeping, sweep)
    assert [m.state for m in sweep.members] == ["stopped", "stopped", "queued"]
    assert (sweep.state, sweep.members[2].run) == ("cancelled", None)
    stopped_at = runs(sweep)[0].step
    assert checkpoint_of(runs(sweep)[0]) > stopped_at  # nothing that was trained is lost
