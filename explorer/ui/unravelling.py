"""The unravelled graph of a small residual network, as the panel of it draws it."""

from collections.abc import Sequence
from math import comb, isfinite
from typing import Any

from explorer.inside.expansion import Graph, nested_text, paths, unravelled, unrolled_text
from explorer.spec import SpecError


def unravelling(n: int, values: Sequence[float] | None = None) -> dict[str, Any]:
    """The graph of n blocks, and for each of its 2^n paths the nodes and edges it runs through.

    `values` are of the paths, in the order of `expansion.paths`. SpecError for an n that cannot
    be drawn, or another number of values.
    """
    found = paths(n)
    if values is not None and len(values) != len(found):
        raise SpecError("values", len(values), f"{len(found)}, one for each path")
    graph = unravelled(n)
    routes = _routes(graph)
    numbers = [None] * len(found) if values is None else [_finite(value) for value in values]
    return {
        "n": n,
        "nodes": [
            {"kind": node.kind, "label": node.label, "column": node.column, "row": node.row}
            for node in graph.nodes
        ],
        "edges": [list(edge) for edge in graph.edges],
        "paths": [
            {"blocks": list(path.blocks), "term": path.term, "value": value, **routes[path.blocks]}
            for path, value in zip(found, numbers, strict=True)
        ],
        "full": f"x{n} = {nested_text(n)}",
        "partial": unrolled_text(n),
        "said": _said(n),
    }


def _routes(graph: Graph) -> dict[tuple[int, ...], dict[str, list[int]]]:
    """By the blocks taken, the nodes from a copy of x to the output, and the edges between.

    Only one edge leaves a node, so one path begins at each copy of x.
    """
    onward = {source: (edge, target) for edge, (source, target) in enumerate(graph.edges)}
    routes = {}
    for start, node in enumerate(graph.nodes):
        if node.kind != "x":
            continue
        nodes, edges = [start], []
        while nodes[-1] in onward:
            edge, target = onward[nodes[-1]]
            nodes.append(target)
            edges.append(edge)
        taken = [graph.nodes[at].label for at in nodes if graph.nodes[at].kind == "F"]
        routes[tuple(int(label.removeprefix("F")) for label in taken)] = {
            "nodes": nodes,
            "edges": edges,
        }
    return routes


def _finite(value: float) -> float | None:
    """The value as JSON can hold it; None for NaN and infinity."""
    return float(value) if isfinite(value) else None


def _said(n: int) -> str:
    counts = ", ".join(str(comb(n, length)) for length in range(n + 1))
    lengths = ", ".join(str(length) for length in range(n + 1))
    blocks = "1 block is" if n == 1 else f"{n} blocks are"
    return f"{blocks} {2**n} paths: {counts} of them take {lengths} blocks through F."
