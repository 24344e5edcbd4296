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
    asks = {
        f"one seed of network {index + 1}": Ask(inquiry("profile", one), slow=False)
        for index, one in enumerate(weights)
    }
    for index, one in enumerate(weights):
        if seeds > 1 and one.step == 0:
            asks[f"seeds of network {index + 1}"] = Ask(inquiry("profile", one, seeds=seeds))
    return asks


def best(scene: Scene, index: int) -> Json | None:
    """What is known of a network: over all seeds, else of one."""
    names = (f"{seeds} of network {index + 1}" for seeds in ("seeds", "one seed"))
    return next(filter(None, map(scene.answer, names)), None)


def view(scene: Scene) -> Json:
    """Gradient and signal by block, and the slopes in a table."""
    known = [(i, found) for i in range(len(scene.arms)) if (found := best(scene, i)) is not None]
    gradient = [_series(scene.arms[i], found) for i, found in known]
    signal = [
        ProfileSeries(scene.arms[i], tuple(found["sites"]), _numbers(found["activation_std"]))
        for i, found in known
    ]
    note = _note([found for _, found in known])
    drawn: dict[str, Any] = {
        "gradient": figures.profile(gradient, note=note, **scene.screen.look),
        "signal": figures.profile(
            signal, unit="std of x", note=note, title=_spread(signal), **scene.screen.look
        ),
    }
    return {
        "figures": drawn,
        "sentences": [_slopes(scene.arms[i].name, f) for i, f in known],
        "slopes": _table([(scene.arms[i], found) for i, found in known]),
    }


def _table(known: list[tuple[figures.Arm, Json]]) -> Json:
    """Measured and predicted factor of every network, and what they differ by."""
    rows = []
    for arm, found in known:
        rate, predicted = found.get("rate"), found.get("predicted_rate")
        off = f"{100 * (rate / predicted - 1):+.1f} %" if rate and predicted else ""
        valid = "" if predicted is None else "yes" if found["valid"] else "no"
        numbers = [f"{value:.4g}" if value is not None else "none" for value in (rate, predicted)]
        rows.append([{"text": arm.name, "color": arm.color}, *numbers, off, valid])
    return {
        "caption": "Factor on ‖dL/dx‖² per weighted layer, towards the input",
        "head": ["network", "measured", "predicted", "difference", "theory holds here"],
        "rows": rows,
    }


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


def _note(known: list[Json]) -> str:
    """Steps, seeds and devices of all that is drawn."""
    whens = (f"step {found['step']}" if found["step"] else "at initialisation" for found in known)
    seeds = sorted({found["seeds"] for found in known})
    many = f"{' or '.join(map(str, seeds))} seed{'' if seeds == [1] else 's'}"
    parts = [*dict.fromkeys(whens), many]
    return ", ".join([*parts, "first batch", *dict.fromkeys(found["device"] for found in known)])


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
    if rate is None:
        return {"text": f"{name}: too few blocks with a gradient to fit a slope.", "rule": ""}
    said = f"{name}: towards the input every weighted layer multiplies ‖dL/dx‖² by {rate:.4g}"
    if found["step"]:
        text = f"{said} at step {found['step']}, of which theory says nothing."
        return {"text": text, "rule": ""}
    if predicted is None:
        return {"text": f"{said}; no formula is known for it.", "rule": ""}
    inside = "" if found["valid"] else "; outside its region, so a guide only"
    off = 100 * (rate / predicted - 1)
    side = "below" if off < 0 else "above"
    text = f"{said}, {abs(off):.2g} % {side} the predicted {predicted:.4g}{inside}."
    return {"text": text, "rule": f"{found['prediction']} ({found['source']}; {found['region']})"}


def _numbers(values: list[float | None]) -> Array:
    return np.array([np.nan if value is None else value for value in values], np.float32)


PAGES.add("gradient_profile", Page(questions, view))
