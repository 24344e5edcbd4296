"""`explorer inside`: trained networks looked into, as on the pages on the inside of blocks."""

import json
from typing import Annotated, Any

import typer
from rich.progress import Progress
from rich.table import Table

from explorer.cli.show import Device, Home, Json, err, one_line_errors, out, print_json, use_store
from explorer.spec import SpecError

LISTED = ("sites", "blocks", "layers", "counts", "lengths")  # what names the rows of a table
ORDERS = ("ranked",)  # lists as long as a column whose entries are not those of its rows
WIDEST = 60  # characters of a value that is not a column
LONG = "--json prints it"


@one_line_errors
def inside(
    what: Annotated[
        str, typer.Argument(help="The analysis, such as responses, lesion_each or similarity.")
    ],
    networks: Annotated[
        list[str] | None,
        typer.Argument(help="Stored networks: 12@100 (a run and a step), or a spec and a step."),
    ] = None,
    option: Annotated[
        list[str] | None,
        typer.Option("--option", "-o", help="Of the analysis, such as -o reestimate=true."),
    ] = None,
    device: Device = "cpu",
    store: Home = None,
    as_json: Json = False,
) -> None:
    """Look into trained networks: maps, responses, attributions, similarity, paths, lesions."""
    from explorer.analysing import analyse

    use_store(store)
    options = dict(_option(text) for text in option or [])
    quiet = as_json or not err.is_terminal
    with Progress(console=err, transient=True, disable=quiet) as bar:
        task = bar.add_task(what, total=None)

        def report(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        answer = analyse(what, *(networks or ()), device=device, report=report, **options)
    print_json(answer) if as_json else _show(answer)


def _option(text: str) -> tuple[str, Any]:
    """A name and its value, read as JSON where it is that; SpecError without a name."""
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier() or name in ("what", "store", "device", "report"):
        raise SpecError("option", text, "NAME=VALUE, such as reestimate=true")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def _show(answer: dict[str, Any]) -> None:
    """Lists of one length as a table, a row a site, block or layer; the rest line by line."""
    tables = [name for name in LISTED if isinstance(answer.get(name), list)]
    shown: set[str] = set()
    for rows in tables:
        columns = {
            name: values
            for name, values in answer.items()
            if name not in (*shown, *ORDERS) and _is_column(values, len(answer[rows]))
        }
        shown |= set(columns)
        if len(columns) > 1:
            _table(rows, columns)
    for name, value in answer.items():
        if name not in shown:
            text = str(value)
            short = len(text) <= WIDEST or name in ORDERS
            out.print(f"{name}: {text if short else LONG}", markup=False)


def _is_column(values: Any, length: int) -> bool:
    plain = isinstance(values, list) and len(values) == length
    return plain and not any(isinstance(value, list | dict) for value in values)


def _table(rows: str, columns: dict[str, list[Any]]) -> None:
    ordered = {rows: columns[rows], **columns}
    table = Table(*(name.replace("_", " ") for name in ordered))
    for cells in zip(*ordered.values(), strict=True):
        table.add_row(*map(_cell, cells))
    out.print(table)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
