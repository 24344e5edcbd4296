"""The Similarity page: how alike the blocks of one network, and of two, see the test set."""

from collections.abc import Mapping

import numpy as np

from explorer import figures
from explorer.inquiry import inquiry
from explorer.ui.inside.route import PAGES, Ask, Json, Page, Scene
from explorer.ui.inside.state import InsideChoice
from explorer.weights import Weights

FIGURES = ("first", "second", "both")


def questions(choice: InsideChoice, weights: tuple[Weights, ...]) -> Mapping[str, Ask]:
    """Every network with itself, and the two with each other."""
    options = {name: False if choice.word(name) == "0" else None for name in ("debiased", "pooled")}
    pairs = {"first": weights[:1]}
    if len(weights) > 1:
        pairs |= {"second": weights[1:], "both": weights}
    return {name: Ask(inquiry("similarity", *pair, **options)) for name, pair in pairs.items()}


def view(scene: Scene) -> Json:
    """A heat map a pair."""
    names = [arm.name for arm in scene.arms]
    of = {"first": (names[0], names[0]), "second": (names[-1], names[-1])}
    of["both"] = (names[0], names[-1])
    drawn = {}
    for name, answer in ((name, scene.answer(name)) for name in scene.found):
        if answer is not None:
            matrix = np.array(
                [[np.nan if v is None else v for v in row] for row in answer["matrix"]]
            )
            drawn[name] = figures.similarity(
                matrix, *of[name], scene.screen.theme, narrow=scene.screen.narrow,
                note=_note(answer),
            )  # fmt: skip
    return {"figures": drawn}


def _note(answer: Json) -> str:
    kind = "debiased" if answer["debiased"] else "biased"
    features = "channel means" if answer["pooled"] else "every pixel of every channel"
    return f"linear CKA, {kind}; {answer['examples']:,} test examples; features: {features}"


PAGES.add("similarity", Page(questions, view))
