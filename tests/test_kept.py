"""What is made anew only so often: by key, for some seconds, and no more than so many."""

import numpy as np
import pytest
from stand_in import StandIn

from explorer.spec import parse
from explorer.store import Store, this_process
from explorer.trace import Reading
from explorer.ui import kept
from explorer.ui.drawing import Screen
from explorer.ui.kept import Kept
from explorer.ui.lab import Lab
from explorer.ui.view import BETWEEN, Views

ARMS = (parse("plain-8,width=4"), parse("resnet-8,width=4"))


class Clock:
    """Time that passes only when somebody says so."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        monkeypatch.setattr(kept.time, "monotonic", lambda: self.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def test_a_result_is_kept_for_its_time(clock: Clock) -> None:
    numbers = iter(range(9))
    results: Kept[int] = Kept(seconds=1.0, most=2)
    assert [results.get("a", lambda: next(numbers)) for _ in range(3)] == [0, 0, 0]
    clock.now += 0.99
    assert results.get("a", lambda: next(numbers)) == 0
    clock.now += 0.02
    assert results.get("a", lambda: next(numbers)) == 1
    assert results.get("b", lambda: next(numbers)) == 2


def test_the_oldest_result_goes_first(clock: Clock) -> None:
    results: Kept[str] = Kept(seconds=1.0, most=2)
    for key in "abc":
        results.get(key, lambda key=key: key)
    assert [results.get(key, lambda: "new") for key in "cb"] == ["c", "b"]
    assert results.get("a", lambda: "new") == "new"
    assert len(results.made) == 2


def test_a_heat_map_is_drawn_seldom_while_it_trains(clock: Clock) -> None:
    store = Store()
    views = Views(Lab(store, StandIn(store)))  # type: ignore[arg-type]
    arms = list(zip(("plain", "residual"), ARMS, strict=True))
    comparison = store.add_comparison(arms, this_process())
    sites = ARMS[0].network.sites
    for run in comparison.runs:
        store.describe(run.id, "activation_gradient", sites, "g", True)
        store.update(run.id, state="running")

    def drawn(step: int) -> tuple[object, object]:
        values = np.full(len(sites), 1.0 + step, np.float32)
        reading = Reading("activation_gradient", step, values)
        store.write([(run.id, reading) for run in comparison.runs])
        figures = views.view(ARMS, comparison.id, Screen())["figures"]
        return figures["heatmap"], figures["profile"]

    first = drawn(0)
    clock.now += 0.3
    second = drawn(2)
    assert second[0] == first[0]
    assert second[1] != first[1]
    clock.now += BETWEEN
    third = drawn(4)
    assert third[0] != second[0]
    for run in comparison.runs:
        store.update(run.id, state="done")
    assert drawn(6)[0] != third[0]
