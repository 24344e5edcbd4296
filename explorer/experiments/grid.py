"""A sweep's grid: every combination of the values of some fields, and of the seeds."""

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

from pydantic import TypeAdapter, ValidationError

from explorer.experiments.arms import section, with_value
from explorer.spec import NetworkSpec, RunSpec, SpecError, parse
from explorer.spec.recipe import DataSpec, Recipe
from explorer.spec.text import list_value

# What the Sweeps page shows first, and the program has recorded: about a minute on two cores.
USUAL_BASE = "plain-20,width=8,steps=150"
USUAL_GRID = (("norm", "batch,none"), ("lr", "0.3,0.1,0.01"))
USUAL_SEEDS = 2
MOST_RUNS = 2000
MOST_SEEDS = 100
ORDER = ("data", "family", "block", "stages", "depth", "width")  # what others depend on first


def expand(base: RunSpec, grid: Mapping[str, Sequence[Any]], seeds: int = 1) -> tuple[RunSpec, ...]:
    """The runs of a grid over `base`: all of one seed, then all of the next.

    Fields vary in the order of `grid`, the last one fastest; equal runs count once.
    SpecError for a field, a value or a combination that cannot be.
    """
    if not 1 <= seeds <= MOST_SEEDS:
        raise SpecError("seeds", seeds, f"1 to {MOST_SEEDS}")
    count = seeds
    for field, values in grid.items():
        count *= len(values)
        if not values:
            raise SpecError(field, "", "one value or more, with commas between them")
    if count > MOST_RUNS:
        raise SpecError("grid", f"{count} runs", f"at most {MOST_RUNS} in one sweep")
    runs = (
        _changed(base, dict(zip(grid, values, strict=True)), base.seed + more)
        for more in range(seeds)
        for values in product(*grid.values())
    )
    return tuple({run.key: run for run in runs}.values())


def _changed(base: RunSpec, values: Mapping[str, Any], seed: int) -> RunSpec:
    run = base.replace(seed=seed)
    ranked = sorted(values, key=lambda field: ORDER.index(field) if field in ORDER else len(ORDER))
    for field in ranked:
        run = with_value(run, field, values[field])
    return run


def usual() -> tuple[RunSpec, ...]:
    """The runs of the grid that the program has recorded."""
    values = {field: read_values(field, text) for field, text in USUAL_GRID}
    return expand(parse(USUAL_BASE), values, USUAL_SEEDS)


def read_values(field: str, text: str) -> tuple[Any, ...]:
    """The values that a text such as "8,20,56" gives for a field; SpecError for one it cannot have.

    Values that are lists themselves are written as in the short form: `stages=3x16~3x32,27x8`.
    """
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not parts:
        raise SpecError(field, text, "one value or more, with commas between them")
    return tuple(_read(field, part) for part in parts)


def _read(field: str, text: str) -> Any:
    where = section(field)
    if field == "data":
        return DataSpec().replace(name=text).name
    owner: Any = {"network": NetworkSpec, "data": DataSpec, "recipe": Recipe, "run": RunSpec}[where]
    listed = list_value(field, text)
    if listed is not text:
        return listed
    try:
        return TypeAdapter(owner.model_fields[field].annotation).validate_python(text)
    except ValidationError as report:
        message = report.errors(include_url=False)[0]["msg"]
        raise SpecError(field, text, message[0].lower() + message[1:]) from None
