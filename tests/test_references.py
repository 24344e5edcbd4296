"""Pinned runs behind the curves of the Playground: which, how far, and at what cost."""

from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest
from stand_in import StandIn, install
from stored import add_pair, add_watched

from explorer.figures import Arm, CurveSeries, curves
from explorer.spec import parse
from explorer.store import Store
from explorer.trace import Trace
from explorer.ui import references
from explorer.ui.drawing import Screen
from explorer.ui.references import references_of
from explorer.ui.scene import Scene, scene_of
from explorer.ui.traces import Traces
from explorer.ui.view import Views

PROBES = ("train_loss", "train_accuracy", "test_accuracy")
ARM, OLD = Arm("now", "#0072B2"), Arm("then", "#000000", "dot")


@pytest.fixture
def executor(monkeypatch: pytest.MonkeyPatch) -> StandIn:
    references.look_again()
    return install(monkeypatch)


@pytest.fixture
def store(executor: StandIn) -> Store:
    return executor.store


def scene(store: Store, run: int) -> Scene:
    """What the Playground shows of the comparison that the run is in."""
    row = store.run(run)
    comparison = store.comparison(row.comparison) if row else None
    assert comparison is not None
    return scene_of(comparison, [None] * len(comparison.runs), store, Traces(store))


def series(arm: Arm, steps: int, level: float) -> CurveSeries:
    """Curves at every step, rising from `level`."""
    numbers = np.arange(steps + 1, dtype=np.int64)
    values = (level + numbers / 1000).astype(np.float32)[:, None]
    return CurveSeries(arm, *(Trace(probe, numbers, values, (probe,), "1") for probe in PROBES))


def test_the_newest_pinned_runs_on_the_same_data_are_drawn(store: Store) -> None:
    own = add_pair(store)
    same = [add_pair(store)[0] for _ in range(references.MOST)]
    other = add_pair(store, ["mlp-8,width=4,data=spirals"])
    watched = add_watched(store)
    store.table.annotate([*own, *same, *other, watched], pinned=True)
    names = [one.arm.name for one in references_of(scene(store, own[0]))]
    expected = [watched, *same[::-1]][: references.MOST]
    assert [int(name.split()[0].strip("#")) for name in names] == expected
    assert "<" not in "".join(names)


def test_a_pin_is_seen_at_once_and_a_finished_run_read_once(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, (pinned, _) = add_pair(store), add_pair(store)
    shown = scene(store, own[0])
    assert references_of(shown) == []
    store.table.annotate([pinned], pinned=True)
    references.look_again()
    (first,) = references_of(shown)
    assert first.loss.values.tolist() == store.trace(pinned, "train_loss").values.tolist()

    def forbidden(*_: object) -> None:
        pytest.fail("read again")

    monkeypatch.setattr(store, "trace", forbidden)
    monkeypatch.setattr(store.table, "rows", forbidden)
    assert references_of(shown) == [first]


def test_the_playground_draws_them(store: Store, executor: StandIn) -> None:
    own, (pinned, _) = add_pair(store), add_pair(store)
    store.table.annotate([pinned], pinned=True)
    run = store.run(own[0])
    assert run is not None
    views = Views(type("Lab", (), {"store": store, "executor": executor})())
    specs = tuple(parse(text) for text in ("plain-8", "resnet-8"))
    found = views.view(specs, run.comparison, Screen(show=("curves",)))
    names = {line["name"] for line in found["figures"]["curves"]["data"]}
    assert f"#{pinned} plain-8" in names


def axes(figure: Any) -> Any:
    layout = figure.to_plotly_json()["layout"]
    return {name: layout[name] for name in layout if "axis" in name}


@pytest.mark.parametrize("level", [0.5, 1e6])
def test_they_end_where_the_arms_do_and_change_no_axis(level: float) -> None:
    arm, long = series(ARM, 40, level), series(OLD, 500, level / 2)
    alone, both = curves([arm], 10), curves([arm], 10, references=[long])
    assert axes(alone) == axes(both)
    drawn = [line for line in both.data if line.name == "then"]
    assert len(drawn) == 2  # its loss, and its test accuracy
    for line in drawn:
        assert max(line.x) == 40
        assert (line.line.color, line.line.width) != (ARM.color, 2.2)
    assert [line.name for line in both.data if line.name == "now"] == ["now"] * 3
    assert both.layout.title.text == alone.layout.title.text
    go.Figure(both.to_dict())  # Plotly's own check of every value


def test_one_that_has_no_readings_yet_is_no_line() -> None:
    nothing = CurveSeries(
        OLD,
        *(Trace(p, np.zeros(0, np.int64), np.zeros((0, 0), np.float32), (), "") for p in PROBES),
    )
    figure = curves([series(ARM, 5, 1.0)], 10, references=[nothing])
    assert {line.name for line in figure.data} == {"now"}


def test_without_a_number_of_classes_no_chance_is_drawn() -> None:
    figure = curves([series(ARM, 5, 1.0)], None, title="two sets of data")
    assert figure.layout.shapes == ()
    assert not [note for note in figure.layout.annotations if "chance" in note.text]
    assert len(curves([series(ARM, 5, 1.0)], 10).layout.shapes) == 2
