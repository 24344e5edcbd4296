"""The Paths page: the unravelled graph, and the gradient by path length in trained networks."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from explorer import figures
from explorer.figures import PathSeries, SplitSeries
from explorer.inquiry import inquiry
from explorer.inside.expansion import path_values, product
from explorer.theory.path_lengths import path_lengths
from explorer.ui.inside.blocks import blocks_of
from explorer.ui.inside.route import PAGES, Ask, Json, Page, Scene
from explorer.ui.inside.state import InsideChoice
from explorer.ui.unravelling import unravelling
from explorer.weights import Weights
from explorer.wording import number, percent

FIGURES = ("lengths", "split")
MOST_EXACT = 120  # blocks, for which adding all paths as vectors takes some seconds
DIMENSIONS, SCALE = 8, 0.7  # of the linear F, and how much one changes the length of x


def residual(weights: tuple[Weights, ...]) -> tuple[int, ...]:
    """Which of the networks have paths to count: those with a shortcut."""
    return tuple(i for i, one in enumerate(weights) if one.spec.network.shortcut != "none")


def questions(choice: InsideChoice, weights: tuple[Weights, ...]) -> Mapping[str, Ask]:
    """The gradient by path length of every network with shortcuts."""
    draws = int(choice.word("draws"))
    asks: dict[str, Ask] = {}
    for index in residual(weights):
        one, number = weights[index], index + 1
        asked = inquiry("path_lengths", one, draws=None if draws == 16 else draws)
        asks[f"paths of network {number}"] = Ask(asked)
        asks[f"both ways of network {number}"] = Ask(inquiry("split", one))
        if blocks_of(one) <= MOST_EXACT:
            asks[f"all paths of network {number}"] = Ask(inquiry("exact_lengths", one))
    return asks


def view(scene: Scene) -> Json:
    """The graph of a few blocks; the gradient by path length, and by the way through each block."""
    lengths, splits, sentences = [], [], []
    note = ""
    for index in residual(scene.weights):
        arm, one = scene.arms[index], scene.weights[index]
        answer = scene.answer(f"paths of network {index + 1}")
        if answer is not None:
            lengths.append(_series(arm, answer, _predicted(one)))
            most = max(answer["draws"])
            note = f"one batch of {answer['examples']}, up to {most} paths a length"
        ways = scene.answer(f"both ways of network {index + 1}")
        if ways is not None:
            parts = (_numbers(ways[k]) for k in ("shortcut_share", "residual_share", "cosine"))
            splits.append(SplitSeries(arm, *parts))
        exact = scene.answer(f"all paths of network {index + 1}")
        if exact is not None and exact["mean"] is not None:
            sentences.append(_exact(arm.name, exact))
    look = scene.screen.look
    return {
        "unravelled": linear(int(scene.choice.word("n"))),
        "figures": {
            "lengths": figures.path_lengths(lengths, note=note, **look),
            "split": figures.split(splits, note="first batch, training mode", **look),
        },
        "sentences": sentences,
    }


def _predicted(one: Weights) -> NDArray[np.float64] | None:
    """The theory's share by length at initialisation, in wide enough networks; None elsewhere."""
    if one.step:
        return None
    found = path_lengths(one.spec.network, one.spec.recipe.batch, measure="norms")
    return found.share if found is not None and found.valid else None


def _exact(name: str, exact: Json) -> dict[str, str]:
    """The same with paths added as vectors, which may cancel, in words."""
    share = _numbers(exact["share"])
    first, last = exact["first"], exact["last"]
    text = (
        f"{name}: added as vectors, so that paths may cancel, those of {first} to {last} blocks "
        f"bring {percent(float(share[first : last + 1].sum()))} of the gradient at the input; the "
        f"mean length is {number(exact['mean'])}."
    )
    rule = "exact: every length's paths are added block by block; the shares sum to 1"
    return {"text": text, "rule": rule}


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


def _series(arm: figures.Arm, answer: Json, predicted: NDArray[np.float64] | None) -> PathSeries:
    return PathSeries(
        arm,
        norm=_numbers(answer["norm"]),
        error=_numbers(answer["error"]),
        paths=_numbers(answer["paths"]),
        share=_numbers(answer["share"]),
        effective=np.nan if answer["effective"] is None else answer["effective"],
        first=answer["first"],
        last=answer["last"],
        predicted_share=predicted,
    )


def _numbers(values: list[float | None]) -> NDArray[np.float64]:
    return np.array([np.nan if value is None else value for value in values], np.float64)


PAGES.add("paths", Page(questions, view))
