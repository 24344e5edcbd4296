"""The pages of the gradient laboratory: what their routes answer, and what their controls do."""

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from stand_in import StandIn, install
from starlette.applications import Starlette
from starlette.testclient import TestClient
from test_inside_pages import opened, run, words_of
from test_recorded_inside import assert_alike

from explorer.experiments.inside_questions import usual_questions
from explorer.experiments.inside_reference import recorded_answers
from explorer.gradients.by_depth import depths_of
from explorer.spec import parse
from explorer.store import Store
from explorer.theory.path_lengths import path_lengths
from explorer.ui.gradients import depths, factors, jacobians, profile, shattering
from explorer.ui.inside import paths
from explorer.ui.inside.route import PAGES
from explorer.ui.inside.state import USUAL_ON, InsideChoice, inside_url
from explorer.ui.server import ROUTES
from explorer.weights import Weights, find

FIGURES: dict[str, tuple[str, ...]] = {
    "product_of_factors": factors.FIGURES,
    "gradient_profile": profile.FIGURES,
    "shattering": shattering.FIGURES,
    "jacobians": jacobians.FIGURES,
    "gradient_by_depth": depths.FIGURES,
    "paths": paths.FIGURES,
}
FORMS = ("gradient_profile", "jacobians", "gradient_by_depth")  # where networks are typed
SMALL = ("plain-8,width=4@0", "resnet-8,width=4@0")
OTHER = {  # another word, or a shorter way than the page's usual networks
    "product_of_factors": InsideChoice().but(variance="1/3", layers="10", width="16"),
    "gradient_profile": InsideChoice(SMALL).but(seeds="2"),
    "jacobians": InsideChoice(SMALL),
    "gradient_by_depth": InsideChoice().but(grid="norms"),
    "paths": InsideChoice(SMALL[1:]).but(draws="4"),
    "shattering": InsideChoice().but(blocks="2"),
}
BAD = [  # page, address, what is said
    ("product_of_factors", {"variance": "3"}, "variance: '3' is not allowed; choose one of 0.1, "),
    ("product_of_factors", {"activation": "gelu"}, "activation: 'gelu' is not allowed; choose "),
    ("product_of_factors", {"layers": "many"}, "layers: 'many' is not allowed; a whole number up "),
    ("gradient_profile", {"seeds": "3"}, "seeds: '3' is not allowed; choose one of 8, 1, 2"),
    ("gradient_profile", {"net": "resnet-9"}, "depth: '9' is not allowed; with basic blocks 6n+2"),
    ("shattering", {"blocks": "0"}, "blocks: '0' is not allowed; choose one of 24, 2, 4"),
    ("jacobians", {"net": "resnet-8,width=4@7"}, "step: '7' is not allowed; stored of "),
    ("gradient_by_depth", {"grid": "all"}, "grid: 'all' is not allowed; choose one of shown, "),
    ("gradient_by_depth", {"net": "resnet-8,skip=1~0~1@0"}, "skip: 'several gates' is not "),
    ("gradient_by_depth", {"net": "resnet-8,residual=1~0~1@0"}, "residual: 'several gates' is "),
]


@pytest.fixture
def executor(monkeypatch: pytest.MonkeyPatch) -> StandIn:
    return install(monkeypatch)


def ask(page: str, choice: InsideChoice, tag: str = "") -> Any:
    client = TestClient(Starlette(routes=ROUTES))
    headers = {"If-None-Match": tag} if tag else {}
    return client.get(inside_url(page, choice, FIGURES[page]), headers=headers)


def title(view: Any, figure: str) -> str:
    """A figure's title and note without markup, in one line."""
    text = view["figures"][figure]["layout"]["title"]["text"]
    return " ".join(re.sub("<[^>]*>", " ", text).split())


def found(*nets: str) -> tuple[Weights, ...]:
    return tuple(find(Store(), net) for net in nets)


def test_what_every_page_asks_first_ships_with_the_program(executor: StandIn) -> None:
    usual = {question.key for question in usual_questions(executor.store)}
    for name, page in PAGES.items():
        asked = page.questions(InsideChoice(), found(*InsideChoice().nets_on(name)))
        assert {ask.inquiry.key for ask in asked.values()} <= usual, name


@pytest.mark.parametrize("page", FIGURES)
def test_a_view_is_drawn_from_recorded_answers_and_sent_once(page: str, executor: StandIn) -> None:
    first = ask(page, InsideChoice())
    view = first.json()
    assert (first.status_code, view["state"], view["message"]) == (200, "done", "")
    assert view["progress"].startswith("Recorded: 20")
    assert executor.inquired == []
    assert list(view["figures"]) == list(view["alts"]) == list(FIGURES[page])
    assert all(figure["data"] for figure in view["figures"].values())
    again = ask(page, InsideChoice(), first.headers["etag"])
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("page", [page for page in FIGURES if page != "gradient_by_depth"])
def test_another_choice_is_computed_and_drawn(page: str, executor: StandIn) -> None:
    first = ask(page, InsideChoice())
    answer = ask(page, OTHER[page], first.headers["etag"])
    view = answer.json()
    assert (view["state"], view["message"], view["step"]) == ("done", "", view["steps"])
    assert executor.inquired
    before = first.json()["figures"]
    assert all(figure["data"] for figure in view["figures"].values())
    assert [name for name, figure in view["figures"].items() if figure != before[name]]


def test_bad_words_are_one_line(executor: StandIn) -> None:
    client = TestClient(Starlette(routes=ROUTES))
    for page, words, said in BAD:
        answer = client.get(f"/live/inside/{page}", params=words)
        assert answer.status_code == 400, said
        assert answer.json()["error"].startswith(said)
        assert "\n" not in answer.json()["error"]
    assert executor.inquired == []


@pytest.mark.parametrize(("page", "words", "said"), BAD)
def test_a_page_says_what_is_wrong_and_offers_a_way_on(
    page: str, words: dict[str, str], said: str, executor: StandIn
) -> None:
    made = opened(page, **{name: [word] if name == "net" else word for name, word in words.items()})
    (line,) = made.error
    assert re.sub(r"\\(.)", r"\1", line.value).startswith(said)
    for button in made.button:
        if button.label in ("Start again", "Show the usual networks"):
            button.click()
    assert not run(made).error
    assert words_of(made) == {}


@pytest.mark.parametrize("page", FIGURES)
def test_a_page_opens_and_a_missing_run_is_one_line(page: str, executor: StandIn) -> None:
    assert not opened(page).error
    made = opened(page, net=["999"])
    lines = [line.value for line in made.error]
    assert lines == ([] if USUAL_ON.get(page) == () else ["run\\: '999' is not in the store"])


@pytest.mark.parametrize(
    "text",
    ["resnet-20,width=8", "plain-56,width=64", "mlp-30", "resnet-14,stages=1x4~2x4~3x8",
     "resnet-56,stages=27x8,norm=none", "resnet-20,width=4,block=bottleneck", "mlp-6,width=1024"],
)  # fmt: skip
def test_depths_are_those_of_the_library(text: str) -> None:
    run_spec = parse(text)
    library = [spec.network.depth for spec in depths_of(run_spec, depths.DEPTHS)]
    assert list(depths.depths_of(run_spec.network)) == library


@pytest.mark.parametrize(("grid", "panels"), [("shown", 1), ("inits", 4), ("norms", 4)])
def test_depths_are_asked_shallow_first_for_every_panel(
    grid: str, panels: int, executor: StandIn
) -> None:
    choice = InsideChoice(SMALL).but(grid=grid)
    asked = depths.questions(choice, found(*SMALL))
    order = [dict(ask.inquiry.options)["depth"] for ask in asked.values()]
    assert order == sorted(order)
    assert order.count(8) == order.count(998) == 2 * panels
    assert {ask.inquiry.weights[0].step for ask in asked.values()} == {0}
    shown = depths.panels(choice, found(*SMALL))
    field, values = depths.VALUES.get(grid, ("", ("",)))
    assert [heading for heading, _ in shown] == [f"{field} {value}".strip() for value in values]
    for (_, networks), value in zip(shown, values, strict=True):
        assert {getattr(one.spec.network, field, "") for one in networks} <= {value}


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (("plain-56,width=8", "resnet-56,width=8"), ["plain", "residual"]),
        (("mlp-30", "resnet-110"), ["residual-mlp", "residual"]),
        (("plain-56", "plain-56,init=xavier"), ["plain", "plain, init xavier"]),
        (("plain-56", "plain-20"), ["plain-56", "plain-20"]),
    ],
)
def test_arms_by_depth_are_named_without_one_depth(
    texts: tuple[str, str], expected: list[str]
) -> None:
    assert depths.arm_names([parse(text) for text in texts]) == expected


def test_progress_by_depth_counts_networks_and_tells_the_time_left(
    executor: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("explorer.ui.inside.route.PATIENCE", 0.0)
    executor.left_open = {"depth_ratio"}
    choice = InsideChoice(SMALL)
    asked: list[dict[str, Any]] = [
        a.inquiry.question for a in depths.questions(choice, found(*SMALL)).values()
    ]
    assert ask("gradient_by_depth", choice).json()["progress"] == "0 of 28 networks measured"
    shallow = executor.inquired[:4]  # depths 8 and 14
    assert [one.question for one in shallow] == asked[:4]
    for one in shallow:
        depth = one.question["options"]["depth"]
        one.future.set_result({"depth": depth, "ratios": [2.0, 2.0], "predicted": None,
                               "valid": None, "region": None, "elapsed_s": depth / 10})  # fmt: skip
    view = ask("gradient_by_depth", choice).json()
    left = sum(question["options"]["depth"] for question in asked[4:]) / 10
    assert view["progress"] == f"4 of 28 networks measured, about {left / 60:.0f} min left"
    assert view["step"] == 4
    assert "stays inside up to depth 14" in title(view, "ratio")


def test_the_profile_says_its_seeds_and_steps(executor: StandIn) -> None:
    executor.left_open = {"profile"}
    choice = InsideChoice(("plain-20,width=8,steps=300@300", SMALL[0])).but(seeds="4")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("explorer.ui.inside.route.PATIENCE", 0.0)
        assert ask("gradient_profile", choice).json()["busy"]
    assert [one.slow for one in executor.inquired] == [False, False, True]
    executor.settle()
    view = ask("gradient_profile", choice).json()
    assert view["state"] == "done"
    note = "step 300, at initialisation, 1 or 4 seeds, first batch, cpu"
    assert title(view, "gradient").endswith(note)
    trained, start = (said["text"] for said in view["sentences"])
    assert "at step 300, of which theory says nothing" in trained
    assert "too few blocks" in start or "the predicted" in start


def test_what_is_lost_or_not_finite_is_said(executor: StandIn) -> None:
    executor.left_open = {"spectra"}
    assert ask("jacobians", InsideChoice(SMALL)).json()["busy"]
    ends: dict[str, list[float | None]] = {"largest": [None], "smallest": [None]}
    for one, values in zip(executor.inquired, ([None, None], [0.0, 0.0]), strict=True):
        floor = None if values[0] is None else 1e-16
        every = {"values": values, "shape": [2, 2], "complete": True, "floor": floor}
        one.future.set_result({"blocks": ends, "from_stem": ends, "whole": every, "last": every})
    view = ask("jacobians", InsideChoice(SMALL)).json()
    assert (view["state"], set(view["figures"])) == ("done", set(jacobians.FIGURES))
    broken, lost = (said["text"] for said in view["sentences"])
    assert broken == "plain-8: its values are not finite, so no stretch is known."
    assert lost == "residual-8: no small change at the stem reaches the last block."


def test_paths_are_predicted_at_initialisation_where_theory_holds(executor: StandIn) -> None:
    wide = found("mlp-14,width=384,norm=none,block=preact@0")[0]
    expected = path_lengths(wide.spec.network, wide.spec.recipe.batch, measure="norms")
    assert expected is not None
    assert expected.valid
    shares = paths._predicted(wide)
    assert shares is not None
    np.testing.assert_array_equal(shares, expected.share)
    narrow = found("mlp-14,width=4,norm=none,block=preact@0")[0]
    assert paths._predicted(narrow) is paths._predicted(replace(wide, step=300)) is None


def test_all_paths_are_said_as_vectors(executor: StandIn) -> None:
    view = ask("paths", InsideChoice(SMALL[1:])).json()
    (said,) = view["sentences"]
    exact = next(one for one in executor.inquired if one.what == "exact_lengths").future.result()
    share = sum(exact["share"][exact["first"] : exact["last"] + 1])
    assert f"those of {exact['first']} to {exact['last']} blocks bring" in said["text"]
    assert f"{min(round(100 * share), 100)} %" in said["text"] or share >= 0.995
    split = next(one for one in executor.inquired if one.what == "split").future.result()
    median = float(np.median(split["shortcut_share"]))
    assert f"median block: {round(100 * median)} %" in title(view, "split").replace("\u00a0", " ")


def test_what_is_recorded_is_what_is_computed_here(executor: StandIn) -> None:
    """Those that take a moment, of networks as they are initialised and of toys."""
    quick = ("factors", "profile", "depth_ratio", "split", "shattering")
    some = [
        question
        for question in usual_questions(executor.store)
        if question.what in quick
        and dict(question.options).get("depth", 8) in (8, 14, 50)
        and dict(question.options).get("seeds", 1) in (1, 2, 3, 64)
    ]
    assert {question.what for question in some} == set(quick)
    for question in some:
        ours = executor._answer(question.question)
        theirs = {**recorded_answers().answers[question.key]}
        if "elapsed_s" in theirs:
            theirs["elapsed_s"] = ours["elapsed_s"]
        assert_alike(ours, theirs)
