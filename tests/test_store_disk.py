"""The store's file: damaged, full, forbidden, shared, and written by a process that is killed."""

import errno
import json
import os
import re
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from explorer.spec import parse
from explorer.store import Store, StoreError
from explorer.trace import Reading

ARMS = [("plain", parse("plain-20")), ("residual", parse("resnet-20"))]
SITES = tuple(f"block {i}" for i in range(28))
WRITER = """
import sys, time
import numpy as np
from explorer.store import Store
from explorer.trace import Reading

store, batch, pause = Store(), int(sys.argv[1]), float(sys.argv[2])
for first in range(0, 2000, batch):
    store.write(
        [
            (run, Reading("norm", step, np.full(28, step, np.float32)))
            for run in (1, 2)
            for step in range(first, first + batch)
        ]
    )
    print(first + batch - 1, flush=True)
    time.sleep(pause)
"""


def filled(steps: int = 0) -> Store:
    """A store with one comparison of two arms and some steps of the probe `norm`."""
    store = Store()
    for run in store.add_comparison(ARMS, "me").runs:
        store.describe(run.id, "norm", SITES, "1", True)
        store.write(
            [(run.id, Reading("norm", i, np.full(28, i, np.float32))) for i in range(steps)]
        )
    return store


def one_line(error: pytest.ExceptionInfo[StoreError]) -> str:
    text = str(error.value)
    assert text
    assert "\n" not in text
    return text


def writer(batch: int, pause: float) -> "subprocess.Popen[str]":
    arguments = [sys.executable, "-c", WRITER, str(batch), str(pause)]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)


def test_a_file_that_is_no_database_is_kept_and_a_new_one_started(home: Path) -> None:
    store = filled(10)
    store.close()
    with store.path.open("r+b") as file:
        file.write(b"garbage " * 20)
    damaged = store.path.read_bytes()

    store = Store()
    aside = [path for path in home.iterdir() if ".damaged-" in path.name]
    assert len(aside) == 1
    assert re.fullmatch(r"runs\.sqlite\.damaged-\d{8}-\d{6}", aside[0].name)
    assert aside[0].read_bytes() == damaged
    assert str(aside[0]) in store.notice
    assert "\n" not in store.notice
    assert store.comparisons() == []
    store.add_comparison(ARMS, "me")
    store.close()
    assert Store().notice == ""


def test_two_damaged_files_of_one_second_are_both_kept(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "strftime", lambda pattern: "20250102-030405")
    for content in (b"first " * 100, b"second " * 100):
        home.mkdir(exist_ok=True)
        (home / "runs.sqlite").write_bytes(content)
        (home / "runs.sqlite-wal").write_bytes(content)
        Store().close()
    kept = {p.name: p.read_bytes()[:6] for p in home.iterdir() if ".damaged-" in p.name}
    stem = "runs.sqlite.damaged-20250102-030405"
    for name, content in ((stem, b"first "), (f"{stem}-2", b"second")):
        assert kept[name] == content


def test_a_schema_that_is_damaged_counts_as_a_damaged_file(home: Path) -> None:
    store = filled(10)
    store.close()
    with store.path.open("r+b") as file:
        file.seek(100)
        file.write(os.urandom(1) * 3900)
    store = Store()
    assert store.notice
    assert store.comparisons() == []


def test_a_new_store_leaves_the_checkpoints_of_the_old_one_to_it(home: Path) -> None:
    (home / "checkpoints").mkdir(parents=True)
    (home / "checkpoints" / "41.safetensors").write_bytes(b"")
    assert [run.id for run in Store().add_comparison(ARMS, "me").runs] == [42, 43]


def test_damage_found_while_reading_is_one_line(home: Path) -> None:
    store = filled(2000)
    store.close()
    size = store.path.stat().st_size
    with store.path.open("r+b") as file:
        file.seek(size // 2 // 4096 * 4096)
        file.write(b"\xa5" * (size // 4))
    store = Store()
    assert store.notice == ""
    with pytest.raises(StoreError, match="is damaged; close the program and rename") as error:
        _ = [store.trace(run, "norm") for run in (1, 2)]
    assert str(store.path) in one_line(error)
    assert len(store.comparisons()) == 1  # the part that is whole can still be read


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE reading SET numbers = x'0000' WHERE step = 1",
        "UPDATE probe SET sites = '[\"stem'",
        "UPDATE probe SET unit = CAST(x'ff' AS TEXT)",
    ],
)
def test_rows_that_nobody_can_have_written_are_damage(change: str) -> None:
    store = filled(3)
    connection = sqlite3.connect(store.path)
    connection.execute(change)
    connection.commit()
    connection.close()
    with pytest.raises(StoreError, match="is damaged") as error:
        store.trace(1, "norm")
    one_line(error)


def test_a_newer_format_is_refused_and_left_alone(home: Path) -> None:
    store = filled()
    store.close()
    connection = sqlite3.connect(store.path)
    connection.execute("PRAGMA user_version = 7")
    connection.close()
    before = store.path.read_bytes()
    with pytest.raises(StoreError, match="has format 7, made by a newer version") as error:
        Store()
    one_line(error)
    assert store.path.read_bytes() == before


def test_another_programs_database_is_refused_and_left_alone(home: Path) -> None:
    home.mkdir()
    connection = sqlite3.connect(home / "runs.sqlite")
    connection.execute("CREATE TABLE theirs (a)")
    connection.commit()
    connection.close()
    before = (home / "runs.sqlite").read_bytes()
    with pytest.raises(StoreError, match="is another program's database") as error:
        Store()
    one_line(error)
    assert (home / "runs.sqlite").read_bytes() == before


def test_an_empty_file_becomes_a_store(home: Path) -> None:
    home.mkdir()
    (home / "runs.sqlite").touch()
    store = Store()
    assert store.notice == ""
    store.add_comparison(ARMS, "me")


def test_places_that_cannot_be_used_are_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="choose another place") as error:
        Store(tmp_path / "file" / "runs.sqlite")
    one_line(error)
    with pytest.raises(StoreError, match="cannot be written") as error:
        Store(tmp_path)
    one_line(error)
    monkeypatch.setenv("EXPLORER_HOME", str(tmp_path / "file"))
    with pytest.raises(StoreError, match="choose another place") as error:
        Store()
    one_line(error)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="this user may write anywhere")
def test_a_read_only_folder_is_one_line(tmp_path: Path) -> None:
    folder = tmp_path / "closed"
    folder.mkdir(mode=0o500)
    with pytest.raises(StoreError, match="cannot be written") as error:
        Store(folder / "runs.sqlite")
    one_line(error)


def test_a_store_that_became_read_only_can_still_be_read(home: Path) -> None:
    store = filled(3)
    store._database.connection.execute("PRAGMA query_only = ON")
    with pytest.raises(StoreError, match="cannot be written") as error:
        store.update(1, state="done")
    one_line(error)
    assert len(store.trace(1, "norm")) == 3


def test_a_full_disk_is_one_line_and_takes_nothing_back(home: Path) -> None:
    store = filled(50)
    connection = store._database.connection
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count = {pages}")
    many = [(1, Reading("norm", 50 + i, np.zeros(28, np.float32))) for i in range(500)]
    with pytest.raises(StoreError, match=r"^the disk is full \(.*\); free some space, ") as error:
        store.write(many)
    assert "committed steps are kept" in one_line(error)
    assert store.last_step(1) == 49
    assert len(store.trace(1, "norm")) == 50
    connection.execute(f"PRAGMA max_page_count = {pages + 100}")
    store.write(many)
    assert len(store.trace(1, "norm")) == 550


def test_a_full_disk_at_the_start_is_the_same_line(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, **options: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(Path, "mkdir", full)
    with pytest.raises(StoreError, match=r"^the disk is full") as error:
        Store()
    one_line(error)


def test_a_file_held_by_another_program_is_one_line(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("explorer.store.schema.BUSY_SECONDS", 0.05)
    store = filled()
    other = sqlite3.connect(store.path)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match="is held by another program") as error:
        store.update(1, state="done")
    one_line(error)
    other.close()
    store.update(1, state="done")


def test_a_closed_store_says_so() -> None:
    store = filled()
    store.close()
    with pytest.raises(StoreError, match="closed database") as error:
        store.comparisons()
    one_line(error)


def test_a_writer_that_is_killed_loses_nothing_it_committed(home: Path) -> None:
    filled().close()
    child = writer(batch=4, pause=0)
    assert child.stdout is not None
    committed = [int(child.stdout.readline()) for _ in range(25)][-1]
    child.kill()
    committed = max([committed, *map(int, child.communicate()[0].split())])

    store = Store()
    assert store.notice == ""
    assert store._database.connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    for run in (1, 2):
        trace = store.trace(run, "norm")
        assert store.last_step(run) >= committed
        assert trace.steps.tolist() == list(range(store.last_step(run) + 1))
        assert (trace.values == trace.steps[:, None]).all()
    assert store.last_step(1) == store.last_step(2)  # a transaction holds both arms
    assert store.last_step(1) % 4 == 3


def test_one_process_reads_while_another_writes(home: Path) -> None:
    store = filled()
    name = store.comparisons()[0].id
    child = writer(batch=50, pause=0.05)  # 2,000 steps of two arms, a transaction each 50 ms
    tags, steps, since, values = [store.tag(name)], [-1], -1, []
    while child.poll() is None or store.last_step(2) > since:
        tags.append(store.tag(name))
        group = store.comparison(name)
        assert group is not None
        assert group.runs[0].step == group.runs[1].step
        steps.append(group.step)
        fresh = store.trace(2, "norm", since)
        values += fresh.values[:, 0].tolist()
        since = int(fresh.steps[-1]) if len(fresh) else since
        store.update(1, message=f"seen {since}")  # the app writes too
        time.sleep(0.002)
    assert child.returncode == 0
    assert steps == sorted(steps)
    assert len(set(steps)) > 5
    assert values == list(range(2000))
    assert store.last_step(1) == 1999
    assert [int(tag) for tag in tags] == sorted(int(tag) for tag in tags)
    child.communicate()


def test_threads_share_a_store(home: Path) -> None:
    store = filled()
    failures: list[BaseException] = []

    def work(run: int, probe: str) -> None:
        try:
            store.describe(run, probe, SITES, "1", False)
            for step in range(50):
                store.write([(run, Reading(probe, step, np.full(28, step, np.float32)))])
                assert store.trace(run, probe).steps.tolist() == list(range(step + 1))
        except BaseException as error:
            failures.append(error)

    threads = [
        threading.Thread(target=work, args=(run, f"probe {i}")) for run in (1, 2) for i in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(store.probes(1)) == 4


def test_processes_may_all_be_the_first(home: Path) -> None:
    code = (
        "import sys; from explorer.spec import parse; from explorer.store import Store\n"
        "print(flush=True); sys.stdin.readline()\n"
        "print(Store().add_comparison([('a', parse('resnet-8'))], 'me').runs[0].id)"
    )
    children = [
        subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(3)
    ]
    for child in children:
        assert child.stdout is not None
        child.stdout.readline()
    for child in children:
        assert child.stdin is not None
        child.stdin.write("\n")
        child.stdin.flush()
    ids = [json.loads(child.communicate()[0]) for child in children]
    assert sorted(ids) == [1, 2, 3]
    assert Store().notice == ""
