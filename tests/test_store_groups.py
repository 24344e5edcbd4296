"""Sweeps, tags and notes, deletion with undo, watched runs; and stores of the format before."""

import sqlite3
from pathlib import Path

import numpy as np
import pytest

from explorer.spec import parse
from explorer.store import Store, StoreError, this_process
from explorer.store.schema import APPLICATION, FIRST, VERSION
from explorer.trace import Reading

SPECS = [parse(f"{kind}-8,width=4,seed={seed}") for seed in (0, 1) for kind in ("plain", "resnet")]


@pytest.fixture
def store(home: Path) -> Store:
    return Store()


def finished(store: Store, spec_text: str = "resnet-8") -> int:
    run = store.add_comparison([("arm", parse(spec_text))], "me").runs[0]
    store.update(run.id, state="done")
    return run.id


def test_a_store_of_the_first_format_is_brought_up_to_this_one(home: Path) -> None:
    home.mkdir()
    connection = sqlite3.connect(home / "runs.sqlite", isolation_level=None)
    for statement in FIRST:
        connection.execute(statement)
    spec = parse("plain-20,width=8,seed=3")
    connection.execute("INSERT INTO comparison (id, created, owner) VALUES ('old', 5.0, 'x:1')")
    connection.execute(
        'INSERT INTO run (comparison, "index", arm, spec, key, state, created, updated)'
        " VALUES ('old', 0, 'plain-20', ?, ?, 'done', 5.0, 6.0)",
        (spec.json_form, spec.key),
    )
    connection.execute(f"PRAGMA application_id = {APPLICATION}")
    connection.execute("PRAGMA user_version = 1")
    connection.close()
    store = Store()
    (row,) = store.table.rows()
    assert (row.arm, row.spec, row.tags, row.note, row.pinned) == ("plain-20", spec, (), "", False)
    assert store.sweeps.add("s", [spec], "me").members[0].run is not None
    store.close()
    connection = sqlite3.connect(home / "runs.sqlite")
    assert connection.execute("PRAGMA user_version").fetchone() == (VERSION,)
    connection.close()


def test_a_sweep_keeps_its_specs_in_order_and_takes_what_is_finished(store: Store) -> None:
    done = store.add_comparison([("arm", SPECS[2])], "me").runs[0]
    store.update(done.id, state="done")
    sweep = store.sweeps.add("four", SPECS, this_process())
    assert [member.spec for member in sweep.members] == SPECS
    assert [member.run.id if member.run else None for member in sweep.members] == [
        *(None, None, done.id, None)
    ]
    assert [member.index for member in sweep.unfinished] == [0, 1, 3]
    assert store.sweeps.get(sweep.id) == sweep
    assert store.sweeps.recent() == [sweep]
    fresh = store.sweeps.add("again", SPECS, this_process(), reuse=False)
    assert [member.run for member in fresh.members] == [None] * 4


def test_edited_and_unfinished_runs_are_not_taken(store: Store) -> None:
    run = store.add_comparison([("arm", SPECS[0])], "me").runs[0]
    assert store.sweeps.finished(SPECS[0].key) is None
    store.update(run.id, state="done", edited=True)
    assert store.sweeps.finished(SPECS[0].key) is None
    store.update(run.id, edited=False)
    assert store.sweeps.finished(SPECS[0].key) == run.id


def test_a_sweeps_token_changes_with_its_runs_and_its_state(store: Store) -> None:
    sweep = store.sweeps.add("four", SPECS, this_process())
    tokens = [store.sweeps.tag(sweep.id)]
    run = store.add_comparison([("arm", SPECS[0])], "me").runs[0]
    assert store.sweeps.tag(sweep.id) == tokens[0]  # the run is not its own yet
    store.sweeps.link(sweep.id, 0, run.id)
    tokens.append(store.sweeps.tag(sweep.id))
    store.update(run.id, state="running")
    tokens.append(store.sweeps.tag(sweep.id))
    store.sweeps.update(sweep.id, state="cancelled")
    tokens.append(store.sweeps.tag(sweep.id))
    assert len(set(tokens)) == 4
    assert store.sweeps.tag("nowhere") == ""


def test_a_deleted_run_leaves_its_sweep_with_a_member_to_train(store: Store) -> None:
    run = finished(store)
    sweep = store.sweeps.add("one", [parse("resnet-8")], "me")
    assert sweep.unfinished == ()
    store.delete([run])
    found = store.sweeps.get(sweep.id)
    assert found is not None
    assert [member.state for member in found.members] == ["queued"]
    store.sweeps.delete(sweep.id)
    assert store.sweeps.get(sweep.id) is None


def test_a_sweep_whose_owner_is_gone_is_marked(store: Store) -> None:
    mine = store.sweeps.add("mine", SPECS, "alive")
    lost = store.sweeps.add("lost", SPECS, "dead")
    store.mark_orphans(lambda owner: owner == "alive")
    assert store.sweeps.state(mine.id) == "running"
    assert store.sweeps.state(lost.id) == "interrupted"


@pytest.mark.parametrize("count", [0, 2001])
def test_a_sweep_has_a_bounded_number_of_runs(store: Store, count: int) -> None:
    with pytest.raises(StoreError, match=f"runs: '{count}' is not allowed"):
        store.sweeps.add("x", [SPECS[0]] * count, "me")
    with pytest.raises(StoreError, match="'nowhere' is not in the store"):
        store.sweeps.update("nowhere", state="done")


def test_members_of_sweeps_can_be_left_out_of_the_comparisons(store: Store) -> None:
    alone, member = finished(store), finished(store, "plain-8")
    store.sweeps.add("one", [parse("plain-8")], "me")
    found = store.comparisons(swept=False)
    assert [run.id for group in found for run in group.runs] == [alone]
    assert [run.id for group in store.comparisons() for run in group.runs] == [member, alone]


def test_what_is_written_on_runs_is_read_back_and_travels(store: Store) -> None:
    run = finished(store)
    store.table.annotate([run], tags=[" deep ", "deep", "", "a b"], note="nöte\n<b>", pinned=True)
    (row,) = store.table.some([run])
    assert (row.tags, row.note, row.pinned) == (("deep", "a b"), "nöte\n<b>", True)
    store.table.annotate([run], pinned=False)
    (row,) = store.table.some([run])
    assert (row.tags, row.note, row.pinned) == (("deep", "a b"), "nöte\n<b>", False)
    copy = store.import_(store.export(row.comparison))
    assert (copy.runs[0].tags, copy.runs[0].note) == (("deep", "a b"), "nöte\n<b>")


def test_a_record_without_tags_is_read(store: Store) -> None:
    record = store.export(store.add_comparison([("arm", SPECS[0])], "me").id)
    for run in record["runs"]:
        del run["tags"], run["note"]
    assert store.import_(record).runs[0].tags == ()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"tags": ["x" * 41]}, "tag: 'x"),
        ({"tags": [str(i) for i in range(21)]}, "tags: '21' is not allowed"),
        ({"note": "y" * 4001}, "note: 'y"),
    ],
)
def test_what_is_too_long_is_refused_in_one_line(store: Store, words: dict, said: str) -> None:
    run = finished(store)
    with pytest.raises(StoreError) as error:
        store.table.annotate([run], **words)
    assert str(error.value).startswith(said)
    assert "\n" not in str(error.value)
    with pytest.raises(StoreError, match="run: '999' is not in the store"):
        store.table.annotate([999], note="")


def test_a_run_set_aside_is_nowhere_until_it_is_taken_back(store: Store) -> None:
    run = finished(store)
    (row,) = store.table.rows()
    before = store.table.tag()
    store.table.set_aside([run])
    assert store.table.tag() != before
    assert store.table.rows() == []
    assert store.runs() == []
    assert store.comparisons() == []
    assert store.comparison(row.comparison) is None
    assert store.find([row.key]) is None
    assert store.sweeps.finished(row.key) is None
    assert store.table.rows(deleted=True) == [row]
    store.table.take_back([run])
    assert store.table.rows() == [row]


def test_only_what_was_set_aside_long_enough_is_deleted(store: Store) -> None:
    first, second = finished(store), finished(store)
    store.table.set_aside([first])
    assert store.table.delete_aside(older_than=3600) == 0
    assert store.table.delete_aside(older_than=-1) == 1
    store.table.take_back([first])
    assert [row.id for row in store.table.rows()] == [second]


def test_rows_have_the_newest_value_of_every_scalar(store: Store) -> None:
    run = finished(store)
    store.describe(run, "train_loss", ("network",), "nats", False)
    store.describe(run, "activation_gradient", ("a", "b"), "", True)
    for step in (0, 300, 7):
        reading = Reading("train_loss", step, np.array([step + 0.5], np.float32))
        store.write([(run, reading)])
    store.write([(run, Reading("activation_gradient", 0, np.ones(2, np.float32)))])
    (row,) = store.table.rows()
    assert row.last == {"train_loss": 300.5}
    assert store.table.sizes() == {run: 3 * (4 + 24) + (8 + 24)}


def test_a_watched_run_is_a_row_without_a_spec_and_no_comparison(store: Store) -> None:
    facts = {"module": "MyNet", "parameters": "12"}
    row = store.table.watch("mine", "gone", "cpu", facts)
    assert (row.spec, row.network, row.watched, row.state) == (None, "MyNet", True, "running")
    store.describe(row.id, "train_loss", ("network",), "nats", False)
    store.write([(row.id, Reading("train_loss", 0, np.ones(1, np.float32)))], {row.id: 1.5})
    assert store.comparisons() == []
    assert store.runs() == []
    with pytest.raises(StoreError, match="recorded from a module of your own"):
        store.comparison(row.comparison)
    store.mark_orphans(lambda owner: False)
    (lost,) = store.table.rows()
    assert (lost.state, lost.step, lost.elapsed_s) == ("interrupted", 0, 1.5)
    assert lost.message == "the program that ran it ended at step 0"
    with pytest.raises(StoreError, match="'module' is missing"):
        store.table.watch("x", "me", "cpu", {})
