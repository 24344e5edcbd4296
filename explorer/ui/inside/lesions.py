"""The Lesions page: blocks deleted by a press, at random, swapped and damaged."""

import random
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from explorer import figures
from explorer.figures import Counts, Each
from explorer.inquiry import inquiry
from explorer.spec import SpecError
from explorer.ui.inside.blocks import blocks_of
from explorer.ui.inside.controls import pick_word
from explorer.ui.inside.route import PAGES, Ask, Json, Page, Scene
from explorer.ui.inside.state import InsideChoice, choose_inside, current_inside
from explorer.ui.state import complain
from explorer.weights import Weights

HARMS = {
    "delete": "deleted",
    "zero_output": "output set to 0",
    "noise_residual": "noise added to F(x)",
    "noise_output": "noise added to its output",
}
AGAIN = ", BatchNorm re-estimated"


def figures_of(weights: tuple[Weights, ...]) -> tuple[str, ...]:
    """The names of the page's figures."""
    return ("each", "counts", "swaps", *(f"ranking{index}" for index in range(len(weights))))


def order_of(choice: InsideChoice, index: int, one: Weights) -> tuple[int, ...]:
    """Which block runs in each place of that network, 0 for none; SpecError if unreadable."""
    text = choice.words.get(f"order{index}", "")
    count = blocks_of(one)
    if not text:
        return tuple(range(1, count + 1))
    parts = text.split("-")
    legal = all(part.isascii() and part.isdigit() and len(part) < 6 for part in parts)
    if not legal or len(parts) != count:
        raise SpecError(f"order{index}", text[:40], f"{count} numbers with hyphens between them")
    return tuple(map(int, parts))


def with_order(choice: InsideChoice, index: int, order: tuple[int, ...]) -> InsideChoice:
    """The choice with other blocks in that network's places; the intact order is left out."""
    intact = order == tuple(range(1, len(order) + 1))
    return choice.but(**{f"order{index}": "" if intact else "-".join(map(str, order))})


def set_order(index: int, order: tuple[int, ...]) -> None:
    """Put other blocks into that network's places."""
    choose_inside(with_order(current_inside(), index, order))


def controls(weights: tuple[Weights, ...]) -> None:
    """What a press does, BatchNorm's statistics, and blocks drawn by lot."""
    with st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
        pick_word("A press", "mode", {"delete": "Deletes a block", "swap": "Swaps two blocks"})
        pick_word(
            "BatchNorm's statistics", "reestimate", {"0": "as trained", "1": "estimated anew"}
        )
        for index, one in enumerate(weights):
            st.button(
                f"Delete one of {one.label} at random", key=f"draw_{index}",
                on_click=_draw, args=(index, one),
            )  # fmt: skip


def choose_harm() -> None:
    """What is done to each block alone."""
    pick_word("Each block alone is", "harm", HARMS)


def can_swap(one: Weights) -> bool:
    """Whether any two blocks could change places: those of a stage that do not change the shape."""
    network = one.spec.network
    widens = network.form.expansion > 1  # in the first stage, too
    stages = enumerate(network.all_stages)
    return any(stage.blocks - (index > 0 or widens) > 1 for index, stage in stages)


def _draw(index: int, one: Weights) -> None:
    """Delete one more block, drawn by lot."""
    try:
        order = order_of(current_inside(), index, one)
    except SpecError as error:
        complain(str(error))
        return
    left = [place for place, runs in enumerate(order) if runs]
    if left:
        place = random.choice(left)
        set_order(index, (*order[:place], 0, *order[place + 1 :]))


def questions(choice: InsideChoice, weights: tuple[Weights, ...]) -> Mapping[str, Ask]:
    """The score as it stands, and what every lesion alone and lesions at random cost."""
    asks: dict[str, Ask] = {}
    again = choice.word("reestimate") == "1" or None
    for index, one in enumerate(weights):
        order = order_of(choice, index, one)
        intact = order == tuple(range(1, len(order) + 1))
        asked = inquiry("lesion", one, order=None if intact else list(order), reestimate=again)
        asks[f"accuracy of network {index + 1}"] = Ask(asked, slow=False)
    harm, _, place = choice.word("harm").partition("_")
    options = {} if harm == "delete" else {"harm": harm, "place": place}
    for index, one in enumerate(weights):
        number = index + 1
        asks[f"each block of network {number}"] = Ask(
            inquiry("lesion_each", one, reestimate=again, **options)
        )
    for index, one in enumerate(weights):
        number = index + 1
        asks[f"random deletions, network {number}"] = Ask(inquiry("lesion_some", one))
        if can_swap(one):
            asks[f"random swaps, network {number}"] = Ask(inquiry("lesion_some", one, swap=True))
    for index, one in enumerate(weights):
        number = index + 1
        if one.spec.network.norm == "batch":
            asks[f"random deletions, network {number}{AGAIN}"] = Ask(
                inquiry("lesion_some", one, reestimate=True)
            )
    return asks


def view(scene: Scene) -> Json:
    """The rows of blocks with their score, and the figures."""
    each = [_each(scene, index) for index in range(len(scene.arms))]
    known = [one for one in each if one is not None]
    what = HARMS[scene.choice.word("harm")]
    note = "BatchNorm re-estimated" if scene.choice.word("reestimate") == "1" else ""
    classes = scene.weights[0].spec.data.info.classes
    drawn: dict[str, Any] = {
        "each": figures.each(known, what, classes=classes, note=note, **scene.screen.look),
        "counts": figures.counts(_counts(scene), "deleted", **scene.screen.look),
        "swaps": figures.swaps(_swaps(scene), **scene.screen.look),
    }
    drawn |= {
        f"ranking{index}": figures.ranking(one, **scene.screen.look)
        for index, one in enumerate(each)
        if one is not None
    }
    return {
        "lesions": {
            "arms": [_row(scene, index) for index in range(len(scene.arms))],
            "mode": scene.choice.word("mode"),
            "harm": what,
            "note": note,
        },
        "figures": {name: drawn[name] for name in scene.screen.show if name in drawn},
    }


def _row(scene: Scene, index: int) -> Json:
    """One network as a row of blocks, with what it still gets right."""
    arm, one = scene.arms[index], scene.weights[index]
    order = order_of(scene.choice, index, one)
    found = scene.answer(f"accuracy of network {index + 1}")
    each = scene.answer(f"each block of network {index + 1}")
    classes = one.spec.data.info.classes
    shapes = found["changes_shape"] if found else [False] * len(order)
    return {
        "name": arm.name,
        "color": arm.color,
        "plain": one.spec.network.shortcut == "none",
        "stages": [stage.blocks for stage in one.spec.network.all_stages],
        "accuracy": found["accuracy"] if found else None,
        "intact": found["intact"] if found else None,
        "chance": 1 / classes,
        "busy": scene.found[f"accuracy of network {index + 1}"].busy,
        "said": _said(order, found) or scene.found[f"accuracy of network {index + 1}"].error,
        "blocks": [
            {
                "number": place,
                "runs": runs or place,
                "gone": runs == 0,
                "changes_shape": shapes[place - 1],
                "cost": _cost(each, place),
            }
            for place, runs in enumerate(order, 1)
        ],
    }


def _cost(each: Json | None, place: int) -> float | None:
    return None if each is None else each["intact"] - each["accuracy"][place - 1]


def _said(order: tuple[int, ...], found: Json | None) -> str:
    if found is None:
        return ""
    gone = [str(place) for place, runs in enumerate(order, 1) if runs == 0]
    moved = [str(place) for place, runs in enumerate(order, 1) if runs not in (0, place)]
    parts = [
        f"{word} {', '.join(places)}"
        for word, places in (("deleted:", gone), ("another block runs in place", moved))
        if places
    ]
    accuracy, intact = (f"{100 * found[name]:.1f} %" for name in ("accuracy", "intact"))
    if not parts:
        return f"test accuracy {accuracy}, intact"
    return f"test accuracy {accuracy} (intact {intact}); {'; '.join(parts)}"


def _each(scene: Scene, index: int) -> Each | None:
    answer = scene.answer(f"each block of network {index + 1}")
    if answer is None:
        return None
    return Each(
        scene.arms[index],
        tuple(answer["blocks"]),
        np.array(answer["accuracy"], np.float64),
        answer["intact"],
        tuple(answer["changes_shape"]),
    )


def _counts(scene: Scene) -> list[Counts]:
    """Random deletions of every network, those with statistics estimated anew dashed."""
    found = []
    for index, arm in enumerate(scene.arms):
        for more, dash in (("", arm.dash), (AGAIN, "dash")):
            answer = scene.answer(f"random deletions, network {index + 1}{more}")
            if answer is not None:
                named = replace(arm, name=f"{arm.name}{more}", dash=dash)
                values = (_numbers(answer[name]) for name in ("error", "low", "high"))
                found.append(Counts(named, np.array(answer["counts"]), *values))
    return found


def _swaps(scene: Scene) -> list[tuple[figures.Arm, Any, Any]]:
    found = []
    for index, arm in enumerate(scene.arms):
        answer = scene.answer(f"random swaps, network {index + 1}")
        if answer is not None:
            tau, errors = (np.array(answer[name], np.float64) for name in ("tau", "errors"))
            found.append((arm, tau.ravel(), errors.ravel()))
    return found


def _numbers(values: list[float]) -> NDArray[np.float64]:
    return np.array(values, np.float64)


PAGES.add("lesions", Page(questions, view))
