"""The view that live panels poll: what it says of arms at rest, in training and afterwards."""

import json
import math
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import numpy as np
import pytest
import torch
from stand_in import StandIn, install
from starlette.requests import Request
from starlette.responses import Response

from explorer.experiments.arms import DEFAULT, PRESETS
from explorer.flow import flow
from explorer.reproduction import RULE, Made, Outcome, share_query
from explorer.session import Session
from explorer.spec import parse
from explorer.store import Comparison, Event, Store, StoreError, this_process
from explorer.trace import Reading
from explorer.ui import flows as flows_module
from explorer.ui.drawing import Screen
from explorer.ui.flows import BAND_SEEDS, Flows, recorded
from explorer.ui.lab import Lab
from explorer.ui.live import live_view, views
from explorer.ui.traces import Traces

SMALL = ("plain-8,width=4,batch=32,steps=6", "resnet-8,width=4,batch=32,steps=6")
STATES = ("queued", "running", "paused", "done", "stopped", "interrupted", "failed", "diverged")
SHAPE = {
    *("busy", "state", "step", "steps", "seconds_left", "steps_per_s", "queue", "message"),
    *("note", "controls", "arms", "sentences", "figures", "alts"),
}
HOSTILE = "<script>alert(1)</script>"


class Nothing:
    """An inbox without commands."""

    def take(self, block: bool = False) -> None:
        return None


@pytest.fixture
def executor(monkeypatch: pytest.MonkeyPatch) -> StandIn:
    return install(monkeypatch)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flows_module, "PATIENCE", 0.01)


def ask(query: dict[str, Any] | None = None, tag: str = "", text: str = "") -> Response:
    """The route's answer; `text` is a raw query in place of one from `query`."""
    encoded = text or urlencode({"arm": SMALL, **(query or {})}, doseq=True)
    headers = [(b"if-none-match", tag.encode())] if tag else []
    scope = {"type": "http", "method": "GET", "path": "/live/view", "headers": headers}
    return live_view(Request({**scope, "query_string": encoded.encode()}))


def view(query: dict[str, Any] | None = None) -> dict[str, Any]:
    response = ask(query)
    assert response.status_code == 200, response.body
    found = json.loads(response.body, parse_constant=lambda name: pytest.fail(name))
    assert set(found) >= SHAPE
    return dict(found)


def pressable(found: dict[str, Any]) -> set[str]:
    return {name for name, on in found["controls"].items() if on}


def add(store: Store, names: tuple[str, str] = ("plain", "residual")) -> Comparison:
    arms = [(name, parse(spec)) for name, spec in zip(names, SMALL, strict=True)]
    return store.add_comparison(arms, this_process())


@pytest.fixture
def trained(executor: StandIn) -> Comparison:
    """The small arms, trained to the end."""
    comparison = add(executor.store)
    Session(comparison.id, torch.device("cpu"), Nothing()).run()
    found = executor.store.comparison(comparison.id)
    assert found is not None
    return found


def test_at_rest_it_shows_what_was_measured(executor: StandIn) -> None:
    found = view()
    assert (found["state"], found["step"], found["steps"]) == ("idle", 0, 6)
    assert (found["message"], found["queue"]) == ("", 0)
    assert pressable(found) == {"play", "step"}
    assert found["note"].startswith("at initialisation, cpu")
    for spec, arm in zip(SMALL, found["arms"], strict=True):
        measured = flow(parse(spec), device="cpu").activation_gradient
        np.testing.assert_allclose(arm["gradient"], measured, rtol=1e-6)
        assert (arm["state"], arm["stages"], arm["gates"]) == ("idle", [1, 1, 1], [1.0] * 3)
    assert [arm["plain"] for arm in found["arms"]] == [True, False]
    assert found["figures"]["profile"]["data"]
    assert len(found["sentences"]) == 2
    assert all(sentence["text"] and sentence["rule"] for sentence in found["sentences"])
    assert found["alts"].keys() == {n for n, f in found["figures"].items() if f is not None}


def test_the_band_grows_until_all_seeds_are_there(
    executor: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flows_module, "SLOW", 1e9)
    monkeypatch.setattr("explorer.ui.view.SLOW", 1e9)
    executor.busy = True
    polls = 0
    while True:
        found = view()
        if not found["busy"]:
            break
        executor.answer()
        polls += 1
        assert polls < 3 * BAND_SEEDS
    assert polls >= BAND_SEEDS - 1
    assert f"10-90 % of {BAND_SEEDS} seeds" in found["note"]
    seeds = {parse(f"{spec},seed={seed}").key for spec in SMALL for seed in range(BAND_SEEDS)}
    assert set(executor.asked) == seeds
    executor.asked.clear()
    assert view() == found
    assert executor.asked == []  # remembered by content


def test_slow_networks_have_no_band(executor: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flows_module, "SLOW", -1.0)
    monkeypatch.setattr("explorer.ui.view.SLOW", -1.0)
    assert not view()["busy"]
    assert len(executor.asked) == 2


def test_while_it_measures_recorded_flows_stand_in_and_say_so(
    executor: StandIn, impatient: None
) -> None:
    executor.busy = True
    found = view({"arm": DEFAULT.arms})
    assert (found["state"], found["busy"]) == ("measuring", True)
    assert found["message"] == "Measuring on this machine …"
    assert found["note"] == f"recorded: {recorded()['where']}"
    keys = [spec.start_key for spec in DEFAULT.specs]
    for key, arm in zip(keys, found["arms"], strict=True):
        wanted = recorded()["flows"][key]["activation_gradient"]
        np.testing.assert_allclose(arm["gradient"], wanted, rtol=1e-6)
    assert found["note"] in json.dumps(found["figures"]["profile"], ensure_ascii=False)


def test_while_it_measures_what_was_never_recorded_nothing_is_shown(
    executor: StandIn, impatient: None
) -> None:
    executor.busy = True
    found = view()
    assert (found["state"], found["note"]) == ("measuring", "")
    assert [arm["gradient"] for arm in found["arms"]] == [None, None]
    assert found["sentences"] == []
    assert len(executor.asked) == 2
    view()
    assert len(executor.asked) == 2  # asked once, however often it is polled
    executor.answer()
    assert view()["state"] == "idle"


def test_what_cannot_be_measured_is_said_in_one_line(executor: StandIn) -> None:
    executor.error = "no worker can be started (device: 'x' is not here)"
    found = view()
    assert (found["state"], found["message"]) == ("idle", executor.error)
    assert found["busy"] is False
    executor.error = ""
    assert view()["message"] == ""


def test_a_band_that_cannot_be_measured_is_said_too(executor: StandIn) -> None:
    for spec in map(parse, SMALL):
        executor.store.cache_put("flow", spec.start_key, flow(spec).to_json())
    executor.error = "the measuring process ended (signal 9)"
    assert view()["message"] == executor.error
    flows = Flows(Lab(executor.store, executor))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="signal 9"):
        flows.band(parse(SMALL[0]))
    assert flows.asked == {}


def test_answers_that_nobody_came_for_are_let_go(
    executor: StandIn, impatient: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flows_module, "MOST_ASKED", 3)
    flows = Flows(Lab(executor.store, executor))  # type: ignore[arg-type]
    executor.busy = True
    for seed in range(4):
        assert flows.first([parse(f"resnet-8,width=4,seed={seed}")]) is None
    assert len(flows.asked) == 4
    executor.answer()
    assert flows.first([parse("resnet-8,width=4,seed=9")]) is None
    assert len(flows.asked) == 1


def test_a_run_is_shown_as_it_stands(executor: StandIn, trained: Comparison) -> None:
    found = view({"run": trained.id, "show": "profile,curves,heatmap,activation_std,boundary"})
    assert (found["state"], found["step"], found["steps"]) == ("done", 6, 6)
    assert found["busy"] is False
    assert pressable(found) == {"play", "reset"}
    assert found["note"] == "seed 0, cpu"
    assert found["steps_per_s"] > 0
    figures = found["figures"]
    assert [name for name, figure in figures.items() if figure is None] == ["boundary"]
    assert executor.asked == []
    store = executor.store
    for run, arm in zip(trained.runs, found["arms"], strict=True):
        assert arm["name"] == run.arm
        assert arm["gradient"] == pytest.approx(store.trace(run.id, "activation_gradient").last)


@pytest.mark.parametrize("state", STATES)
def test_every_state_has_its_buttons(executor: StandIn, state: Any) -> None:
    comparison = add(executor.store)
    for run in comparison.runs:
        executor.store.update(run.id, state=state, message="why")
    executor.position = 3 if state == "queued" else 0
    found = view({"run": comparison.id})
    assert (found["state"], found["queue"]) == (state, executor.position)
    assert found["busy"] == (state in ("queued", "running"))
    assert found["message"] == "why"
    assert pressable(found) & {"play", "resume", "pause", "stop"}
    assert (found["step"], found["steps_per_s"], found["seconds_left"]) == (0, None, None)


def test_a_run_in_the_plane_has_a_boundary(executor: StandIn) -> None:
    spec = parse("mlp-8,width=8,data=moons,steps=2")
    comparison = executor.store.add_comparison([("mlp", spec)], this_process())
    Session(comparison.id, torch.device("cpu"), Nothing()).run()
    found = view({"arm": ["mlp-8,width=8,data=moons"], "run": comparison.id, "show": "boundary"})
    assert found["figures"]["boundary"]["data"]
    assert found["alts"]["boundary"]


def test_gates_are_those_of_the_last_change(executor: StandIn, trained: Comparison) -> None:
    executor.store.add_event(trained.id, Event(3, "skip", 1, [0.0, 1.0, 0.5]))
    executor.store.add_event(trained.id, Event(4, "residual", None, [1.0, 0.0, 1.0]))
    arms = view({"run": trained.id})["arms"]
    assert [arm["gates"] for arm in arms] == [[1.0] * 3, [0.0, 1.0, 0.5]]
    assert [arm["residual"] for arm in arms] == [[1.0, 0.0, 1.0]] * 2


def test_nothing_is_sent_again_until_something_changed(
    executor: StandIn, trained: Comparison
) -> None:
    first = ask({"run": trained.id})
    tag = first.headers["etag"]
    again = ask({"run": trained.id}, tag)
    assert (again.status_code, again.body, again.headers["etag"]) == (304, b"", tag)
    assert ask({"run": trained.id, "theme": "dark"}, tag).status_code == 200
    executor.position = 1
    assert ask({"run": trained.id}, tag).status_code == 200
    executor.position = 0
    executor.store.update(trained.runs[0].id, message="news")
    assert ask({"run": trained.id}, tag).status_code == 200


def test_at_rest_too_nothing_is_sent_twice(executor: StandIn) -> None:
    tag = ask().headers["etag"]
    assert ask(tag=tag).status_code == 304
    assert ask({"narrow": "1"}, tag).status_code == 200


def expecting(run: str, expected: Outcome | None, *arms: str) -> dict[str, Any]:
    """The view of a run for somebody whose link expects that of these arms."""
    specs = tuple(parse(arm) for arm in arms or SMALL)
    return views().view(specs, run, Screen("light", False, ()), expected)


def test_a_link_invites_and_the_end_says_whether_it_came_again(
    executor: StandIn, trained: Comparison
) -> None:
    query: Any = share_query(executor.store, trained)
    right = Outcome.parse(query["expect"], query["made"], 2)
    wrong = Outcome(("0" * 10, "1" * 10), Made("cpu", "2.0"))
    for expected in (right, wrong):
        assert expected is not None
        assert expecting("", expected)["message"] == expected.invitation
        assert expecting("nothere0", expected)["message"].startswith("That run is not on")
    unasked = expecting(trained.id, None)
    found = expecting(trained.id, right)
    verdict = found["sentences"][0]
    assert verdict["text"].startswith("Reproduced: hash equal (")
    assert verdict["rule"] == RULE
    assert found == {**unasked, "sentences": [verdict, *unasked["sentences"]]}
    said = expecting(trained.id, wrong)["sentences"][0]["text"]
    assert said.startswith("Not bit for bit the same: torch ")
    assert expecting(trained.id, right, *reversed(SMALL)) == unasked
    executor.store.update(trained.runs[1].id, state="running")
    assert expecting(trained.id, right)["sentences"] == unasked["sentences"]


def test_the_panels_learn_of_what_a_link_expects(executor: StandIn, trained: Comparison) -> None:
    query: Any = share_query(executor.store, trained)
    said = {name: query[name] for name in ("expect", "made")}
    assert view(said)["message"].startswith("Press Play to rebuild this run; it was made on ")
    found = view({**said, "run": trained.id})["sentences"][0]["text"]
    assert found.startswith("Reproduced: hash equal (")
    bad = ask({**said, "expect": "xyz"})
    assert bad.status_code == 400
    assert json.loads(bytes(bad.body))["error"].startswith("expect: 'xyz' is not allowed")


def test_an_unknown_run_is_said_and_the_arms_are_shown(executor: StandIn) -> None:
    for run in ("nothere0", HOSTILE, "x" * 5000, "' OR 1=1 --"):
        found = view({"run": run})
        assert found["message"] == (
            "That run is not on this machine: it was deleted, or made elsewhere."
        )
        assert found["state"] == "idle"
        assert found["arms"][0]["gradient"]


BAD = [
    ({"arm": ["resnet-7"]}, "depth: '7' is not allowed; with basic blocks 6n+2"),
    ({"arm": ["resnet-8", "vgg-16"]}, "network: 'vgg-16' is not allowed; write resnet-DEPTH"),
    ({"arm": [HOSTILE]}, f"network: '{HOSTILE}' is not allowed; write resnet-DEPTH"),
    ({"arm": ["resnet-8"] * 9}, "arm: '9 arms' is not allowed; at most 4"),
    ({"arm": ["resnet-8," + "x" * 100_000]}, "spec: 'resnet-8,xxx"),
    ({"arm": [""]}, "network: '' is not allowed; write resnet-DEPTH"),
    ({"arm": ["resnet-8,lr=nan"]}, "lr: 'nan' is not allowed; input should be"),
    ({"arm": ["resnet-8,seed=9999999999999999999999"]}, "seed: '9999"),
    ({"arm": ["resnet-8\x00\n\x1b"]}, "depth: '8???' is not allowed"),
]


@pytest.mark.parametrize(("query", "line"), BAD, ids=[line[:20] for _, line in BAD])
def test_a_bad_address_is_one_line(executor: StandIn, query: Any, line: str) -> None:
    response = ask(query)
    assert response.status_code == 400
    assert response.media_type == "application/json"
    said = json.loads(response.body)["error"]
    assert said.startswith(line)
    assert len(said) < 400
    assert said.isprintable()
    assert executor.asked == []


@pytest.mark.parametrize("text", ["arm=%ff%fe", "%", "arm", "&&&=", "show=" + "a," * 50_000, "run"])
def test_no_address_is_an_accident(executor: StandIn, text: str) -> None:
    executor.error = "not now"
    assert ask(text=text).status_code in (200, 400)


def test_figures_nobody_knows_are_none(executor: StandIn) -> None:
    found = view({"show": f"profile,{HOSTILE},nothere"})
    assert {name: figure is None for name, figure in found["figures"].items()} == {
        "profile": False,
        HOSTILE: True,
        "nothere": True,
    }


def test_a_store_that_fails_is_503_with_its_line(
    executor: StandIn, trained: Comparison, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(self: Store, name: str) -> None:
        raise StoreError("the disk fails under runs.sqlite")

    monkeypatch.setattr(Store, "comparison", gone)
    response = ask({"run": trained.id})
    assert (response.status_code, json.loads(response.body)) == (
        503,
        {"error": "the disk fails under runs.sqlite"},
    )


def test_names_are_data_and_not_markup(executor: StandIn) -> None:
    comparison = add(executor.store, (HOSTILE, "résidu 'x' \u202e"))
    Session(comparison.id, torch.device("cpu"), Nothing()).run()
    response = ask({"run": comparison.id})
    assert response.headers["content-type"] == "application/json"
    found = json.loads(response.body)
    assert [arm["name"] for arm in found["arms"]] == [HOSTILE, "résidu 'x' \u202e"]
    assert HOSTILE in found["alts"]["profile"]
    assert found["sentences"][0]["text"].startswith(HOSTILE)


def test_what_is_not_a_number_is_null(executor: StandIn, trained: Comparison) -> None:
    for run in trained.runs:
        for probe in ("activation_gradient", "train_loss"):
            size = executor.store.trace(run.id, probe).values.shape[1]
            values = np.array([np.nan, np.inf, -np.inf, 0.0, 1.0] * size, np.float32)[:size]
            executor.store.write([(run.id, Reading(probe, 6, values))])
    found = view({"run": trained.id})
    assert found["arms"][0]["gradient"] == [None, None, None, 0.0]
    assert found["figures"]["profile"]["data"]


@pytest.mark.parametrize("rest", [True, False])
def test_dark_and_narrow_figures_differ(executor: StandIn, trained: Comparison, rest: bool) -> None:
    run = {} if rest else {"run": trained.id}
    plain, dark, narrow = (
        view({**run, **more}) for more in ({}, {"theme": "dark"}, {"narrow": "1"})
    )
    profiles = [json.dumps(one["figures"]["profile"]) for one in (plain, dark, narrow)]
    assert len(set(profiles)) == 3
    unknown = json.dumps(view({**run, "theme": HOSTILE})["figures"]["profile"])
    assert unknown == profiles[0]


def test_times_are_said(executor: StandIn) -> None:
    comparison = add(executor.store)
    for run in comparison.runs:
        executor.store.describe(run.id, "train_loss", ["network"], "nats", False)
        executor.store.update(run.id, state="running")
        readings = [(run.id, Reading("train_loss", 4, np.ones(1, np.float32)))]
        executor.store.write(readings, {run.id: 2.0})
    found = view({"run": comparison.id})
    assert (found["steps_per_s"], found["seconds_left"]) == (2.0, 1.0)


@pytest.fixture
def described() -> Iterator[tuple[Store, int]]:
    store = Store()
    run = add(store).runs[0].id
    store.describe(run, "norm", ["a", "b"], "1", True)
    yield store, run
    store.close()


def write(store: Store, run: int, *steps: int, scale: float = 1.0) -> None:
    values = [np.array([step, scale], np.float32) for step in steps]
    store.write([(run, Reading("norm", s, v)) for s, v in zip(steps, values, strict=True)])


def test_traces_read_only_what_is_new(
    described: tuple[Store, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    store, run = described
    traces, read = Traces(store), []
    trace = store.trace

    def counted(*arguments: Any) -> Any:
        found = trace(*arguments)
        read.append(len(found))
        return found

    monkeypatch.setattr(store, "trace", counted)
    assert len(traces.get(run, "norm")) == len(traces.get(run, "nothere")) == 0
    write(store, run, 0, 1, 2)
    assert traces.get(run, "norm").steps.tolist() == [0, 1, 2]
    write(store, run, 3)
    assert traces.get(run, "norm").steps.tolist() == [0, 1, 2, 3]
    write(store, run, 2, 3, scale=9.0)  # what a resumed run writes again is what it was
    kept = traces.get(run, "norm")
    assert kept.values[:, 1].tolist() == [1.0] * 4
    assert (kept.sites, kept.unit, kept.log) == (("a", "b"), "1", True)
    assert read == [0, 0, 3, 1, 0]


def test_traces_are_read_anew_after_a_change(described: tuple[Store, int]) -> None:
    store, run = described
    traces = Traces(store)
    write(store, run, *range(10))
    assert len(traces.get(run, "norm", changes=0)) == 10
    comparison = store.comparisons()[0].id
    store.add_event(comparison, Event(4, "lr", None, 0.5))  # ends the history after step 4
    write(store, run, *range(4, 12), scale=2.0)
    after = traces.get(run, "norm", changes=1)
    assert after.steps.tolist() == list(range(12))
    assert after.values[:, 1].tolist() == [1.0] * 4 + [2.0] * 8


def test_traces_are_bounded(described: tuple[Store, int], monkeypatch: pytest.MonkeyPatch) -> None:
    store, run = described
    monkeypatch.setattr("explorer.ui.traces.MOST", 3)
    traces = Traces(store)
    for number in range(5):
        traces.get(run, f"probe {number}")
    assert list(traces.kept) == [(run, f"probe {number}") for number in (2, 3, 4)]


def test_recorded_flows_are_those_of_the_presets() -> None:
    specs = {spec.start_key: spec for preset in PRESETS for spec in preset.specs}
    assert set(recorded()["flows"]) == set(specs)


# Deep plain networks amplify rounding: another convolution algorithm changes the gradient of
# plain-56 by up to 2 % (weights: 5 %), the signal by less than 1e-4.
LOOSE = {"activation_gradient": 0.1, "weight_gradient": 0.2, "activation_std": 1e-3}


@pytest.mark.parametrize("key", list(recorded()["flows"]))
def test_recorded_flows_are_what_is_measured(key: str) -> None:
    specs = {spec.start_key: spec for preset in PRESETS for spec in preset.specs}
    kept, fresh = recorded()["flows"][key], flow(specs[key], device="cpu").to_json()
    timed = {"elapsed_s", "device"}
    rates = {"rate", "rate_per_block"}
    for field, value in fresh.items():
        if field in LOOSE or field == "predicted":
            mine, theirs = (np.array(v or [], float) for v in (kept[field], value))
            np.testing.assert_allclose(mine, theirs, rtol=LOOSE.get(field, 0.1), err_msg=field)
        elif field in rates or (isinstance(value, float) and field not in timed):
            assert kept[field] == pytest.approx(value, rel=0.01), field
        elif field not in {*timed, "low", "high"}:
            assert kept[field] == value, field
    assert math.isfinite(kept["elapsed_s"])
