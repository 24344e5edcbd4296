"""A run in every form, out of the store; notebook, table and event file read back by others."""

import csv as reader
import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from test_exports_script import READINGS, repeated, trained

from explorer.exports import FORMATS, csv, export, notebook, script
from explorer.exports.tensorboard import MOST_CURVES, tensorboard
from explorer.session import Session
from explorer.spec import parse
from explorer.store import Event, Run, Store, this_process
from explorer.trace import Trace, trace_of
from explorer.training import resolve_device

SPECS = [parse(f"{kind}-8,width=2,batch=16,steps=4,lr=0.05") for kind in ("resnet", "plain")]
EVENTS = [Event(2, "lr", 1, 0.5), Event(3, "skip", 0, [0, 1, 1])]
ODD = np.array([[0.1, -0.0], [np.nan, np.inf], [1.2e-38, -np.inf], [3.4e38, 2.5]], np.float32)


class Silent:
    """An inbox to which nobody writes."""

    def take(self, block: bool = False) -> None:
        return None


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def runs(store: Store) -> tuple[Run, ...]:
    """Two arms, trained into the store, both with a change."""
    arms = [(arm, spec) for arm, spec in zip(("residual", "plain"), SPECS, strict=True)]
    comparison = store.add_comparison(arms, this_process())
    for event in EVENTS:
        store.add_event(comparison.id, event)
    Session(comparison.id, resolve_device("cpu"), Silent()).run()
    done = store.comparison(comparison.id)
    assert done is not None
    assert done.state == "done"
    return done.runs


def made(probe: str, values: Any, sites: int = 2, steps: Any = (0, 1, 5, 7)) -> Trace:
    names = tuple(f"block {place}" for place in range(sites))
    return Trace(probe, np.array(steps), np.asarray(values, np.float32), names, 'a, "b"')


def rows_of(text: str) -> list[dict[str, str]]:
    return list(reader.DictReader(io.StringIO(text, newline=""), strict=True))


def test_a_table_reads_back_the_same_float32s() -> None:
    bits = np.random.default_rng(0).integers(0, 2**32, (4, 300), dtype=np.uint32)
    bits |= 1 << 23  # no denormals, which the tests' threads read as zero
    numbers = np.concatenate([bits.view(np.float32), np.tile(ODD, 150)], axis=1)
    trace = made("gradient", numbers, sites=600)
    rows = rows_of(csv({"gradient": trace, "odd": made("odd", ODD)}))
    first, odd = rows[:2400], rows[2400:]
    back = np.array([np.float32(row["value"]) for row in first]).reshape(4, 600)
    np.testing.assert_array_equal(back, numbers)
    written = "0.1 -0.0 nan inf 1.2e-38 -inf 3.4e+38 2.5"
    assert " ".join(row["value"] for row in odd) == written
    assert [(row["site"], row["step"]) for row in odd[:3]] == [
        ("block 0", "0"),
        ("block 1", "0"),
        ("block 0", "1"),
    ]
    assert {(row["probe"], row["unit"]) for row in odd} == {("odd", 'a, "b"')}


def test_a_table_is_after_rfc_4180_and_runs_no_formula() -> None:
    hostile = ("=1+1", "@x", "+a", "-b", "\tc", "\rd", "a\nb", '"', ",", "é")
    trace = Trace("=cmd|' /C calc'!A0", np.array([0]), np.zeros((1, 10), np.float32), hostile, "+u")
    text = csv({trace.probe: trace})
    rows = rows_of(text)
    assert text.endswith("\r\n")
    assert text.startswith("probe,site,unit,step,value\r\n")
    assert [row["site"].removeprefix("'") for row in rows] == list(hostile)
    cells = [cell for row in rows for cell in (row["probe"], row["site"], row["unit"])]
    assert not any(cell.startswith(tuple("=+-@\t\r")) for cell in cells)
    assert (
        csv({}) == csv({"none": trace_of([], "none", (), "")}) == "probe,site,unit,step,value\r\n"
    )


def test_an_event_file_reads_back_in_tensorboard(tmp_path: Path) -> None:
    wide = np.random.default_rng(0).normal(size=(4, MOST_CURVES + 1)).astype(np.float32)
    wide[1, :60], wide[2] = np.nan, np.inf
    traces = {
        "train_loss": made("train_loss", [[1.5], [0.1], [np.nan], [np.inf]], sites=1),
        "gradient": made("gradient", ODD),
        "many": made("many", wide, sites=MOST_CURVES + 1),
        "rare": made("rare", [[2], [3]], sites=1, steps=(1, 9)),
    }
    file = tensorboard(tmp_path, "run 1", traces, {0: 100.0, 1: 101.5})
    assert file.parent == tmp_path / "run 1"
    found = EventAccumulator(str(file.parent), size_guidance={"scalars": 0, "histograms": 0})
    found.Reload()
    tags = found.Tags()
    assert set(tags["scalars"]) == {"train_loss", "rare", "gradient/block 0", "gradient/block 1"}
    assert tags["histograms"] == ["many"]
    columns = [("train_loss", "train_loss", 0), ("rare", "rare", 0)]
    columns += [(f"gradient/block {site}", "gradient", site) for site in (0, 1)]
    for tag, probe, site in columns:
        scalars = found.Scalars(tag)
        assert [one.step for one in scalars] == traces[probe].steps.tolist()
        values = np.array([one.value for one in scalars], np.float32)
        np.testing.assert_array_equal(values, traces[probe].values[:, site])
    assert [one.wall_time for one in found.Scalars("train_loss")][:2] == [100.0, 101.5]
    histograms = found.Histograms("many")
    assert [one.step for one in histograms] == [0, 1, 7]  # at 5 no value was finite
    assert [one.histogram_value.num for one in histograms] == [61, 1, 61]
    assert histograms[0].histogram_value.sum == pytest.approx(wide[0].sum(), rel=1e-6)
    assert histograms[0].histogram_value.max == wide[0].max()


@pytest.mark.parametrize("arm", [0, 1])
def test_a_notebook_repeats_the_trainer(arm: int, capsys: pytest.CaptureFixture[str]) -> None:
    text = notebook(SPECS[arm], EVENTS, arm, where="cpu, torch 9.8.7")
    book = nbformat.reads(text, as_version=4)
    nbformat.validate(book)
    names: dict[str, Any] = {}
    for cell in book.cells:
        if cell.cell_type == "code":
            exec(cell.source, names)
    rows = {
        (probe, step): np.float32(value).tobytes()
        for step, *values in names["readings"]
        for probe, value in zip(READINGS, values, strict=True)
        if value is not None
    }
    assert rows == trained(SPECS[arm], EVENTS, arm)
    printed = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in printed[1:5]] == ["0", "1", "2", "3"]
    assert f"{names['readings'][0][1]:.4f}" in printed[1]
    said = " ".join(cell.source for cell in book.cells if cell.cell_type == "markdown")
    assert all(word in said for word in (SPECS[arm].key, "seed 0", "torch 9.8.7", "MIT"))


def test_a_notebook_has_the_programs_code_and_is_the_same_each_time() -> None:
    for spec in (SPECS[0], parse("mlp-6,width=4,data=moons"), parse("resnet-8,data=svhn")):
        book = nbformat.reads(notebook(spec), as_version=4)
        program = script(spec)
        code = [cell.source for cell in book.cells if cell.cell_type == "code"]
        assert all(part in program for part in code[1:7])
        assert ("folder" in code[7]) == (spec.data.name == "svhn")
        assert notebook(spec) == notebook(spec)


def contents(store: Store, run: Run) -> dict[str, bytes]:
    return {name: export(store, run.id, name)[1] for name in FORMATS}


def test_every_form_holds_the_stored_curve(store: Store, runs: tuple[Run, ...], tmp_path: Path):
    run = runs[1]
    made = contents(store, run)
    stored = {
        (probe, int(step)): values.tobytes()
        for probe in READINGS
        for trace in [store.trace(run.id, probe)]
        for step, values in zip(trace.steps, trace.values, strict=True)
    }
    assert repeated(made["script"].decode()) == stored
    nbformat.validate(nbformat.reads(made["notebook"].decode(), as_version=4))
    table = {
        (row["probe"], int(row["step"])): np.float32(row["value"]).tobytes()
        for row in rows_of(made["csv"].decode())
        if row["probe"] in READINGS
    }
    assert table == stored
    assert store.import_(json.loads(made["json"])).runs[1].key == run.key
    zipfile.ZipFile(io.BytesIO(made["tensorboard"])).extractall(tmp_path / "logs")
    (folder,) = (tmp_path / "logs").iterdir()
    events = EventAccumulator(str(folder))
    events.Reload()
    for probe in READINGS:
        found = {(probe, e.step): np.float32(e.value).tobytes() for e in events.Scalars(probe)}
        assert found == {key: value for key, value in stored.items() if key[0] == probe}
    assert events.Scalars("train_loss")[0].wall_time == pytest.approx(run.created)


def test_files_have_plain_names(store: Store, runs: tuple[Run, ...]) -> None:
    for name in set(FORMATS) - {"tensorboard"}:
        file, _ = export(store, runs[0].id, name)
        assert file == f"resnet-8-{runs[0].key}{FORMATS[name].suffix}"


def test_a_watched_run_has_tables_and_no_program(store: Store) -> None:
    row = store.table.watch("../=my run", this_process(), "cpu", {"module": "torchvision.ResNet"})
    store.describe(row.id, "train_loss", ["network"], "nats", False)
    file, content = export(store, row.id, "csv")
    assert (file, content) == (
        f"torchvision-ResNet-{row.id}.csv",
        b"probe,site,unit,step,value\r\n",
    )
    for name in ("script", "notebook", "json"):
        with pytest.raises(ValueError, match=r"^[^\n]+$"):
            export(store, row.id, name)


def test_unknown_runs_and_forms_are_refused_in_one_line(store: Store) -> None:
    with pytest.raises(ValueError, match=r"^format: 'pdf' is not allowed; choose script, .*json$"):
        export(store, 1, "pdf")
    for name in FORMATS:
        with pytest.raises(ValueError, match=r"^run: '77' is not in the store[^\n]*$"):
            export(store, 77, name)


def test_exporting_loads_no_torch(store: Store, runs: tuple[Run, ...]) -> None:
    code = (
        "import sys\nfrom explorer.exports import FORMATS, export\n"
        "from explorer.store import Store\n"
        f"sizes = [len(export(Store(), {runs[0].id}, name)[1]) for name in FORMATS]\n"
        "print(min(sizes) > 500, {'torch', 'streamlit'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "True set()\n", done.stderr
