"""Registries answer with what they hold, and say what they hold when asked for more."""

import importlib
import sys
from pathlib import Path

import pytest

from explorer.registry import Registry, discover


@pytest.fixture
def colours() -> Registry[int]:
    registry: Registry[int] = Registry("colour")
    registry.add("red", 1)
    registry.add("blue", 2)
    return registry


def test_entries_keep_the_order_in_which_they_were_added(colours: Registry[int]) -> None:
    assert list(colours.items()) == [("red", 1), ("blue", 2)]
    assert len(colours) == 2
    assert "red" in colours
    assert "green" not in colours


def test_add_returns_the_entry() -> None:
    assert Registry("colour").add("red", 7) == 7


def test_an_unknown_name_is_answered_with_the_known_ones(colours: Registry[int]) -> None:
    with pytest.raises(KeyError, match="colour: no 'green'; there are red, blue"):
        colours["green"]


def test_a_name_is_given_once(colours: Registry[int]) -> None:
    with pytest.raises(ValueError, match="colour: 'red' is defined twice"):
        colours.add("red", 3)
    assert colours["red"] == 1


def test_discover_imports_every_module_in_alphabetical_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "shapes_found"
    package.mkdir()
    (package / "__init__.py").write_text("FOUND = []\n")
    for name in ("square", "circle"):
        line = f"import shapes_found\nshapes_found.FOUND.append('{name}')\n"
        (package / f"{name}.py").write_text(line)
    monkeypatch.syspath_prepend(tmp_path)
    module = importlib.import_module("shapes_found")
    discover(module)
    assert module.FOUND == ["circle", "square"]
    for name in ("shapes_found", "shapes_found.circle", "shapes_found.square"):
        monkeypatch.delitem(sys.modules, name)
