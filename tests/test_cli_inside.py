"""`explorer inside` and `analyse`: the answers of the analyses, as tables, as JSON, kept."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from explorer.analyses import ANALYSES
from explorer.analysing import NOT_KEPT, analyse
from explorer.answering import Answerer
from explorer.cli import cli
from explorer.store import Store, StoreError

NETWORK = "resnet-14,width=4"  # as drawn: it has block pairs to swap, and needs no training
OF_NO_NETWORK = ("factors", "shattering", "correlations")
SHIPPED = "plain-20,width=8,steps=300"


def call(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ("inside", *arguments))


def answer(*arguments: str) -> Any:
    """The JSON document that the command prints, and nothing else."""
    result = call(*arguments, "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    return json.loads(result.stdout, parse_constant=lambda name: pytest.fail(name))


def rows(result: Result) -> list[list[str]]:
    """The cells of all tables, without their frames; the first row of each is its heading."""
    assert result.exit_code == 0, result.output
    lines = [line for line in result.stdout.splitlines() if line[:1] in "│┃"]
    return [[cell.strip() for cell in line.replace("┃", "│").split("│")[1:-1]] for line in lines]


@pytest.mark.parametrize("what", [name for name in ANALYSES if name != "upload"])
def test_the_json_is_what_python_answers(what: str) -> None:
    networks = () if what in OF_NO_NETWORK else (NETWORK,)
    said, same = answer(what, *networks), analyse(what, *networks)
    assert said.pop("seconds", 0) >= 0
    assert said == {name: value for name, value in same.items() if name != "seconds"}


def test_lesions_are_a_table_with_a_row_a_block() -> None:
    found = answer("lesion_each", SHIPPED)
    result = call("lesion_each", SHIPPED)
    heading, *cells = rows(result)
    assert heading == ["blocks", "changes shape", "accuracy", "loss"]
    columns = (found[name.replace(" ", "_")] for name in heading)
    for row, (block, changes, accuracy, loss) in zip(
        cells, zip(*columns, strict=True), strict=True
    ):
        assert row[:2] == [block, str(changes)]
        assert [float(cell) for cell in row[2:]] == pytest.approx([accuracy, loss], rel=1e-3)
    assert f"intact: {found['intact']}" in result.stdout
    assert f"ranked: {found['ranked']}" in result.stdout  # numbers of blocks, not of these rows


def test_a_table_for_layers_one_for_blocks_and_one_for_sites() -> None:
    found, cells = answer("responses", NETWORK), rows(call("responses", NETWORK))
    named = {row[0]: row[1:] for row in cells}
    assert [row[0] for row in cells if row[0] in ("sites", "blocks", "layers")] == [
        "sites",
        "blocks",
        "layers",
    ]
    for layer, std in zip(found["layers"], found["std"], strict=True):
        assert float(named[layer][0]) == pytest.approx(std, rel=1e-3)
    sites = next(row for row in cells if row[0] == "stem")
    assert float(sites[1]) == pytest.approx(found["probe_accuracy"][0], rel=1e-3)
    assert sites[2] == "-"  # the head does not fit the stem's channels


def test_options_reach_the_analysis_as_json_or_as_words() -> None:
    found = answer("lesion_each", NETWORK, "-o", "reestimate=true", "--option", "harm=noise")
    assert found["reestimated"] is True
    plain, noisy = answer("lesion_each", NETWORK), analyse("lesion_each", NETWORK, harm="noise")
    assert answer("lesion_each", NETWORK, "-o", "harm=noise")["loss"] == noisy["loss"]
    assert plain["loss"] != noisy["loss"]
    swapped = answer("lesion", SHIPPED, "-o", "order=[2,1,3,4,5,6,7,8,9]")
    assert swapped["accuracy"] != swapped["intact"]


def test_two_networks_are_compared_in_the_order_given() -> None:
    one = answer("similarity", NETWORK, SHIPPED, "-o", "examples=50")
    other = answer("similarity", SHIPPED, NETWORK, "-o", "examples=50")
    assert (len(one["matrix"]), len(one["matrix"][0])) == (6, 9)
    for number, row in enumerate(one["matrix"]):
        assert row == pytest.approx([column[number] for column in other["matrix"]], rel=1e-9)


BAD = [
    (("nonsense", NETWORK), 2, "analysis: 'nonsense' is not allowed; choose one of "),
    (("flow", NETWORK), 2, "analysis: 'flow' is not allowed; choose one of "),
    (("responses", "wat-8"), 2, ""),
    (("responses", f"{NETWORK}@5"), 2, "step: '5' is not allowed; "),
    (("responses", f"{NETWORK}@x"), 2, "step: 'x' is not allowed; "),
    (("responses", "999"), 1, "run: '999' is not in the store"),
    (("responses", NETWORK, NETWORK), 2, "networks: '2' is not allowed; "),
    (("similarity", *[NETWORK] * 3), 2, "networks: '3' is not allowed; one or two"),
    (("maps", NETWORK, "-o", "image"), 2, "option: 'image' is not allowed; NAME=VALUE"),
    (("maps", NETWORK, "-o", "store=1"), 2, "option: 'store=1' is not allowed; "),
    (("maps", NETWORK, "-o", "image=test:450"), 2, "image: 'test:450' is not allowed; "),
    (("lesion", NETWORK, "-o", "order=[1]"), 2, "order: '[1]' is not allowed; "),
    (("lesion_some", NETWORK, "-o", "draws=NaN"), 2, "draws: 'nan' is not allowed; "),
    (("upload", NETWORK, "-o", "content=?"), 2, "content: '?' is not allowed; "),
    (("maps", NETWORK, "--device", "abacus"), 2, "device: 'abacus'"),
]


@pytest.mark.parametrize(("arguments", "code", "said"), BAD, ids=lambda value: str(value)[:50])
@pytest.mark.parametrize("as_json", [False, True])
def test_bad_input_is_one_line(
    arguments: tuple[str, ...], code: int, said: str, as_json: bool
) -> None:
    result = call(*arguments, *["--json"] * as_json)
    assert (result.exit_code, result.stdout) == (code, "")
    assert isinstance(result.exception, SystemExit)
    (line,) = result.stderr.splitlines()
    assert line.startswith(said)


def test_without_a_network_one_line_says_that_one_is_needed() -> None:
    result = call("responses")
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert result.stderr.startswith("networks: '0' is not allowed")


def test_answers_that_take_long_are_kept_in_the_store_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = ("--store", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("EXPLORER_HOME", str(tmp_path / "home"))  # `--store` sets it
    before = answer("responses", NETWORK, *where)
    assert (tmp_path / "elsewhere").is_dir()

    def fail(*_: object) -> None:
        raise ValueError("asked again")

    monkeypatch.setattr(Answerer, "answer", fail)
    assert answer("responses", NETWORK, *where) == before
    assert call("responses", f"{NETWORK},seed=1", *where).stderr == "asked again\n"
    assert call("responses", NETWORK, "--store", str(tmp_path / "third")).exit_code == 2
    assert all(call(what, NETWORK, *where).exit_code == 2 for what in NOT_KEPT)


def test_a_full_disk_costs_the_keeping_only(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise StoreError("the disk is full")

    monkeypatch.setattr(Store, "cache_put", full)
    assert analyse("responses", NETWORK)["blocks"] == [f"block {n}" for n in range(1, 7)]
    assert Store().size() > 0


def flow(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ("flow", *arguments))


def test_flow_measures_what_lies_behind_the_gradient() -> None:
    options = ["--depths", "8,14", "--split", "--lengths", "--jacobians", "--json"]
    found = json.loads(flow("resnet-8,width=4", *options).stdout)
    assert found["sites"][0] == "stem"
    assert [point["depth"] for point in found["by_depth"]] == [8, 14]
    (ratio,) = found["by_depth"][0]["ratios"]
    gradient = found["activation_gradient"]
    assert ratio == pytest.approx(gradient[0] / gradient[-1], rel=1e-5)
    shares = zip(found["split"]["shortcut_share"], found["split"]["residual_share"], strict=True)
    assert [a + b for a, b in shares] == pytest.approx([1.0] * 3)
    assert sum(found["exact_lengths"]["share"]) == pytest.approx(1.0)
    assert len(found["spectra"]["blocks"]["largest"]) == 3


def test_flow_at_a_stored_step_has_no_prediction() -> None:
    spec = "resnet-20,width=8,steps=300"
    start = json.loads(flow(spec, "--json").stdout)
    later = json.loads(flow(spec, "--step", "300", "--json").stdout)
    assert later["step"] == 300
    assert later["predicted"] is None
    assert len(later["activation_gradient"]) == len(start["activation_gradient"])
    assert later["activation_gradient"] != start["activation_gradient"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--depths", "8,x"], "depths: '8,x' is not allowed; whole numbers"),
        (["--step", "7"], "step: '7' is not allowed; stored of residual-8: 0"),
    ],
)
def test_what_flow_cannot_do_is_one_line(options: list[str], said: str) -> None:
    result = flow("resnet-8,width=4", *options)
    assert result.exit_code == 2
    assert said in result.stderr
    assert result.stderr.count("\n") == 1
