"""An exported comparison is the same in another store, and a forged one is refused in a line."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from explorer.spec import parse, short_form
from explorer.store import Event, Store, StoreError
from explorer.trace import Reading

ARMS = [("plain", parse("plain-8")), ("residual", parse("resnet-8,seed=3"))]
ODD = [0.1, -0.0, float("nan"), float("inf"), float("-inf"), 1e-45, 3.4e38]
SITES = tuple(f"site {i}" for i in range(len(ODD)))


def make(path: Path | None = None) -> tuple[Store, str]:
    """A store with one finished comparison that has every kind of content."""
    store = Store(path)
    made = store.add_comparison(ARMS, "me")
    for run in made.runs:
        store.describe(run.id, "norm", SITES, "1", True)
        store.describe(run.id, "never read", ("all",), "nat", False)
        odd = np.array(ODD, np.float32)
        store.write([(run.id, Reading("norm", step, odd)) for step in (0, 1, 10)], {run.id: 2.5})
        store.update(run.id, state="done", device="cpu", versions={"torch": "2"}, message="m")
    store.add_event(made.id, Event(10, "lr", None, 0.01))
    store.add_event(made.id, Event(10, "skip", 1, [1.0, 0.5, 0.0]))
    return store, made.id


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    store, name = make(tmp_path_factory.mktemp("exported") / "runs.sqlite")
    exported = store.export(name)
    store.close()
    return exported


def test_a_record_is_strict_json_with_specs_in_both_forms(record: dict[str, Any]) -> None:
    again = json.loads(json.dumps(record, allow_nan=False))
    assert again == record
    assert record["format"] == 1
    for run, (arm, spec) in zip(record["runs"], ARMS, strict=True):
        assert (run["arm"], run["short"], run["key"]) == (arm, short_form(spec), spec.key)
        assert json.dumps(run["spec"], sort_keys=True, separators=(",", ":")) == spec.json_form
        assert run["traces"][0]["values"][0][:3] == [0.1, 0.0, "NaN"]  # as short as they can be
        assert run["traces"][0]["values"][0][3:5] == ["Infinity", "-Infinity"]


def test_the_same_comparison_comes_out_of_another_store(record: dict[str, Any]) -> None:
    store = Store()
    made = store.import_(json.loads(json.dumps(record)))
    again = store.export(made.id)
    assert made.id != record["comparison"]
    assert {**again, "comparison": record["comparison"]} == record
    for run in made.runs:
        values = store.trace(run.id, "norm").values
        assert values[2].tobytes() == np.array(ODD, np.float32).tobytes()
    assert store.import_(record).id != made.id
    assert len(store.comparisons()) == 2


def test_what_was_unfinished_elsewhere_starts_again_here(record: dict[str, Any]) -> None:
    changed = copy.deepcopy(record)
    changed["runs"][0].update(state="running")
    changed["runs"][1].update(state="interrupted", message="Resume continues from step 5")
    line = "imported before it was done; Resume starts again from step 0"
    made = Store().import_(changed)
    assert [(run.state, run.message) for run in made.runs] == [("interrupted", line)] * 2


def test_events_follow_their_arm_when_another_was_deleted() -> None:
    store, name = make()
    store.delete([1])
    exported = store.export(name)
    assert [event["arm"] for event in exported["events"]] == [None, 0]
    assert len(store.import_(exported).runs) == 1


def test_an_unknown_comparison_cannot_be_exported() -> None:
    with pytest.raises(StoreError, match=r"^comparison: 'nothere0' is not in the store$"):
        Store().export("nothere0")


Change = Callable[[dict[str, Any]], object]
FORGERIES: dict[str, Change] = {
    "format: '2' is not allowed; a record of format 1": lambda r: r.update(format=2),
    "format: 'None' is not allowed; a record of format 1": lambda r: r.pop("format"),
    "more: '1' is not allowed; there is no such field": lambda r: r.update(more=1),
    "runs: '[]' is not allowed; list should have at least 1": lambda r: r.update(runs=[]),
    "at most 4 items": lambda r: r.update(runs=r["runs"] * 3),
    "key: 'abc' is not allowed; the spec beside it has": lambda r: r["runs"][0].update(key="abc"),
    "depth: '7' is not allowed": lambda r: r["runs"][0]["spec"]["network"].update(depth=7),
    "runs.state: 'winning' is not allowed": lambda r: r["runs"][1].update(state="winning"),
    "runs.arm": lambda r: r["runs"][1].update(arm="x" * 81),
    "runs.step": lambda r: r["runs"][1].update(step=10**30),
    "runs.elapsed_s": lambda r: r["runs"][1].update(elapsed_s=float("nan")),
    "created": lambda r: r.update(created=1e300),
    "runs.versions": lambda r: r["runs"][0].update(versions=["torch"]),
    "traces: '['norm', 'norm']' is not allowed": lambda r: r["runs"][0].update(
        traces=r["runs"][0]["traces"][:1] * 2
    ),
    "steps: '[0, 1, 1]' is not allowed; steps rise": lambda r: _trace(r).update(steps=[0, 1, 1]),
    "runs.traces.steps": lambda r: _trace(r).update(steps=[-1, 0, 1]),
    "values: '2 rows of [7]' is not allowed; 3 rows of 7": lambda r: _trace(r)["values"].pop(),
    "values: '3 rows of [1, 7]' is not allowed": lambda r: _trace(r)["values"].__setitem__(0, [1]),
    "runs.traces.values: 'one' is not": lambda r: _trace(r)["values"][0].__setitem__(0, "one"),
    "runs.traces.sites": lambda r: _trace(r).update(sites=7),
    "events.kind: 'eval' is not allowed": lambda r: r["events"][0].update(kind="eval"),
    "arm: '3' is not allowed; there are 2 runs": lambda r: r["events"][0].update(arm=3),
    "a learning rate is a number": lambda r: r["events"][0].update(value=[1.0]),
    "a list of 3 gates": lambda r: r["events"][1].update(value=[1.0]),
    "events.value": lambda r: r["events"][1].update(value={"__import__": "os"}),
    "cannot hold this text": lambda r: r["runs"][0].update(message="\ud800"),
}


def _trace(record: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = record["runs"][0]["traces"][0]
    return found


@pytest.mark.parametrize("line", FORGERIES)
def test_a_forged_record_is_refused_in_one_line(record: dict[str, Any], line: str) -> None:
    forged = copy.deepcopy(record)
    FORGERIES[line](forged)
    store = Store()
    with pytest.raises(StoreError) as error:
        store.import_(forged)
    assert line in str(error.value)
    assert "\n" not in str(error.value)
    assert store.comparisons() == []
    assert store.runs() == []


@pytest.mark.parametrize("record", [None, 7, "x", [], [{}], {}, {"format": [1]}, {"format": 1}])
def test_what_is_no_record_is_refused_in_one_line(record: object) -> None:
    with pytest.raises(StoreError) as error:
        Store().import_(record)
    assert "\n" not in str(error.value)


DEEP: Any = []
for _ in range(3000):
    DEEP = [DEEP]
JUNK = st.sampled_from(
    [None, True, -1, 10**30, 1e300, "", "x", "\0\n\ud800", [], [[]], [None], {}, {"a": {}}, DEEP]
)


@given(data=st.data())
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_junk_anywhere_is_taken_or_refused_but_never_more(
    record: dict[str, Any], data: st.DataObject
) -> None:
    forged = copy.deepcopy(record)
    place: Any = forged
    while True:
        key = data.draw(st.sampled_from(list(place) if isinstance(place, dict) else _some(place)))
        inside = place[key]
        if not (isinstance(inside, dict | list) and inside and data.draw(st.integers(0, 3))):
            break
        place = inside
    place[key] = data.draw(JUNK)
    store = Store()
    before = store.comparisons()
    refusal = _refusal(store, forged)
    assert "\n" not in refusal
    assert refusal == "" or store.comparisons() == before
    store.close()


def _refusal(store: Store, record: dict[str, Any]) -> str:
    """Why the store refuses the record; "" if it takes it and can export it again."""
    try:
        made = store.import_(record)
    except StoreError as error:
        return str(error)
    json.dumps(store.export(made.id), allow_nan=False)
    return ""


def _some(place: list[Any]) -> list[int]:
    return list(range(len(place)))
