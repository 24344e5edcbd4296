"""The Shattering page: does the gradient at one input say anything about its neighbour?"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from explorer import figures
from explorer.figures import CorrelationSeries, GradientSeries
from explorer.figures.theme import FURTHER, PLAIN, RESIDUAL
from explorer.inquiry import inquiry
from explorer.ui.inside.route import PAGES, Ask, Json, Page, Scene
from explorer.ui.inside.state import InsideChoice
from explorer.weights import Weights

FIGURES = ("pictures", "autocorrelation", "correlation")
ARMS = {
    "plain_batch": ("plain, BatchNorm", PLAIN),
    "residual_batch": ("residual, BatchNorm", RESIDUAL),
    "residual_small": ("residual, BatchNorm, beta 0.1", FURTHER[0]),
    "plain": ("plain, no norm", FURTHER[1]),
    "residual": ("residual, no norm", FURTHER[2]),
}
ALONG = ("plain_batch", "residual_batch", "residual_small", "plain")  # whose df/dx is drawn
NOISES = {"white": "white noise", "brown": "brown noise"}
DEPTHS = {name: name for name in ("2", "4", "8", "16", "24", "50", "100")}
SEEDS = 16


def questions(choice: InsideChoice, weights: tuple[Weights, ...]) -> Mapping[str, Ask]:
    """Every kind of network at the chosen depth, the noises, and the correlations by depth."""
    depth = int(choice.word("blocks"))
    asks = {
        ARMS[arm][0]: Ask(inquiry("shattering", arm=arm, depth=depth, seeds=SEEDS)) for arm in ALONG
    }
    asks |= {name: Ask(inquiry("shattering", arm=kind, seeds=64)) for kind, name in NOISES.items()}
    asks |= {
        f"two inputs, {name}": Ask(inquiry("correlations", arm=arm))
        for arm, (name, _) in ARMS.items()
    }
    return asks


def view(scene: Scene) -> Json:
    """The pictures of df/dx, their autocorrelation, and the correlation across two inputs."""
    along = [
        GradientSeries(
            name, color, *(_numbers(answer[k]) for k in ("x", "gradient", "mean", "std"))
        )
        for name, color in (ARMS[arm] for arm in ALONG)
        if (answer := scene.answer(name)) is not None
    ]
    references = [
        (name, _numbers(answer["mean"]))
        for name in NOISES.values()
        if (answer := scene.answer(name)) is not None
    ]
    across = [
        _across(name, color, answer)
        for name, color in ARMS.values()
        if (answer := scene.answer(f"two inputs, {name}")) is not None
    ]
    depth = scene.choice.word("blocks")
    note = f"{depth} blocks, width 200, 256 points from -2 to 2"
    look = scene.screen.look
    return {
        "figures": {
            "pictures": figures.gradient_pictures(along, note=f"{note}; seed 0", **look),
            "autocorrelation": figures.autocorrelations(
                along, references, note=f"{note}; {SEEDS} seeds", **look
            ),
            "correlation": figures.correlation_by_depth(
                across, note="width 256, batch 32, 8 seeds", **look
            ),
        }
    }


def _across(name: str, color: str, answer: Json) -> CorrelationSeries:
    return CorrelationSeries(
        name,
        color,
        answer["depths"],
        _numbers(answer["mean"]),
        _numbers(answer["error"]),
        _numbers(answer["predicted"]),
        answer["rule"] or "",
        answer["holds_to"],
        answer["region"],
    )


def _numbers(values: list[float | None]) -> NDArray[np.float64]:
    return np.array(values, np.float64)


PAGES.add("shattering", Page(questions, view))
