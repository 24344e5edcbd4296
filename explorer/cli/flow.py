"""`explorer flow`: gradient and signal by block, beside theory, and what lies behind them."""

from typing import Annotated, Any

import typer
from rich.table import Table

from explorer.cli.show import Device, Home, Json, one_line_errors, out, print_json, use_store
from explorer.spec import SpecError, parse, short_form

DEPTHS = "Depths, with commas: the gradient's ratio from first to last block at each of them."


@one_line_errors
def flow(
    spec: Annotated[str, typer.Argument(help="A network, such as plain-56,norm=none,init=he.")],
    seeds: Annotated[int, typer.Option(min=1, max=256, help="Networks to average over.")] = 1,
    step: Annotated[
        int, typer.Option(min=0, help="A stored step of that run, in place of initialisation.")
    ] = 0,
    depths: Annotated[str | None, typer.Option(help=DEPTHS)] = None,
    split: Annotated[
        bool, typer.Option(help="The gradient's shares through shortcut and residual, by block.")
    ] = False,
    lengths: Annotated[
        bool, typer.Option(help="The gradient at the input by path length, exactly.")
    ] = False,
    jacobians: Annotated[
        bool, typer.Option(help="Singular values of the Jacobians, by block and in all.")
    ] = False,
    device: Device = "auto",
    store: Home = None,
    as_json: Json = False,
) -> None:
    """Measure gradient and signal by depth at initialisation, beside the prediction.

    With a step, or any of the further measurements, of the one network of the spec's own seed.
    """
    from explorer.flow import flow as measure
    from explorer.training import one_thread, resolve_device

    use_store(store)
    run = parse(spec)
    one_thread()
    where = str(resolve_device(device))
    network = f"{short_form(run)}@{step}"
    result = _of_step(network, where) if step else measure(run, seeds, where).to_json()
    if depths is not None:
        result["by_depth"] = _by_depth(network, _depths(depths), seeds, where)
    for name, asked in (("split", split), ("exact_lengths", lengths), ("spectra", jacobians)):
        if asked:
            result[name] = _analysed(name, network, where)
    print_json(result) if as_json else _print(result)


def _analysed(what: str, network: str, device: str, **options: Any) -> dict[str, Any]:
    from explorer.analysing import analyse

    return analyse(what, network, device=device, **options)


def _of_step(network: str, device: str) -> dict[str, Any]:
    """The profile at a stored step, in the form of the one at initialisation."""
    unknown = ("predicted", "rate", "predicted_rate", "rate_per_block", "predicted_rate_per_block")
    found = _analysed("profile", network, device)
    return {"spec": network, **dict.fromkeys(unknown), **found}


def _depths(text: str) -> list[int]:
    parts = text.split(",")
    if not all(part.isascii() and part.isdigit() and len(part) < 6 for part in parts):
        raise SpecError("depths", text, "whole numbers with commas, such as 8,20,56")
    return sorted({int(part) for part in parts})


def _by_depth(network: str, depths: list[int], seeds: int, device: str) -> list[dict[str, Any]]:
    start = f"{network.rpartition('@')[0]}@0"
    return [_analysed("depth_ratio", start, device, depth=d, seeds=seeds) for d in depths]


def _print(result: dict[str, Any]) -> None:
    """The flow as a table, its fitted rate beside the predicted one, and what else was asked."""
    table = Table("site", "‖dL/dx‖", "predicted", "std of x", title=result["spec"])
    predicted = result["predicted"] or [None] * len(result["sites"])
    rows = zip(
        result["sites"],
        result["activation_gradient"],
        predicted,
        result["activation_std"],
        strict=True,
    )
    for site, *numbers in rows:
        table.add_row(site, *("-" if n is None else f"{n:.3g}" for n in numbers))
    out.print(table)
    for name in ("rate", "predicted_rate", "rate_per_block", "predicted_rate_per_block"):
        value = result[name]
        out.print(f"{name.replace('_', ' ')}: {'no formula' if value is None else f'{value:.4g}'}")
    for point in result.get("by_depth", ()):
        ratios = ", ".join(_number(ratio) for ratio in point["ratios"])
        out.print(
            f"depth {point['depth']}: ratio {ratios}; predicted {_number(point['predicted'])}"
        )
    for name in ("split", "exact_lengths", "spectra"):
        if name in result:
            out.print(_columns(name, result[name]))


def _columns(name: str, found: dict[str, Any]) -> Table:
    """One of the further measurements as a table, a row a block or a length."""
    if name == "spectra":
        found = {
            f"{kind} {end}": found[part][end]
            for part, kind in (("blocks", "block"), ("from_stem", "from stem"))
            for end in ("largest", "smallest")
        }
    columns = {title: values for title, values in found.items() if isinstance(values, list)}
    first = 0 if name == "exact_lengths" else 1
    columns.pop("lengths", None)
    words = {"split": "block", "exact_lengths": "length", "spectra": "block"}
    table = Table(words[name], *(title.replace("_", " ") for title in columns))
    for number, row in enumerate(zip(*columns.values(), strict=True), first):
        table.add_row(str(number), *map(_number, row))
    return table


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"
