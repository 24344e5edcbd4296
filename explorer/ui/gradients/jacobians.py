"""The Jacobians page: how far from an isometry blocks and networks are."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from explorer import figures
from explorer.figures import ConditionSeries, SpectrumSeries
from explorer.inquiry import inquiry
from explorer.ui.inside.route import PAGES, Ask, Json, Page, Scene
from explorer.ui.inside.state import InsideChoice
from explorer.weights import Weights
from explorer.wording import number

FIGURES = ("whole", "way", "blocks")


def questions(choice: InsideChoice, weights: tuple[Weights, ...]) -> Mapping[str, Ask]:
    """Every network's spectra, at the first example of the first batch."""
    return {
        f"Jacobians of network {index + 1}": Ask(inquiry("spectra", one))
        for index, one in enumerate(weights)
    }


def view(scene: Scene) -> Json:
    """Singular values of the whole network, and the stretch of blocks and of the way so far."""
    known = [
        (arm, answer)
        for index, arm in enumerate(scene.arms)
        if (answer := scene.answer(f"Jacobians of network {index + 1}")) is not None
    ]
    whole = [
        SpectrumSeries(
            arm,
            _numbers(answer["whole"]["values"]),
            answer["whole"]["floor"] or 0.0,
            min(answer["whole"]["shape"]),
        )
        for arm, answer in known
    ]
    note = "one example of the first batch, training mode, float64"
    look = scene.screen.look
    return {
        "figures": {
            "whole": figures.spectrum(
                whole, note=f"d(logits)/d(input); {note}", **look
            ),
            "way": figures.condition(
                [_ends(arm, answer["from_stem"]) for arm, answer in known], "extremes",
                note=f"from the stem to each block; {note}", **look,
            ),
            "blocks": figures.condition(
                [_ends(arm, answer["blocks"]) for arm, answer in known], "extremes",
                note=f"of every block alone; {note}", **look,
            ),
        },
        "sentences": [_survivors(arm.name, answer) for arm, answer in known],
    }  # fmt: skip


def _survivors(name: str, answer: Json) -> dict[str, str]:
    """How much of a small change at the stem arrives at the last block, and how far stretched."""
    last = answer["last"]
    values = _numbers(last["values"])
    known = values[np.isfinite(values)]
    if not known.size:
        return {"text": f"{name}: its values are not finite, so no stretch is known.", "rule": ""}
    if known[0] <= last["floor"]:
        return {"text": f"{name}: no small change at the stem reaches the last block.", "rule": ""}
    grown = number(float(known[0]))
    said = f"{name}: from the stem to the last block a small change grows up to {grown} times"
    if not last["complete"]:
        return {"text": f"{said}.", "rule": "the largest and smallest few singular values"}
    alive = int((known > last["floor"]).sum())
    text = f"{said}; {alive} of {min(last['shape'])} directions are not lost."
    return {"text": text, "rule": "singular values that are no rounding of the largest"}


def _ends(arm: figures.Arm, ends: Json) -> ConditionSeries:
    largest, smallest = _numbers(ends["largest"]), _numbers(ends["smallest"])
    return ConditionSeries(arm, range(1, len(largest) + 1), largest, smallest)


def _numbers(values: list[float | None]) -> NDArray[np.float64]:
    return np.array(values, np.float64)


PAGES.add("jacobians", Page(questions, view))
