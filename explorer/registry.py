"""Named things that live one to a file: blocks, probes, pages of menus.

A registry maps a name to an object and answers an unknown name with one line that
lists the known ones. `discover` imports every module of a package, so that adding
a file is all it takes to add an entry.
"""

import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Generic, TypeVar

T = TypeVar("T")


class Registry(Mapping[str, T], Generic[T]):
    """Objects of one kind by name, in the order in which they were added."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._entries: dict[str, T] = {}

    def add(self, name: str, entry: T) -> T:
        """Add `entry` under a new name and return it; ValueError if the name is taken."""
        if name in self._entries:
            raise ValueError(f"{self.kind}: {name!r} is defined twice")
        self._entries[name] = entry
        return entry

    def __getitem__(self, name: str) -> T:
        if name not in self._entries:
            raise KeyError(f"{self.kind}: no {name!r}; there are {', '.join(self._entries)}")
        return self._entries[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)


def discover(package: ModuleType) -> None:
    """Import every module of `package`, in alphabetical order, so that each registers itself."""
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package.__name__}.{module.name}")
