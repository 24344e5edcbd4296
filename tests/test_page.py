"""Every page opens, controls and address say the same, and callbacks do what they say."""

import ast
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode

import numpy as np
import pytest
from stand_in import StandIn, install
from streamlit.testing.v1 import AppTest

from explorer.experiments.arms import DEFAULT, MOST_ARMS, PRESETS, value_of
from explorer.reproduction import Made, Outcome
from explorer.spec import RunSpec, SpecError, parse, short_form
from explorer.store import Comparison, this_process
from explorer.trace import Reading
from explorer.ui import panels, playground, state
from explorer.ui.controls import IN_SIGHT, MORE
from explorer.ui.lab import close, lab
from explorer.ui.pages import GROUPS, page_files, question, title
from explorer.ui.panels import escaped

ROUTER = Path(playground.__file__).with_name("router.py")
SMALL = ("plain-8,width=4", "resnet-8,width=4")
HOSTILE = "<script>alert(1)</script>"
TIMEOUT = 60

CHANGES: tuple[tuple[str, Any], ...] = (
    ("depth", 14),
    ("width", 8),
    ("norm", "group"),
    ("init", "xavier"),
    ("lr", 0.05),
    ("seed", 7),
    ("branch_scale", 0.5),
    ("bias", True),
    ("momentum", 0.5),
    ("nesterov", True),
    ("weight_decay", 0.001),
    ("clip", 1.5),
    ("normalized", True),
    ("label_smoothing", 0.1),
    ("steps", 50),
    ("batch", 64),
    ("schedule", "one_cycle"),
    ("warmup", 5),
    ("augment", True),
    ("bf16", True),
    ("channels_last", True),
    ("shortcut", "projection"),
    ("block", "preact"),
    ("nesterov", False),
    ("optimizer", "adamw"),
    ("data", "spirals"),
)


@pytest.fixture
def executor(monkeypatch: pytest.MonkeyPatch) -> StandIn:
    return install(monkeypatch)


def visit(*arms: str, file: Path = ROUTER, **query: str) -> AppTest:
    """A page as a visitor with that address sees it."""
    page = AppTest.from_file(str(file), default_timeout=TIMEOUT)
    if arms:
        page.query_params["arm"] = list(arms)
    for name, value in query.items():
        page.query_params[name] = value
    return opened(page.run())


def opened(page: AppTest) -> AppTest:
    assert [one.message for one in page.exception] == []
    return page


def arms_of(page: AppTest) -> list[str]:
    named = page.query_params.get("arm", [])
    return [named] if isinstance(named, str) else list(named)


def run_in(page: AppTest) -> str:
    """The run that the address names; "" if it names none."""
    named = page.query_params.get("run", "")
    return named if isinstance(named, str) else named[0]


def specs_of(page: AppTest) -> tuple[RunSpec, ...]:
    return tuple(parse(text) for text in arms_of(page))


def press(query: dict[str, Any], call: Callable[..., object], *given: Any, **kept: Any) -> AppTest:
    """What a callback leaves behind of a session with that address and those kept values."""

    def script(call, given):  # type: ignore[no-untyped-def]  # its text is run elsewhere
        call(*given)

    page = AppTest.from_function(script, default_timeout=TIMEOUT, args=(call, given))
    for name, value in query.items():
        page.query_params[name] = value
    for name, value in kept.items():
        page.session_state[name] = value
    return opened(page.run())


def said(page: AppTest) -> str:
    """The one error line on a page, as it is read; the page takes none of it for markup."""
    (error,) = page.error
    line = re.sub(r"\\(.)", r"\1", error.value)
    assert escaped(line) == error.value
    assert "\n" not in line
    return line


def trouble(page: AppTest) -> str:
    return str(page.session_state[state.TROUBLE]) if state.TROUBLE in page.session_state else ""


def test_every_page_has_a_group_a_name_and_a_question() -> None:
    files = page_files()
    assert files
    assert sorted(files[0].parent.glob("*.py")) == files
    for file in files:
        assert file.name[0] in GROUPS
        assert title(file).isascii()
        assert question(file).endswith("?")
        assert ast.get_docstring(ast.parse(file.read_text(encoding="utf-8")))


@pytest.mark.parametrize("file", page_files(), ids=title)
def test_every_page_opens(executor: StandIn, file: Path) -> None:
    page = visit(file=file)
    assert len(page.title) == 1
    assert page.title[0].value.endswith("?")
    assert not page.error
    assert not page.warning


def test_the_first_screen_asks_about_the_default(executor: StandIn) -> None:
    page = visit()
    assert page.title[0].value == "Can a 56-layer network learn these digits?"
    assert arms_of(page) == []
    assert page.select_slider(key="field_depth").value == 56
    assert page.segmented_control(key="preset").value == DEFAULT.name


@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.name)
def test_a_preset_goes_into_the_address(executor: StandIn, preset: Any) -> None:
    page = visit(*SMALL)
    assert page.segmented_control(key="preset").value is None
    opened(page.segmented_control(key="preset").set_value(preset.name).run())
    assert specs_of(page) == preset.specs
    assert any(caption.value == preset.look_at for caption in page.caption)


def test_every_control_is_read_from_the_address_and_written_into_it(executor: StandIn) -> None:
    page = visit(*SMALL)
    shown = [*IN_SIGHT, *(field for fields in MORE.values() for field in fields)]
    assert {field for field, _ in CHANGES} == set(shown)
    kinds = ("select_slider", "selectbox", "number_input", "toggle")
    for field, value in CHANGES:
        key = f"field_{field}"
        widget = next(w for kind in kinds for w in getattr(page, kind) if w.key == key)
        assert widget.value == value_of((specs_of(page) or DEFAULT.specs)[0], field)
        opened(widget.set_value(value).run())
        assert not page.error, field
        assert value_of(specs_of(page)[0], field) == value
    copied = visit(*arms_of(page))
    assert specs_of(copied) == specs_of(page)
    assert copied.title[0].value == "Can a 14-layer network tell these points apart?"


def test_only_arms_alike_in_a_field_are_changed(executor: StandIn) -> None:
    page = visit("plain-8,width=4", "resnet-14,width=4")
    opened(page.select_slider(key="field_depth").set_value(20).run())
    opened(page.number_input(key="field_seed").set_value(3).run())
    assert arms_of(page) == ["plain-20,width=4,seed=3", "resnet-14,width=4,seed=3"]


def test_points_turn_the_networks_into_mlps_and_back(executor: StandIn) -> None:
    page = visit(*SMALL)
    opened(page.selectbox(key="field_data").set_value("spirals").run())
    assert [spec.network.family for spec in specs_of(page)] == ["mlp", "mlp"]
    assert [spec.network.plain for spec in specs_of(page)] == [True, False]
    opened(page.selectbox(key="field_data").set_value("digits").run())
    assert arms_of(page) == list(SMALL)


def test_a_value_that_cannot_be_is_one_line_and_changes_nothing(executor: StandIn) -> None:
    page = visit(*SMALL)
    opened(page.number_input(key="field_batch").set_value(1).run())
    assert said(page).startswith("batch: '1' is not allowed; 2 to 1347")
    assert arms_of(page) == list(SMALL)
    assert page.number_input(key="field_batch").value == 128
    opened(page.run())
    assert not page.error


BAD = [
    (["resnet-7"], "depth: '7' is not allowed; with basic blocks"),
    ([HOSTILE], f"network: '{HOSTILE}' is not allowed"),
    (["resnet-8," + "x" * 100_000], "spec: 'resnet-8,xxx"),
    (["resnet-8"] * 5, "arm: 'five or more' is not allowed; at most 4"),
    (["resnet-8", "vgg"], "network: 'vgg' is not allowed; write"),
    (["resnet-8,lr=nan"], "lr: 'nan' is not allowed; input"),
]


@pytest.mark.parametrize(("arms", "line"), BAD, ids=[line[:16] for _, line in BAD])
def test_a_bad_address_is_one_line_and_the_default(
    executor: StandIn, arms: list[str], line: str
) -> None:
    page = visit(*arms)
    assert said(page).startswith(line)
    assert len(said(page)) < 400
    assert page.select_slider(key="field_depth").value == 56
    assert arms_of(page) == []
    opened(page.run())
    assert not page.error


@pytest.mark.parametrize("run", ["nothere0", HOSTILE, "x" * 100_000, ""])
def test_an_unknown_run_opens_the_arms(executor: StandIn, run: str) -> None:
    page = visit(*SMALL, run=run)
    assert not page.error
    assert page.title[0].value == "Can an 8-layer network learn these digits?"


def test_arms_are_added_up_to_four_and_removed(executor: StandIn) -> None:
    page = visit(*SMALL)
    assert not [button for button in page.button if "remove" in str(button.key)]
    opened(page.selectbox(key="new_field").set_value("init").run())
    opened(page.selectbox(key="new_init").set_value("xavier").run())
    opened(page.button(key="add_arm").click().run())
    assert arms_of(page) == [*SMALL, "plain-8,init=xavier,width=4"]
    opened(page.selectbox(key="new_field").set_value("seed").run())
    opened(page.number_input(key="new_seed").set_value(5).run())
    opened(page.button(key="add_arm").click().run())
    assert len(arms_of(page)) == MOST_ARMS
    assert not [button for button in page.button if button.key == "add_arm"]
    opened(page.button(key="remove_2").click().run())
    assert arms_of(page) == [*SMALL, "plain-8,width=4,seed=5"]


def test_readings_by_block_are_asked_for(executor: StandIn) -> None:
    page = visit(*SMALL)
    opened(page.pills(key="extra_readings").set_value(["dead_share", "update_ratio"]).run())
    assert not page.error


def test_a_run_of_one_arm_in_the_plane_opens(executor: StandIn) -> None:
    page = visit("mlp-8,width=8,data=moons")
    assert page.title[0].value == "Can an 8-layer network tell these points apart?"


def run_of(executor: StandIn, run_state: Any, *, arms: tuple[str, ...] = SMALL) -> Comparison:
    named = [(arm.partition(",")[0], parse(arm)) for arm in arms]
    made = executor.store.add_comparison(named, this_process())
    for run in made.runs:
        executor.store.update(run.id, state=run_state)
    found = executor.store.comparison(made.id)
    assert found is not None
    return found


def query(run: Comparison | None = None) -> dict[str, Any]:
    return {"arm": list(SMALL), **({"run": run.id} if run else {})}


def test_play_starts_the_arms_on_show(executor: StandIn) -> None:
    page = press(query(), playground.command, "play")
    (started,) = executor.store.comparisons()
    assert executor.commands == [(started.id, "start", {"paused": False})]
    assert [short_form(run.spec) for run in started.runs] == list(SMALL)
    assert [run.arm for run in started.runs] == ["plain-8", "residual-8"]
    assert run_in(page) == started.id
    assert arms_of(page) == list(SMALL)


def test_play_stops_the_run_that_was_left(executor: StandIn) -> None:
    left = run_of(executor, "running")
    press(query(), playground.command, "play", left=left.id)
    assert executor.commands[0] == (left.id, "stop", {})


def test_step_starts_paused_or_goes_on(executor: StandIn) -> None:
    page = press(query(), playground.command, "step")
    (started,) = executor.store.comparisons()
    assert executor.commands[0] == (started.id, "start", {"paused": True})
    assert {entry[:2] for entry in executor.commands[1:]} == {(started.id, "step")}
    executor.commands.clear()
    assert run_in(page) == started.id
    press(query(started), playground.command, "step")
    assert executor.commands == [(started.id, "step", {})]


@pytest.mark.parametrize(
    ("name", "run_state", "done"),
    [
        ("pause", "running", "pause"),
        ("stop", "queued", "stop"),
        ("stop", "done", None),
        ("pause", "done", None),
        ("reset", "running", "stop"),
        ("reset", "done", None),
        ("resume", "paused", "resume"),
        ("resume", "stopped", "resume_it"),
        ("resume", "interrupted", "resume_it"),
    ],
)
def test_buttons_do_what_they_say(
    executor: StandIn, name: str, run_state: str, done: str | None
) -> None:
    run = run_of(executor, run_state)
    page = press(query(run), playground.command, name)
    assert [entry[:2] for entry in executor.commands] == ([(run.id, done)] if done else [])
    assert run_in(page) == ("" if name == "reset" else run.id)
    assert trouble(page) == ""


@pytest.mark.parametrize("name", ["pause", "resume", "stop", "reset"])
def test_buttons_without_a_run_do_nothing(executor: StandIn, name: str) -> None:
    page = press(query(), playground.command, name)
    assert executor.commands == []
    assert arms_of(page) == list(SMALL)


def test_a_run_of_another_program_cannot_be_commanded(executor: StandIn) -> None:
    executor.trouble = "nobody here trains it"
    page = press(query(run_of(executor, "running")), playground.command, "pause")
    assert trouble(page) == "pause: this run is trained by another program; pause it there"


def test_a_full_queue_is_one_line(executor: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise SpecError("queue", "8 waiting", "at most 8 wait at once")

    monkeypatch.setattr(executor, "start", full)
    page = press(query(), playground.command, "play")
    assert trouble(page) == "queue: '8 waiting' is not allowed; at most 8 wait at once"
    assert run_in(page) == ""


EXPECTED = Outcome(("3f9a12bc45", "0c11223344"), Made("cpu", "2.15.0+cu130", "x86_64", "AVX2"))


def expected_in(page: AppTest) -> Outcome | None:
    """What the address says came of its arms."""
    expect, made = ("".join(page.query_params.get(name, "")) for name in state.EXPECT)
    return Outcome.parse(expect, made, len(arms_of(page)))


@pytest.mark.parametrize("name", ["play", "step", "reset", "pause", "stop"])
def test_what_a_link_expects_is_kept_while_the_arms_are(executor: StandIn, name: str) -> None:
    expecting = {**query(), **EXPECTED.query}
    assert expected_in(press(expecting, playground.command, name)) == EXPECTED
    page = visit(*SMALL, **EXPECTED.query)
    assert not page.error
    assert expected_in(page) == EXPECTED


@pytest.mark.parametrize(
    ("call", "given"),
    [
        (playground.set_field, ("seed", 1)),
        (playground.set_gates, (((1.0,) * 3, (1.0, 0.0, 1.0)),)),
        (playground.add_arm, ("seed", 2)),
        (playground.remove_arm, (0,)),
    ],
)
@pytest.mark.parametrize("live", [True, False])
def test_other_arms_than_the_links_expect_nothing(
    executor: StandIn, call: Callable[..., object], given: tuple[Any, ...], live: bool
) -> None:
    attached = query(run_of(executor, "running") if live else None)
    page = press({**attached, **EXPECTED.query}, call, *given)
    assert arms_of(page) != list(SMALL)
    assert expected_in(page) is None


def test_a_rate_that_is_changed_while_it_trains_expects_nothing(executor: StandIn) -> None:
    training = {**query(run_of(executor, "running")), **EXPECTED.query}
    assert expected_in(press(training, playground.set_field, "lr", 0.05)) is None


def test_only_a_run_of_the_links_arms_is_shown_as_what_it_expects(executor: StandIn) -> None:
    expecting = {**query(), **EXPECTED.query}
    same, other = run_of(executor, "done"), run_of(executor, "done", arms=("resnet-8", "plain-8"))
    assert expected_in(press(expecting, playground.show_run, same)) == EXPECTED
    assert expected_in(press(expecting, playground.show_run, other)) is None


@pytest.mark.parametrize(
    ("asked", "line"),
    [
        ({"expect": HOSTILE}, f"expect: '{HOSTILE}' is not allowed; a hash of 10 digits"),
        ({"expect": EXPECTED.hashes[0]}, "expect: '3f9a12bc45' is not allowed"),
        ({**EXPECTED.query, "made": HOSTILE}, f"made, device: '{HOSTILE}' is not allowed"),
        ({"expect": "x" * 100_000}, "expect: 'xxx"),
    ],
)
def test_what_cannot_be_expected_is_one_line_and_the_arms_stay(
    executor: StandIn, asked: dict[str, str], line: str
) -> None:
    page = visit(*SMALL, **asked)
    assert said(page).startswith(line)
    assert len(said(page)) < 400
    assert arms_of(page) == list(SMALL)
    assert expected_in(page) is None
    assert not opened(page.run()).error


def test_the_link_of_a_finished_run_says_what_came_of_it(executor: StandIn) -> None:
    def shared(run: Comparison | None) -> tuple[list[str], list[str]]:
        specs = tuple(parse(arm) for arm in SMALL)
        found = executor.store.comparison(run.id) if run else None
        page = press(query(run), panels.share_links, specs, found)
        return [code.value for code in page.code], [text.value for text in page.markdown]

    arms = urlencode({"arm": SMALL}, doseq=True)
    assert [link.partition("?")[2] for link in shared(None)[0]] == [arms]
    links, words = shared(run_of(executor, "running"))
    assert (len(links), words[-1][:39]) == (1, "Once this run has come to its end, a li")
    run = run_of(executor, "done")
    for one in run.runs:
        executor.store.describe(one.id, "train_loss", ["network"], "nats", False)
        reading = Reading("train_loss", 0, np.array([one.index], np.float32))
        executor.store.write([(one.id, reading)])
        executor.store.update(one.id, device="cpu", versions={"torch": "2.15.0"})
    links, words = shared(run)
    assert len(links) == 2
    named = parse_qs(links[1].partition("?")[2])
    assert (named["arm"], named["made"]) == (list(SMALL), ["cpu~2.15.0"])
    assert len(set(named["expect"][0].split("~"))) == 2
    executor.store.update(run.runs[0].id, edited=True)
    links, words = shared(run)
    assert (len(links), words[-1][:40]) == (1, "This run cannot be rebuilt from a link: ")


def test_skips_are_cut_for_the_next_start(executor: StandIn) -> None:
    page = press(query(), playground.set_gates, ((1.0,) * 3, (1.0, 0.0, 1.0)))
    assert arms_of(page) == [SMALL[0], "resnet-8,width=4,skip=1~0~1"]
    page = press(query(), playground.set_gates, ((1.0,) * 3, (0.0,) * 3))
    assert arms_of(page) == [SMALL[0], "resnet-8,width=4,skip=0"]
    assert executor.commands == []


def test_skips_are_cut_while_it_trains(executor: StandIn) -> None:
    run = run_of(executor, "running")
    page = press(query(run), playground.set_gates, ((1.0,) * 3, (1.0, 0.0, 1.0)))
    assert executor.commands == [(run.id, "skip", {"arm": 1, "value": [1.0, 0.0, 1.0]})]
    assert run_in(page) == run.id


def test_impossible_gates_are_one_line(executor: StandIn) -> None:
    for gates in (((1.0,) * 3, (99.0,) * 3), ((1.0,) * 3,), ((1.0,) * 3, (0.5, 0.25))):
        page = press(query(), playground.set_gates, gates)
        assert arms_of(page) == list(SMALL)
        assert trouble(page)
        assert "\n" not in trouble(page)


def test_the_rate_changes_while_it_trains_and_nothing_else_does(executor: StandIn) -> None:
    run = run_of(executor, "running")
    page = press(query(run), playground.set_field, "lr", 0.05)
    assert executor.commands == [
        (run.id, "lr", {"arm": 0, "value": 0.05}),
        (run.id, "lr", {"arm": 1, "value": 0.05}),
    ]
    assert run_in(page) == run.id
    page = press(query(run), playground.set_field, "width", 8)
    assert run_in(page) == ""
    assert page.session_state[state.LEFT] == run.id
    page = press(query(run), playground.set_field, "lr", -1.0)
    assert trouble(page).startswith("lr: '-1.0' is not allowed")


def test_an_arm_that_cannot_be_is_one_line(executor: StandIn) -> None:
    page = press(query(), playground.add_arm, "depth", 7)
    assert trouble(page).startswith("depth: '7' is not allowed")
    assert arms_of(page) == list(SMALL)


@pytest.mark.parametrize(
    ("run_state", "words", "stops"),
    [
        ("running", "are training", True),
        ("interrupted", "were interrupted", False),
        ("done", "were trained before", False),
    ],
)
def test_a_run_out_of_sight_has_a_way_back(
    executor: StandIn, run_state: str, words: str, stops: bool
) -> None:
    run = run_of(executor, run_state)
    page = visit(*SMALL)
    line = next(one.value for one in page.markdown if words in one.value)
    assert line.startswith("plain\\-8 and resnet\\-8")
    assert [b for b in page.button if b.key == "stop_run"] != [] or not stops
    opened(page.button(key="show_run").click().run())
    assert run_in(page) == run.id
    assert not [one for one in page.markdown if words in one.value]


def test_a_strange_name_is_shown_as_it_is(executor: StandIn) -> None:
    named = [(HOSTILE, parse(SMALL[0])), ("*b* $x$ [a](b)", parse(SMALL[1]))]
    made = executor.store.add_comparison(named, this_process())
    for run in made.runs:
        executor.store.update(run.id, state="done")
    page = visit(*SMALL)
    assert any("\\<script\\>alert\\(1\\)" in one.value for one in page.markdown)
    assert not any(HOSTILE in one.value for one in page.markdown)


def test_the_first_visitor_is_told_that_a_store_was_set_aside(home: Path) -> None:
    home.mkdir()
    (home / "runs.sqlite").write_bytes(b"garbage" * 1000)
    with pytest.MonkeyPatch.context() as patch:
        install(patch)
        page = visit()
        (warning,) = page.warning
        assert warning.value.startswith("The store was damaged; nothing was deleted")
        assert len(opened(page.run()).warning) == 1  # and again for the same visitor
        assert not visit().warning
    assert [path.read_bytes() for path in home.glob("runs.sqlite.damaged-*")] == [b"garbage" * 1000]


def test_the_lab_is_one_for_all_and_ends(executor: StandIn) -> None:
    assert lab() is lab()
    assert lab().store is executor.store
    close()
    assert executor.ended
