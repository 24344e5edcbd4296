"""A block's diagram from the answer "sum_node": its nodes in two columns, and arrows with sizes."""

from collections.abc import Iterator, Mapping
from typing import Any

from explorer.blocks import Layer
from explorer.spec import NetworkSpec
from explorer.wording import number

Json = dict[str, Any]
NORMS = {"batch": "BatchNorm", "group": "GroupNorm", "layer": "LayerNorm"}
SHORTCUTS = {"identity": "x", "zero_pad": "zero padding", "projection": "projection"}
NAMES = {"x": "x", "F(x)": "F(x)", "x to shortcut": "x", "sum": "sum"}  # said beside the arrow
MAIN, BESIDE = 0, 1  # columns


def trivial(answer: Json) -> set[str]:
    """Nodes that change nothing, neither forward nor backward: they are not drawn."""
    nodes = {
        "residual_gate": answer["residual_gate"] == 1,
        "skip": answer["skip"] == 1,
        "shortcut": answer["kind"] == "identity",
    }
    return {name for name, is_trivial in nodes.items() if is_trivial}


def arrows(answer: Json) -> list[Json]:
    """The edges in forward order, with what a trivial node hands on left out."""
    without, drawn = trivial(answer), list[Json]()
    for edge in answer["edges"]:
        if edge["start"] in without:
            at = next(i for i, one in enumerate(drawn) if one["end"] == edge["start"])
            drawn[at] = {**drawn[at], "end": edge["end"]}
        else:
            drawn.append(edge)
    return drawn


def drawing(answer: Json, spec: NetworkSpec) -> Json:
    """Nodes as {name, label, kind, column, row}, edges as {name, label, from, to, value, gradient}.

    A row is a place from the input down to the output; the nodes on the shortcut's way are
    spread over the rows between the fork and the sum. Values are standard deviations.
    """
    edges = arrows(answer)
    starts = list(dict.fromkeys(edge["start"] for edge in edges))
    side = {"shortcut", "skip"} & set(starts)
    main = [name for name in (*starts, "output") if name not in side]
    row = {name: float(place) for place, name in enumerate(main)}
    room = row["sum"] - row["fork"]
    for place, name in enumerate((one for one in starts if one in side), 1):
        row[name] = row["fork"] + room * place / (len(side) + 1)
    words = labels(answer, spec)
    return {
        "nodes": [
            {"name": name, "label": words.get(name, name), "kind": _kind(name), "row": at}
            | {"column": BESIDE if name in side else MAIN}
            for name, at in row.items()
        ],
        "edges": [
            {"name": edge["name"], "label": NAMES.get(edge["name"], "")}
            | {"from": edge["start"], "to": edge["end"], "shape": said_shape(edge["shape"])}
            | {"value": digits(edge["value_std"]), "gradient": digits(edge["gradient_norm"])}
            for edge in edges
        ],
    }


def labels(answer: Json, spec: NetworkSpec) -> Mapping[str, str]:
    """What stands in each node: "layer0: 3×3 conv", "× 0"."""
    words = {f"layer{i}": text for i, text in _layers(spec)}
    words |= {f"norm{i}": NORMS.get(spec.norm, spec.norm) for i in range(len(spec.form.residual))}
    words |= {f"act{i}": "ReLU" for i in range(len(spec.form.residual))}
    return {
        **{name: f"{name}: {text}" for name, text in words.items()},
        "input": "input",
        "fork": "",
        "shortcut": SHORTCUTS.get(answer["kind"] or "", ""),
        "residual_gate": f"× {answer['residual_gate']:g}",
        "skip": f"× {answer['skip']:g}",
        "sum": "+",
        "act": "ReLU",
        "output": "output",
    }


def _layers(spec: NetworkSpec) -> Iterator[tuple[int, str]]:
    for place, step in enumerate(spec.form.residual):
        if isinstance(step, Layer):
            size = f"{step.kernel}×{step.kernel} conv"
            yield place, size if spec.family == "resnet" else "linear"


def _kind(name: str) -> str:
    """How a node is drawn: an end, a dot, a ring, a circle or a box."""
    kinds = {"input": "end", "output": "end", "fork": "dot", "sum": "ring"}
    return kinds.get(name, "gate" if name in {"residual_gate", "skip"} else "box")


def said_shape(shape: list[int]) -> str:
    """One example's shape in words: "8 × 4 × 4"."""
    return " × ".join(map(str, shape))


def digits(value: float | None) -> str:
    """Three digits, so that equal numbers can be seen to be equal: "0.0123", "1.2e-7"."""
    if value is None:
        return "not finite"
    if value == 0 or 1e-3 <= abs(value) < 9999.5:
        return f"{value:.4g}" if abs(value) >= 1000 else f"{value:.3g}"
    mantissa, _, exponent = f"{value:.2e}".partition("e")
    return f"{mantissa}e{int(exponent)}"


def share(part: float | None, whole: float | None) -> str:
    """A size as percent of another: "47 %", "120 %"."""
    if part is None or not whole:
        return "an unknown share"
    return f"{number(100 * part / whole)}\N{NO-BREAK SPACE}%"
