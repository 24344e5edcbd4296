"""The store gives back what was put in, as it was put in, and forgets what it is told to."""

import json
import sqlite3
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from explorer.spec import RunSpec, parse
from explorer.store import (
    Comparison,
    Event,
    Run,
    State,
    Store,
    StoreError,
    owner_alive,
    this_process,
)
from explorer.trace import Reading, trace_of

ARMS = [("plain", parse("plain-20")), ("residual", parse("resnet-20"))]
KEYS = [spec.key for _, spec in ARMS]
SITES = ("stem", "block 1", "block 2")
DEAD = "999999999:1.00"
STRANGE = "<script>alert(1)</script> '); DROP TABLE run;-- \0 \u202e é"


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def comparison(store: Store) -> Comparison:
    """Two arms, with the probe `norm` described in both."""
    made = store.add_comparison(ARMS, this_process())
    for run in made.runs:
        store.describe(run.id, "norm", SITES, "1", True)
    return made


def reading(step: int, probe: str = "norm") -> Reading:
    return Reading(probe, step, np.array([step, step + 0.1, step + 0.2], np.float32))


def test_a_comparison_comes_back_as_it_was_added(store: Store, home: Path) -> None:
    made = store.add_comparison(ARMS, "me")
    assert store.path == home / "runs.sqlite"
    assert [(run.arm, run.spec, run.key) for run in made.runs] == [
        (arm, spec, spec.key) for arm, spec in ARMS
    ]
    assert [(run.index, run.state, run.step, run.message) for run in made.runs] == [
        (0, "queued", -1, ""),
        (1, "queued", -1, ""),
    ]
    assert len(made.id) == 8
    assert made.id.isalnum()
    assert store.comparison(made.id) == made
    assert store.run(made.runs[1].id) == made.runs[1]
    assert store.owner(made.id) == "me"
    assert Store().comparison(made.id) == made


def test_what_there_is_comes_newest_first(store: Store) -> None:
    made = [store.add_comparison(ARMS, "me") for _ in range(3)]
    assert [group.id for group in store.comparisons()] == [group.id for group in made[::-1]]
    assert [group.id for group in store.comparisons(2)] == [made[2].id, made[1].id]
    assert [run.id for run in store.runs()] == [6, 5, 4, 3, 2, 1]
    assert [run.id for run in store.runs(1)] == [6]


def test_unknown_names_are_none_or_one_line(store: Store) -> None:
    assert store.comparison("nothere0") is None
    assert store.run(7) is None
    assert store.tag("nothere0") == ""
    assert store.last_step(7) == -1
    assert store.events("nothere0") == []
    assert store.delete("nothere0") == 0
    with pytest.raises(StoreError, match=r"^comparison: 'nothere0' is not in the store$"):
        store.owner("nothere0")
    with pytest.raises(StoreError, match=r"^comparison: 'nothere0' is not in the store$"):
        store.set_owner("nothere0", "me")
    with pytest.raises(StoreError, match=r"^run: '7' is not in the store"):
        store.update(7, state="done")
    with pytest.raises(StoreError, match=r"^the store cannot hold this text or number"):
        store.run(10**30)


def test_texts_are_stored_as_they_are(store: Store) -> None:
    made = store.add_comparison([(STRANGE, ARMS[0][1])], STRANGE)
    store.update(made.runs[0].id, message=STRANGE, device=STRANGE, versions={STRANGE: STRANGE})
    store.describe(made.runs[0].id, STRANGE, [STRANGE], STRANGE, False)
    run = store.run(made.runs[0].id)
    assert run is not None
    assert run.arm == run.message == run.device == store.owner(made.id) == STRANGE
    assert run.versions == {STRANGE: STRANGE}
    assert store.probes(run.id) == [STRANGE]
    assert store.trace(run.id, STRANGE).sites == (STRANGE,)
    with pytest.raises(StoreError, match="cannot hold this text"):
        store.add_comparison([("\ud800", ARMS[0][1])], "me")


@pytest.mark.parametrize(
    ("arms", "line"),
    [
        ([], "arms: '0' is not allowed; 1 to 4 train together"),
        (ARMS * 3, "arms: '6' is not allowed; 1 to 4 train together"),
        ([("x" * 81, ARMS[0][1])], f"arm: '{'x' * 60}…' is not allowed; at most 80 characters"),
    ],
)
def test_arms_are_few_and_their_names_short(
    store: Store, arms: list[tuple[str, RunSpec]], line: str
) -> None:
    with pytest.raises(StoreError) as error:
        store.add_comparison(arms, "me")
    assert str(error.value) == line
    assert store.comparisons() == []


def test_find_wants_the_same_specs_in_order_and_untouched(store: Store) -> None:
    first, second = (store.add_comparison(ARMS, "me") for _ in range(2))
    store.add_comparison(ARMS[::-1], "me")
    store.add_comparison(ARMS[:1], "me")
    store.add_comparison([*ARMS, ARMS[0]], "me")
    assert _id(store.find(KEYS)) == second.id
    store.add_event(second.id, Event(3, "lr", 1, 0.5))
    assert _id(store.find(KEYS)) == first.id
    store.update(first.runs[0].id, edited=True)
    assert store.find(KEYS) is None
    assert store.find([]) is None
    assert store.find(["0" * 16]) is None


def _id(found: Comparison | None) -> str | None:
    return None if found is None else found.id


def test_update_changes_what_is_given_and_no_more(store: Store, comparison: Comparison) -> None:
    before = comparison.runs[0]
    store.update(before.id, state="running", device="cpu")
    store.update(before.id, elapsed_s=1.5, message="m", versions={"torch": "2"})
    after = store.run(before.id)
    assert after is not None
    assert after.updated >= before.updated
    assert replace(after, updated=before.updated) == replace(
        before, state="running", device="cpu", elapsed_s=1.5, message="m", versions={"torch": "2"}
    )
    assert store.run(comparison.runs[1].id) == comparison.runs[1]


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        (["queued", "running"], "running"),
        (["done", "paused"], "paused"),
        (["diverged", "queued"], "queued"),
        (["failed", "done"], "failed"),
        (["interrupted", "diverged"], "interrupted"),
        (["stopped", "done"], "stopped"),
        (["diverged", "done"], "done"),
        (["diverged", "diverged"], "diverged"),
    ],
)
def test_a_group_is_active_then_its_worst_end(states: list[State], expected: State) -> None:
    def run(index: int, state: State) -> Run:
        rest = (index, "cpu", 0.0, 0.0, 0.0, "", False, {})
        return Run(index, "c", "a", index, ARMS[0][1], KEYS[0], state, *rest)  # type: ignore[arg-type]

    group = Comparison("c", 0.0, tuple(run(i, state) for i, state in enumerate(states)))
    assert group.state == expected
    assert group.step == 1


FLOATS = st.integers(0, 2**32 - 1)  # the bits of any float32, NaN and infinities too


@given(
    st.dictionaries(st.integers(0, 10**9), st.tuples(*[FLOATS] * 3), max_size=12),
    st.integers(-1, 10**9),
)
def test_a_trace_is_every_reading_bit_for_bit(rows: dict[int, tuple[int]], since: int) -> None:
    store = Store()
    made = store.add_comparison(ARMS, "me")
    first, second = (run.id for run in made.runs)
    for run in made.runs:
        store.describe(run.id, "norm", SITES, "1", True)
    given = [
        Reading("norm", step, np.array(bits, np.uint32).view(np.float32))
        for step, bits in rows.items()
    ]
    store.write([(first, one) for one in given])
    store.close()

    expected = trace_of((r for r in given if r.step > since), "norm", SITES, "1", True)
    if not len(expected):
        expected = replace(expected, values=np.zeros((0, 3), np.float32))
    store = Store()
    found = store.trace(first, "norm", since)
    assert found.steps.tolist() == expected.steps.tolist()
    assert found.values.tobytes() == expected.values.tobytes()
    assert found.values.shape == expected.values.shape
    assert (found.sites, found.unit, found.log) == (SITES, "1", True)
    assert store.last_step(first) == max(rows, default=-1)
    assert len(store.trace(second, "norm")) == 0
    store.close()


def test_a_probe_that_was_never_described_has_an_empty_trace(
    store: Store, comparison: Comparison
) -> None:
    trace = store.trace(comparison.runs[0].id, "loss")
    assert (len(trace), trace.values.shape, trace.sites) == (0, (0, 0), ())


def test_writing_again_replaces_and_never_steps_back(store: Store, comparison: Comparison) -> None:
    run, other = (run.id for run in comparison.runs)
    store.write([(run, reading(step)) for step in range(4)], {run: 2.0, other: 0.5})
    store.write([(run, reading(1))], {run: 3.0})
    assert store.trace(run, "norm").steps.tolist() == [0, 1, 2, 3]
    assert store.trace(run, "norm", since=1).steps.tolist() == [2, 3]
    assert [(r.step, r.elapsed_s) for r in store.runs()] == [(-1, 0.5), (3, 3.0)]


def test_a_batch_is_written_whole_or_not_at_all(store: Store, comparison: Comparison) -> None:
    run = comparison.runs[0].id
    with pytest.raises(StoreError, match=r"^probe: 'loss' is not described in run 1$"):
        store.write([(run, reading(0)), (run, reading(0, "loss"))])
    short = Reading("norm", 0, np.zeros(2, np.float32))
    with pytest.raises(StoreError, match=r"^values: '2' is not allowed; probe 'norm' of run 1 has"):
        store.write([(run, reading(0)), (run, short)])
    with pytest.raises(StoreError, match=r"^run: '99' is not in the store"):
        store.write([(run, reading(0))], {99: 1.0})
    assert len(store.trace(run, "norm")) == 0
    assert store.last_step(run) == -1


def test_a_probe_is_described_once(store: Store, comparison: Comparison) -> None:
    run = comparison.runs[0].id
    store.write([(run, reading(0))])
    tag = store.tag(comparison.id)
    store.describe(run, "norm", list(SITES), "1", True)
    assert store.tag(comparison.id) == tag
    assert len(store.trace(run, "norm")) == 1
    with pytest.raises(StoreError, match=r"^probe: 'norm' of run 1 has other sites"):
        store.describe(run, "norm", ("stem",), "1", True)
    store.describe(run, "a loss", ("all",), "nat", False)
    assert store.probes(run) == ["norm", "a loss"]


def test_the_tag_changes_with_every_change_and_only_then(
    store: Store, comparison: Comparison
) -> None:
    run = comparison.runs[0].id
    untouched = store.add_comparison(ARMS, "me")
    beside = store.tag(untouched.id)
    seen = [store.tag(comparison.id)]
    for change in (
        lambda: store.write([(run, reading(0))]),
        lambda: store.update(run, state="running"),
        lambda: store.update(run, message="m"),
        lambda: store.add_event(comparison.id, Event(0, "lr", None, 0.1)),
        lambda: store.describe(run, "loss", ("all",), "nat", False),
        lambda: store.delete([run]),
    ):
        change()
        seen.append(store.tag(comparison.id))
        store.trace(run, "norm")
        store.export(comparison.id)
        assert store.tag(comparison.id) == seen[-1]
    assert len(set(seen)) == 7
    assert store.tag(untouched.id) == beside


def test_events_come_in_order_and_mark_whom_they_touch(
    store: Store, comparison: Comparison
) -> None:
    given = [Event(5, "skip", 1, [1.0, 0.0]), Event(3, "lr", None, 0.01), Event(3, "lr", 0, 1)]
    store.add_event(comparison.id, given[0])
    assert [run.edited for run in store.runs()] == [True, False]
    store.add_event(comparison.id, given[1])
    store.add_event(comparison.id, given[2])
    assert store.events(comparison.id) == given
    assert [run.edited for run in store.runs()] == [True, True]
    with pytest.raises(StoreError, match=r"^comparison: arm 3 of '\w+' is not in the store$"):
        store.add_event(comparison.id, Event(0, "lr", 3, 0.1))
    with pytest.raises(StoreError, match=r"^event: 'nan' is not allowed"):
        store.add_event(comparison.id, Event(0, "lr", 1, float("nan")))
    assert store.events(comparison.id) == given


def test_a_change_ends_the_history_that_a_resumed_run_had_before(
    store: Store, comparison: Comparison
) -> None:
    first, second = (run.id for run in comparison.runs)
    store.write([(run, reading(step)) for run in (first, second) for step in range(10)])
    store.add_event(comparison.id, Event(6, "lr", 1, 0.01))
    assert store.trace(first, "norm").steps.tolist() == list(range(10))
    assert store.trace(second, "norm").steps.tolist() == list(range(7))
    assert (store.last_step(first), store.last_step(second)) == (9, 6)


def test_the_cache_keeps_the_newest(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("explorer.store.cache.MOST", 3)
    for key in "abc":
        store.cache_put("flow", key, {"key": key})
    store.cache_put("flow", "a", {"key": "again"})
    store.cache_put("rate", "a", {"key": "other kind"})
    assert store.cache_get("flow", "b") is None
    assert store.cache_get("flow", "c") == {"key": "c"}
    assert store.cache_get("flow", "a") == {"key": "again"}
    assert store.cache_get("rate", "a") == {"key": "other kind"}


def test_deleting_leaves_nothing_behind(store: Store, comparison: Comparison, home: Path) -> None:
    kept = store.add_comparison(ARMS, "me")
    store.write([(run.id, reading(0)) for run in comparison.runs])
    store.add_event(comparison.id, Event(0, "lr", None, 0.1))
    (home / "checkpoints").mkdir()
    for run in (*comparison.runs, *kept.runs):
        for suffix in (".safetensors", ".json"):
            (home / "checkpoints" / f"{run.id}{suffix}").write_bytes(b"x" * 10)
    assert store.size() > 80
    assert store.delete([comparison.runs[0].id]) == 1
    left = store.comparison(comparison.id)
    assert left is not None
    assert [run.arm for run in left.runs] == ["residual"]
    assert store.delete(comparison.id) == 1
    assert store.comparisons() == [kept]
    assert sorted(path.name for path in (home / "checkpoints").iterdir()) == [
        "3.json",
        "3.safetensors",
        "4.json",
        "4.safetensors",
    ]
    assert store.delete([3, 4, 99]) == 2
    store.close()
    connection = sqlite3.connect(store.path)
    for table in ("comparison", "run", "probe", "reading", "event"):
        assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,), table
    connection.close()


def test_deleting_gives_room_back_and_ids_are_never_used_again(
    store: Store, comparison: Comparison
) -> None:
    store.describe(comparison.runs[0].id, "wide", ["s"] * 5000, "1", False)
    for step in range(50):
        values = np.zeros(5000, np.float32)
        store.write([(comparison.runs[0].id, Reading("wide", step, values))])
    store.close()
    store = Store()
    before = store.size()
    store.delete(comparison.id)
    store.close()
    store = Store()
    assert before > 1_000_000
    assert store.size() < 200_000
    assert [run.id for run in store.add_comparison(ARMS, "me").runs] == [3, 4]


def test_a_trace_is_one_range_scan(store: Store, comparison: Comparison) -> None:
    connection = sqlite3.connect(store.path)
    plan = connection.execute(
        "EXPLAIN QUERY PLAN SELECT step, numbers FROM reading"
        " WHERE run = 1 AND probe = 'norm' AND step > 3 ORDER BY step"
    ).fetchall()
    connection.close()
    details = [row[3] for row in plan]
    assert details == ["SEARCH reading USING PRIMARY KEY (run=? AND probe=? AND step>?)"]


def test_runs_whose_data_set_is_gone_wait_for_it(store: Store, home: Path) -> None:
    facts = home / "data" / "own-cats-0123abcd" / "info.json"
    facts.parent.mkdir(parents=True)
    described = {"name": "own:cats-0123abcd", "kind": "image", "shape": [3, 32, 32], "classes": 2}
    facts.write_text(json.dumps({**described, "train": 400, "test": 10, "source": "mine"}))
    own = store.add_comparison([("a", parse("resnet-8,data=own:cats-0123abcd"))], "me")
    other = store.add_comparison(ARMS, "me")
    facts.rename(home / "elsewhere")
    assert store.comparisons() == [other]
    assert len(store.runs()) == 2
    with pytest.raises(StoreError, match="add the images again") as error:
        store.comparison(own.id)
    assert "\n" not in str(error.value)
    (home / "elsewhere").rename(facts)
    assert store.comparisons() == [other, own]


def test_an_owner_is_alive_while_its_process_is() -> None:
    code = "from explorer.store import this_process; print(this_process(), flush=True); input()"
    child = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdin is not None
    assert child.stdout is not None
    owner = child.stdout.readline().strip()
    assert owner_alive(owner)
    assert owner_alive(this_process())
    assert owner != this_process()
    child.kill()
    deadline = time.monotonic() + 10
    while owner_alive(owner) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not owner_alive(owner)  # although nobody has waited for it yet
    child.communicate()
    pid, _, started = this_process().partition(":")
    assert not owner_alive(f"{pid}:{float(started) - 60}")  # the id was another process's once


@pytest.mark.parametrize("owner", ["", "x", "1", "-1:0", f"{10**30}:1", DEAD, "nan:nan"])
def test_no_process_has_such_a_name(owner: str) -> None:
    assert not owner_alive(owner)


def test_runs_without_a_living_owner_are_marked_and_the_rest_is_not(
    store: Store, home: Path
) -> None:
    names = [
        store.add_comparison(ARMS, owner).id for owner in (DEAD, this_process(), DEAD, DEAD, DEAD)
    ]
    states: list[State] = ["running", "running", "done", "paused", "queued"]
    for run in store.runs():
        store.update(run.id, state=states[names.index(run.comparison)])
    store.update(1, state="diverged", message="why")
    store.describe(2, "norm", SITES, "1", True)
    store.write([(2, reading(step)) for step in range(121)])
    _checkpoint(home, 2, step=100)

    assert sorted(store.mark_orphans(owner_alive)) == sorted([names[0], names[3], names[4]])
    found = {run.id: (run.state, run.message) for run in store.runs()}
    ended = "the program that ran it ended"
    never = ("interrupted", f"{ended} before its first step; Resume continues from step 0")
    assert found == {
        1: ("diverged", "why"),
        2: ("interrupted", f"{ended} at step 120; Resume continues from step 100"),
        **dict.fromkeys((3, 4), ("running", "")),
        **dict.fromkeys((5, 6), ("done", "")),
        **dict.fromkeys((7, 8, 9, 10), never),
    }
    assert store.mark_orphans(owner_alive) == []
    store.set_owner(names[0], this_process())
    assert store.owner(names[0]) == this_process()


def _checkpoint(home: Path, run_id: int, step: int) -> None:
    """A safetensors file without tensors: the length of its header, then the header."""
    header = json.dumps({"__metadata__": {"step": str(step)}}).encode()
    (home / "checkpoints").mkdir(exist_ok=True)
    path = home / "checkpoints" / f"{run_id}.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header)


@pytest.mark.parametrize(
    "content", [b"", b"garbage that is no checkpoint", (2**63).to_bytes(8, "little") + b"{}"]
)
def test_a_damaged_checkpoint_counts_as_none(store: Store, home: Path, content: bytes) -> None:
    made = store.add_comparison(ARMS[:1], DEAD)
    _checkpoint(home, 1, step=5)
    (home / "checkpoints" / "1.safetensors").write_bytes(content)
    store.mark_orphans(owner_alive)
    run = store.run(made.runs[0].id)
    assert run is not None
    assert run.message.endswith("Resume continues from step 0")
