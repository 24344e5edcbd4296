"""The short text form of a RunSpec: what one types, and what stands in the address bar.

`resnet-56`, `plain-56,norm=none,init=xavier`, `mlp-30,shortcut=none,data=spirals,lr=0.05`.
Lists are run lengths: `skip=20x1~7x0` is 20 gates of 1, then
7 of 0; `stages=3x16~3x32` is 3 blocks of width 16, then 3 of 32.
"""

from itertools import groupby
from typing import Any

from explorer.spec.base import SpecError, checked
from explorer.spec.network import Family, NetworkSpec
from explorer.spec.recipe import DataSpec, Recipe
from explorer.spec.run import RunSpec

LONGEST = 40_000  # characters; two gates of full precision for each of 600 blocks fit
HEADS: dict[str, Family] = {"resnet": "resnet", "plain": "resnet", "mlp": "mlp"}
DERIVED = {"family", "depth", "inputs", "classes"}  # said by the head or by the data
NETWORK_KEYS = tuple(name for name in NetworkSpec.model_fields if name not in DERIVED)
RECIPE_KEYS = tuple(Recipe.model_fields)
DATA_KEYS = ("data", "augment")
KEYS = (*NETWORK_KEYS, *DATA_KEYS, *RECIPE_KEYS, "seed")
GATES = ("skip", "residual")


def parse(text: str) -> RunSpec:
    """The RunSpec that a short form names; SpecError of one line if it names none."""
    if len(text) > LONGEST:
        raise SpecError("spec", text, f"at most {LONGEST} characters, not {len(text)}")
    head, *pairs = text.strip().split(",")
    values = _pairs(pairs)
    network: dict[str, Any] = _head(head, "stages" in values)
    for key, value in values.items():
        if key in NETWORK_KEYS:
            if key == "shortcut" and network.get("shortcut") == "none" and value != "none":
                raise SpecError("shortcut", value, "plain- means shortcut none; write resnet-")
            network[key] = list_value(key, value)
    data = {"name" if key == "data" else key: values[key] for key in DATA_KEYS if key in values}
    spec = checked(
        RunSpec,
        {
            "network": network,
            "data": checked(DataSpec, data),
            "recipe": checked(Recipe, {k: v for k, v in values.items() if k in RECIPE_KEYS}),
            **({"seed": values["seed"]} if "seed" in values else {}),
        },
    )
    if network.get("depth", spec.network.depth) != spec.network.depth:
        allowed = f"the stages make {spec.network.depth}; write that or leave the depth out"
        raise SpecError("depth", network["depth"], allowed)
    return spec


def _pairs(pairs: list[str]) -> dict[str, str]:
    values: dict[str, str] = {}
    for pair in pairs:
        key, equals, value = (part.strip() for part in pair.partition("="))
        if not equals or key not in KEYS:
            raise SpecError("spec", pair, f"write key=value with one of {', '.join(KEYS)}")
        if key in values:
            raise SpecError(key, value, "it is given twice")
        values[key] = value
    return values


def _head(head: str, has_stages: bool) -> dict[str, Any]:
    kind, dash, depth = head.strip().partition("-")
    allowed = "write resnet-DEPTH, plain-DEPTH or mlp-DEPTH, such as resnet-56"
    if kind not in HEADS or (not dash and not has_stages):
        raise SpecError("network", head, allowed)
    network: dict[str, Any] = {"family": HEADS[kind]}
    if kind == "plain":
        network["shortcut"] = "none"
    if dash:
        if not (depth.isascii() and depth.isdigit() and len(depth) < 12):
            raise SpecError("depth", depth, allowed)
        network["depth"] = int(depth)
    return network


def list_value(key: str, value: str) -> Any:
    """A field's text as its value: lists from run lengths, the rest left to the field's type."""
    if key not in (*GATES, "stages"):
        return value
    try:
        parts = [part.split("x") if "x" in part else ["1", part] for part in value.split("~")]
        if key == "stages":
            return tuple({"blocks": _count(n), "width": _count(width)} for n, width in parts)
        if sum(_count(count) for count, _ in parts) > LONGEST:
            raise ValueError
        return tuple(float(gate) for count, gate in parts for _ in range(_count(count)))
    except ValueError:
        example = "3x16~3x32" if key == "stages" else "20x1~7x0"
        allowed = f"write COUNTxVALUE parts joined by ~, such as {key}={example}"
        raise SpecError(key, value, allowed) from None


def _count(text: str) -> int:
    """A whole number of at most four ASCII digits; ValueError if `text` is none."""
    if not (text.isascii() and text.isdigit() and len(text) <= 4):
        raise ValueError(text)
    return int(text)


def short_form(spec: RunSpec) -> str:
    """The shortest text that `parse` turns back into `spec`."""
    network = spec.network
    plain = network.family == "resnet" and network.shortcut == "none"
    head = f"{'plain' if plain else network.family}-{network.depth}"
    said = {"shortcut"} if plain else set()
    said |= {"width"} if network.stages else set()
    pairs = [
        *_stated(network, [key for key in NETWORK_KEYS if key not in said]),
        *([f"data={spec.data.name}"] if spec.data.name != DataSpec().name else []),
        *_stated(spec.data, ["augment"]),
        *_stated(spec.recipe, RECIPE_KEYS),
        *_stated(spec, ["seed"]),
    ]
    return ",".join([head, *pairs])


def _stated(spec: Any, keys: Any) -> list[str]:
    defaults = type(spec).model_fields
    return [
        f"{key}={_written(key, getattr(spec, key))}"
        for key in keys
        if getattr(spec, key) != defaults[key].default
    ]


def _written(key: str, value: Any) -> str:
    if key == "stages":
        return "~".join(f"{stage.blocks}x{stage.width}" for stage in value)
    if key in GATES:
        runs = [(len(list(group)), gate) for gate, group in groupby(value)]
        return "~".join(_number(gate) if n == 1 else f"{n}x{_number(gate)}" for n, gate in runs)
    if isinstance(value, bool):
        return str(value).lower()
    return _number(value) if isinstance(value, float) else str(value)


def _number(value: float) -> str:
    """The shortest text that reads back as the same float."""
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)
