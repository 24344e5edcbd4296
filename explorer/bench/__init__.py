"""`explorer bench`: speed as ratios taken in one run, alternating, on this machine.

Each group of rows is one file here with a `rows` function; a name with a leading underscore
is no group but what several share. Timings live here and never in a test.
"""

import importlib
import operator
import pkgutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import median
from time import perf_counter
from typing import Literal

from explorer.spec import SpecError

COMPARED = {"at most": operator.le, "at least": operator.ge, "more than": operator.gt}


@dataclass(frozen=True)
class Row:
    """One measured figure: what, its value with unit, and the bound that the design sets."""

    what: str
    value: float
    unit: str
    bound: str
    reached: bool


Rows = Iterator[Row]


def row(
    what: str,
    value: float,
    unit: str,
    side: Literal["at most", "at least", "more than"],
    bound: float,
) -> Row:
    """The row of a figure whose bound is a number; NaN reaches none."""
    return Row(what, value, unit, f"{side} {bound:g}", bool(COMPARED[side](value, bound)))


def groups() -> list[str]:
    """The names of the groups of rows."""
    found = (module.name for module in pkgutil.iter_modules(__path__))
    return [name for name in found if not name.startswith("_")]


def measure(names: list[str]) -> Rows:
    """The rows of the named groups, or of all; SpecError for an unknown one."""
    there = groups()
    unknown = [name for name in names if name not in there]
    if unknown:
        raise SpecError("rows", unknown[0], f"choose among {', '.join(there)}")
    for name in names or there:
        yield from importlib.import_module(f"{__name__}.{name}").rows()


def leave_out(what: str, why: str) -> None:
    """Say on standard error which rows this machine cannot measure."""
    print(f"left out: {what}; {why}", file=sys.stderr, flush=True)


def ratio(slow: Callable[[], object], fast: Callable[[], object], pairs: int) -> float:
    """Median over `pairs` of time(slow) / time(fast), each pair run back to back in turn."""
    return paired(lambda: seconds(slow), lambda: seconds(fast), pairs)


def paired(above: Callable[[], float], below: Callable[[], float], pairs: int) -> float:
    """Median over `pairs` of above() / below(), each pair called back to back.

    The order inside a pair alternates, so that a machine that warms up or slows down favours
    neither.
    """
    ratios = []
    for index in range(pairs):
        first, second = (above, below) if index % 2 else (below, above)
        found = {first: first()}
        found[second] = second()
        ratios.append(found[above] / found[below])
    return median(ratios)


def seconds(call: Callable[[], object]) -> float:
    """How long one call takes."""
    started = perf_counter()
    call()
    return perf_counter() - started
