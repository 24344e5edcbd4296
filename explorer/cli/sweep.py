"""`explorer sweep`: a grid of networks, trained several at once and kept."""

from typing import Annotated

import typer

from explorer.cli.show import (
    Device,
    Home,
    Json,
    fail,
    one_line_errors,
    print_json,
    print_runs,
    use_store,
)
from explorer.spec import SpecError, parse

SHORTHANDS = {"depths": "depth", "shortcuts": "shortcut", "widths": "width", "norms": "norm"}
Values = Annotated[str | None, typer.Option(help="Values with commas between them.")]


@one_line_errors
def sweep(
    base: Annotated[
        str, typer.Argument(help="What all runs share.")
    ] = "resnet-20,width=8,steps=300",
    depths: Values = None,
    shortcuts: Values = None,
    widths: Values = None,
    norms: Values = None,
    data: Values = None,
    grid: Annotated[
        list[str] | None, typer.Option(help="Any other field: --grid lr=0.1,0.01; repeatable.")
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, max=100, help="Runs of each, by seed.")] = 1,
    steps: Annotated[int | None, typer.Option(min=1, help="Optimiser steps a run.")] = None,
    executor: Annotated[str, typer.Option(help="local, or ray for a cluster.")] = "local",
    address: Annotated[
        str | None, typer.Option(help="Of a Ray cluster; without it Ray starts here.")
    ] = None,
    gpus_per_run: Annotated[float, typer.Option(min=0, help="Share of a GPU, on Ray.")] = 0.0,
    max_workers: Annotated[
        int, typer.Option(min=0, max=256, help="Runs at once; 0 chooses by cores and devices.")
    ] = 0,
    device: Device = "auto",
    fresh: Annotated[bool, typer.Option(help="Train even what the store already holds.")] = False,
    resume: Annotated[str | None, typer.Option(help="The id of a sweep to go on with.")] = None,
    store: Home = None,
    as_json: Json = False,
) -> None:
    """Train a grid of networks, each combination with each seed, and keep the runs.

    What the store has finished already is taken from there. Ctrl-C ends in order.
    """
    from explorer.experiments.grid import expand
    from explorer.experiments.sweeps import Place, rows, sweep_here, what_is_left
    from explorer.store import Store

    use_store(store)
    given = {"data": data, "depths": depths, "widths": widths, "norms": norms}
    fields = _fields({**given, "shortcuts": shortcuts}, grid or [])
    run = parse(base)
    if steps is not None:
        run = run.replace(recipe=run.recipe.replace(steps=steps))
    specs = expand(run, fields, seeds)
    name = " ".join([base, *(f"{k}={','.join(map(str, v))}" for k, v in fields.items())])
    place = Place(executor, device, max_workers or None, address, gpus_per_run)
    ended = sweep_here(
        name, specs, place, resume=resume, reuse=not fresh, show_progress=not as_json
    )
    found = rows(Store(), ended)
    print_json({"sweep": ended.id, "runs": found}) if as_json else print_runs(found)
    left = what_is_left(ended)
    if left:
        fail(left, 1)


def _fields(given: dict[str, str | None], grid: list[str]) -> dict[str, tuple[object, ...]]:
    """The grid: values by field, shorthands first."""
    from explorer.experiments.grid import read_values

    texts = {SHORTHANDS.get(k, k): text for k, text in given.items() if text is not None}
    for pair in grid:
        field, equals, text = (part.strip() for part in pair.partition("="))
        if not equals:
            raise SpecError("grid", pair, "write FIELD=VALUES, such as lr=0.1,0.01")
        if field in texts:
            raise SpecError(field, text, "it is given twice")
        texts[field] = text
    return {field: read_values(field, text) for field, text in texts.items()}
