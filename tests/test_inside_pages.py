"""The pages on the inside of blocks: their address, what their route answers, what controls do."""

import io
import re
from typing import Any

import pytest
from PIL import Image
from stand_in import StandIn, install
from starlette.applications import Starlette
from starlette.testclient import TestClient
from streamlit.testing.v1 import AppTest

from explorer.analyses import ANALYSES
from explorer.store import Store
from explorer.ui.asking import asking
from explorer.ui.inside import attributions, blocks, lesions, paths
from explorer.ui.inside.route import PAGES
from explorer.ui.inside.state import (
    InsideChoice,
    inside_url,
    read_inside,
)
from explorer.ui.lab import lab
from explorer.ui.pages import page_files
from explorer.ui.server import ROUTES
from explorer.weights import find

NETS = ("plain-8,width=4@0", "resnet-8,width=4@0")
POINTS = "mlp-6,width=8,data=spirals@0"
FIGURES = {  # of two networks, by page
    "blocks": blocks.figures_of((None, None)),  # type: ignore[arg-type]
    "attributions": attributions.FIGURES,
    "lesions": lesions.figures_of((None, None)),  # type: ignore[arg-type]
    "paths": paths.FIGURES,
    "similarity": ("first", "second", "both"),
}
OTHER = {  # a word that changes what a page shows
    "blocks": {"what": "cosine"},
    "attributions": {"methods": "grad_cam"},
    "lesions": {"mode": "swap"},
    "paths": {"n": "4"},
    "similarity": {"pooled": "0"},
}
BAD = [  # page, address, what is said
    ("lesions", {"order0": "1-2"}, "order0: '1-2' is not allowed; 3 numbers with hyphens"),
    ("lesions", {"order1": "x"}, "order1: 'x' is not allowed; 3 numbers"),
    ("attributions", {"methods": "magic"}, "methods: 'magic' is not allowed; choose of "),
    ("attributions", {"target": "10"}, "target: '10' is not allowed; a class from 0 to 9"),
    ("attributions", {"image": "test:9999"}, "image: 'test:9999' is not allowed; test:0 to test:"),
    ("blocks", {"image": "nonsense"}, "image: 'nonsense' is not allowed; test:NUMBER, "),
    ("blocks", {"what": "magic"}, "what: 'magic' is not allowed; choose one of response_std, "),
    ("similarity", {"net": "nonsense"}, "network: 'nonsense' is not allowed; "),
    ("paths", {"net": "resnet-8,width=4@7"}, "step: '7' is not allowed; stored of "),
]


@pytest.fixture
def executor(monkeypatch: pytest.MonkeyPatch) -> StandIn:
    return install(monkeypatch)


def ask(page: str, choice: InsideChoice, tag: str = "") -> Any:
    client = TestClient(Starlette(routes=ROUTES))
    headers = {"If-None-Match": tag} if tag else {}
    return client.get(inside_url(page, choice, FIGURES[page]), headers=headers)


def opened(page: str, **words: Any) -> AppTest:
    """The page as a visitor with that address sees it."""
    file = next(file for file in page_files() if file.stem[3:] == page)
    made = AppTest.from_file(str(file), default_timeout=60)
    for name, value in words.items():
        made.query_params[name] = value
    return run(made)


def run(page: AppTest) -> AppTest:
    page.run()
    assert not page.exception
    return page


def words_of(page: AppTest) -> dict[str, Any]:
    """The address of a page, without lists of one."""
    said = {name: page.query_params[name] for name in page.query_params}
    return {n: v[0] if isinstance(v, list) and len(v) == 1 else v for n, v in said.items()}


@pytest.mark.parametrize("page", FIGURES)
def test_a_view_is_drawn_from_recorded_answers_and_sent_once(page: str, executor: StandIn) -> None:
    first = ask(page, InsideChoice())
    view = first.json()
    assert first.status_code == 200
    assert (view["state"], view["busy"], view["message"]) == ("done", False, "")
    assert view["progress"].startswith("Recorded: 20")
    assert set(FIGURES[page]) == set(view["figures"]) == set(view["alts"])
    assert all(figure["data"] for figure in view["figures"].values())
    assert executor.inquired == []
    tag = first.headers["etag"]
    again = ask(page, InsideChoice(), tag)
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    assert ask(page, InsideChoice(block=2), tag).status_code == 200


@pytest.mark.parametrize("page", FIGURES)
def test_other_networks_are_computed_and_words_change_the_view(
    page: str, executor: StandIn
) -> None:
    view = ask(page, InsideChoice(NETS)).json()
    assert (view["state"], view["progress"]) == ("done", "Computed on this machine")
    assert view["step"] == view["steps"]
    assert executor.inquired
    changed = ask(page, InsideChoice(NETS).but(**OTHER[page])).json()
    assert changed["state"] == "done"
    assert changed != view


@pytest.mark.parametrize("page", FIGURES)
@pytest.mark.parametrize("net", [POINTS, "resnet-11,width=2,block=bottleneck,norm=none@0", NETS[0]])
def test_every_network_has_every_page(page: str, net: str, executor: StandIn) -> None:
    view = ask(page, InsideChoice((net,))).json()
    assert (view["state"], view["message"]) == ("done", "")


@pytest.mark.parametrize("page", FIGURES)
def test_a_view_says_how_far_it_is_and_can_be_cancelled(page: str, executor: StandIn) -> None:
    executor.left_open = set(ANALYSES)
    choice = InsideChoice(NETS)
    slow = [ask for ask in asked(page, choice) if ask.slow]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("explorer.ui.inside.route.PATIENCE", 0.0)
        first = ask(page, choice)
        waiting = first.json()
        assert (waiting["state"], waiting["busy"]) == ("running", True)
        assert waiting["controls"] == {"play": False, "stop": True}
        assert waiting["step"] == 0
        count = len(executor.inquired)
        more = f"; {count - 1} more after it" if count > 1 else ""
        assert waiting["progress"].endswith(f": waits for a worker{more}")
        executor.settle("samples", "maps", "lesion")
        executor.count(slow[0].inquiry.what, 1, 4)
        begun = ask(page, choice, first.headers["etag"])
        assert ": 25 %" in begun.json()["progress"]
        assert ask(page, choice, begun.headers["etag"]).status_code == 304
    inquiries = [one.inquiry for one in asked(page, choice)]
    asking(lab()).cancel(inquiries)
    cancelled = ask(page, choice).json()
    assert (cancelled["state"], cancelled["controls"]) == ("stopped", {"resume": True})
    assert cancelled["progress"] == "Cancelled; Compute starts it again"
    assert cancelled["message"] == ""
    executor.left_open = set()
    executor.error = "the measuring process ended (signal 9)"
    asking(lab()).again(inquiries)
    failed = ask(page, choice).json()
    assert (failed["state"], failed["message"]) == ("stopped", executor.error)
    assert failed["progress"] == "Not all could be computed"
    executor.error = ""
    asking(lab()).again(inquiries)
    assert ask(page, choice).json()["state"] == "done"


def test_cancel_and_compute_are_for_the_questions_of_the_page(executor: StandIn) -> None:
    executor.left_open = {"similarity", "path_lengths"}
    for page in ("similarity", "paths"):
        assert ask(page, InsideChoice(NETS)).json()["busy"]
    press("similarity", "stop")
    assert ask("similarity", InsideChoice(NETS)).json()["state"] == "stopped"
    assert [one.cancelled for one in executor.inquired] == [True] * 3 + [False] * 3
    press("similarity", "resume")
    assert ask("similarity", InsideChoice(NETS)).json()["busy"]


def asked(page: str, choice: InsideChoice) -> list[Any]:
    weights = tuple(find(Store(), net) for net in choice.nets_on(page))
    return list(PAGES[page].questions(choice, weights).values())


def press(page: str, command: str) -> None:
    """Cancel or Compute under the page, with NETS in the address."""

    def script(page: str, command: str) -> None:
        from explorer.ui.inside.controls import _command

        _command(page, command)

    made = AppTest.from_function(script, kwargs={"page": page, "command": command})
    made.query_params["net"] = list(NETS)
    run(made)


def test_what_is_not_there_is_one_line(executor: StandIn) -> None:
    client = TestClient(Starlette(routes=ROUTES))
    answer = client.get("/live/inside/nonsense")
    assert (answer.status_code, answer.json()["error"]) == (
        400,
        f"page: 'nonsense' is not allowed; choose one of {', '.join(PAGES)}",
    )
    missing = client.get("/live/inside/blocks", params={"net": "999"})
    assert missing.json() == {"error": "run: '999' is not in the store"}
    assert missing.status_code == 503


def test_a_bad_address_is_one_line(executor: StandIn) -> None:
    client = TestClient(Starlette(routes=ROUTES))
    for page, words, said in BAD:
        answer = client.get(f"/live/inside/{page}", params={"net": NETS, **words})
        assert answer.status_code == 400
        assert answer.json()["error"].startswith(said)
    assert executor.inquired == []


@pytest.mark.parametrize(("page", "words", "said"), BAD[::2])
def test_a_page_says_what_is_wrong_with_its_address(
    page: str, words: dict[str, str], said: str, executor: StandIn
) -> None:
    made = opened(page, **{"net": list(NETS), **words})
    (line,) = made.error
    assert re.sub(r"\\(.)", r"\1", line.value).startswith(said)


@pytest.mark.parametrize("page", FIGURES)
def test_a_page_opens_and_its_networks_can_be_changed(page: str, executor: StandIn) -> None:
    made = opened(page)
    assert not made.error
    made.select_slider(key="net_step_0").set_value(0)
    usual = InsideChoice().nets_on(page)
    assert words_of(run(made))["net"] == one_of([f"{usual[0]}@0", *usual[1:]])
    made.selectbox(key="net_0").set_value("resnet-20,width=8,steps=300")
    chosen = ["resnet-20,width=8,steps=300", *usual[1:]]
    assert words_of(run(made))["net"] == one_of(chosen)
    made.button(key="one_net" if len(usual) > 1 else "two_nets").click()
    assert len(run(made).selectbox) >= 1
    assert isinstance(words_of(made)["net"], str) == (len(usual) > 1)


def one_of(values: list[str]) -> Any:
    return values[0] if len(values) == 1 else values


@pytest.mark.parametrize("page", FIGURES)
def test_a_page_without_its_run_offers_the_usual_networks(page: str, executor: StandIn) -> None:
    made = opened(page, net=["999"])
    assert [line.value for line in made.error] == ["run\\: '999' is not in the store"]
    assert not made.selectbox
    made.button[0].click()
    assert words_of(run(made)) == {}
    assert not made.error
    assert made.selectbox


@pytest.mark.parametrize(
    ("page", "kind", "key", "value", "word"),
    [
        ("blocks", "segmented_control", "word_what", "cosine", {"what": "cosine"}),
        ("attributions", "selectbox", "target", 3, {"target": "3"}),
        ("attributions", "select_slider", "steps", 200, {"steps": "200"}),
        ("attributions", "select_slider", "block", 5, {"block": "5"}),
        ("attributions", "pills", "methods", ["occlusion", "grad_cam"],
         {"methods": "grad_cam,occlusion"}),
        ("similarity", "segmented_control", "word_debiased", "0", {"debiased": "0"}),
        ("paths", "segmented_control", "word_n", "5", {"n": "5"}),
        ("lesions", "segmented_control", "word_harm", "noise_output", {"harm": "noise_output"}),
    ],
)  # fmt: skip
def test_controls_write_into_the_address(
    page: str, kind: str, key: str, value: Any, word: dict[str, str], executor: StandIn
) -> None:
    made = opened(page)
    getattr(made, kind)(key=key).set_value(value)
    assert words_of(run(made)) == word
    assert getattr(made, kind)(key=key).value in (value, value[::-1] if key == "methods" else value)


def test_numbers_that_no_menu_has_are_shown_as_they_are(executor: StandIn) -> None:
    made = opened("attributions", steps="7", block="400", methods="occlusion", target="9")
    assert made.select_slider(key="steps").value == 7
    assert made.select_slider(key="block").value == 27
    assert made.selectbox(key="target").value == 9
    assert made.pills(key="methods").value == ["occlusion"]
    assert opened("attributions", net=[POINTS]).pills(key="methods").value == [
        "integrated_gradients",
        "conductance",
    ]


def test_blocks_are_deleted_one_at_a_time_until_none_is_left(executor: StandIn) -> None:
    made = opened("lesions", net=list(NETS))
    for left in (2, 1, 0, 0):
        made.button(key="draw_1").click()
        words = words_of(run(made))
        order = lesions.order_of(read_inside(words, []), 1, find(executor.store, NETS[1]))
        assert [runs for runs in order if runs] == [n for n in (1, 2, 3) if n in order]
        assert len(order) - order.count(0) == left
        assert "order0" not in words
        row = ask("lesions", InsideChoice(NETS, words=words)).json()["lesions"]["arms"][1]
        assert [block["gone"] for block in row["blocks"]] == [runs == 0 for runs in order]
        assert ("deleted" in row["said"], row["busy"]) == (True, False)
    made.selectbox(key="net_0").set_value("resnet-20,width=8,steps=300")
    assert "order1" not in words_of(run(made))  # other networks have other blocks


def upload(content: bytes) -> AppTest:
    def script(content: bytes) -> None:
        from explorer.ui.inside.controls import _upload
        from explorer.ui.lab import lab
        from explorer.weights import find

        _upload(find(lab().store, "resnet-8,width=4@0"), content)

    return AppTest.from_function(script, kwargs={"content": content})


def test_an_uploaded_picture_becomes_the_image_on_show(executor: StandIn) -> None:
    buffer = io.BytesIO()
    Image.new("L", (16, 16), 30).save(buffer, "PNG")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("explorer.ui.inside.controls.st.rerun", lambda: None)
        made = run(upload(buffer.getvalue()))
    choice = InsideChoice(NETS, image=words_of(made)["image"])
    assert choice.image.startswith("pixels:")
    assert ask("blocks", choice).json()["picture"]["said"].startswith("Your picture: ")
    (line,) = run(upload(b"no picture at all")).error
    assert "\n" not in line.value
    executor.left_open = {"upload"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("explorer.ui.inside.controls.UPLOAD_PATIENCE", 0.01)
        (line,) = run(upload(buffer.getvalue())).error
    assert "could not be read in time" in line.value
