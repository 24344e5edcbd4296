"""Imports run one way: a module imports from rows above its own and from its own row only."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# Top row first; a name stands for explorer.<name> and all in it that has no row of its own,
# `*` for the package itself, whose names are for users. A new module needs a row here.
ROWS = (
    {"registry", "home", "trace", "wording", "blocks", "catalog", "spec"},
    {"comparison", "race_runs", "race_rule", "race_finding"},
    {"shortcuts", "init", "network", "data"},
    {"theory", "cost"},
    {"probes"},
    {"training", "flow", "inside", "gradients", "image_names", "analyses"},
    {
        *("store", "checkpoint", "changes", "chores", "session", "worker", "processes"),
        *(
            "executors",
            "lanes",
            "pool",
            "sweeping",
            "remote",
            "raysweeps",
            "watching",
            "inside_stored",
            "weights",
            "inquiry",
            "answering",
            "analysing",
        ),
    },
    {"experiments", "exports", "reproduction", "claims"},
    {"diagnosis", "figures"},
    {"*"},
    {"ui", "pages", "app"},
    {"bench", "cli"},
)
ROW_OF = {name: number for number, row in enumerate(ROWS) for name in row}

STREAMLIT = {"ui", "pages", "app"}
NO_TORCH = {
    *("theory", "cost", "store", "processes", "executors", "lanes", "pool", "sweeping"),
    *("weights", "inquiry", "image_names"),
    *("raysweeps", "exports", "reproduction", "diagnosis", "figures", *ROWS[0], *ROWS[1]),
}
TORCH = {"torch", "torchvision", "captum"}


def files() -> list[Path]:
    found = [*ROOT.glob("explorer/**/*.py"), *ROOT.glob("pages/*.py"), *ROOT.glob("app.py")]
    return sorted(found)


def unit(path: Path) -> str:
    """The dotted name, without `explorer.`, of the module in `path`; `*` for the package."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    inside = parts[1:] if parts[0] == "explorer" else parts[:1]
    return ".".join(part for part in inside if part != "__init__") or "*"


def row_name(dotted: str) -> str | None:
    """The entry of ROWS that a dotted name falls under; None if there is none."""
    while dotted and dotted not in ROW_OF:
        dotted = dotted.rpartition(".")[0]
    return dotted or None


def imported(path: Path) -> Iterator[str]:
    """Dotted names that a file imports, anywhere in it, in functions too."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def target(dotted: str) -> str | None:
    """The entry of ROWS that an import leads to; None if it is not ours."""
    top, _, rest = dotted.partition(".")
    if top in {"pages", "app"}:
        return top
    return (row_name(rest) or "*") if top == "explorer" else None


def faults(path: Path) -> Iterator[str]:
    """What one file imports against the rules, a line each."""
    name = row_name(unit(path))
    assert name is not None, f"{path}: give it a row"
    for dotted in imported(path):
        ours, top = target(dotted), dotted.partition(".")[0]
        if ours is not None and ROW_OF[ours] > ROW_OF[name]:
            yield f"{path.name}: {dotted} stands below {name}"
        if top == "streamlit" and name not in STREAMLIT:
            yield f"{path.name}: streamlit is for ui, pages and app"
        if top in TORCH and name in NO_TORCH:
            yield f"{path.name}: {name} does without {top}"


def test_every_module_has_a_row() -> None:
    assert [unit(path) for path in files() if row_name(unit(path)) is None] == []


@pytest.mark.parametrize("path", files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_run_one_way(path: Path) -> None:
    assert list(faults(path)) == []


@pytest.mark.parametrize(
    ("file", "line", "count"),
    [
        ("explorer/spec/x.py", "from explorer.network import build", 1),
        ("explorer/spec/x.py", "def f():\n    import torch", 1),
        ("explorer/spec/x.py", "from explorer import network, registry", 1),
        ("explorer/training.py", "import explorer.store", 1),
        ("explorer/training.py", "from explorer import build", 1),
        ("explorer/figures/x.py", "import streamlit as st", 1),
        ("explorer/figures/x.py", "from torchvision.models import resnet18", 1),
        ("explorer/network.py", "import torch\nfrom explorer.spec import NetworkSpec", 0),
        ("pages/x.py", "import streamlit\nfrom explorer import parse", 0),
    ],
)
def test_the_rules_catch_what_they_should(
    file: str, line: str, count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / file
    path.parent.mkdir(parents=True)
    path.write_text(line)
    monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path)
    assert len(list(faults(path))) == count


@pytest.mark.parametrize("name", sorted(NO_TORCH))
def test_the_rows_without_torch_do_not_load_it(name: str) -> None:
    """Torch and streamlit stay out of the process, also by way of other imports."""
    if not (ROOT / "explorer" / name).is_dir() and not (ROOT / f"explorer/{name}.py").is_file():
        pytest.skip(f"explorer.{name} is not there")
    code = f"import sys, explorer.{name}; print({{'torch', 'streamlit'}} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert result.stdout == "set()\n", result.stderr
