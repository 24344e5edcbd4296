"""The Gradient profile page: what reaches every block, measured over seeds beside theory."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from explorer import figures
from explorer.figures import ProfileSeries
from explorer.inquiry import inquiry
from explorer.trace import Array
from explorer.ui.inside.route import PAGES, Ask, Json, Page, Scene
from explorer.ui.inside.state import InsideChoice
from explorer.weights import Weights
from explorer.wording import number

FIGURES = ("gradient", "signal")
SEEDS = {name: name for name in ("1", "2", "4", "8", "16", "32")}


def questions(choice: InsideChoice, weights: tuple[Weights, ...]) -> Mapping[str, Ask]:
    """One seed of every network at once, then all seeds."""
    seeds = int(choice.word("seeds"))
    asks = {f"seed {i}": Ask(inquiry("profile", one), slow=False) for i, one in enumerate(weights)}
    for index, one in enumerate(weights):
        if seeds > 1 and one.step == 0:
            asks[f"seeds of network {index + 1}"] = Ask(inquiry("profile", one, seeds=seeds))
    return asks


def best(scene: Scene, index: int) -> Json | None:
    """What is known of a network: over all seeds, else of one."""
    name = f"seeds of network {index + 1}"
    return (scene.answer(name) if name in scene.found else None) or scene.answer(f"seed {index}")


def view(scene: Scene) -> Json:
    """Gradient and signal by block, and the slopes in a table."""
    known = [(i, found) for i in range(len(scene.arms)) if (found := best(scene, i)) is not None]
    gradient = [_series(scene.arms[i], found) for i, found in known]
    signal = [
        ProfileSeries(scene.arms[i], tuple(found["sites"]), _numbers(found["activation_std"]))
        for i, found in known
    ]
    note = "; ".join(dict.fromkeys(_note(found) for _, found in known))
    drawn: dict[str, Any] = {
        "gradient": figures.profile(gradient, note=note, **scene.screen.look),
        "signal": figures.profile(
            signal, unit="std of x", note=note, title=_spread(signal), **scene.screen.look
        ),
    }
    return {"figures": drawn, "sentences": [_slopes(scene.arms[i].name, f) for i, f in known]}


def _series(arm: figures.Arm, found: Json) -> ProfileSeries:
    several = found["seeds"] > 1
    return ProfileSeries(
        arm,
        tuple(found["sites"]),
        _numbers(found["activation_gradient"]),
        low=_numbers(found["low"]) if several else None,
        high=_numbers(found["high"]) if several else None,
        predicted=_numbers(found["predicted"]) if found.get("predicted") else None,
    )


def _note(found: Json) -> str:
    seeds = found["seeds"]
    when = f"step {found['step']}" if found["step"] else "at initialisation"
    return f"{when}, {seeds} seed{'s' if seeds > 1 else ''}, first batch, {found['device']}"


def _spread(signal: list[ProfileSeries]) -> str:
    parts = [
        f"{one.arm.name} {number(float(one.values[-1] / one.values[0]))} times"
        for one in signal
        if one.values[0] > 0
    ]
    return f"Signal at the last block against the stem: {', '.join(parts)}" if parts else "Signal"


def _slopes(name: str, found: Json) -> dict[str, str]:
    """Measured and predicted factor per weighted layer, and how far they are apart."""
    rate, predicted = found.get("rate"), found.get("predicted_rate")
    if found["step"]:
        return {"text": f"{name}: at step {found['step']} theory says nothing.", "rule": ""}
    if rate is None:
        return {"text": f"{name}: too few blocks with a gradient to fit a slope.", "rule": ""}
    said = f"{name}: G changes by {rate:.4g} per weighted layer towards the input"
    if predicted is None:
        return {"text": f"{said}; no formula is known for it.", "rule": ""}
    inside = "" if found["valid"] else "; outside its region, so a guide only"
    off = 100 * (rate / predicted - 1)
    text = f"{said}, predicted {predicted:.4g}: {off:+.2g} %{inside}."
    return {"text": text, "rule": f"{found['prediction']} ({found['source']}; {found['region']})"}


def _numbers(values: list[float | None]) -> Array:
    return np.array([np.nan if value is None else value for value in values], np.float32)


PAGES.add("gradient_profile", Page(questions, view))
