"""Workers as real processes: quick to start, queued, killed, orphaned, and never left over."""

import io
import json
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import psutil
import pytest
from PIL import Image

from explorer import executors, processes
from explorer.executors import Executor
from explorer.processes import Chore, Worker
from explorer.spec import SpecError, parse
from explorer.store import Comparison, Event, Store, StoreError, owner_alive, this_process
from explorer.training import train
from explorer.worker import Commands, messages

ROOT = Path(__file__).parents[1]
LONG = 100_000
PATIENCE = 60.0  # seconds a test waits for what takes a fraction of one on an idle machine

# A program that owns an Executor, starts the specs given and says which processes it has.
OWNER = """
import sys, time
from explorer.executors import Executor
from explorer.spec import parse
from explorer.store import Store

executor = Executor(Store(), "cpu", 1)
comparison = executor.start([(f"arm {i}", parse(a)) for i, a in enumerate(sys.argv[1:])])
workers = executor.workers
print(comparison.id, *(worker.process.pid for worker in workers), flush=True)
time.sleep(600)
"""

Make = Callable[..., Executor]


def until(condition: Callable[[], Any], within: float = PATIENCE) -> Any:
    """The first true value of `condition`; the test fails if there is none in time."""
    end = time.monotonic() + within
    while not (value := condition()):
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.01)
    return value


@pytest.fixture
def make() -> Iterator[Make]:
    """Makes executors, and ends them after the test."""
    made: list[Executor] = []

    def executor(device: str = "cpu", max_workers: int = 1) -> Executor:
        made.append(Executor(Store(), device, max_workers))
        return made[-1]

    yield executor
    for one in made:
        one.shutdown()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Executor]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EXPLORER_HOME", str(tmp_path_factory.mktemp("shared")))
        executor = Executor(Store(), "cpu", 1)
        until(lambda: executor.quick.worker.was_ready and executor.pool.workers[0].was_ready)
    yield executor
    executor.shutdown()


@pytest.fixture
def kept(shared: Executor, monkeypatch: pytest.MonkeyPatch) -> Executor:
    """One executor, with a store of its own, for all tests that leave it idle."""
    monkeypatch.setenv("EXPLORER_HOME", str(shared.store.path.parent))
    return shared


def arms(steps: int, *, count: int = 2, extra: str = "") -> list[tuple[str, Any]]:
    kinds = ("plain-8", "resnet-8")[-count:]
    return [(k, parse(f"{k},width=4,batch=32,steps={steps}{extra}")) for k in kinds]


def now(executor: Executor, comparison: Comparison) -> Comparison:
    found = executor.store.comparison(comparison.id)
    assert found is not None
    return found


def wait_for(executor: Executor, comparison: Comparison, *states: str) -> Comparison:
    until(lambda: now(executor, comparison).state in states)
    return now(executor, comparison)


def trained(executor: Executor, comparison: Comparison, step: int) -> Comparison:
    until(lambda: now(executor, comparison).step >= step)
    return now(executor, comparison)


def losses(store: Store, comparison: Comparison) -> list[tuple[list[int], list[float]]]:
    traces = [store.trace(run.id, "train_loss") for run in comparison.runs]
    return [(trace.steps.tolist(), trace.values[:, 0].tolist()) for trace in traces]


def unbroken(steps: int) -> list[tuple[list[int], list[float]]]:
    readings = list(train(*(spec for _, spec in arms(steps)), device="cpu"))
    of_loss = [[r for i, r in readings if i == arm and r.probe == "train_loss"] for arm in (0, 1)]
    return [([r.step for r in arm], [float(r.values[0]) for r in arm]) for arm in of_loss]


def idle(executor: Executor) -> bool:
    return all(worker.comparison is None for worker in executor.pool.workers)


def test_a_warm_worker_takes_its_first_step_soon_and_trains_to_the_end(kept: Executor) -> None:
    comparison = kept.start(arms(40))
    assert kept.worker_of(comparison.id) is not None
    assert trained(kept, comparison, 0).state == "running"
    ended = wait_for(kept, comparison, "done")
    assert losses(kept.store, ended) == unbroken(40)
    until(lambda: kept.worker_of(comparison.id) is None)
    assert not kept.command(comparison.id, "pause")


def test_commands_reach_the_run(kept: Executor) -> None:
    comparison = kept.start(arms(LONG), paused=True)
    wait_for(kept, comparison, "paused")
    assert kept.command(comparison.id, "step")
    assert trained(kept, comparison, 0).step == 0
    assert kept.command(comparison.id, "lr", arm=1, value=0.01)
    until(lambda: kept.store.events(comparison.id))
    assert kept.store.events(comparison.id) == [Event(1, "lr", 1, 0.01)]
    assert kept.command(comparison.id, "resume")
    wait_for(kept, comparison, "running")
    trained(kept, comparison, 5)
    assert kept.command(comparison.id, "pause")
    wait_for(kept, comparison, "paused")
    assert kept.command(comparison.id, "stop")
    stopped = wait_for(kept, comparison, "stopped")
    assert all(run.edited == (run.index == 1) for run in stopped.runs)
    kept.resume(comparison.id)  # at once, while the worker may still be busy with the end
    wait_for(kept, comparison, "running")
    kept.command(comparison.id, "stop")
    wait_for(kept, comparison, "stopped")
    until(lambda: idle(kept))


def test_it_measures_while_it_trains(kept: Executor) -> None:
    comparison = kept.start(arms(LONG))
    trained(kept, comparison, 1)
    flows = kept.measure([spec for _, spec in arms(1)], seeds=2).result(PATIENCE)
    assert [flow["seeds"] for flow in flows] == [2, 2]
    assert [flow["sites"] for flow in flows] == [["stem", "block 1", "block 2", "block 3"]] * 2
    assert now(kept, comparison).state == "running"
    refused = kept.measure([parse("resnet-8,data=mnist")])
    with pytest.raises(ValueError, match=r"^mnist is not on this machine"):
        refused.result(PATIENCE)
    specs = [parse(f"resnet-8,width=4,seed={seed}") for seed in range(12)]
    with ThreadPoolExecutor(4) as threads:  # questions of several visitors at once
        answers = [
            future.result(PATIENCE) for future in threads.map(lambda s: kept.measure([s]), specs)
        ]
    assert [answer[0]["key"] for answer in answers] == [spec.key for spec in specs]
    assert not kept.measuring
    kept.command(comparison.id, "stop")
    wait_for(kept, comparison, "stopped")
    until(lambda: idle(kept))


def test_others_wait_in_a_bounded_queue(kept: Executor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executors, "QUEUE", 2)
    first, second, third = (kept.start(arms(LONG, count=1), paused=n == 1) for n in range(3))
    places = [kept.queue_position(one.id) for one in (first, second, third)]
    assert places == [0, 1, 2]
    with pytest.raises(SpecError, match=r"^queue: '2 waiting' is not allowed; at most 2 wait"):
        kept.start(arms(LONG))
    assert len(kept.store.comparisons()) == len({c.id for c in kept.store.comparisons()})
    assert kept.command(second.id, "stop")
    assert now(kept, second).state == "stopped"
    assert kept.paused == set()
    assert kept.queue_position(third.id) == 1
    kept.resume(third.id)  # it waits already
    assert kept.waiting == [third.id]
    kept.command(first.id, "stop")
    trained(kept, third, 1)
    assert now(kept, first).state == "stopped"
    assert kept.queue_position(third.id) == 0
    kept.resume(second.id)
    assert now(kept, second).state == "queued"
    kept.command(third.id, "stop")
    trained(kept, second, 1)  # and not paused, as it was when it was first put into the queue
    kept.command(second.id, "stop")
    wait_for(kept, second, "stopped")
    until(lambda: idle(kept))


def test_a_deleted_comparison_in_the_queue_stops_nobody(kept: Executor) -> None:
    first, second, third = (kept.start(arms(200, count=1)) for _ in range(3))
    kept.store.delete(second.id)
    wait_for(kept, third, "done")
    assert now(kept, first).state == "done"
    until(lambda: idle(kept))
    with pytest.raises(StoreError, match=r"^comparison: '\w+' is not in the store$"):
        kept.resume(second.id)


def test_a_disk_that_takes_no_checkpoint_fails_one_run_and_no_more(kept: Executor) -> None:
    folder = kept.store.path.parent / "checkpoints"
    aside = folder.rename(folder.with_name("aside"))
    folder.write_text("in the way")
    try:
        failed = wait_for(kept, kept.start(arms(20)), "failed")
    finally:
        folder.unlink()
        aside.rename(folder)
    for run in failed.runs:
        assert run.message.startswith("the checkpoint of plain-8 cannot be written: ")
        assert "\n" not in run.message
        assert run.step == 20
    until(lambda: idle(kept))
    kept.resume(failed.id)
    assert losses(kept.store, wait_for(kept, failed, "done")) == unbroken(20)
    until(lambda: idle(kept))


def test_a_killed_worker_leaves_every_committed_step_and_the_run_goes_on(kept: Executor) -> None:
    comparison = kept.start(arms(150))
    trained(kept, comparison, 40)
    worker = kept.worker_of(comparison.id)
    assert worker is not None
    worker.process.send_signal(signal.SIGKILL)
    killed = time.monotonic()
    ended = wait_for(kept, comparison, "interrupted")
    assert time.monotonic() - killed < 2
    assert {run.message for run in ended.runs} == {
        "the worker process ended unexpectedly (signal 9); Resume goes on from the last checkpoint"
    }
    for (steps, values), (_, whole) in zip(losses(kept.store, ended), unbroken(150), strict=True):
        assert steps == list(range(len(steps)))
        assert len(steps) > 40
        assert values == whole[: len(steps)]
    assert kept.trouble == ""
    kept.resume(comparison.id)
    assert losses(kept.store, wait_for(kept, comparison, "done")) == unbroken(150)
    until(lambda: idle(kept))


def test_a_killed_measurer_is_replaced(kept: Executor) -> None:
    first = kept.quick.worker
    slow = kept.measure([parse("resnet-200,width=16")], seeds=50)
    first.process.kill()
    with pytest.raises(ValueError, match=r"^the measuring process ended \(signal 9\)$"):
        slow.result(PATIENCE)
    until(lambda: kept.quick.worker is not first)
    assert len(kept.measure([parse("resnet-8,width=4")]).result(PATIENCE)) == 1


def test_no_worker_survives_a_killed_program_and_its_run_goes_on(kept: Executor) -> None:
    specs = [f"{name},width=4,batch=32,steps=150" for name in ("plain-8", "resnet-8")]
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, *specs], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert owner.stdout is not None
    name, *pids = owner.stdout.readline().split()
    workers = [psutil.Process(int(pid)) for pid in pids]
    comparison = kept.store.comparison(name)
    assert comparison is not None
    trained(kept, comparison, 20)
    assert kept.store.mark_orphans(owner_alive) == []
    with pytest.raises(StoreError, match=rf"by another program \(process {owner.pid}\)"):
        kept.resume(name)
    assert not kept.command(name, "stop")
    owner.kill()
    owner.wait()
    owner.stdout.close()
    _, alive = psutil.wait_procs(workers, timeout=5)
    assert alive == []
    kept.store.mark_orphans(owner_alive)
    ended = now(kept, comparison)
    assert {run.state for run in ended.runs} == {"interrupted"}
    assert all("the program that ran it ended" in run.message for run in ended.runs)
    kept.resume(name)
    assert kept.store.owner(name) == this_process()
    assert losses(kept.store, wait_for(kept, comparison, "done")) == unbroken(150)
    until(lambda: idle(kept))


def test_a_new_program_goes_on_with_another_ones_run_and_shutdown_leaves_no_process(
    kept: Executor, make: Make
) -> None:
    left = kept.store.add_comparison(arms(10), "999999999:1.00")
    for run in left.runs:
        kept.store.update(run.id, state="running")
    executor = make()
    assert {run.state for run in now(executor, left).runs} == {"interrupted"}
    executor.resume(left.id)
    here = kept.start(arms(10))  # two programs share the store
    assert losses(kept.store, wait_for(executor, left, "done")) == unbroken(10)
    assert losses(executor.store, wait_for(executor, here, "done")) == unbroken(10)
    running, waiting = executor.start(arms(150)), executor.start(arms(150))
    trained(executor, running, 10)
    workers = executor.workers
    executor.shutdown()
    ends = {worker.process.returncode for worker in workers}
    assert ends == {0}  # in order: not killed, nor ended by themselves when the grace was over
    assert {run.state for run in now(executor, running).runs} == {"interrupted"}
    messages = {run.message for run in now(executor, waiting).runs}
    assert messages == {"the app ended before it was its turn"}
    executor.shutdown()  # a second time does nothing
    with pytest.raises(ValueError, match="ended"):
        executor.measure([parse("resnet-8")]).result(PATIENCE)
    kept.resume(running.id)
    assert losses(kept.store, wait_for(kept, running, "done")) == unbroken(150)
    until(lambda: idle(kept))


def start_worker(device: str = "cpu") -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "explorer.worker", device]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, cwd=ROOT)


def test_a_worker_whose_input_closes_checkpoints_and_ends() -> None:
    store = Store()
    comparison = store.add_comparison(arms(LONG), this_process())
    worker = start_worker()
    assert worker.stdin is not None
    command = {"do": "start", "comparison": comparison.id, "paused": False}
    worker.stdin.write(json.dumps(command) + '\n{"do": "pau')  # and is killed while it writes
    worker.stdin.flush()
    until(lambda: store.last_step(comparison.runs[0].id) > 5)
    out, err = worker.communicate(timeout=5)
    assert worker.returncode == 0
    assert [json.loads(line)["event"] for line in out.splitlines()] == ["ready", "idle"]
    assert err == ""
    ended = store.comparison(comparison.id)
    assert ended is not None
    assert {(run.state, run.message) for run in ended.runs} == {
        ("interrupted", "the program that ran it ended")
    }
    assert len(list((store.path.parent / "checkpoints").glob("*.safetensors"))) == 2


def test_half_a_line_ends_the_messages_and_the_end_is_said_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("explorer.worker.threading.Timer", Mock())  # it would end this process
    half = io.StringIO('{"do": "pause"}\n{"do": "st')
    assert list(messages(half)) == [{"do": "pause"}]
    commands = Commands(io.StringIO('{"do": "pause"}\n'))
    assert [commands.take(block=True), commands.wait()] == [{"do": "pause"}, {"do": "end"}]
    assert commands.wait() == commands.wait() == {"do": "end"}
    assert commands.take() is None


def test_a_device_that_is_not_there_is_one_line_and_no_loop(make: Make) -> None:
    before = set(psutil.Process().children())
    executor = make("nonsense")
    comparison = executor.start(arms(10))
    ended = wait_for(executor, comparison, "failed")
    line = executor.trouble
    assert line.startswith("no worker can be started (device: 'nonsense' is not here; choose auto")
    assert "\n" not in line
    assert {run.message for run in ended.runs} == {line}
    until(lambda: executor.quick.worker.process.poll() is not None)
    with pytest.raises(ValueError, match=r"^no worker can be started|^the measuring process ended"):
        executor.measure([parse("resnet-8")]).result(PATIENCE)
    time.sleep(0.3)
    assert executor.pool.workers == []
    assert set(psutil.Process().children()) <= before
    assert "Traceback" not in (executor.store.path.parent / "worker.log").read_text()


def test_a_worker_killed_before_it_was_ready_is_tried_again_when_asked(make: Make) -> None:
    executor = make()
    for worker in executor.workers:
        worker.process.kill()
    until(lambda: executor.trouble and not executor.pool.workers)
    assert executor.trouble.startswith("no worker can be started (signal 9); see ")
    comparison = executor.start(arms(10))
    wait_for(executor, comparison, "done")
    assert executor.trouble == ""
    assert len(executor.measure([parse("resnet-8,width=4")]).result(PATIENCE)) == 1


def dead_worker() -> Worker:
    worker = Worker("cpu", lambda *_: None)
    worker.process.kill()
    worker.wait()
    return worker


def test_a_log_that_cannot_be_written_does_not_matter(home: Path) -> None:
    (home / "worker.log").mkdir(parents=True)
    dead_worker()


def test_a_log_starts_anew_when_it_is_large(home: Path) -> None:
    home.mkdir()
    log = home / "worker.log"
    log.write_bytes(b"x" * (processes.LARGEST_LOG + 1))
    dead_worker()
    assert log.stat().st_size < processes.LARGEST_LOG


def chore(**command: Any) -> tuple[Chore, list[str]]:
    ends: list[str] = []
    started = Chore(lambda: ends.append("end"), **command)
    return started, ends


def over(started: Chore, ends: list[str]) -> None:
    until(lambda: ends)
    started.worker.wait()
    assert ends == ["end"]
    assert started.ended
    assert "\n" not in started.error


def pictures(classes: int) -> bytes:
    """A zip of ten small pictures in each of some folders."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for label in range(classes):
            for number in range(10):
                picture = io.BytesIO()
                level = np.full((8, 8, 3), 25 * number + label, np.uint8)
                Image.fromarray(level).save(picture, "PNG")
                archive.writestr(f"pictures/class{label}/{number}.png", picture.getvalue())
    return buffer.getvalue()


def test_a_zip_of_pictures_is_added_by_a_process_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "upload.zip").write_bytes(pictures(2))
    started, ends = chore(chore="add_zip", folder=str(tmp_path), name="mine", files=[])
    over(started, ends)
    assert started.error == ""
    assert started.result.startswith("own:mine-")
    assert parse(f"resnet-8,data={started.result},batch=4").network.classes == 2


def test_a_zip_of_nothing_is_refused_with_one_line(tmp_path: Path) -> None:
    (tmp_path / "upload.zip").write_bytes(b"no zip at all")
    started, ends = chore(chore="add_zip", folder=str(tmp_path), name="mine", files=[])
    over(started, ends)
    assert started.result == ""
    assert "zip" in started.error


def test_a_download_without_a_network_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    for scheme in ("http", "https"):
        monkeypatch.setenv(f"{scheme}_proxy", "http://127.0.0.1:9")
        monkeypatch.setenv(f"{scheme.upper()}_PROXY", "http://127.0.0.1:9")
    started, ends = chore(chore="download", name="mnist")
    over(started, ends)
    assert started.result == ""
    assert started.error.startswith("mnist")


def test_a_chore_can_be_cancelled() -> None:
    started, ends = chore(chore="download", name="mnist")
    started.cancel()
    over(started, ends)
    assert started.error == "cancelled"


def test_closing_the_pipe_of_a_dead_worker_is_no_error() -> None:
    worker = dead_worker()
    assert not worker.send(do="pause")
    worker.hang_up()
    worker.wait()
