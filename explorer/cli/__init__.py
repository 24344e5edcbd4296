"""The command line: the same calls as the pages. Exit 0 done, 1 failed, 2 bad input."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from explorer.cli import data, runs
from explorer.cli.flow import flow
from explorer.cli.inside import inside
from explorer.cli.show import (
    Device,
    Home,
    Json,
    err,
    fail,
    one_line_errors,
    out,
    print_json,
    print_runs,
    use_store,
)
from explorer.cli.sweep import sweep
from explorer.home import home
from explorer.spec import parse

ENDS = ("done", "diverged", "stopped")
NOT_KEPT = "the store did not take how the training ended"

cli = typer.Typer(
    help="Build residual networks and their plain twins, train them, and see what gradients do.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
cli.add_typer(runs.cli, name="runs")
cli.add_typer(data.cli, name="data")
cli.command()(sweep)
cli.command()(inside)
cli.command()(flow)


@cli.command()
@one_line_errors
def app(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8501,
    store: Home = None,
    device: Device = "auto",
    max_workers: Annotated[
        int, typer.Option(min=0, max=64, help="Comparisons at once; 0 chooses by the cores.")
    ] = 0,
    headless: Annotated[bool, typer.Option(help="Do not open a browser.")] = False,
) -> None:
    """Open the app in the browser."""
    use_store(store)
    home()  # made now, so that a place where none can be is one line here
    os.environ["EXPLORER_DEVICE"] = device
    os.environ["EXPLORER_MAX_WORKERS"] = str(max_workers)
    root = Path(__file__).parents[1]
    os.chdir(root)  # Streamlit reads .streamlit/config.toml of the folder it starts in
    options = {
        "server.address": host,
        "server.port": str(port),
        "server.headless": str(headless).lower(),
    }
    arguments = [f"--{name}={value}" for name, value in options.items()]
    command = [sys.executable, "-m", "streamlit", "run", str(root / "app.py"), *arguments]
    os.execv(sys.executable, command)


@cli.command()
@one_line_errors
def train(
    specs: Annotated[list[str], typer.Argument(help="One to four networks to train in lockstep.")],
    device: Device = "auto",
    fresh: Annotated[bool, typer.Option(help="Train even what the store already holds.")] = False,
    store: Home = None,
    as_json: Json = False,
) -> None:
    """Train arms in lockstep, with a progress bar, and keep the runs."""
    from explorer.experiments.runs import summaries, train_here
    from explorer.store import Store

    use_store(store)
    arms = [parse(spec) for spec in specs]
    ended = train_here(arms, device, fresh, show_progress=not as_json)
    rows = summaries(Store(), ended.id)
    print_json({"runs": rows}) if as_json else print_runs(rows)
    if any(row["state"] not in ENDS for row in rows):
        fail(next((row["message"] for row in rows if row["message"]), NOT_KEPT), 1)


@cli.command()
@one_line_errors
def bench(
    rows: Annotated[
        list[str] | None, typer.Argument(help="Names of rows to measure; all if none is given.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Measure this machine's speed, as ratios taken alternating in one run."""
    from explorer.bench import measure

    table = Table("what", "measured", "bound", "reached")
    measured = []
    for row in measure(rows or []):
        measured.append(vars(row))
        err.print(f"{row.what}: {row.value:.3g} {row.unit}", markup=False)
        reached = "yes" if row.reached else "no"
        table.add_row(row.what, f"{row.value:.3g} {row.unit}", row.bound, reached)
    print_json({"rows": measured}) if as_json else out.print(table)


@cli.command()
@one_line_errors
def doctor(store: Home = None, as_json: Json = False) -> None:
    """Say what there is: versions, device, store, data sets, free workers."""
    from explorer.experiments.doctor import report

    use_store(store)
    facts = report()
    if as_json:
        print_json(facts)
        return
    table = Table("what", "value", show_header=False)
    for name, value in facts.items():
        table.add_row(name, str(value))
    out.print(table)


def main() -> None:
    """The entry point of the `explorer` command."""
    cli()
