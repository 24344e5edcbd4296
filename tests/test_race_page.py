"""The depth race's address, its view, what its buttons start, and the race that ships with it."""

from importlib.resources import files
from itertools import product
from typing import Any

import numpy as np
import pytest
from stand_in import StandIn, install
from starlette.testclient import TestClient
from streamlit.testing.v1 import AppTest

from explorer.cost import step_flops
from explorer.experiments.race import DEPTHS, LONGER, Race, longer, normalized
from explorer.experiments.reference import FILE, packed_trace, read_trace, recorded_run, reference
from explorer.race_rule import losers
from explorer.race_runs import train_error
from explorer.spec import SpecError, parse
from explorer.store import Store
from explorer.trace import Reading, Trace
from explorer.training import train
from explorer.ui.drawing import Screen
from explorer.ui.lab import lab
from explorer.ui.pages import FOLDER
from explorer.ui.race import FIGURES
from explorer.ui.race_state import RaceChoice, race_url, read_race
from explorer.ui.race_view import RaceViews
from explorer.ui.server import ROUTES

SMALL = {"depths": "8,14", "seeds": "2", "base": "resnet-8,width=4,steps=10"}
SCREEN = Screen(show=FIGURES)


@pytest.fixture
def executor(monkeypatch: pytest.MonkeyPatch) -> StandIn:
    return install(monkeypatch)


def finish(store: Store, run: int, losses: np.ndarray) -> None:
    """Write a run's readings and its end."""
    curves = {"train_loss": losses, "train_accuracy": np.exp(-losses), "test_accuracy": [0.5]}
    for probe, values in curves.items():
        store.describe(run, probe, ("network",), "", False)
        readings = [Reading(probe, i, np.array([v], np.float32)) for i, v in enumerate(values)]
        store.write([(run, reading) for reading in readings], {run: 2.0})
    store.update(run, state="done", device="cpu")


@pytest.mark.parametrize(
    "words",
    [
        {},
        SMALL,
        {"depths": "8,20,110", "kinds": "plain", "sweep": "abcd1234"},
        {"x": "flops", "smooth": "0", "base": "resnet-20,width=8,lr=0.05,steps=300"},
    ],
)
def test_an_address_says_the_same_when_it_is_written_again(words: dict[str, str]) -> None:
    choice = read_race(words)
    assert choice.query == words
    assert read_race(choice.query) == choice


def test_defaults_are_left_out_of_the_address() -> None:
    assert read_race({"depths": "110,8,20,56", "kinds": "residual,plain", "x": "steps"}).query == {}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"depths": "9"}, "depth: '9' is not allowed"),
        ({"depths": "eight"}, "depths: 'eight' is not allowed"),
        ({"depths": ",".join(map(str, range(8, 200, 6)))}, "depths: "),
        ({"kinds": "plain,dense"}, "kinds: 'plain,dense' is not allowed"),
        ({"seeds": "0"}, "seeds: '0' is not allowed"),
        ({"seeds": "\uff19"}, "seeds: "),
        ({"base": "resnet"}, "network: 'resnet' is not allowed"),
        ({"x": "years"}, "x: 'years' is not allowed"),
    ],
)
def test_a_bad_address_is_one_line(words: dict[str, str], said: str, executor: StandIn) -> None:
    with pytest.raises(SpecError) as error:
        read_race(words)
    assert str(error.value).startswith(said)
    answer = TestClient(_routes()).get("/live/race", params=words)
    assert answer.status_code == 400
    assert answer.json() == {"error": str(error.value)}


def _routes() -> Any:
    from starlette.applications import Starlette

    return Starlette(routes=ROUTES)


def test_the_race_at_rest_is_the_recorded_one_and_says_so(executor: StandIn) -> None:
    view = RaceViews(lab()).view(RaceChoice(), SCREEN)
    assert view["state"] == "idle"
    assert view["note"] == f"recorded: {reference().where}"
    assert view["words"]["play"] == "Train 24 runs"
    assert view["progress"].startswith("24 runs: ")
    flops = sum(step_flops(spec) * spec.recipe.steps for spec in Race().specs)
    assert f"{flops:.1e}".replace("e+", "e") in view["progress"]
    assert {member["state"] for member in view["members"]} == {"recorded"}
    assert all(view["figures"][name]["data"] for name in FIGURES)
    assert view["sentences"][0]["text"].startswith("Plain-56 trains worse than plain-8")
    assert any("Plain-56 after 900 steps" in said["text"] for said in view["explanations"])


def test_what_is_neither_stored_nor_recorded_waits(executor: StandIn) -> None:
    view = RaceViews(lab()).view(read_race(SMALL), SCREEN)
    assert [member["state"] for member in view["members"]] == ["queued"] * 8
    assert view["note"] == ""
    layout = view["figures"]["by_depth"]["layout"]
    assert any("press Train" in note.get("text", "") for note in layout["annotations"])


def test_runs_of_this_machine_stand_in_front_of_recorded_ones(executor: StandIn) -> None:
    spec = Race().specs[0]
    made = executor.store.add_comparison([("mine", spec)], "me")
    finish(executor.store, made.runs[0].id, np.linspace(2, 0.1, 300))
    view = RaceViews(lab()).view(RaceChoice(), SCREEN)
    assert view["words"]["play"] == "Train 23 runs"
    assert [m["state"] for m in view["members"]].count("done") == 1
    assert view["members"][0]["link"] == f"/runs?ids={made.runs[0].id}"


def test_a_sweep_on_show_says_how_far_it_is(executor: StandIn) -> None:
    choice = read_race(SMALL)
    views = RaceViews(lab())
    sweep = lab().sweeping.start("small", choice.race.specs)
    attached = read_race({**SMALL, "sweep": sweep.id})
    waiting = views.view(attached, SCREEN)
    assert (waiting["state"], waiting["controls"]["stop"]) == ("running", True)
    assert waiting["progress"].startswith("0 of 8 runs done, 0 training")
    while (comparison := lab().sweeping.next()) is not None:
        found = executor.store.comparison(comparison)
        assert found is not None
        finish(executor.store, found.runs[0].id, np.linspace(2, 0.1, 10))
        lab().sweeping.ended(comparison)
    done = views.view(attached, SCREEN)
    assert (done["state"], done["progress"]) == ("done", "8 of 8 runs done")
    assert done["controls"] == {"play": False, "stop": False, "reset": True}
    assert {member["share"] for member in done["members"]} == {1.0}


def test_an_unknown_sweep_is_said_and_the_race_shown(executor: StandIn) -> None:
    view = RaceViews(lab()).view(read_race({"sweep": "nowhere1"}), SCREEN)
    assert "not on this machine" in view["message"]
    assert view["figures"]["train_error"]["data"]


def test_the_route_answers_once_for_what_has_not_changed(executor: StandIn) -> None:
    client = TestClient(_routes())
    address = race_url(read_race(SMALL), FIGURES)
    first = client.get(address)
    again = client.get(address, headers={"If-None-Match": first.headers["etag"]})
    assert (first.status_code, again.status_code) == (200, 304)
    executor.store.add_comparison([("new", parse("resnet-8"))], "me")
    assert client.get(address, headers={"If-None-Match": first.headers["etag"]}).status_code == 200


def opened(**words: str) -> AppTest:
    page = AppTest.from_file(str(FOLDER / "30_depth_race.py"), default_timeout=30)
    for name, value in words.items():
        page.query_params[name] = value
    page.run()
    assert not page.exception
    return page


def words_of(page: AppTest) -> dict[str, str]:
    found = {name: page.query_params[name] for name in page.query_params}
    return {n: v[0] if isinstance(v, list) else v for n, v in found.items()}


def test_controls_write_the_race_into_the_address(executor: StandIn) -> None:
    page = opened()
    page.select_slider(key="race_seeds").set_value(5).run()
    page.select_slider(key="field_width").set_value(4).run()
    page.segmented_control(key="race_x").set_value("epochs").run()
    choice = read_race(words_of(page))
    assert (choice.race.seeds, choice.race.base.network.width, choice.x) == (5, 4, "epochs")


def test_a_bad_address_gives_way_and_is_said_on_the_page(executor: StandIn) -> None:
    page = opened(depths="9")
    assert "is not allowed" in page.error[0].value
    assert words_of(page) == {}


def test_the_losers_are_trained_longer_beside_the_race(executor: StandIn) -> None:
    page = opened()
    page.button(key="longer").click().run()
    sweep = executor.store.sweeps.get(words_of(page)["sweep"])
    assert sweep is not None
    specs = [member.spec for member in sweep.members]
    lost = [s for s in Race().specs if s.network.shortcut == "none" and s.network.depth >= 56]
    assert specs == [*Race().specs, *longer(lost)]
    page.button(key="normalized").click().run()
    both = executor.store.sweeps.get(words_of(page)["sweep"])
    assert both is not None
    assert [m.spec for m in both.members] == [*specs, *normalized(Race().specs)]


def test_without_a_loser_nothing_is_trained_longer(executor: StandIn) -> None:
    page = opened(**SMALL)
    page.button(key="longer").click().run()
    assert "no finished depth trains worse" in page.error[0].value.replace("\\", "")
    assert executor.store.sweeps.recent() == []


def test_the_recorded_race_is_whole_and_small() -> None:
    assert len((files("explorer") / "recorded" / FILE).read_bytes()) < 2_000_000
    asked = Race(depths=DEPTHS).specs
    runs = [recorded_run(spec, 300) for spec in asked]
    assert all(run is not None and run.finished for run in runs)
    found = [run for run in runs if run is not None]
    assert {(run.kind, run.depth, run.seed) for run in found} == set(
        product(("plain", "residual"), DEPTHS, (0, 1, 2))
    )
    lost = {(run.depth, run.seed) for run in losers(found) if run.kind == "plain"}
    slow = [s for s in asked if s.network.shortcut == "none"]
    more = longer(s for s in slow if (s.network.depth, s.seed) in lost)
    assert lost
    assert all(recorded_run(spec, 300) for spec in (*more, *normalized(asked)))
    assert reference().command == "python -m explorer.experiments.record_race"


def test_the_recorded_race_shows_what_is_claimed_of_it() -> None:
    """Plain error rises with depth from 20 on and residual error stays under 2 %, in every seed."""
    for seed in (0, 1, 2):
        specs = [spec for spec in Race(depths=(20, 56, 110)).specs if spec.seed == seed]
        runs = [run for spec in specs if (run := recorded_run(spec, 300))]
        plain = [train_error(run) for run in runs if run.kind == "plain"]
        assert plain == sorted(plain)
        assert plain[0] < plain[1] - 0.2
        assert max(train_error(run) for run in runs if run.kind == "residual") < 0.02


def test_recorded_curves_are_those_of_training() -> None:
    spec = Race(depths=(8,), kinds=("residual",), seeds=1).specs[0]
    recorded = recorded_run(spec, 300)
    assert recorded is not None
    losses = []
    for _, reading in train(spec, device="cpu"):
        if reading.step >= 5:
            break
        if reading.probe == "train_loss":
            losses.append(float(reading.values[0]))
    # Another kind of processor adds up in another order.
    np.testing.assert_allclose(recorded.loss.values[:5, 0], losses, rtol=1e-3)


def test_a_longer_run_goes_on_where_the_shorter_ends() -> None:
    spec = next(s for s in Race().specs if s.network.depth == 56)
    short, long = recorded_run(spec, 300), recorded_run(longer([spec])[0], 300)
    assert short is not None
    assert long is not None
    assert long.steps == LONGER * short.steps
    np.testing.assert_array_equal(long.loss.values[:300], short.loss.values)


def test_a_packed_trace_reads_back_the_same() -> None:
    values = np.array([[1.0, np.nan], [np.inf, 1e-40]], np.float32)
    trace = Trace("p", np.array([0, 25]), values, ("a", "b"), "unit", True)
    back = read_trace("p", packed_trace(trace))
    np.testing.assert_array_equal(back.values, trace.values)
    assert (back.sites, back.unit, back.log, back.steps.tolist()) == (
        ("a", "b"),
        "unit",
        True,
        [0, 25],
    )
