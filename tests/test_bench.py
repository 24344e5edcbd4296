"""The bench: how ratios are taken, and that every group yields rows; nothing is timed here."""

import importlib
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from stand_in import StandIn
from typer.testing import CliRunner

from explorer import bench
from explorer.bench import _lab, hooks, live, paint, toggling
from explorer.cli import cli
from explorer.data import load
from explorer.data.order import BatchOrder
from explorer.experiments.arms import DEFAULT
from explorer.network import build
from explorer.spec import NetworkSpec, SpecError, parse
from explorer.store import Store
from explorer.training import Trainer
from explorer.ui.lab import Lab

SMALL = "resnet-8,width=4,lr=0.01,steps=1000"
SIZES = {"STEPS": 1, "PAIRS": 1, "DEPTHS": (8,), "SPEC": SMALL, "TOGGLES": 3, "STARTS": 2}


class Clock:
    """Time that passes only when somebody says so."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, module: ModuleType) -> None:
        self.now = 0.0
        monkeypatch.setattr(module, "perf_counter", lambda: self.now)

    def takes(self, seconds: list[float]) -> Callable[[], None]:
        """A call that takes these times in turn."""
        times = iter(seconds)

        def call() -> None:
            self.now += next(times)

        return call


@contextmanager
def inside(value: Any = None) -> Iterator[Any]:
    """A context that has `value` and does nothing."""
    yield value


@pytest.fixture
def executor(monkeypatch: pytest.MonkeyPatch) -> StandIn:
    """Stands in for all workers of the bench."""
    stand_in = StandIn(Store())
    lab = Lab(stand_in.store, stand_in)  # type: ignore[arg-type]
    for name in bench.groups():
        module = importlib.import_module(f"explorer.bench.{name}")
        for what, value in (("own_lab", lab), ("own_app", None), ("own_browser", None)):
            if hasattr(module, what):
                monkeypatch.setattr(module, what, lambda value=value: inside(value))
    return stand_in


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch, executor: StandIn) -> None:
    """Every group at its smallest, its measurements replaced by figures."""
    numbers = count(1)

    def figure(*_: object) -> float:
        return next(numbers) / 8

    for name in bench.groups():
        module = importlib.import_module(f"explorer.bench.{name}")
        for size, value in SIZES.items():
            if hasattr(module, size):
                monkeypatch.setattr(module, size, value)
        for measured in ("ratio", "paired", "seconds"):
            if hasattr(module, measured):
                monkeypatch.setattr(module, measured, figure)
    small = NetworkSpec(depth=8, width=4)
    monkeypatch.setattr("explorer.bench.deep_profile.SPEC", small)
    monkeypatch.setattr("explorer.bench.deep_memory.taken", figure)
    monkeypatch.setattr("explorer.bench.first_point.start", lambda *_: (figure(), figure()))
    monkeypatch.setattr("explorer.bench.live.Training", FakeTraining)
    monkeypatch.setattr("explorer.bench.live.wait_until", lambda *_: None)
    monkeypatch.setattr("explorer.bench.live.view_url", lambda *_: "/live/view")
    monkeypatch.setattr("explorer.bench.racing.Training", FakeTraining)
    monkeypatch.setattr("explorer.bench.racing.race_url", lambda *_: "/live/race")
    monkeypatch.setattr("explorer.bench.looking.served", lambda app: [figure(), figure()])
    monkeypatch.setattr("explorer.bench.sweeping.two_workers", lambda store: inside())
    monkeypatch.setattr("explorer.bench.sweeping.TwoThreads", FakeProcess)


class FakeTraining:
    """Trains nothing, at a known speed."""

    def __init__(self, lab: Lab) -> None:
        self.choice = None

    def speed(self) -> float:
        return 12.5


class FakeProcess:
    """Trains nothing."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def close(self) -> None:
        """There is nothing to end."""


class Steps:
    """A store in which a step of two seconds passes at every look."""

    def __init__(self) -> None:
        self.step = 0

    def committed(self) -> int:
        self.step += 1
        return self.step


def test_a_ratio_is_the_median_over_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch, bench)
    slow = clock.takes([2.0, 30.0, 6.0, 8.0, 1.0])
    fast = clock.takes([1.0, 1.0, 2.0, 2.0, 1.0])
    assert bench.ratio(slow, fast, 5) == 3.0  # of 2, 30, 3, 4 and 1


def test_the_order_in_a_pair_alternates() -> None:
    order: list[str] = []

    def call(name: str, value: float) -> Callable[[], float]:
        return lambda: (order.append(name), value)[1]

    assert bench.paired(call("above", 3.0), call("below", 4.0), 3) == 0.75
    assert order == ["below", "above", "above", "below", "below", "above"]


@pytest.mark.parametrize(
    ("side", "value", "reached"),
    [
        ("at most", 1.05, True),
        ("at most", 1.06, False),
        ("at least", 1.05, True),
        ("at least", 1.04, False),
        ("more than", 1.05, False),
        ("more than", 1.06, True),
        ("at most", float("nan"), False),
        ("at least", float("nan"), False),
    ],
)
def test_a_bound_has_a_side(side: Any, value: float, reached: bool) -> None:
    row = bench.row("what", value, "x", side, 1.05)
    assert (row.bound, row.reached) == (f"{side} 1.05", reached)


def test_every_file_is_a_group_or_shared() -> None:
    files = {path.stem for path in Path(bench.__file__).parent.glob("*.py")}
    assert set(bench.groups()) == {name for name in files if not name.startswith("_")}
    assert "watching" in bench.groups()


@pytest.mark.parametrize("name", bench.groups())
def test_every_group_says_what_it_measures(name: str) -> None:
    module = importlib.import_module(f"explorer.bench.{name}")
    assert module.__doc__
    assert module.rows.__doc__


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("name", bench.groups())
def test_every_row_is_well_formed(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    rows = list(bench.measure([name]))
    left_out = capsys.readouterr().err
    assert rows or left_out.startswith("left out: ")
    assert len({row.what for row in rows}) == len(rows)
    for row in rows:
        side, bound = row.bound.rsplit(" ", 1)
        assert row.reached == bench.COMPARED[side](row.value, float(bound))
        assert row.unit in ("x", "s", "1/s")
        assert np.isfinite(row.value)


def test_an_unknown_group_is_named_with_those_there_are() -> None:
    with pytest.raises(SpecError, match=r"rows: 'nothing'.*deep_profile.*watching"):
        list(bench.measure(["watching", "nothing"]))


def test_the_command_prints_rows_as_json(monkeypatch: pytest.MonkeyPatch) -> None:
    row = bench.row("what", 1.25, "x", "at most", 1.05)
    monkeypatch.setattr(bench, "measure", lambda names: iter([row]))
    result = CliRunner().invoke(cli, ["bench", "--json"])
    assert (result.exit_code, json.loads(result.stdout)) == (0, {"rows": [vars(row)]})
    assert "what: 1.25 x" in result.stderr


def test_the_command_refuses_an_unknown_group() -> None:
    result = CliRunner().invoke(cli, ["bench", "nothing"])
    assert (result.exit_code, result.stdout) == (2, "")


def test_an_own_home_is_there_only_inside(home: Path) -> None:
    with _lab.own_home() as own:
        assert os.environ["EXPLORER_HOME"] == str(own) != str(home)
        (own / "left").write_text("behind")
    assert os.environ["EXPLORER_HOME"] == str(home)
    assert not own.exists()


def test_an_own_home_leaves_no_setting_where_none_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EXPLORER_HOME")
    with pytest.raises(KeyError), _lab.own_home() as own:
        raise KeyError
    assert "EXPLORER_HOME" not in os.environ
    assert not own.exists()


def test_what_never_happens_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_lab, "PATIENCE", 0.0)
    with pytest.raises(TimeoutError, match="within 0 s"):
        _lab.wait_until(lambda: False, 0.001)


def test_no_two_toggles_are_alike() -> None:
    before = DEFAULT.specs[-1].network.gates("skip")
    seen = {before}
    for plain, residual in toggling.toggled(DEFAULT.specs, 60):
        gates = residual.network.gates("skip")
        assert plain == DEFAULT.specs[0]
        assert gates not in seen
        assert len(gates) == len(before)
        assert set(gates) <= {0.0, 1.0}
        seen.add(gates)
    assert len(seen) == 61


def test_every_toggle_is_measured(executor: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    specs = (parse("plain-8,width=4"), parse("resnet-8,width=4"))
    monkeypatch.setattr(toggling, "DEFAULT", type("Preset", (), {"specs": specs}))
    monkeypatch.setattr(toggling, "TOGGLES", 3)
    list(toggling.rows())
    changed = [arms[-1].key for arms in toggling.toggled(specs, 3)]
    assert set(changed) <= set(executor.asked)


def test_speed_counts_committed_steps_from_one_commit_to_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    steps = Steps()
    training = live.Training.__new__(live.Training)
    training.committed = steps.committed  # type: ignore[assignment]
    monkeypatch.setattr(live, "wait_until", lambda condition, _: list(iter(condition, True)))
    monkeypatch.setattr(live.time, "perf_counter", lambda: 2.0 * steps.step)
    assert training.speed() == 0.5
    assert live.STEPS <= steps.step <= live.STEPS + 5


def test_first_paint_is_counted_from_where_each_server_began(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(paint, "own_browser", lambda: inside("browser"))
    monkeypatch.setattr(paint, "wait_until", lambda *_: None)
    app = type("App", (), {"started": 90.0, "url": "", "settled": True})
    monkeypatch.setattr(paint, "own_app", lambda: inside(app))
    monkeypatch.setattr(paint, "visit", lambda *_: (100.0, 100.5, 102.0))
    assert [row.value for row in paint.rows()] == [0.5, 2.0, 10.5, 12.0]


def test_hooks_read_what_the_watch_reads() -> None:
    run = parse(SMALL)
    trainer = Trainer(run, torch.device("cpu"), hooks.EVERY_STEP)
    ours = {reading.probe: reading.values for reading in trainer.advance()}
    data = load(run.data)
    rows = BatchOrder(len(data.y_train), run.recipe.batch, run.seed).indices(0)
    network = build(run.network, run.seed)
    monitor = hooks.Monitor(network)
    F.cross_entropy(network(data.x_train[rows]), data.y_train[rows]).backward()
    for probe, name in (
        ("activation_gradient", "gradient"),
        ("activation_mean", "mean"),
        ("activation_std", "std"),
        ("dead_share", "dead"),
        ("residual_ratio", "ratio"),
    ):
        sites = trainer.sites(trainer.probes[probe])
        theirs = [monitor.log[f"{site}/{name}"] for site in sites]
        np.testing.assert_allclose(theirs, ours[probe], rtol=1e-3, atol=1e-7, err_msg=probe)
