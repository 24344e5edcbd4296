"""The parts of an exported program: code with its imports, and how values are written in it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

NARROW = 88  # columns; what fits here is formatted alike for every usual line length
FEW = 4  # equal neighbours that are still written out
STANDARD = {"argparse", "collections", "hashlib", "itertools", "math", "sys"}


@dataclass(frozen=True)
class Section:
    """One step of the program: a title and a note for a notebook, its code and its imports."""

    title: str
    note: str
    code: str
    imports: tuple[str, ...] = ()


def import_lines(sections: Iterable[Section]) -> str:
    """All imports of the sections: standard library, then the rest, `import` before `from`."""
    lines = {line for section in sections for line in section.imports}
    ordered = sorted(lines, key=lambda line: (line.startswith("from"), line))
    groups = [
        "\n".join(line for line in ordered if (_package(line) in STANDARD) is standard)
        for standard in (True, False)
    ]
    return "\n\n".join(group for group in groups if group)


def _package(line: str) -> str:
    return line.split()[1].split(".")[0]


def number(value: float) -> str:
    """The number as source code that reads back the same."""
    return repr(float(value))


def gates(head: str, values: Sequence[float], room: int = NARROW) -> str:
    """`head` and a list of gates, many equal ones written once: `[*[1.0] * 20, 0.5, 0.0]`."""
    runs = [(number(value), len(list(group))) for value, group in groupby(values)]
    if len(runs) == 1:
        return f"{head}[{runs[0][0]}] * {len(values)}"
    parts: list[str] = []
    for value, count in runs:
        parts += [value] * count if count < FEW else [f"*[{value}] * {count}"]
    return listed(head, parts, room)


def listed(head: str, parts: Sequence[str], room: int = NARROW) -> str:
    """`head` and the parts as a list, on one line if they fit, else one line each."""
    line = f"{head}[{', '.join(parts)}]"
    return line if len(line) <= room else "\n".join([f"{head}[", *lines_of(parts), "]"])


def indented(lines: Iterable[str], levels: int) -> str:
    """The lines, each with its line end, moved right by so many levels."""
    return "".join(f"{'    ' * levels}{line}\n" if line else "\n" for line in lines)


def lines_of(parts: Iterable[str]) -> list[str]:
    """The parts as the lines inside brackets."""
    return [f"    {part}," for part in parts]


def call(target: str, function: str, arguments: Sequence[str], indent: int) -> list[str]:
    """`target = function(arguments)`, on one line if it fits at that indent."""
    line = f"{target} = {function}({', '.join(arguments)})"
    if len(line) + 4 * indent <= NARROW:
        return [line]
    return [f"{target} = {function}(", *lines_of(arguments), ")"]
