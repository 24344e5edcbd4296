"""`explorer bench`: speed as ratios taken in one run, alternating, on this machine.

Each row is one file here with a `rows` function; timings live here and never in a test.
"""

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import median
from time import perf_counter

from explorer.spec import SpecError


@dataclass(frozen=True)
class Row:
    """One measured figure: what, its value with unit, and the bound that the design sets."""

    what: str
    value: float
    unit: str
    bound: str
    reached: bool


Rows = Iterator[Row]


def measure(names: list[str]) -> Rows:
    """The rows of the named modules of this package, or of all; ValueError for an unknown one."""
    there = [module.name for module in pkgutil.iter_modules(__path__)]
    unknown = [name for name in names if name not in there]
    if unknown:
        raise SpecError("rows", unknown[0], f"choose among {', '.join(there)}")
    for name in names or there:
        yield from importlib.import_module(f"{__name__}.{name}").rows()


def ratio(slow: Callable[[], object], fast: Callable[[], object], pairs: int) -> float:
    """Median over `pairs` of time(slow) / time(fast), each pair run back to back in turn.

    The order inside a pair alternates, so that a machine that warms up or slows down favours
    neither.
    """
    ratios = []
    for index in range(pairs):
        first, second = (slow, fast) if index % 2 else (fast, slow)
        times = {first: _seconds(first)}
        times[second] = _seconds(second)
        ratios.append(times[slow] / times[fast])
    return median(ratios)


def _seconds(call: Callable[[], object]) -> float:
    started = perf_counter()
    call()
    return perf_counter() - started
