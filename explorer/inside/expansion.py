"""A residual network written out: its paths, its sum, and the unravelled graph. Numpy only.

With x_i = x_(i-1) + F_i(x_(i-1)):
partly unrolled, exact for any F:  x_n = x_0 + F_1(x_0) + F_2(x_1) + … + F_n(x_(n-1));
in full, for linear F only:        x_n = (1 + F_n) … (1 + F_1) x_0, a sum of 2^n terms, one a
path, a path being the set of blocks taken through F (Veit et al. 2016, arXiv 1605.06431,
section 3). For other F the terms do not come apart, F_2(x + F_1(x)) stays whole, and what
remains is the unravelled graph of their equations 4 to 6.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from explorer.spec import SpecError

MOST_BLOCKS = 6  # 64 terms: as many as can be read
Vector = NDArray[np.float64]
Function = Callable[[Vector], Vector]


@dataclass(frozen=True)
class Path:
    """The blocks taken through F, in order from 1, and the term: "F3(F1(x))"; "x" for none."""

    blocks: tuple[int, ...]
    term: str


@dataclass(frozen=True)
class Node:
    """One circle of the unravelled graph.

    `column` runs from 0 (x) to n (the output), an F half a column before its sum; `row` from
    0, halves and quarters between.
    """

    kind: Literal["x", "F", "sum"]
    label: str
    column: float
    row: float


@dataclass(frozen=True)
class Graph:
    """Nodes, and edges (from, to) as indices into them; an F has one input, a sum two.

    The last node is the output.
    """

    nodes: tuple[Node, ...]
    edges: tuple[tuple[int, int], ...]


def paths(n: int) -> tuple[Path, ...]:
    """All 2^n paths through n blocks, short ones first; C(n, k) of them take k blocks."""
    _check(n)
    return tuple(
        Path(blocks, _term(blocks))
        for length in range(n + 1)
        for blocks in combinations(range(1, n + 1), length)
    )


def path_values(matrices: Sequence[Vector], x: Vector) -> Vector:
    """For linear F_i, the value of every path's term, in the order of `paths`; (2^n, d).

    Each matrix is (d, d), x is (d,). They sum to `product`.
    """
    values = np.empty((2 ** len(matrices), len(x)))
    for index, path in enumerate(paths(len(matrices))):
        value = x
        for block in path.blocks:
            value = matrices[block - 1] @ value
        values[index] = value
    return values


def product(matrices: Sequence[Vector], x: Vector) -> Vector:
    """(1 + F_n) … (1 + F_1) x for linear F_i, by the product of the matrices; (d,)."""
    whole = np.eye(len(x))
    for matrix in matrices:
        whole = (np.eye(len(x)) + matrix) @ whole
    output: Vector = whole @ x
    return output


def unrolled(functions: Sequence[Function], x: Vector) -> tuple[Vector, ...]:
    """x_0 and what each block adds, F_i(x_(i-1)), for any F; they sum to x_n, added in order."""
    terms, value = [x], x
    for function in functions:
        terms.append(function(value))
        value = value + terms[-1]
    return tuple(terms)


def unrolled_text(n: int) -> str:
    """The partly unrolled sum in words, with the indices right: F_i reads x_(i-1)."""
    return " + ".join([f"x{n} = x0", *(f"F{i}(x{i - 1})" for i in range(1, n + 1))])


def nested_text(n: int) -> str:
    """The output in terms of x alone, for any F (Veit et al. 2016, equation 6 for n = 3)."""
    _check(n)
    text = "x"
    for block in range(1, n + 1):
        text = f"{text} + F{block}({text})"
    return text


def unravelled(n: int) -> Graph:
    """The graph of `nested_text`: the output copies F_i 2^(n-i) times, and x 2^n times."""
    _check(n)
    nodes: list[Node] = []
    edges: list[tuple[int, int]] = []
    rows = iter(range(2**n))

    def add(node: Node, *sources: int) -> int:
        nodes.append(node)
        edges.extend((source, len(nodes) - 1) for source in sources)
        return len(nodes) - 1

    def output_of(block: int) -> int:
        """Add a copy of x_block and all before it; its index."""
        if block == 0:
            return add(Node("x", "x", 0, next(rows)))
        copied, read = output_of(block - 1), output_of(block - 1)
        branch = add(Node("F", f"F{block}", block - 0.5, nodes[read].row), read)
        middle = (nodes[copied].row + nodes[branch].row) / 2
        return add(Node("sum", "+", block, middle), copied, branch)

    output_of(n)
    return Graph(tuple(nodes), tuple(edges))


def _term(blocks: tuple[int, ...]) -> str:
    term = "x"
    for block in blocks:
        term = f"F{block}({term})"
    return term


def _check(n: int) -> None:
    if not 1 <= n <= MOST_BLOCKS:
        raise SpecError("blocks", n, f"1 to {MOST_BLOCKS}, for there are 2^n paths")
