"""A session trains what `train` would, bit for bit, whatever interrupts or changes it."""

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch

from explorer import checkpoint, session
from explorer.probes import PROBES
from explorer.session import Session, run_session
from explorer.spec import parse
from explorer.store import Comparison, Event, Store, StoreError, this_process
from explorer.trace import trace_of
from explorer.training import Lockstep, Trainer, train

CPU = torch.device("cpu")
STEPS = 30
ARMS = ("plain-8,width=4,steps=30,batch=32", "resnet-8,width=4,steps=30,batch=32")
Command = dict[str, Any]


class Script:
    """An inbox that gives commands at steps: `at[step]` are those that come before it."""

    def __init__(self, at: dict[int, Sequence[Command]] | None = None) -> None:
        self.waiting = {step: list(commands) for step, commands in (at or {}).items()}
        self.session: Session | None = None
        self.seen: list[tuple[str, int]] = []  # (state of the store, step) whenever it paused

    def take(self, block: bool = False) -> Command | None:
        assert self.session is not None
        step = self.session.lockstep.step
        if block:
            self.seen.append((found(self.session).state, step))
        commands = self.waiting.get(step, [])
        if not commands and block:
            raise AssertionError(f"nothing would ever wake it at step {step}")
        return commands.pop(0) if commands else None


class Pauses(Script):
    """As Script, but `while_paused` are given one at a time, only when the session waits."""

    def __init__(self, at: dict[int, Sequence[Command]], while_paused: Sequence[Command]) -> None:
        super().__init__(at)
        self.later = list(while_paused)

    def take(self, block: bool = False) -> Command | None:
        assert self.session is not None
        if block:
            self.seen.append((found(self.session).state, self.session.lockstep.step))
            return self.later.pop(0)
        return super().take()


def add(*specs: str) -> Comparison:
    arms = [(f"arm {number}", parse(spec)) for number, spec in enumerate(specs)]
    return Store().add_comparison(arms, this_process())


def run(comparison: Comparison, inbox: Script | None = None, paused: bool = False) -> Comparison:
    inbox = inbox or Script()
    inbox.session = Session(comparison.id, CPU, inbox, paused)
    inbox.session.run()
    return found(inbox.session)


def found(of: Session) -> Comparison:
    comparison = of.store.comparison(of.comparison.id)
    assert comparison is not None
    return comparison


def expected(*specs: str) -> list[dict[str, Any]]:
    """What `train` reads, an array of (step, values) a probe and arm."""
    runs = [parse(spec) for spec in specs]
    readings = list(train(*runs, device="cpu"))
    traces: list[dict[str, Any]] = []
    for arm, spec in enumerate(runs):
        sites = {name: p.sites(Trainer(spec, CPU).network) for name, p in PROBES.items()}
        own = [reading for index, reading in readings if index == arm]
        made = {name: trace_of(own, name, sites[name], "") for name in sites if sites[name]}
        traces.append({name: (t.steps, t.values) for name, t in made.items()})
    return traces


def stored(comparison: Comparison) -> list[dict[str, Any]]:
    store = Store()
    traces = [
        {name: store.trace(run.id, name) for name in store.probes(run.id)}
        for run in comparison.runs
    ]
    return [{name: (t.steps, t.values) for name, t in arm.items()} for arm in traces]


def assert_same(one: list[dict[str, Any]], other: list[dict[str, Any]]) -> None:
    """Bit for bit, NaN equal to NaN."""
    assert len(one) == len(other)
    for mine, theirs in zip(one, other, strict=True):
        assert mine.keys() == theirs.keys()
        for probe, (steps, values) in mine.items():
            np.testing.assert_array_equal(steps, theirs[probe][0], err_msg=probe)
            np.testing.assert_array_equal(values, theirs[probe][1], err_msg=probe)


def do(kind: str, **details: Any) -> Command:
    return {"do": kind, **details}


@pytest.fixture
def many_commits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A transaction at every step, a checkpoint at none."""
    monkeypatch.setattr(session, "COMMIT", 0.0)


def test_the_store_holds_what_train_reads_bit_for_bit() -> None:
    ended = run(add(*ARMS))
    assert [(r.state, r.step, r.message, r.edited) for r in ended.runs] == [
        ("done", 30, "", False)
    ] * 2
    assert {r.device for r in ended.runs} == {"cpu"}
    assert {r.versions["torch"] for r in ended.runs} == {torch.__version__}
    assert_same(stored(ended), expected(*ARMS))


def test_a_done_comparison_has_its_last_checkpoint_and_is_not_trained_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ended = run(add(*ARMS))
    trainer = Trainer(ended.runs[1].spec, CPU)
    assert checkpoint.restore(trainer, ended.runs[1].id)
    assert trainer.step == STEPS
    monkeypatch.setattr(Lockstep, "advance", lambda *_: pytest.fail("trained again"))
    again = run(ended)
    assert [r.state for r in again.runs] == ["done", "done"]
    assert [r.elapsed_s for r in again.runs] == [r.elapsed_s for r in ended.runs]


def test_points_of_planes_are_left_for_the_app() -> None:
    run(add("mlp-8,width=8,data=moons,steps=2"))
    points = Store().cache_get("points", "moons")
    assert points is not None
    assert np.shape(points["x"]) == (600, 2)
    assert set(points["y"]) == {0, 1}


def test_pause_step_and_resume_give_the_unbroken_curve() -> None:
    steps = [do("step"), do("step"), do("resume")]
    inbox = Pauses({7: [do("pause")]}, steps)
    ended = run(add(*ARMS), inbox)
    assert inbox.seen == [("paused", 7), ("paused", 8), ("paused", 9)]
    assert ended.state == "done"
    wanted = expected(*ARMS)
    for mine, theirs in zip(stored(ended), wanted, strict=True):
        for probe, (at, values) in theirs.items():
            kept = np.isin(mine[probe][0], at)
            np.testing.assert_array_equal(mine[probe][1][kept], values, err_msg=probe)


def test_a_single_step_measures_everything() -> None:
    inbox = Pauses({}, [do("step"), do("step"), do("stop")])
    ended = run(add(*ARMS), inbox, paused=True)
    assert inbox.seen == [("paused", 0), ("paused", 1), ("paused", 2)]
    assert [r.state for r in ended.runs] == ["stopped", "stopped"]
    for arm in stored(ended):
        assert {probe: list(steps) for probe, (steps, _) in arm.items()} == {
            probe: [0, 1] for probe in arm
        }


def test_step_while_running_takes_one_more_and_waits() -> None:
    inbox = Pauses({5: [do("step")]}, [do("stop")])
    ended = run(add(*ARMS), inbox)
    assert inbox.seen == [("paused", 6)]
    assert [r.state for r in ended.runs] == ["stopped", "stopped"]


def test_starting_paused_takes_no_step() -> None:
    ended = run(add(*ARMS), Pauses({}, [do("stop")]), paused=True)
    assert [(r.state, r.step) for r in ended.runs] == [("stopped", -1)] * 2
    assert all(len(steps) == 0 for arm in stored(ended) for steps, _ in arm.values())


@pytest.mark.parametrize(
    ("command", "state", "message"),
    [("stop", "stopped", ""), ("end", "interrupted", "the program that ran it ended")],
)
def test_stopped_and_resumed_is_the_unbroken_curve(command: str, state: str, message: str) -> None:
    comparison = add(*ARMS)
    halfway = run(comparison, Script({13: [do(command)]}))
    assert {(r.state, r.message, r.step) for r in halfway.runs} == {(state, message, 12)}
    ended = run(comparison)
    assert {(r.state, r.message, r.step) for r in ended.runs} == {("done", "", 30)}
    assert_same(stored(ended), expected(*ARMS))


CHANGES = {
    4: [do("lr", value=0.02), do("lr", arm=1, value=0.01)],
    9: [do("skip", arm=1, value=[1.0, 0.0, 1.0])],
    17: [do("residual", value=[0.5, 1.0, 1.0])],
}


def test_changes_are_recorded_and_matter() -> None:
    ended = run(add(*ARMS), Script(CHANGES))
    assert Store().events(ended.id) == [
        Event(4, "lr", None, 0.02),
        Event(4, "lr", 1, 0.01),
        Event(9, "skip", 1, [1.0, 0.0, 1.0]),
        Event(17, "residual", None, [0.5, 1.0, 1.0]),
    ]
    assert all(r.edited for r in ended.runs)
    changed, plain = stored(ended)[1]["train_loss"][1], expected(*ARMS)[1]["train_loss"][1]
    np.testing.assert_array_equal(changed[:5], plain[:5])
    assert (changed[6:] != plain[6:]).all()


def test_changes_are_replayed_when_it_goes_on_from_an_earlier_checkpoint(
    many_commits: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    unbroken = stored(run(add(*ARMS), Script(CHANGES)))
    comparison = add(*ARMS)
    with monkeypatch.context() as patch:  # as if it was killed: no word and no checkpoint after 6
        patch.setattr(Session, "_close", lambda self: None)
        halfway = run(
            comparison, Pauses({6: [do("pause")], 20: [do("stop")], **CHANGES}, [do("resume")])
        )
    assert [(r.state, r.step) for r in halfway.runs] == [("running", 19)] * 2
    ended = run(comparison)
    assert len(Store().events(comparison.id)) == 4
    assert_same(stored(ended), unbroken)


def test_a_change_while_arms_are_level_again_has_one_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kill between two checkpoint files leaves one arm behind the other."""
    comparison = add(*ARMS)
    run(comparison, Script({5: [do("stop")]}))
    with monkeypatch.context() as patch:
        kept = checkpoint.save
        first = comparison.runs[0].id
        patch.setattr(checkpoint, "save", lambda t, i: None if i == first else kept(t, i))
        run(comparison, Script({10: [do("stop")]}))
    ended = run(comparison, Script({5: [do("lr", value=0.01)]}))
    assert Store().events(ended.id) == [Event(10, "lr", None, 0.01)]
    assert_same(stored(ended), stored(run(add(*ARMS), Script({10: [do("lr", value=0.01)]}))))


@pytest.mark.parametrize(
    ("command", "line"),
    [
        (do("lr", value=1e9), "lr: '1000000000.0' is not allowed; input should be less than"),
        (do("lr", value=float("nan")), "lr: 'nan' is not allowed; input should be"),
        (do("skip", arm=1, value=[0.0]), "skip: '[0.0]' is not allowed; a list of 3 gates"),
        (do("residual", value=[99.0] * 3), "residual: '99.0' is not allowed; input should be less"),
    ],
)
def test_an_impossible_change_is_one_line_and_no_change(
    command: Command, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    ended = run(add(*ARMS), Script({3: [command]}))
    said = capsys.readouterr().err
    assert said.startswith(line)
    assert said.count("\n") == 1
    assert [r.state for r in ended.runs] == ["done", "done"]
    assert Store().events(ended.id) == []


def test_cutting_all_skips_leaves_the_plain_arm_as_it_is() -> None:
    ended = run(add(*ARMS), Script({0: [do("skip", value=[0.0] * 3)]}))
    plain, residual = (arm["train_loss"][1] for arm in stored(ended))
    np.testing.assert_array_equal(plain, expected(*ARMS)[0]["train_loss"][1])
    np.testing.assert_array_equal(plain, residual)  # twins once the skips are cut


def test_a_diverged_arm_says_where_and_the_other_goes_on(many_commits: None) -> None:
    wild = "plain-8,width=4,steps=20,batch=32,norm=none,lr=100,warmup=0,branch_scale=10"
    calm = "resnet-8,width=4,steps=20,batch=32"
    seen: list[str] = []

    class Looking(Script):
        def take(self, block: bool = False) -> Command | None:
            assert self.session is not None
            seen.append(found(self.session).runs[0].state)
            return None

    ended = run(add(wild, calm), Looking())
    diverged, done = ended.runs
    assert (diverged.state, done.state) == ("diverged", "done")
    steps, losses = stored(ended)[0]["train_loss"]
    assert not np.isfinite(losses[-1]).all()
    assert np.isfinite(losses[:-1]).all()
    assert f"no longer a finite number at step {steps[-1]}:" in diverged.message
    assert "\n" not in diverged.message
    assert (done.step, done.message) == (20, "")
    assert "diverged" in seen  # the store knew at once, not only at the end
    again = run(ended)
    assert (again.runs[0].state, again.runs[0].message) == ("diverged", diverged.message)


def test_only_training_time_counts_as_elapsed() -> None:
    class Slow(Pauses):
        def take(self, block: bool = False) -> Command | None:
            if block:
                time.sleep(0.5)
            return super().take(block)

    started = time.monotonic()
    ended = run(add(*ARMS), Slow({0: [do("pause")], 15: [do("pause")]}, [do("resume")] * 2))
    whole = time.monotonic() - started
    assert all(0 < r.elapsed_s <= whole - 1.0 for r in ended.runs)


def assert_one_line(line: str, start: str) -> None:
    assert line.startswith(start), line
    assert "\n" not in line
    assert "Traceback" not in line


def test_missing_data_fails_with_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    ended = run(add("resnet-8,width=4,steps=2", "resnet-8,width=4,steps=2,data=cifar10"))
    assert [r.state for r in ended.runs] == ["failed", "failed"]
    assert_one_line(ended.runs[1].message, "cifar10 is not on this machine")
    assert capsys.readouterr().err == ""


def test_an_unknown_comparison_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    run_session("nothere0", CPU, Script())
    said = capsys.readouterr()
    assert said.err == "comparison: 'nothere0' is not in the store\n"
    assert said.out == ""


@pytest.mark.parametrize("error", [RuntimeError("CUDA out of memory.\nTried"), OSError(28, "full")])
def test_what_training_dies_of_is_said(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def advance(self: Lockstep, everything: bool = False) -> Any:
        raise error

    monkeypatch.setattr(Lockstep, "advance", advance)
    ended = run(add(*ARMS))
    assert {r.state for r in ended.runs} == {"failed"}
    assert {r.message for r in ended.runs} == {str(error).splitlines()[0]}


def test_a_disk_that_takes_no_checkpoint_fails_the_run_and_keeps_its_steps(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def save(*args: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "save", save)
    ended = run(add(*ARMS), Script({9: [do("stop")]}))
    assert {r.state for r in ended.runs} == {"failed"}
    assert_one_line(ended.runs[0].message, "the checkpoint of arm 0 cannot be written: ")
    assert ended.step == 8


def test_a_full_store_says_one_line_and_keeps_committed_steps(
    many_commits: None, capsys: pytest.CaptureFixture[str]
) -> None:
    class Filling(Script):
        def take(self, block: bool = False) -> Command | None:
            assert self.session is not None
            if self.session.lockstep.step == 10:
                connection = self.session.store._database.connection
                pages = connection.execute("PRAGMA page_count").fetchone()[0]
                connection.execute(f"PRAGMA max_page_count = {pages}")
            return None

    comparison = add(*(spec.replace("steps=30", "steps=4000") for spec in ARMS))
    ended = run(comparison, Filling())
    assert ended.step >= 9
    line = next(iter({r.message for r in ended.runs} - {""}), capsys.readouterr().err.strip())
    assert_one_line(line, "the disk is full (")
    assert ended.state in ("failed", "running")  # as far as the store still took it
    steps = stored(ended)[0]["train_loss"][0]
    np.testing.assert_array_equal(steps, np.arange(ended.runs[0].step + 1))


def test_a_run_deleted_while_it_trains_ends_with_one_line(
    many_commits: None, capsys: pytest.CaptureFixture[str]
) -> None:
    class Deleting(Script):
        def take(self, block: bool = False) -> Command | None:
            assert self.session is not None
            if self.session.lockstep.step == 3:
                Store().delete(self.session.comparison.id)
            return None

    comparison = add(*ARMS)
    inbox = Deleting()
    inbox.session = Session(comparison.id, CPU, inbox)
    inbox.session.run()
    assert Store().comparison(comparison.id) is None
    assert_one_line(capsys.readouterr().err.strip(), "run: ")


def test_a_session_of_nothing_is_an_error() -> None:
    with pytest.raises(StoreError, match=r"^comparison: 'nothere0' is not in the store$"):
        Session("nothere0", CPU, Script())
