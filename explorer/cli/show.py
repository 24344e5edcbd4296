"""What all commands share: options, tables, JSON, and errors of one line."""

import json
import os
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console
from rich.table import Table

from explorer.spec import SpecError

out = Console()
err = Console(stderr=True)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]
Device = Annotated[str, typer.Option(help="auto (CUDA, then MPS, then CPU), cpu, cuda or mps.")]
Home = Annotated[
    Path | None, typer.Option("--store", help="The data folder, in place of EXPLORER_HOME.")
]
C = TypeVar("C", bound=Callable[..., Any])


def one_line_errors(command: C) -> C:
    """Bad input ends with one line and exit 2, failure with one line and exit 1."""

    @wraps(command)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        try:
            return command(*args, **kwargs)
        except (typer.Exit, typer.Abort):  # RuntimeErrors too, that typer carries out
            raise
        except (SpecError, ValueError) as error:
            fail(str(error), 2)
        except (RuntimeError, OSError) as error:
            fail(str(error), 1)

    return wrapped  # type: ignore[return-value]


def fail(message: str, code: int) -> None:
    """Print the first line of `message` on standard error and exit with `code`."""
    err.print((message.splitlines() or ["failed"])[0], style="red", markup=False, soft_wrap=True)
    raise typer.Exit(code)


def print_json(value: Any) -> None:
    """Print `value` as one JSON document; NaN and infinity as null."""
    typer.echo(json.dumps(finite(value), indent=2))


def finite(value: Any) -> Any:
    """`value` with every number that JSON cannot hold replaced by None."""
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return None
    return value


def use_store(folder: Path | None) -> None:
    """Let this process keep its files in `folder`, if one was named."""
    if folder is not None:
        os.environ["EXPLORER_HOME"] = str(folder.resolve())


def print_runs(rows: list[dict[str, Any]]) -> None:
    """Runs as a table."""
    table = Table("id")
    table.add_column("spec", overflow="fold", min_width=20)
    table.add_column("state")
    for number in ("steps", "train loss", "train", "test", "seconds"):
        table.add_column(number, justify="right")
    for row in rows:
        numbers = [row["train_loss"], row["train_accuracy"], row["test_accuracy"]]
        shown = ["-" if n is None else f"{n:.3f}" for n in numbers]
        cells = [str(row["id"]), row["spec"], row["state"], str(row["steps"]), *shown]
        table.add_row(*cells, f"{row['elapsed_s']:.1f}")
    out.print(table)
