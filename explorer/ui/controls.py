"""Widgets for the fields of the specs: each reads the address and writes into it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import UnionType
from typing import Any, Literal, get_args, get_origin

import streamlit as st
from pydantic import BaseModel

from explorer.blocks import BLOCKS
from explorer.catalog import BUILT_IN, own_datasets
from explorer.experiments.arms import section, value_of
from explorer.spec import NetworkSpec, RunSpec
from explorer.spec.recipe import DataSpec, Recipe
from explorer.ui.state import change

IN_SIGHT = ("depth", "width", "norm", "init", "data", "lr", "seed")
MORE: dict[str, tuple[str, ...]] = {
    "Network": ("block", "shortcut", "branch_scale", "bias"),
    "Optimiser": (
        *("optimizer", "momentum", "nesterov", "weight_decay", "normalized", "clip"),
        "label_smoothing",
    ),
    "Schedule": ("steps", "batch", "schedule", "warmup"),
    "Data and arithmetic": ("augment", "bf16", "channels_last"),
}
WIDTHS = (4, 8, 16, 32, 64, 128, 256)
RATES = (0.001, 0.003, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)

LABELS = {
    "lr": "learning rate",
    "init": "initialisation",
    "norm": "normalisation",
    "bf16": "bfloat16",
    "channels_last": "channels last",
    "clip": "clip gradient norm (0: off)",
    "normalized": "normalised steps",
    "branch_scale": "branch scale",
    "weight_decay": "weight decay",
    "label_smoothing": "label smoothing",
    "warmup": "warm-up steps",
    "bias": "biases",
    "augment": "augment images",
    "optimizer": "optimiser",
}
HELP = {
    "depth": "Weighted layers: 6n+2 with two layers a block (He et al. 2015).",
    "width": "Channels of the first stage; each later stage has twice as many.",
    "norm": "What follows each layer: batch, group or layer normalisation, or nothing.",
    "init": "How weights are drawn; he keeps the size of the signal in ReLU layers.",
    "data": "digits ship with the program; larger sets are downloaded when you ask for it.",
    "lr": "The peak of the schedule. While training runs, a change applies from the next step.",
    "seed": "Draws the weights and the order of the batches, alike in all arms.",
    "shortcut": "What is added to F(x): none, zero_pad (option A), projection (B), "
    "projection_all (C).",
    "normalized": "Every layer's gradient is scaled to the size of its weights before the step.",
    "branch_scale": "F(x) is multiplied by this before it is added to x.",
}


@dataclass(frozen=True)
class Choices:
    """The values a field is chosen from, in a list; None where a number is typed."""

    values: tuple[Any, ...] | None
    kind: type


def choices(field: str, spec: RunSpec) -> Choices:
    """What `field` can be, read from the spec's own types."""
    if field == "depth":
        return Choices(_with(_depths(spec), spec.network.depth), int)
    if field == "width":
        return Choices(_with(WIDTHS, spec.network.width), int)
    if field == "lr":
        return Choices(_with(RATES, spec.recipe.lr), float)
    if field == "block":
        return Choices(tuple(BLOCKS), str)
    if field == "data":
        return Choices((*BUILT_IN, *own_datasets()), str)
    kind = _annotation(field)
    if get_origin(kind) is Literal:
        return Choices(get_args(kind), str)
    return Choices(None, kind)


def _annotation(field: str) -> Any:
    where: dict[str, type[BaseModel]] = {
        "network": NetworkSpec,
        "data": DataSpec,
        "recipe": Recipe,
        "run": RunSpec,
    }
    kind = where[section(field)].model_fields[field].annotation
    return kind if not isinstance(kind, UnionType) else get_args(kind)[0]


def _depths(spec: RunSpec) -> tuple[int, ...]:
    """Depths to choose from: those of the papers that this family and block can have."""
    layers = spec.network.form.layers * (1 if spec.network.family == "mlp" else 3)
    if spec.network.family == "mlp":
        return tuple(layers * n + 2 for n in (1, 2, 4, 6, 9, 14, 24, 49, 99, 199))
    counts = (1, 2, 3, 4, 5, 7, 9, 12, 18, 27, 36, 54, 108, 200)
    return tuple(d for n in counts if (d := layers * n + 2) <= 1202)


def _with(values: Sequence[Any], value: Any) -> tuple[Any, ...]:
    """`values`, and the present one wherever it belongs."""
    return tuple(sorted({*values, value}))


def control(field: str, spec: RunSpec, on_value: Callable[[str, Any], None] | None = None) -> None:
    """The widget of one field of `spec`; a change goes into the address, or to `on_value`."""
    key = f"field_{field}"
    label = LABELS.get(field, field).replace("_", " ")
    what = choices(field, spec)
    value = value_of(spec, field)
    st.session_state[key] = value

    def changed() -> None:
        chosen = st.session_state[key]
        if chosen is not None and chosen != value:
            (on_value or change)(field, chosen)

    common: dict[str, Any] = {"key": key, "help": HELP.get(field), "on_change": changed}
    if what.values is not None and what.kind in (int, float):
        st.select_slider(label, what.values, **common)
    elif what.values is not None:
        st.selectbox(label, what.values, format_func=words, **common)
    elif what.kind is bool:
        st.toggle(label, **common)
    elif what.kind is int:
        st.number_input(label, step=1, **common)
    else:
        st.number_input(label, step=None, format="%g", **common)


def words(value: Any) -> str:
    """A choice as it is shown: the field's own term, with spaces."""
    return str(value).replace("_", " ")
