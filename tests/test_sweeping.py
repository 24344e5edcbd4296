"""Sweeps on workers of this machine: reuse, crash, cancel, resume; and from the command line."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from explorer.executors import Executor
from explorer.spec import RunSpec, parse
from explorer.store import Store, StoreError, Sweep
from explorer.sweeping import Sweeping
from explorer.training import train

LONG = "plain-8,width=4,steps=6000"


def until(true: Callable[[], bool], seconds: float = 60) -> None:
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
def sweeping(home: str) -> Iterator[Sweeping]:
    store = Store()
    executor = Executor(store, "cpu", max_workers=2, reserve=0)
    yield Sweeping(store, executor)
    executor.shutdown()


def ended(sweeping: Sweeping, sweep: Sweep) -> Sweep:
    until(lambda: sweeping.store.sweeps.state(sweep.id) != "running")
    found = sweeping.store.sweeps.get(sweep.id)
    assert found is not None
    return found


def now(sweeping: Sweeping, sweep: Sweep) -> Sweep:
    found = sweeping.store.sweeps.get(sweep.id)
    assert found is not None
    return found


def losses(spec: RunSpec) -> list[float]:
    return [r.values[0] for _, r in train(spec, device="cpu") if r.probe == "train_loss"]


def test_members_train_to_the_curves_that_they_have_alone(sweeping: Sweeping) -> None:
    specs = [parse(f"resnet-8,width=4,steps=12,seed={seed}") for seed in range(4)]
    sweep = ended(sweeping, sweeping.start("four", specs))
    assert (sweep.state, sweep.message, sweep.unfinished) == ("done", "", ())
    for member in sweep.members:
        assert member.run is not None
        kept = sweeping.store.trace(member.run.id, "train_loss").values[:, 0]
        np.testing.assert_array_equal(kept, losses(member.spec))


def test_two_members_train_at_a_time(sweeping: Sweeping) -> None:
    specs = [parse(f"{LONG},seed={seed}") for seed in (20, 21, 22)]
    sweep = sweeping.start("at once", specs)
    until(lambda: [m.state for m in now(sweeping, sweep).members].count("running") == 2)
    assert [m.state for m in now(sweeping, sweep).members] == ["running", "running", "queued"]
    sweeping.cancel(sweep.id)
    until(lambda: not sweeping.going)


def test_what_the_store_has_is_not_trained_again(sweeping: Sweeping) -> None:
    spec = parse("resnet-8,width=4,steps=7,seed=30")
    first = ended(sweeping, sweeping.start("first", [spec]))
    second = sweeping.start("second", [spec])
    assert second.members[0].run == first.members[0].run
    assert ended(sweeping, second).state == "done"
    fresh = ended(sweeping, sweeping.start("fresh", [spec], reuse=False))
    assert fresh.members[0].run is not None
    assert fresh.members[0].run != first.members[0].run


def test_a_sweep_cancelled_in_the_store_stops_and_goes_on_when_resumed(sweeping: Sweeping) -> None:
    specs = [parse(f"{LONG},seed={seed}") for seed in (40, 41, 42)]
    sweep = sweeping.start("cancelled", specs)
    until(lambda: any(m.run and m.run.step > 5 for m in now(sweeping, sweep).members))
    sweeping.store.sweeps.update(sweep.id, state="cancelled")  # as another program would
    until(lambda: all(m.state in ("stopped", "queued") for m in now(sweeping, sweep).members), 10)
    before = max(m.run.step for m in now(sweeping, sweep).members if m.run)
    sweeping.resume(sweep.id)
    until(lambda: max(m.run.step for m in now(sweeping, sweep).members if m.run) > before)
    assert now(sweeping, sweep).state == "running"
    sweeping.cancel(sweep.id)
    until(lambda: not sweeping.going)
    assert now(sweeping, sweep).state == "cancelled"


def test_a_sweep_resumed_while_it_still_stops_is_trained_to_its_end(sweeping: Sweeping) -> None:
    spec = parse("plain-8,width=4,steps=400,seed=45")
    sweep = sweeping.start("hurried", [spec])
    until(lambda: any(m.run and m.run.step > 5 for m in now(sweeping, sweep).members))
    with sweeping.lock:  # nobody can let go of the run in between
        sweeping.cancel(sweep.id)
        sweeping.resume(sweep.id)
    assert [m.state for m in ended(sweeping, sweep).members] == ["done"]


def test_a_member_whose_worker_is_killed_is_tried_again(sweeping: Sweeping) -> None:
    spec = parse("plain-8,width=4,steps=700,seed=50")
    sweep = sweeping.start("killed", [spec])
    until(lambda: any(m.run and m.run.step > 20 for m in now(sweeping, sweep).members))
    worker = next(w for w in sweeping.executor.pool.workers if w.comparison)
    worker.process.kill()
    done = ended(sweeping, sweep)
    assert [m.state for m in done.members] == ["done"]
    assert done.members[0].run is not None
    kept = sweeping.store.trace(done.members[0].run.id, "train_loss").values[:, 0]
    np.testing.assert_array_equal(kept, losses(spec))


def test_a_visitors_comparison_does_not_wait_for_a_sweep(sweeping: Sweeping) -> None:
    specs = [parse(f"{LONG},seed={seed}") for seed in range(60, 66)]
    sweep = sweeping.start("long", specs)
    until(lambda: [m.state for m in now(sweeping, sweep).members].count("running") == 2)
    mine = sweeping.executor.start([("mine", parse("resnet-8,width=4,steps=5"))])
    until(lambda: (found := sweeping.store.comparison(mine.id)) is not None and found.step == 5)
    assert now(sweeping, sweep).state == "running"
    assert any(m.state == "queued" for m in now(sweeping, sweep).members)
    sweeping.cancel(sweep.id)
    until(lambda: not sweeping.going)


def test_the_end_of_the_program_leaves_what_is_left_to_the_next(home: str) -> None:
    store = Store()
    executor = Executor(store, "cpu", max_workers=2, reserve=0)
    sweeping = Sweeping(store, executor)
    specs = [parse(f"resnet-8,width=4,steps={steps},seed=70") for steps in (5, 6000, 6001, 6)]
    sweep = sweeping.start("left", specs)
    begun = ["done", "running", "running"]
    until(lambda: [m.state for m in now(sweeping, sweep).members][:3] == begun)
    executor.shutdown()
    left = now(sweeping, sweep)
    assert left.state == "interrupted"
    assert left.members[0].state == "done"
    assert left.members[3].run is None
    assert {m.state for m in left.members[1:3]} == {"interrupted"}


def test_a_sweep_whose_program_was_killed_is_interrupted_and_can_be_resumed(
    sweeping: Sweeping,
) -> None:
    store = sweeping.store
    spec = parse("resnet-8,width=4,steps=8,seed=80")
    lost = store.sweeps.add("lost", [spec], "999999:1.00")
    store.mark_orphans(lambda owner: not owner.startswith("999999:"))
    assert now(sweeping, lost).state == "interrupted"
    sweeping.resume(lost.id)
    assert [m.state for m in ended(sweeping, lost).members] == ["done"]


def test_what_another_program_trains_is_not_taken_from_it(sweeping: Sweeping) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        import psutil

        owner = f"{other.pid}:{psutil.Process(other.pid).create_time():.2f}"
        theirs = sweeping.store.sweeps.add("theirs", [parse(LONG)], owner)
        with pytest.raises(StoreError, match="another program"):
            sweeping.resume(theirs.id)
        other.communicate(b"\n")
    with pytest.raises(StoreError, match="'nowhere' is not in the store"):
        sweeping.resume("nowhere")
    with pytest.raises(StoreError, match="'nowhere' is not in the store"):
        sweeping.cancel("nowhere")


def test_from_the_command_line(home: str) -> None:
    command = [sys.executable, "-c", "from explorer.cli import main; main()", "sweep"]
    grid = ["plain-8,width=4,steps=9", "--depths", "8,14", "--shortcuts", "none,zero_pad"]
    result = subprocess.run([*command, *grid, "--seeds", "2", "--json"], capture_output=True)
    assert result.returncode == 0, result.stderr
    runs = json.loads(result.stdout)["runs"]
    assert len(runs) == 8
    assert {run["state"] for run in runs} == {"done"}
    assert {run["steps"] for run in runs} == {9}
    spec = parse(runs[0]["spec"])
    read = [r.values[0] for _, r in train(spec, device="cpu") if r.probe == "train_accuracy"]
    assert runs[0]["train_accuracy"] == pytest.approx(np.mean(read), rel=1e-6)  # under an epoch


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--depths", "9"], "depth: '9' is not allowed"),
        (["--grid", "lr"], "grid: 'lr' is not allowed; write FIELD=VALUES"),
        (["--depths", "8", "--grid", "depth=20"], "depth: '20' is not allowed; it is given twice"),
        (["--executor", "slurm"], "executor: 'slurm' is not allowed; choose local or ray"),
        (["--resume", "nowhere"], "sweep: 'nowhere' is not in the store"),
    ],
)
def test_bad_input_on_the_command_line_is_one_line(
    home: str, arguments: list[str], said: str
) -> None:
    from typer.testing import CliRunner

    from explorer.cli import cli

    result = CliRunner().invoke(cli, ["sweep", *arguments])
    assert result.exit_code in (1, 2)
    assert result.stderr.startswith(said)
    assert result.stderr.count("\n") == 1
