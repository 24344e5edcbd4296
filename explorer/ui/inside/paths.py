"""The Paths page: the unravelled graph, and the gradient by path length in trained networks."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from explorer import figures
from explorer.figures import PathSeries
from explorer.inquiry import inquiry
from explorer.inside.expansion import path_values, product
from explorer.ui.inside.route import PAGES, Ask, Json, Page, Scene
from explorer.ui.inside.state import InsideChoice
from explorer.ui.unravelling import unravelling
from explorer.weights import Weights

FIGURES = ("lengths",)
DIMENSIONS, SCALE = 8, 0.7  # of the linear F, and how much one changes the length of x


def residual(weights: tuple[Weights, ...]) -> tuple[int, ...]:
    """Which of the networks have paths to count: those with a shortcut."""
    return tuple(i for i, one in enumerate(weights) if one.spec.network.shortcut != "none")


def questions(choice: InsideChoice, weights: tuple[Weights, ...]) -> Mapping[str, Ask]:
    """The gradient by path length of every network with shortcuts."""
    draws = int(choice.word("draws"))
    return {
        f"paths of network {index + 1}": Ask(
            inquiry("path_lengths", weights[index], draws=None if draws == 16 else draws)
        )
        for index in residual(weights)
    }


def view(scene: Scene) -> Json:
    """The graph of a few blocks, and the three curves of He's networks."""
    series = []
    note = ""
    for index in residual(scene.weights):
        answer = scene.answer(f"paths of network {index + 1}")
        if answer is not None:
            series.append(_series(scene.arms[index], answer))
            most = max(answer["draws"])
            note = f"one batch of {answer['examples']}, up to {most} paths a length"
    return {
        "unravelled": linear(int(scene.choice.word("n"))),
        "figures": {"lengths": figures.path_lengths(series, note=note, **scene.screen.look)},
    }


def linear(n: int) -> Json:
    """The unravelled graph, every path with its share of the output of a linear network.

    n random matrices of DIMENSIONS x DIMENSIONS stand for the F. A path's share is its term
    along the output, over the output's length, so that all shares sum to 1: what is said of the
    sum compares the terms' sum with the product (1 + F_n) … (1 + F_1) x, computed apart.
    """
    random = np.random.default_rng(n)
    matrices = list(random.normal(0, SCALE / np.sqrt(DIMENSIONS), (n, DIMENSIONS, DIMENSIONS)))
    x = random.normal(size=DIMENSIONS)
    terms, output = path_values(matrices, x), product(matrices, x)
    view = unravelling(n, (terms @ output / (output @ output)).tolist())
    off = float(np.abs(terms.sum(0) - output).max())
    view["said"] = (
        f"{view['said']} For linear F the output is {_product(n)} x, and multiplied out the sum of "
        f"all {2**n} terms: with random matrices of {DIMENSIONS} × {DIMENSIONS} they differ by at "
        f"most {off:.0e}."
    )
    return view


def _product(n: int) -> str:
    """(1 + F₃)(1 + F₂)(1 + F₁), for n = 3."""
    return "".join(f"(1 + F{chr(0x2080 + block)})" for block in range(n, 0, -1))


def _series(arm: figures.Arm, answer: Json) -> PathSeries:
    return PathSeries(
        arm,
        norm=_numbers(answer["norm"]),
        error=_numbers(answer["error"]),
        paths=_numbers(answer["paths"]),
        share=_numbers(answer["share"]),
        effective=np.nan if answer["effective"] is None else answer["effective"],
        first=answer["first"],
        last=answer["last"],
    )


def _numbers(values: list[float | None]) -> NDArray[np.float64]:
    return np.array([np.nan if value is None else value for value in values], np.float64)


PAGES.add("paths", Page(questions, view))
