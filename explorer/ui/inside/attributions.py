"""The Attributions page: what an answer rests on, by Captum's methods, arm beside arm."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from explorer import figures
from explorer.figures import Panel
from explorer.image_names import check_image
from explorer.inquiry import inquiry
from explorer.spec import SpecError
from explorer.ui.inside.blocks import blocks_of, chosen_block, picture
from explorer.ui.inside.route import PAGES, Ask, Json, Page, Scene
from explorer.ui.inside.state import InsideChoice, choose_inside, current_inside
from explorer.weights import Weights
from explorer.wording import number, percent

METHODS = {
    "integrated_gradients": "Integrated gradients",
    "grad_cam": "Grad-CAM",
    "occlusion": "Occlusion",
    "conductance": "Conductance",
    "neuron_gradient": "Neuron gradient",
}
OF_A_BLOCK = ("grad_cam", "conductance", "neuron_gradient")
USUAL = ("integrated_gradients", "grad_cam", "occlusion", "conductance")
FIGURES = ("maps", "conductance")
WIDTH_OF_FIELD = 200  # px
STEPS, USUAL_STEPS = (10, 20, 50, 100, 200, 500, 1000), 50


def methods_of(choice: InsideChoice) -> tuple[str, ...]:
    """The methods on show; SpecError for a name that is none."""
    said = tuple(filter(None, choice.word("methods").split(",")))
    unknown = [name for name in said if name not in METHODS]
    if unknown:
        raise SpecError("methods", unknown[0], f"choose of {', '.join(METHODS)}")
    return said or USUAL


def fits(method: str, one: Weights) -> bool:
    """Whether that network has what the method covers or weighs: an image, a block's maps."""
    if method == "occlusion":
        return one.spec.data.info.kind == "image"
    return method != "grad_cam" or one.spec.network.family == "resnet"


def questions(choice: InsideChoice, weights: tuple[Weights, ...]) -> Mapping[str, Ask]:
    """Every method for every network that it fits, and images of the first one's data.

    SpecError for an image or a class that this data has not.
    """
    check_image(choice.image, weights[0].spec.data.info)
    target = _target(choice, weights[0])
    asks = {
        "example images": Ask(inquiry("samples", weights[0]), slow=False),
        **{
            f"maps of network {index + 1}": Ask(
                inquiry("maps", one, image=choice.image), slow=False
            )
            for index, one in enumerate(weights)
        },
    }
    for method in methods_of(choice):
        for index, one in enumerate(weights):
            if not fits(method, one):
                continue
            block = _block(choice, one) if method in OF_A_BLOCK else None
            asked = inquiry(
                "attribution", one, image=choice.image, method=method,
                target=target, block=block,
                steps=choice.number("steps") if method in ("integrated_gradients", "conductance")
                else None,
            )  # fmt: skip
            asks[_name(method, index)] = Ask(asked)
    return asks


def controls(choice: InsideChoice, weights: tuple[Weights, ...]) -> None:
    """The methods on show, the class that is asked about, and the block."""
    offered = [name for name in METHODS if any(fits(name, one) for one in weights)]
    st.session_state["methods"] = [name for name in methods_of(choice) if name in offered]
    st.pills(
        "Methods", offered, key="methods", selection_mode="multi",
        format_func=METHODS.__getitem__, on_change=_set_methods,
    )  # fmt: skip
    with st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
        st.session_state["target"] = _target(choice, weights[0])
        with st.container(width=WIDTH_OF_FIELD):
            st.selectbox(
                "Class asked about", range(weights[0].spec.data.info.classes), key="target",
                index=None, placeholder="the one it reads", on_change=_set_target,
            )  # fmt: skip
        steps = choice.number("steps") or USUAL_STEPS
        st.session_state["steps"] = steps
        with st.container(width=WIDTH_OF_FIELD):
            st.select_slider(
                "Points on the way", sorted({*STEPS, steps}), key="steps", on_change=_set_steps,
                help="Of integrated gradients and conductance: more make the error smaller.",
            )  # fmt: skip
        most = max(map(blocks_of, weights))
        st.session_state["block"] = min(choice.block, most) or most
        with st.container(width=WIDTH_OF_FIELD):
            st.select_slider(
                "Block", range(1, most + 1), key="block", on_change=_set_block,
                help="Of Grad-CAM, conductance and neuron gradient.",
            )  # fmt: skip


def _set_methods() -> None:
    chosen = [name for name in METHODS if name in st.session_state["methods"]]
    if not chosen:
        return  # the last one stays
    said = "" if chosen == list(USUAL) else ",".join(chosen)
    choose_inside(current_inside().but(methods=said))


def _set_target() -> None:
    target = st.session_state["target"]
    choose_inside(current_inside().but(target="" if target is None else str(target)))


def _set_steps() -> None:
    steps = int(st.session_state["steps"])
    choose_inside(current_inside().but(steps="" if steps == USUAL_STEPS else str(steps)))


def _set_block() -> None:
    choose_inside(replace(current_inside(), block=int(st.session_state["block"])))


def _target(choice: InsideChoice, one: Weights) -> int | None:
    """The class asked about, None for the one that is read; SpecError if there is none such."""
    target, classes = choice.number("target"), one.spec.data.info.classes
    if target is not None and target >= classes:
        raise SpecError("target", target, f"a class from 0 to {classes - 1}")
    return target


def _name(method: str, index: int) -> str:
    return f"{METHODS[method]}, network {index + 1}"


def _block(choice: InsideChoice, one: Weights) -> int | None:
    """The block asked for, if this network has one of that number; None for its last."""
    return chosen_block(choice, (one,)) if choice.block else None


def view(scene: Scene) -> Json:
    """Picture, maps of all methods, sums of conductance, and what must be said of methods."""
    found = [scene.answer(f"maps of network {index + 1}") for index in range(len(scene.arms))]
    answers = {
        (index, method): answer
        for index in range(len(scene.arms))
        for method in methods_of(scene.choice)
        if (answer := scene.answer(_name(method, index))) is not None
    }
    return {
        "picture": picture(scene, found),
        "figures": {
            "maps": _maps(scene, answers),
            "conductance": _conductance(scene, answers),
        },
        "sentences": _sentences(scene, answers),
    }


def _maps(scene: Scene, answers: Mapping[tuple[int, str], Json]) -> Any:
    rows = []
    image = None
    for index, arm in enumerate(scene.arms):
        panels = []
        for method in methods_of(scene.choice):
            answer = answers.get((index, method))
            if answer is None or len(answer["shape"]) == 1:
                continue
            image = _image(answer)
            panels.append(Panel(METHODS[method], _flat(answer), _note(method, answer)))
        rows.append((arm, panels))
    if image is None:
        return None
    target = next(iter(answers.values()))["target"]
    said = f"for class {target}" if scene.choice.words.get("target") else "for the class each reads"
    return figures.attribution(image, rows, note=said, **scene.screen.look)


def _flat(answer: Json) -> NDArray[np.float64]:
    """The map of an answer with its channels added up; (H, W)."""
    values = np.frombuffer(base64.b64decode(answer["values"]), np.float32)
    shaped = values.reshape(answer["shape"]).astype(np.float64)
    return shaped.sum(0) if shaped.ndim == 3 else shaped


def _image(answer: Json) -> NDArray[np.float64]:
    """The picture, 0 to 1; (C, H, W)."""
    pixels = np.frombuffer(base64.b64decode(answer["picture"]), np.uint8)
    return pixels.reshape(answer["image_shape"]) / 255.0


def _note(method: str, answer: Json) -> str:
    """What a panel says under its heading: block, and the completeness error where promised."""
    parts = []
    if "block" in answer["settings"]:
        parts.append(f"block {answer['settings']['block']}")
    if answer["error"] is not None:
        share = answer["error"] / max(abs(answer["change"]), 1e-12)
        parts.append(f"error {percent(share)}")
    return ", ".join(parts)


def _conductance(scene: Scene, answers: Mapping[tuple[int, str], Json]) -> Any:
    series = [
        (
            scene.arms[index],
            np.array(a["positive"], float),
            np.array(a["negative"], float),
            a["change"],
        )
        for (index, method), a in answers.items()
        if method == "conductance"
    ]
    if not series:
        return None
    return figures.conductance(series, **scene.screen.look)


def _sentences(scene: Scene, answers: Mapping[tuple[int, str], Json]) -> list[dict[str, str]]:
    """What each method promised and how far it kept it; what would be wrong on these networks."""
    said = []
    kind = "image" if scene.weights[0].spec.data.info.kind == "image" else "point"
    for (index, method), answer in answers.items():
        arm = scene.arms[index].name
        if answer["error"] is not None:
            said.append({
                "text": f"{METHODS[method]}, {arm}: the map sums to the change of the logit of "
                f"{answer['target']}, {number(answer['change'])}, up to {number(answer['error'])}.",
                "rule": "completeness: the sum of a map is f(x) − f(baseline); the baseline is "
                f"the mean training {kind}",
            })  # fmt: skip
        said += [{"text": f"{METHODS[method]}, {arm}: {line}.", "rule": ""}
                 for line in answer["caveats"]]  # fmt: skip
    return said + _unsafe(list(answers.values()))


def _unsafe(answers: Sequence[Json]) -> list[dict[str, str]]:
    """The methods that are not offered, because they would be wrong on these networks."""
    unsafe = {name: lines[0] for answer in answers for name, lines in answer["unsafe"].items()}
    if not unsafe:
        return []
    names = ", ".join(name.replace("_", " ") for name in unsafe)
    why = next(iter(unsafe.values())).partition(" changes ")[2]
    text = f"Not offered, because they would be wrong here: {names}. Each changes {why}."
    return [{"text": text, "rule": ""}]


PAGES.add("attributions", Page(questions, view))
