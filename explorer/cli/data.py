"""`explorer data`: the data sets, and how to get more of them."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn
from rich.table import Table

from explorer.catalog import BUILT_IN, dataset_info, own_datasets
from explorer.cli.show import Home, Json, err, one_line_errors, out, print_json, use_store

cli = typer.Typer(help="List, download and add data sets.", no_args_is_help=True)


@cli.command("list")
@one_line_errors
def list_(store: Home = None, as_json: Json = False) -> None:
    """Every data set: shape, classes, size, and whether it is on this machine."""
    from explorer.data import is_here

    use_store(store)
    rows: list[dict[str, Any]] = []
    for name in (*BUILT_IN, *own_datasets()):
        info = dataset_info(name)
        rows.append({**vars(info), "here": is_here(name)})
    if as_json:
        print_json({"data": rows})
        return
    table = Table("name", "shape", "classes", "train", "test", "download", "here")
    for row in rows:
        shape = " x ".join(map(str, row["shape"]))
        size = f"{row['download_mb']} MB" if row["download_mb"] else "-"
        counts = (f"{row['train']:,}", f"{row['test']:,}")
        here = "yes" if row["here"] else "no"
        table.add_row(row["name"], shape, str(row["classes"]), *counts, size, here)
    out.print(table)


@cli.command()
@one_line_errors
def download(
    name: Annotated[str, typer.Argument(help="mnist, fashion_mnist, cifar10, cifar100 or svhn.")],
    store: Home = None,
) -> None:
    """Download a published data set, with its checksum checked."""
    from explorer.data import download as fetch

    use_store(store)
    columns = ("{task.description}", BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err, disable=not err.is_terminal) as progress:
        task = progress.add_task(name, total=None)
        fetch(name, lambda done, total: progress.update(task, completed=done, total=total))
    out.print(f"{name} is on this machine", markup=False)


@cli.command()
@one_line_errors
def add(
    source: Annotated[Path, typer.Argument(help="A folder, or a zip, with a subfolder per class.")],
    name: Annotated[str, typer.Option(help="A name for it.")] = "mine",
    store: Home = None,
) -> None:
    """Add your own images: one subfolder per class, in a folder or a zip."""
    from explorer.data.own import add_folder, add_zip

    use_store(store)
    if not source.exists():
        raise ValueError(f"source: '{source}' is not allowed; there is no such folder or file")
    added = add_folder(source, name) if source.is_dir() else add_zip(source, name)
    out.print(f"added; use it as data={added}", markup=False)
