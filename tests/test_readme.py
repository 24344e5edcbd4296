"""The README says what is true: its Python runs, its commands exist."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from explorer.cli import cli
from explorer.spec import parse

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^explorer (\S+)", README, re.MULTILINE)


def test_the_python_example_prints_accuracies(capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    exec(compile(code, "README.md", "exec"), {})
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert {arm for arm, _, _ in lines} == {"0", "1"}
    assert {int(step) for _, step, _ in lines} == {0, 25, 50}
    assert all(0 <= float(share) <= 1 for _, _, share in lines)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str) -> None:
    assert CliRunner().invoke(cli, [command, "--help"]).exit_code == 0


@pytest.mark.parametrize("text", re.findall(r"`((?:resnet|plain|mlp)-[^`]*)`", README))
def test_every_network_in_the_text_can_be_parsed(text: str) -> None:
    assert parse(text).network.depth >= 4


@pytest.mark.parametrize("path", re.findall(r"\]\(([^)#:]+)\)", README))
def test_every_linked_file_is_there(path: str) -> None:
    assert (Path(__file__).parents[1] / path).is_file()
