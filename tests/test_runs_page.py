"""The Runs page: what its routes say of the store, and what its buttons do to it."""

import base64
import io
import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from stand_in import StandIn, install
from starlette.requests import Request
from starlette.responses import Response
from stored import HOSTILE, LOSS, PAIR, add_pair, add_watched
from streamlit.testing.v1 import AppTest

from explorer.comparison import differences
from explorer.exports import FORMATS, export
from explorer.spec import parse
from explorer.store import Store, this_process
from explorer.trace import Reading
from explorer.ui import references, runs_actions
from explorer.ui.components import Look, read_look
from explorer.ui.pages import page_files
from explorer.ui.runs_live import export_run, live_compare, live_runs
from explorer.ui.selection import MOST_COMPARED, Selection, selection
from explorer.ui.state import TROUBLE

PAGE = next(file for file in page_files() if file.stem.endswith("runs"))


@pytest.fixture
def executor(monkeypatch: pytest.MonkeyPatch) -> StandIn:
    references.look_again()
    return install(monkeypatch)


@pytest.fixture
def store(executor: StandIn) -> Store:
    return executor.store


def ask(route: Any, query: str = "", tag: str = "", **path: Any) -> Response:
    headers = [(b"if-none-match", tag.encode())] if tag else []
    scope = {"type": "http", "method": "GET", "path": "/", "headers": headers, "path_params": path}
    response: Response = route(Request({**scope, "query_string": query.encode()}))
    return response


def body(response: Response) -> Any:
    assert response.status_code == 200, response.body
    return json.loads(response.body, parse_constant=lambda name: pytest.fail(name))


def compared(*ids: int) -> Any:
    return body(ask(live_compare, "&".join(f"id={one}" for one in ids)))


def press(call: Callable[..., object], *given: Any, ids: str = "", **kept: Any) -> AppTest:
    """What a callback leaves behind of a session with that address and those kept values."""

    def script(call, given):  # type: ignore[no-untyped-def]  # its text is run elsewhere
        call(*given)

    page = AppTest.from_function(script, default_timeout=60, args=(call, given))
    page.query_params["ids"] = ids
    for name, value in kept.items():
        page.session_state[name] = value
    page.run()
    assert [one.message for one in page.exception] == []
    return page


def trouble(page: AppTest) -> str:
    return str(page.session_state[TROUBLE]) if TROUBLE in page.session_state else ""


def said(page: AppTest, name: str) -> str:
    """A parameter of the page's address."""
    value = page.query_params[name]
    return value if isinstance(value, str) else value[0]


def opened(**query: str) -> AppTest:
    page = AppTest.from_file(str(PAGE), default_timeout=60)
    for name, value in query.items():
        page.query_params[name] = value
    page.run()
    assert [one.message for one in page.exception] == []
    return page


def text_of(page: AppTest) -> str:
    return "\n".join([*(m.value for m in page.markdown), *(c.value for c in page.caption)])


def test_a_line_says_what_was_read(store: Store) -> None:
    plain, residual = add_pair(store)
    watched = add_watched(store)
    store.write([(plain, Reading("train_loss", 30, np.array([math.nan], np.float32)))])
    rows = {row["id"]: row for row in body(ask(live_runs))["rows"]}
    assert list(rows) == [watched, residual, plain]
    assert rows[plain]["loss"] is None
    assert rows[residual]["loss"] == 1.25
    assert rows[residual]["train_error"] == 0.25
    assert rows[residual]["test_error"] == 1 - 0.375
    assert (rows[residual]["step"], rows[residual]["planned"]) == (20, 20)
    assert rows[residual]["bytes"] == store.table.sizes()[residual]
    assert rows[residual]["fields"]["lr"] == 0.05
    assert rows[watched]["name"] == HOSTILE
    assert "planned" not in rows[watched]
    queued = store.add_comparison([("new", parse("plain-8"))], this_process()).runs[0].id
    (new,) = (row for row in body(ask(live_runs))["rows"] if row["id"] == queued)
    assert not {"loss", "train_error", "test_error"} & set(new)


def test_nothing_is_sent_twice_and_every_change_is(store: Store) -> None:
    ids = add_pair(store)
    query = f"id={ids[0]}&id={ids[1]}"
    tags = [ask(live_runs).headers["etag"], ask(live_compare, query).headers["etag"]]
    assert ask(live_runs, tag=tags[0]).status_code == 304
    assert ask(live_compare, query, tags[1]).status_code == 304
    store.table.annotate(ids, tags=["new"])
    assert body(ask(live_runs, tag=tags[0]))["rows"][0]["tags"] == ["new"]
    store.write([(ids[0], Reading("train_loss", 30, np.array([0.5], np.float32)))])
    assert body(ask(live_compare, query, tags[1]))["step"] == 30


def test_curves_are_those_of_the_store(store: Store) -> None:
    ids = [*add_pair(store), add_watched(store)]
    found = compared(*ids)
    lines = found["figures"]["curves"]["data"]
    assert len({line["name"] for line in lines}) == 3
    losses = [line for line in lines if line["showlegend"]]
    assert len(losses) == 3
    for line in losses:
        packed = np.frombuffer(base64.b64decode(line["y"]["bdata"]), np.float32)
        np.testing.assert_array_equal(packed, LOSS)
    text = json.dumps(found["figures"])
    assert "<img" not in text
    assert "\u202e" not in json.dumps(found, ensure_ascii=False)
    assert len(found["sentences"]) == 5  # three gradients, and two runs whose classes are known
    assert found["figures"]["curves"]["layout"]["shapes"] == []  # chance is not known of all
    assert compared(*ids[:2])["figures"]["curves"]["layout"]["shapes"]


@pytest.mark.parametrize("count", [1, 5, MOST_COMPARED])
def test_up_to_twenty_runs_are_drawn(store: Store, count: int) -> None:
    made = [one for _ in range(-(-count // 2)) for one in add_pair(store)][:count]
    found = compared(*made)
    profile = found["figures"]["profile"]
    assert len({line["name"] for line in profile["data"]}) == count
    assert len(found["sentences"]) == (2 * count if count <= 4 else 0)


@pytest.mark.parametrize(
    ("query", "line"),
    [
        ("id=1;2", "id: '1;2' is not allowed; a run's number"),
        ("id=-1", "id: '-1' is not allowed; a run's number"),
        ("id=%C2%B2", "id: '²' is not allowed; a run's number"),
        (f"id={'9' * 30}", "a run's number"),
        ("&".join(["id=1"] * 21), "id: '21 runs' is not allowed; at most 20"),
    ],
)
def test_a_bad_address_gets_one_line(store: Store, query: str, line: str) -> None:
    response = ask(live_compare, query)
    assert response.status_code == 400
    assert line in json.loads(response.body)["error"]


def test_ids_that_are_gone_are_left_out(store: Store) -> None:
    ids = add_pair(store)
    assert len({line["name"] for line in compared(999, *ids)["figures"]["profile"]["data"]}) == 2
    assert compared(999)["figures"]["profile"] is None
    assert compared()["sentences"] == []


def test_what_differs_is_what_the_specs_say(store: Store) -> None:
    arms = (*PAIR, "resnet-8,width=4,steps=20,skip=1x1~1x0~1x0.5", "mlp-8,width=4,data=spirals")
    chosen = selection(store, add_pair(store, arms))
    told = dict(chosen.differing())
    specs = chosen.specs
    expected = {field for other in specs[1:] for field, _, _ in differences(specs[0], other)}
    assert set(told) == expected
    assert told["shortcut"] == ["none", "zero_pad", "zero_pad", "zero_pad"]
    assert told["lr"][:2] == ["0.1", "0.05"]
    assert told["data"][3] == "spirals"
    assert all(len(set(values)) > 1 for values in told.values())
    assert len(set(chosen.labels)) == 4


def test_repetitions_differ_in_nothing_and_have_names_of_their_own(store: Store) -> None:
    ids = [add_pair(store, PAIR[:1])[0] for _ in range(3)]
    chosen = selection(store, [*ids, ids[0]])
    assert chosen.differing() == []
    assert len(set(chosen.labels)) == 3


def test_of_a_watched_run_only_what_it_told_is_known(store: Store) -> None:
    chosen = selection(store, [add_pair(store)[0], add_watched(store)])
    told = dict(chosen.differing())
    assert told["module"] == ["–", "Mine"]
    assert chosen.classes is None
    assert "not known" in chosen.held_fixed()
    assert Selection(()).held_fixed() == ""


@pytest.mark.parametrize("name", list(FORMATS))
def test_an_export_is_a_file_and_a_refusal_a_line(store: Store, name: str) -> None:
    run = add_pair(store)[0]
    file, content = export(store, run, name)
    answer = ask(export_run, run=run, format=name)
    assert file in answer.headers["content-disposition"]
    assert len(answer.body) > 100
    if name != "tensorboard":  # a zip has its time in it
        assert answer.body == content
    for bad in (
        {"run": 999, "format": name},
        {"run": run, "format": "evil"},
        {"run": 10**30, "format": name},
    ):
        refused = ask(export_run, **bad)
        assert refused.status_code == 400
        assert refused.body.count(b"\n") == 1


def test_a_browser_may_send_anything() -> None:
    good = {"ids": [3, 1], "find": "x" * 300, "sort": "-loss", "seq": 5}
    assert read_look({"look": good}) == Look((3, 1), "x" * 200, "-loss", 5)
    bad: list[Any] = [None, [], 1, {}, {**good, "ids": 1}, {**good, "find": None}]
    bad += [{**good, "ids": [one]} for one in ("1", 1.5, True, -1, 0, 2**60, None)]
    bad += [{**good, "seq": None}, {**good, "sort": {}}]
    assert [read_look({"look": event}) for event in bad] == [None] * len(bad)


def test_the_address_says_what_is_selected(store: Store) -> None:
    page = press(runs_actions.remember, Look((12, 15), "depth>20 &x", "-loss", 7))
    query = {name: said(page, name) for name in page.query_params}
    assert query == {"ids": "12,15", "find": "depth>20 &x", "sort": "-loss"}
    ids = add_pair(store)
    page = opened(ids=f"{ids[0]},x,-3,²,{ids[1]},999")
    assert "Held fixed\\: data" in text_of(page)
    assert any(button.label == "Delete 2 runs" for button in page.button)


def test_tags_notes_and_pins(store: Store) -> None:
    ids = add_pair(store)
    press(runs_actions.annotate, ids[:1], run_tags=" a, b,,a ", run_note="why\n")
    press(runs_actions.add_tags, ids, run_tags="c", run_note="")
    press(runs_actions.pin, ids, True)
    rows = store.table.some(ids)
    assert [row.tags for row in rows] == [("a", "b", "c"), ("c",)]
    assert [row.note for row in rows] == ["why", ""]
    assert all(row.pinned for row in rows)
    line = trouble(press(runs_actions.add_tags, ids, run_tags="x" * 41, run_note=""))
    assert "at most 40 characters" in line


def shown(store: Store) -> set[int]:
    return {row.id for row in store.table.rows()}


def test_a_deletion_can_be_taken_back(store: Store) -> None:
    ids = add_pair(store)
    kept = add_watched(store)
    page = press(runs_actions.delete, ids, ids=f"{ids[0]},{ids[1]}")
    assert shown(store) == {kept}
    assert "ids" not in page.query_params
    page = opened()
    assert "Set aside within the last day: 2 runs" in text_of(page)
    page = press(runs_actions.undo, ids)
    assert shown(store) == {kept, *ids}
    assert said(page, "ids") == f"{ids[0]},{ids[1]}"


def test_what_trains_is_not_deleted(store: Store) -> None:
    ids = [*add_pair(store), *add_pair(store, state="running")]
    line = trouble(press(runs_actions.delete, ids))
    assert line == f"delete: #{ids[2]}, #{ids[3]} are not finished; stop training first"
    assert shown(store) == set(ids)


def upload(content: bytes) -> Any:
    file = io.BytesIO(content)
    file.name = "run.json"
    return file


def test_what_was_exported_can_be_imported(store: Store) -> None:
    ids = add_pair(store)
    _, content = export(store, ids[0], "json")
    page = press(runs_actions.take_in, "file", file=upload(content))
    assert trouble(page) == ""
    new = [int(text) for text in said(page, "ids").split(",")]
    assert [row.key for row in store.table.some(new)] == [r.key for r in store.table.some(ids)]
    assert store.trace(new[1], "train_loss").values.tolist() == LOSS[:, None].tolist()


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[" * 100_000, b"{}", b'{"format": 9}'])
def test_a_bad_file_gets_one_line(store: Store, content: bytes) -> None:
    line = trouble(press(runs_actions.take_in, "file", file=upload(content)))
    assert line
    assert "\n" not in line
    assert shown(store) == set()


def test_an_empty_store_says_what_to_do(store: Store) -> None:
    page = opened()
    assert "Press Play in the Playground" in text_of(page)
    assert 'href="/"' in page.get("html")[0].proto.body
    assert page.get("file_uploader")
    assert not page.get("bidi_component")
