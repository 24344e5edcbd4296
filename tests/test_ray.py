"""Sweeps on a Ray of this machine: curves, crash, cancel, resume, refusals; the real Ray."""

import contextlib
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import psutil
import pytest

from explorer.raysweeps import RaySweeping
from explorer.spec import RunSpec, SpecError, parse
from explorer.store import Run, Store, Sweep, checkpoints
from explorer.training import train

pytest.importorskip("ray")

LONG = "plain-8,width=4,steps=6000"
MIDDLE = "resnet-8,width=4,steps=600"


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


@pytest.fixture(scope="module")
def mixed(sweeping: RaySweeping) -> Sweep:
    """A sweep that has ended, with runs that end in each way."""
    specs = [parse(f"resnet-8,width=4,steps=12,seed={seed}") for seed in range(4)]
    specs.append(parse("mlp-4,width=8,data=spirals,steps=12"))
    specs.append(parse("plain-20,width=4,norm=none,lr=100,steps=40"))
    specs.append(parse("resnet-8,data=cifar10,steps=5"))
    return ended(sweeping, sweeping.start("mixed", specs))


def test_members_train_to_the_curves_that_they_have_alone(
    sweeping: RaySweeping, mixed: Sweep
) -> None:
    store = sweeping.cluster.store
    assert [run.state for run in runs(mixed)] == ["done"] * 5 + ["diverged", "failed"]
    for run in runs(mixed)[:6]:
        assert_same_curves(store, run)
        assert run.device == "cpu"
        assert run.versions["torch"]
        assert run.elapsed_s > 0
    points = store.cache_get("points", "spirals")
    assert points is not None
    assert len(points["x"]) == mixed.members[4].spec.data.info.train


def test_a_run_that_does_not_come_to_its_end_says_why(mixed: Sweep) -> None:
    diverged, failed = runs(mixed)[5:]
    assert re.search(r"no longer a finite number at step \d+", diverged.message)
    assert "cifar10" in failed.message
    assert "\n" not in failed.message
    assert (mixed.state, mixed.message) == ("done", "1 of 7 runs failed; Resume tries them again")


def test_what_the_store_has_is_taken_from_there(sweeping: RaySweeping, mixed: Sweep) -> None:
    specs = [member.spec for member in mixed.members[:5]]
    again = ended(sweeping, sweeping.start("again", specs))
    assert [run.id for run in runs(again)] == [run.id for run in runs(mixed)[:5]]


def test_a_killed_process_costs_no_point(
    sweeping: RaySweeping, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its run goes on in another process, from the last checkpoint that came back."""
    monkeypatch.setattr("explorer.raysweeps.member.CHECKPOINT", 0.3)
    specs = [parse(f"resnet-8,width=4,steps=300,seed={seed}") for seed in (60, 61)]
    sweep = sweeping.start("killed", specs)
    store = sweeping.cluster.store
    until(lambda: any(m.run and m.run.step > 40 for m in now(sweeping, sweep).members))
    for process in processes(sweeping):
        process.send_signal(signal.SIGKILL)
    sweep = ended(sweeping, sweep)
    assert (sweep.state, sweep.message) == ("done", "")
    assert 1 <= sum(sweeping.sweeping.tries[sweep.id, index] for index in (0, 1)) <= 2
    for run in runs(sweep):
        assert run.state == "done"
        assert_same_curves(store, run)
    assert capfd.readouterr().out == ""  # Ray's own words would spoil --json


def test_somebody_cancels_in_the_store_and_resume_finishes(sweeping: RaySweeping) -> None:
    specs = [parse(f"{MIDDLE},seed={seed}") for seed in (70, 71, 72)]
    sweep = sweeping.start("cancelled", specs)
    until(lambda: [m.state for m in now(sweeping, sweep).members].count("running") == 2)
    assert [m.state for m in now(sweeping, sweep).members] == ["running", "running", "queued"]
    until(lambda: all(run.step > 5 for run in runs(now(sweeping, sweep))))
    store = sweeping.cluster.store
    store.sweeps.update(sweep.id, state="cancelled")
    until(lambda: not sweeping.sweeping.going, 20)
    sweep = now(sweeping, sweep)
    assert [m.state for m in sweep.members] == ["stopped", "stopped", "queued"]
    assert (sweep.state, sweep.members[2].run) == ("cancelled", None)
    for run in runs(sweep):
        assert checkpoints.step_of(run.id) == run.step + 1  # nothing that was trained is lost
    sweeping.resume(sweep.id)
    sweep = ended(sweeping, sweep)
    assert (sweep.state, sweep.message, sweep.unfinished) == ("done", "", ())
    assert_same_curves(store, runs(sweep)[0])


def test_ray_listens_to_this_machine_alone(sweeping: RaySweeping) -> None:
    heard = set()
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            heard |= {c.laddr.ip for c in process.net_connections() if c.status == "LISTEN"}
    assert heard
    assert heard <= {"127.0.0.1", "::ffff:127.0.0.1", "::1"}


@pytest.mark.parametrize(
    ("name", "kind", "message"),
    [
        ("gpus_per_run", "GPU", r"gpus_per_run: '99.0' is not allowed; this machine has \d+ GPUs"),
        ("cpus_per_run", "CPU", r"cpus_per_run: '99.0' is not allowed; this machine has \d+ CPUs"),
    ],
)
def test_what_no_node_has_is_not_waited_for(
    sweeping: RaySweeping, name: str, kind: str, message: str
) -> None:
    sweeping.cluster.connection.require(name, "CPU", 1.0)
    with pytest.raises(SpecError, match=message):
        sweeping.cluster.connection.require(name, kind, 99.0)


def test_a_second_ray_in_one_program_leaves_the_first_alone(sweeping: RaySweeping) -> None:
    with pytest.raises(RuntimeError, match="ray: it cannot be started here"):
        RaySweeping(Store())
    sweeping.cluster.connection.require("cpus_per_run", "CPU", 1.0)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"cpus_per_run": -1.0}, "cpus_per_run: '-1.0' is not allowed; 0 to 1, or a whole number"),
        ({"gpus_per_run": 1.5}, "gpus_per_run: '1.5' is not allowed; 0 to 1, or a whole number"),
        ({"address": "http://a b"}, "address: 'http://a b' is not allowed; write auto, HOST:PORT"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(given: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        RaySweeping(Store(), **given)


def explorer(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from explorer.cli import main; main()", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_a_cluster_that_is_not_there_is_one_line_and_no_json(home: str) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
        start = ("sweep", "resnet-8", "--steps", "2", "--json", "--executor", "ray")
        ended = explorer(*start, "--address", address)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith(f"ray: there is no cluster to join at '{address}'")
    assert ended.stderr.count("\n") == 1


def test_one_line_where_ray_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(RuntimeError) as caught:
        RaySweeping(Store())
    expected = "ray: it is not installed; pip install 'residual-explorer[ray]'"
    assert str(caught.value) == expected
