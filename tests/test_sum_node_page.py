"""The Sum node page: what is asked, drawn and said of one block, and the slow motion of it."""

import copy
import json
import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
from browser import PATIENCE, Visit
from stand_in import StandIn, install
from starlette.applications import Starlette
from starlette.testclient import TestClient
from streamlit.testing.v1 import AppTest
from subjects import PLAIN, PREACT, RESIDUAL, ask, subject
from test_e2e_access import violations

from explorer.analyses import Json, Subject
from explorer.analyses.gradient_profile import first_batch
from explorer.gradients.sum_node import sum_node
from explorer.network import build
from explorer.probes.flow import profile
from explorer.spec import SpecError
from explorer.ui.gradients.sum_node import VARIANTS
from explorer.ui.gradients.sum_node_changes import changed
from explorer.ui.gradients.sum_node_drawing import digits, drawing, labels
from explorer.ui.gradients.sum_node_stages import stages
from explorer.ui.inside.state import WORDS, InsideChoice, inside_url
from explorer.ui.pages import page_files
from explorer.ui.server import ROUTES

NET = "resnet-8,width=4@0"
NUMBER = 3  # a block that changes the shape


def otherwise(text: str, variant: str) -> Subject:
    """The network with its block rebuilt so, by hand."""
    one = subject(text)
    network = copy.deepcopy(one.network)
    block = network.all_blocks[NUMBER - 1]
    if variant == "no_act":
        block.act_after_sum = False
    if variant == "projection":
        spec = one.run.network.replace(shortcut="projection_all")
        block.shortcut = build(spec, one.run.seed).all_blocks[NUMBER - 1].shortcut
    if variant == "zeroed":
        block.residual_gate = 0.0
    if variant == "cut":
        block.skip = 0.0
    return Subject(network, one.run, one.data, one.step)


def edge(answer: Json, name: str) -> Json:
    return next(one for one in answer["edges"] if one["name"] == name)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("text", [RESIDUAL, PLAIN, PREACT])
def test_a_variant_is_the_network_rebuilt_so(text: str, variant: str) -> None:
    answer = ask("sum_node", subject(text), block=NUMBER, variant=variant)
    rebuilt = otherwise(text, variant)
    x, y = first_batch(rebuilt)
    whole = profile(rebuilt.network.train(), x, y)
    ends = {"x": NUMBER - 1, answer["edges"][-1]["name"]: NUMBER}  # sites, the stem first
    for name, site in ends.items():
        found = edge(answer, name)
        expected = whole["activation_gradient"][site]
        assert found["gradient_norm"] == pytest.approx(expected, rel=1e-4, abs=1e-12)
        assert found["value_std"] == pytest.approx(whole["activation_std"][site], rel=1e-4)
    direct = sum_node(rebuilt.network, NUMBER, x, y)
    assert [one["gradient_norm"] for one in answer["edges"]] == pytest.approx(
        [one.gradient_norm for one in direct.edges], rel=1e-5, abs=1e-12
    )
    assert json.loads(json.dumps(answer, allow_nan=False)) == answer


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("text", [RESIDUAL, PLAIN, PREACT])
def test_the_sum_copies_in_every_variant_and_the_page_says_by_how_much(
    text: str, variant: str
) -> None:
    one = subject(text)
    answer = ask("sum_node", one, block=NUMBER, variant=variant)
    plain = text == PLAIN and variant != "projection"
    assert answer["into_residual"] <= 1e-6
    assert (answer["into_shortcut"] is None) == plain
    assert plain or answer["into_shortcut"] <= 1e-6
    assert plain or answer["at_fork"] <= 1e-5
    words = labels(answer, one.run.network)
    found = stages(answer, words)
    at = next(s for s in found if s["way"] == "backward" and s["node"] == "sum")
    drawn = {e["name"]: e for e in drawing(answer, one.run.network)["edges"]}
    upstream = drawn["sum"]["gradient"]
    assert len(at["edges"]) == (1 if plain else 2)
    assert {drawn[name]["gradient"] for name in at["edges"]} == {upstream}
    assert upstream in at["text"]
    assert f"{answer['into_residual']:.0e}" in at["text"]


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("text", [RESIDUAL, PLAIN, PREACT])
def test_both_passes_go_over_every_arrow_once_and_in_the_right_order(
    text: str, variant: str
) -> None:
    one = subject(text)
    answer = ask("sum_node", one, block=NUMBER, variant=variant)
    drawn = drawing(answer, one.run.network)
    nodes, edges = {n["name"] for n in drawn["nodes"]}, drawn["edges"]
    assert {e["from"] for e in edges} | {e["to"] for e in edges} == nodes
    found = stages(answer, labels(answer, one.run.network))
    order: dict[str, list[str]] = {"forward": [], "backward": []}
    for stage in found:
        done = order[stage["way"]]
        for name in stage["edges"]:
            this = next(e for e in edges if e["name"] == name)
            near, far = ("to", "from") if stage["way"] == "forward" else ("from", "to")
            needed = {e["name"] for e in edges if e[near] == this[far]}
            assert needed <= set(done)
        done += stage["edges"]
    for done in order.values():
        assert sorted(done) == sorted(e["name"] for e in edges)
    counts = [s["label"].partition(":")[0] for s in found]
    half = len(found) // 2
    assert counts[0] == f"forward 1 of {half}"
    assert counts[-1] == f"backward {half} of {half}"
    gates = {n["label"] for n in drawn["nodes"] if n["kind"] == "gate"}
    has_skip = text != PLAIN
    assert gates == ({"× 0"} if variant == "zeroed" or (variant == "cut" and has_skip) else set())


def test_what_a_variant_changes_is_said_with_its_numbers() -> None:
    one = subject(RESIDUAL)
    before = ask("sum_node", one, block=NUMBER)
    for variant in list(VARIANTS)[1:]:
        now = ask("sum_node", one, block=NUMBER, variant=variant)
        said = changed(now, before)
        at_x = [digits(edge(answer, "x")["gradient_norm"]) for answer in (now, before)]
        assert said.endswith(f"‖dL/dx‖: {at_x[0]}, as it is {at_x[1]}.")
    now = ask("sum_node", one, block=NUMBER, variant="no_act")
    passed = edge(before, "sum")["gradient_norm"] / edge(before, "output")["gradient_norm"]
    (percent,) = re.findall(r"(\d+)\s%", changed(now, before))
    assert int(percent) == pytest.approx(100 * passed, abs=0.51)
    preact = [
        ask("sum_node", subject(PREACT), block=NUMBER, variant=v) for v in ("no_act", "as_is")
    ]
    assert preact[0]["edges"] == preact[1]["edges"]
    assert changed(*preact).endswith("so nothing changes.")


def test_numbers_that_left_the_range_are_said_in_words() -> None:
    one = otherwise(RESIDUAL, "as_is")
    with torch.no_grad():
        one.network.stem[0].weight.fill_(float("inf"))
    answer = ask("sum_node", one, block=NUMBER)
    spec = one.run.network
    shown = [drawing(answer, spec), stages(answer, labels(answer, spec)), changed(answer, answer)]
    text = json.dumps(shown, ensure_ascii=False, allow_nan=False)
    assert "not finite" in text
    assert not re.search(r"\b(nan|None|inf)\b", text)
    zeroed = changed({**answer, "variant": "zeroed"}, answer)
    assert "receive no gradient" not in zeroed


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"block": 7}, "block: '7' is not allowed; a whole number from 1 to 6"),
        ({"variant": "magic"}, "variant: 'magic' is not allowed; choose one of as_is, no_act, "),
        ({"skip": 1}, "option: 'skip' is not allowed; sum_node has block, variant"),
    ],
)
def test_bad_options_are_one_line(options: Json, said: str) -> None:
    with pytest.raises(SpecError, match=re.escape(said)):
        ask("sum_node", subject(RESIDUAL), **options)


@pytest.fixture
def executor(monkeypatch: pytest.MonkeyPatch) -> StandIn:
    return install(monkeypatch)


def test_the_view_compares_with_the_block_as_it_is(executor: StandIn) -> None:
    assert tuple(VARIANTS) == WORDS["variant"]
    client = TestClient(Starlette(routes=ROUTES))
    views = {}
    for variant in ("as_is", "zeroed"):
        choice = InsideChoice((NET,), block=1).but(variant=variant)
        views[variant] = client.get(inside_url("sum_node", choice, ())).json()
        assert views[variant]["state"] == "done"
    asked = [one.question["options"] for one in executor.inquired]
    assert asked == [{"block": 1}, {"block": 1, "variant": "zeroed"}]
    numbers = {v: view["sum_node"]["edges"][0]["gradient"] for v, view in views.items()}
    said = views["zeroed"]["sum_node"]["changed"]
    assert said.endswith(f"{numbers['zeroed']}, as it is {numbers['as_is']}.")
    bad = client.get("/live/inside/sum_node", params={"net": NET, "variant": "x"})
    assert bad.json()["error"].startswith("variant: 'x' is not allowed; choose one of as_is, ")


def test_the_page_opens_and_its_controls_write_into_the_address(executor: StandIn) -> None:
    file = next(file for file in page_files() if file.stem[3:] == "sum_node")
    page = AppTest.from_file(str(file), default_timeout=60)
    page.query_params["net"] = [NET, "plain-8,width=4@0"]  # the page shows one of them
    page.run()
    assert not page.exception
    assert not page.error
    assert page.select_slider(key="sum_block").value == 2
    page.select_slider(key="sum_block").set_value(3)
    page.segmented_control(key="word_variant").set_value("cut")
    page.run()
    assert not page.exception
    assert [*page.query_params["block"]] == ["3"]
    assert "".join(page.query_params["variant"]) == "cut"


def shown(page: Any, way: str) -> dict[str, str]:
    """The numbers of that way that can be seen in the drawing, by their arrow."""
    script = """(way) => [...document.querySelectorAll('.sum-drawing .arrow')]
      .map((arrow) => [arrow.dataset.edge, arrow.querySelector('.' + way)])
      .filter(([, text]) => getComputedStyle(text).visibility === 'visible')
      .map(([name, text]) => [name, text.textContent.slice(2)])"""
    return dict(page.evaluate(script, way))


@pytest.mark.e2e
def test_the_slow_motion_shows_each_number_when_it_comes_about(tab: Callable[..., Visit]) -> None:
    visit = tab(width=390, theme="dark")
    page = visit.page
    page.goto(f"{visit.app.url}sum_node?net={NET}&block=3")
    page.get_by_test_id("sum-drawing").wait_for(timeout=PATIENCE)
    visit.settle()
    whole = {way: shown(page, way) for way in ("forward", "backward")}
    assert len(whole["forward"]) == len(whole["backward"]) == 11
    following, status = page.get_by_test_id("sum-next"), page.get_by_test_id("sum-status")
    seen, told = {"forward": 0, "backward": 0}, []
    while following.get_attribute("aria-disabled") is None:
        following.press("Enter")
        way = page.get_by_test_id("sum-stage").inner_text().split()[0]
        lit = page.locator(f".arrow[data-way={way}]").count()
        seen[way] += lit
        for each, numbers in whole.items():
            now = shown(page, each)
            assert len(now) == seen[each]
            assert now.items() <= numbers.items()
        told.append(status.inner_text())
    assert seen == {"forward": 11, "backward": 11}
    upstream = whole["backward"]["sum"]
    (copies,) = [text for text in told if text.startswith("Both inputs receive the same")]
    assert f"of norm {upstream}: they differ from the upstream one by " in copies
    assert float(copies.split(" by ")[1].split()[0]) <= 1e-6
    assert whole["backward"]["F(x)"] == whole["backward"]["shortcut(x)"] == upstream
    slider = page.get_by_test_id("sum-slider")
    slider.press("ArrowLeft")
    assert status.inner_text() == told[-2]
    page.get_by_test_id("sum-play").click()
    page.wait_for_function("document.querySelector('[data-testid=sum-play]').textContent==='Play'")
    assert status.inner_text() == told[-1]
    page.get_by_role("radio", name="F times 0").click()
    visit.wait_for_url("variant=zeroed")
    page.locator("[data-node=residual_gate]").wait_for(timeout=PATIENCE)
    slider.press("Home")
    zeroed = shown(page, "backward")
    assert zeroed["x to F"] == "0"
    assert zeroed["x"] == zeroed["x to shortcut"] != whole["backward"]["x"]
    assert page.get_by_test_id("sum-changed").inner_text().endswith(f"{whole['backward']['x']}.")
    page.get_by_text("The numbers as a table").click()
    page.get_by_text("How to read this").click()
    visit.settle()
    assert violations(page) == []
    assert page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth") <= 390
