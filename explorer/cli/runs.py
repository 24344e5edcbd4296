"""`explorer runs`: what the store keeps."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from explorer.cli.show import Home, Json, one_line_errors, out, print_json, print_runs, use_store
from explorer.spec import SpecError

cli = typer.Typer(help="List, show, export, import and delete stored runs.", no_args_is_help=True)
Id = Annotated[str, typer.Argument(help="A comparison's id, as `explorer runs list` shows it.")]


@cli.command("list")
@one_line_errors
def list_(store: Home = None, as_json: Json = False) -> None:
    """All runs, newest first."""
    from explorer.experiments.runs import summaries

    use_store(store)
    rows = summaries(_store())
    if as_json:
        print_json({"runs": rows})
    elif rows:
        print_runs(rows)
    else:
        out.print("No runs yet: train one with `explorer train resnet-20`.")


@cli.command()
@one_line_errors
def show(comparison: Id, store: Home = None, as_json: Json = False) -> None:
    """The arms of one comparison: state, final numbers, events."""
    from explorer.experiments.runs import summaries

    use_store(store)
    rows = summaries(_store(), comparison)
    print_json({"runs": rows}) if as_json else print_runs(rows)


@cli.command()
@one_line_errors
def export(
    comparison: Id,
    file: Annotated[Path, typer.Argument(help="The file to write.")],
    format: Annotated[
        str, typer.Option(help="json, script, notebook, csv or tensorboard (a zip).")
    ] = "json",
    arm: Annotated[int, typer.Option(min=1, max=4, help="Which arm, but for json.")] = 1,
    store: Home = None,
) -> None:
    """Write a comparison with all its readings as JSON, or one arm of it in another form.

    script is one PyTorch program without this package, which trains to the same curve.
    """
    from explorer.exports import export as make

    use_store(store)
    kept = _store()
    _require(kept, comparison)
    runs = [row for row in kept.table.rows() if row.comparison == comparison]
    runs.sort(key=lambda row: row.id)
    if arm > len(runs):
        raise SpecError("arm", arm, f"1 to {len(runs)}")
    file.write_bytes(make(kept, runs[arm - 1].id, format)[1])
    out.print(f"{file}: {file.stat().st_size:,} bytes", markup=False)


@cli.command("import")
@one_line_errors
def import_(
    file: Annotated[Path, typer.Argument(help="A file that `explorer runs export` wrote.")],
    store: Home = None,
) -> None:
    """Add a comparison from such a file to the store."""
    use_store(store)
    if not file.is_file():
        raise ValueError(f"file: '{file}' is not allowed; there is no such file")
    try:
        record = json.loads(file.read_text())
    except (ValueError, RecursionError):
        raise ValueError(f"file: '{file}' is not allowed; it holds no JSON") from None
    comparison = _store().import_(record)
    out.print(f"imported as {comparison.id}", markup=False)


@cli.command()
@one_line_errors
def delete(
    comparison: Id,
    store: Home = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete a comparison with its readings and checkpoints."""
    use_store(store)
    kept = _store()
    _require(kept, comparison)
    if not yes:
        typer.confirm(f"Delete {comparison} and all its readings?", abort=True)
    kept.delete(comparison)
    out.print(f"deleted {comparison}", markup=False)


def _require(store: Any, comparison: str) -> None:
    """SpecError if the store has no comparison of that id."""
    if store.comparison(comparison) is None:
        raise SpecError("comparison", comparison, "an id that `explorer runs list` shows")


def _store() -> Any:
    from explorer.store import Store

    return Store()
