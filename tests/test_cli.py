"""The command line: JSON that others can read, and one line for whatever cannot be."""

import json
import math
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from explorer import bench
from explorer.cli import cli
from explorer.spec import parse
from explorer.store import Store
from explorer.training import Lockstep

ROOT = Path(__file__).parents[1]
SMALL = "resnet-8,width=4,batch=32,steps=3"
PLAIN = SMALL.replace("resnet", "plain")
FLOW = (
    *("spec", "key", "sites", "activation_gradient", "weight_gradient", "activation_std"),
    *("predicted", "rate", "rate_per_block", "predicted_rate", "predicted_rate_per_block"),
    *("seeds", "device", "elapsed_s"),
)
RUN = (
    *("key", "spec", "state", "steps", "train_loss", "train_accuracy", "test_accuracy"),
    *("device", "elapsed_s"),
)


def call(*arguments: str, says: str | None = None) -> Result:
    return CliRunner().invoke(cli, arguments, input=says)


def answer(*arguments: str) -> Any:
    """The JSON document that a command prints, and nothing else."""
    result = call(*arguments, "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    return json.loads(result.stdout, parse_constant=lambda name: pytest.fail(name))


def one_line(result: Result, code: int) -> str:
    """The one line on standard error of a command that ended with `code`."""
    assert result.exit_code == code
    assert isinstance(result.exception, SystemExit)
    assert "Traceback" not in result.output
    lines: list[str] = result.stderr.splitlines()
    assert len(lines) == 1
    return lines[0]


def commands(group: Any = None, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    from typer.main import get_command

    group = group or get_command(cli)
    yield path
    for name, command in getattr(group, "commands", {}).items():
        yield from commands(command, (*path, name))


@pytest.mark.parametrize("path", list(commands()), ids=" ".join)
def test_every_command_has_help(path: tuple[str, ...]) -> None:
    result = call(*path, "--help")
    assert result.exit_code == 0
    assert "Usage" in result.stdout
    assert "--help" in result.stdout


def test_flow_gives_the_fields_that_others_rely_on() -> None:
    flow = answer("flow", "plain-8,width=4", "--seeds", "2")
    assert set(FLOW) <= set(flow)
    run = parse("plain-8,width=4")
    assert (flow["spec"], flow["key"]) == ("plain-8,width=4", run.key)
    assert flow["sites"] == list(run.network.sites)
    for name in ("activation_gradient", "activation_std", "predicted"):
        assert len(flow[name]) == len(flow["sites"])
        assert all(math.isfinite(number) for number in flow[name])
    assert (flow["seeds"], flow["device"]) == (2, "cpu")
    assert flow["rate_per_block"] == pytest.approx(flow["rate"] ** 2)


def test_what_is_not_finite_is_null() -> None:
    flow = answer("flow", "resnet-302,width=4,norm=none,stages=150x4,branch_scale=10")
    numbers = [*flow["activation_gradient"], *flow["activation_std"], flow["rate"]]
    assert None in numbers
    assert answer("flow", "resnet-8,width=4")["predicted"] is None  # no formula: nothing drawn


def test_flow_prints_a_table() -> None:
    result = call("flow", "plain-8,width=4")
    assert (result.exit_code, result.stderr) == (0, "")
    assert "block 3" in result.stdout
    assert "predicted rate" in result.stdout


def test_train_prints_its_runs_and_keeps_them(monkeypatch: pytest.MonkeyPatch) -> None:
    runs = answer("train", PLAIN, SMALL)["runs"]
    assert [set(RUN) <= set(run) for run in runs] == [True, True]
    assert [(run["spec"], run["state"], run["steps"]) for run in runs] == [
        (PLAIN, "done", 3),
        (SMALL, "done", 3),
    ]
    assert all(math.isfinite(run["train_loss"]) for run in runs)
    assert all(0 <= run["test_accuracy"] <= 1 for run in runs)
    steps: list[int] = []
    advance = Lockstep.advance
    monkeypatch.setattr(
        Lockstep, "advance", lambda self, **how: steps.append(self.step) or advance(self, **how)
    )
    assert answer("train", PLAIN, SMALL)["runs"] == runs
    assert steps == []
    fresh = answer("train", PLAIN, SMALL, "--fresh")["runs"]
    assert steps == [0, 1, 2]
    assert [run["train_loss"] for run in fresh] == [run["train_loss"] for run in runs]
    assert len(Store().comparisons()) == 2


def test_a_diverged_run_is_no_failure() -> None:
    wild = "plain-8,width=4,steps=20,batch=32,norm=none,lr=100,warmup=0,branch_scale=10"
    (run,) = answer("train", wild)["runs"]
    assert run["state"] == "diverged"
    assert run["train_loss"] is None or math.isfinite(run["train_loss"])


def test_ctrl_c_ends_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    advance = Lockstep.advance

    def interrupted(self: Lockstep, everything: bool = False) -> Any:
        os.kill(os.getpid(), signal.SIGINT)
        return advance(self, everything)

    monkeypatch.setattr(Lockstep, "advance", interrupted)
    (run,) = answer("train", SMALL)["runs"]
    assert (run["state"], run["steps"]) == ("stopped", 0)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_what_fails_is_exit_1_with_the_reason() -> None:
    result = call("train", SMALL, f"{SMALL},data=cifar10")
    assert one_line(result, 1).startswith("cifar10 is not on this machine")
    assert "failed" in result.stdout
    result = call("train", f"{SMALL},data=cifar10", "--json")
    assert json.loads(result.stdout)["runs"][0]["state"] == "failed"
    one_line(result, 1)


def test_runs_go_out_and_come_back(tmp_path: Path) -> None:
    assert "No runs yet" in call("runs", "list").stdout
    assert answer("runs", "list") == {"runs": []}
    (run,) = answer("train", SMALL)["runs"]
    file, name = tmp_path / "run.json", run["id"]
    assert answer("runs", "list")["runs"] == answer("runs", "show", name)["runs"] == [run]
    assert name in call("runs", "list").stdout
    assert call("runs", "export", name, str(file)).exit_code == 0
    other = str(tmp_path / "elsewhere")
    imported = call("runs", "import", str(file), "--store", other)
    assert imported.exit_code == 0
    (copy,) = answer("runs", "list", "--store", other)["runs"]
    assert {**copy, "id": name} == run
    assert copy["id"] in imported.stdout
    os.environ["EXPLORER_HOME"] = str(tmp_path / "home")
    declined = call("runs", "delete", name, says="n\n")
    assert declined.exit_code == 1
    assert call("runs", "delete", name, says="y\n").exit_code == 0
    assert answer("runs", "list") == {"runs": []}
    assert call("runs", "delete", copy["id"], "--yes", "--store", other).exit_code == 0


def test_doctor_says_what_there_is(home: Path) -> None:
    facts = answer("doctor")
    assert facts["device"] in ("cpu", "mps") or "device" in facts
    assert facts["data folder"] == str(home)
    assert "digits" in facts["data here"]
    assert "cifar10" in facts["data to download"]
    assert facts["store"].startswith("0 runs, ")
    assert "python" in call("doctor").stdout


def test_doctor_says_that_a_damaged_store_was_set_aside(home: Path) -> None:
    home.mkdir()
    (home / "runs.sqlite").write_bytes(b"garbage" * 1000)
    assert "The store was damaged; nothing was deleted" in answer("doctor")["store"]
    assert len(list(home.glob("runs.sqlite.damaged-*"))) == 1


def test_data_lists_what_is_here() -> None:
    rows = {row["name"]: row for row in answer("data", "list")["data"]}
    assert (rows["digits"]["here"], rows["cifar10"]["here"]) == (True, False)
    assert rows["digits"]["shape"] == [1, 8, 8]
    assert "spirals" in call("data", "list").stdout


def test_bench_measures_the_rows_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = (
        "from explorer.bench import Row",
        "def rows():",
        "    yield Row('tiny', 1.5, 'x', 'at most 2', True)",
        "    yield Row('tinier', float('nan'), 'x', 'at most 2', False)",
    )
    (tmp_path / "tiny.py").write_text("\n".join(lines))
    monkeypatch.setattr(bench, "__path__", [*bench.__path__, str(tmp_path)])
    result = call("bench", "tiny", "--json")
    assert result.exit_code == 0
    assert [(row["what"], row["value"]) for row in json.loads(result.stdout)["rows"]] == [
        ("tiny", 1.5),
        ("tinier", None),
    ]
    assert "tinier" in call("bench", "tiny").stdout


BAD = [
    (["flow", "resnet-7"], "depth: '7' is not allowed; with basic blocks 6n+2 up to 1202"),
    (["flow", f"resnet-{10**9}"], "depth: '1000000000' is not allowed; with basic blocks"),
    (["flow", f"resnet-{10**90}"], "depth: '1000000"),
    (["flow", "resnet-8,width=0"], "width: '0' is not allowed; input should be greater than"),
    (["train", "resnet-8,lr=nan"], "lr: 'nan' is not allowed; input should be"),
    (["train", "resnet-8,lr=0"], "lr: '0' is not allowed; input should be greater than 0"),
    (["train", "resnet-8,batch=1"], "batch: '1' is not allowed; 2 to 1347 (digits, norm batch)"),
    (["train", "resnet-8,steps=-1"], "steps: '-1' is not allowed; input should be greater than"),
    (["flow", "vgg-16"], "network: 'vgg-16' is not allowed; write resnet-DEPTH, plain-DEPTH"),
    (["flow", "resnet-8,nrom=none"], "spec: 'nrom=none' is not allowed; write key=value with one"),
    (["flow", "resnet-8,norm=none,norm=none"], "norm: 'none' is not allowed; it is given twice"),
    (["flow", "resnet-8,norm=no"], "norm: 'no' is not allowed; input should be 'batch', 'none'"),
    (["flow", "resnet-8,data=imagenet"], "data: 'imagenet' is not allowed; choose one of digits"),
    (["flow", "resnet-8," + "x" * 100_000], "spec: 'resnet-8,xxx"),
    (["flow", "<script>alert(1)</script>"], "network: '<script>alert(1)</script>' is not allowed"),
    (["flow", "resnet-8\x1b[31m\n"], "depth: '8?[31m"),
    (["flow", ""], "network: '' is not allowed; write resnet-DEPTH"),
    (["train", *[SMALL] * 5], "specs: '5' is not allowed; one to 4 networks at a time"),
    (["train", SMALL, "--device", "tpu"], "device: 'tpu' is not here; choose auto or"),
    (["flow", "resnet-8", "--device", "cuda:99"], "device: 'cuda:99' is not here; choose auto or"),
    (["runs", "show", "nothere0"], "comparison: 'nothere0' is not allowed; an id that"),
    (["runs", "delete", "nothere0"], "comparison: 'nothere0' is not allowed; an id that"),
    (["runs", "export", "nothere0", "x.json"], "comparison: 'nothere0' is not allowed; an id that"),
    (["runs", "import", "/nothere.json"], "file: '/nothere.json' is not allowed; there is no such"),
    (["bench", "nothere"], "rows: 'nothere' is not allowed; choose among "),
    (["data", "add", "/nothere"], "source: '/nothere' is not allowed; there is no such folder"),
    (["data", "download", "nothere"], "nothere is not a data set to download; there are mnist"),
]


@pytest.mark.parametrize(("arguments", "line"), BAD, ids=[line[:24] for _, line in BAD])
def test_bad_input_is_one_line_and_exit_2(arguments: list[str], line: str) -> None:
    said = one_line(call(*arguments), 2)
    assert said.startswith(line)
    assert len(said) < 400
    assert said.isprintable()


@pytest.mark.parametrize(
    "text",
    ["", "no json", "[]", "{}", "[" * 100_000, '{"format": 1}', '{"format": 9}', "\xff", "NaN"],
)
def test_a_corrupt_file_is_bad_input_and_changes_nothing(text: str, tmp_path: Path) -> None:
    file = tmp_path / "bad.json"
    file.write_text(text, encoding="latin-1")
    one_line(call("runs", "import", str(file)), 2)
    assert Store().comparisons() == []


def test_a_damaged_export_is_bad_input(tmp_path: Path) -> None:
    answer("train", SMALL)
    file = tmp_path / "run.json"
    call("runs", "export", answer("runs", "list")["runs"][0]["id"], str(file))
    record = json.loads(file.read_text())
    record["runs"][0]["traces"][0]["steps"][0] = -5
    file.write_text(json.dumps(record))
    assert one_line(call("runs", "import", str(file)), 2).startswith("record: ")


def test_places_that_cannot_be_written_are_failures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    line = one_line(call("runs", "list", "--store", str(blocked / "below")), 1)
    assert "cannot be used" in line
    monkeypatch.setattr(os, "execv", lambda *_: pytest.fail("started"))
    assert str(blocked) in one_line(call("app", "--store", str(blocked / "below")), 1)
    os.environ["EXPLORER_HOME"] = str(tmp_path / "home")
    name = answer("train", SMALL)["runs"][0]["id"]
    one_line(call("runs", "export", name, str(tmp_path)), 1)
    one_line(call("runs", "import", str(tmp_path)), 2)


def test_the_app_is_started_with_what_was_asked_for(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[list[str]] = []
    monkeypatch.setattr(os, "execv", lambda program, command: started.append(command))
    monkeypatch.setattr(os, "chdir", lambda folder: None)
    monkeypatch.setenv("EXPLORER_DEVICE", "")
    monkeypatch.setenv("EXPLORER_MAX_WORKERS", "")
    result = call("app", "--port", "9000", "--max-workers", "3", "--device", "cpu", "--headless")
    assert result.exit_code == 0
    assert started[0][1:4] == ["-m", "streamlit", "run"]
    assert {"--server.port=9000", "--server.headless=true"} <= set(started[0])
    assert (os.environ["EXPLORER_DEVICE"], os.environ["EXPLORER_MAX_WORKERS"]) == ("cpu", "3")


def test_the_command_itself(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "from explorer.cli import main; main()"]
    environment = {**os.environ, "EXPLORER_HOME": str(tmp_path / "other")}
    bad = subprocess.run(
        [*command, "flow", "resnet-7"], capture_output=True, text=True, cwd=ROOT, env=environment
    )
    assert (bad.returncode, bad.stdout, bad.stderr.count("\n")) == (2, "", 1)
    assert bad.stderr.startswith("depth: '7' is not allowed; ")
    good = subprocess.run(
        [*command, "train", SMALL, "--json"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=environment,
    )
    assert (good.returncode, good.stderr) == (0, "")
    assert json.loads(good.stdout)["runs"][0]["state"] == "done"
