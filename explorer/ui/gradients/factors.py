"""The Product of factors page: n layers, one factor each, and the network behind the picture."""

from collections.abc import Mapping

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from explorer import figures
from explorer.figures import FactorSeries, WalkSeries
from explorer.figures.theme import RESIDUAL
from explorer.inquiry import inquiry
from explorer.spec import SpecError
from explorer.ui.inside.route import PAGES, Ask, Json, Page, Scene
from explorer.ui.inside.state import InsideChoice, choose_inside, current_inside
from explorer.weights import Weights
from explorer.wording import number

FIGURES = ("gradient", "factor", "signal")
ACTIVATIONS = {"relu": "ReLU", "tanh": "tanh", "linear": "none (linear)"}
VARIANCES = ("0.1", "0.2", "1/3", "0.5", "0.8", "1", "1.3", "1.6", "2", "2.4", "25/9", "3.5", "5")
VALUES = {text: float(a) / float(b or 1) for text in VARIANCES for a, _, b in [text.partition("/")]}
KNOWN = {"1/3": "PyTorch's default", "1": "LeCun", "2": "He", "25/9": "tanh gain 5/3"}
USUAL_VARIANCE, USUAL_LAYERS, USUAL_WIDTH = "2", 50, 256
LAYERS = (2, 5, 10, 20, 30, 50, 75, 100, 200, 300, 500)
WIDTHS = (8, 16, 32, 64, 128, 256)  # 500 layers of more would be too many weights
WIDTH_OF_FIELD = 240  # px


def variance_of(choice: InsideChoice) -> str:
    """The variance s in the address; SpecError for one that is not on the slider."""
    said = choice.words.get("variance") or USUAL_VARIANCE
    if said not in VALUES:
        raise SpecError("variance", said[:40], f"choose one of {', '.join(VARIANCES)}")
    return said


def questions(choice: InsideChoice, weights: tuple[Weights, ...]) -> Mapping[str, Ask]:
    """One question: it is answered within the time of a press."""
    asked = inquiry(
        "factors",
        activation=choice.word("activation"),
        variance=VALUES[variance_of(choice)],
        depth=choice.number("layers") or USUAL_LAYERS,
        width=choice.number("width") or USUAL_WIDTH,
        seeds=3,
    )
    return {"factors": Ask(asked, slow=False)}


def view(scene: Scene) -> Json:
    """The walk of the gradient, the single factors, the walk of the signal, and what they say."""
    answer = scene.answer("factors")
    if answer is None:
        return {"figures": {}}
    choice = scene.choice
    name = f"{ACTIVATIONS[choice.word('activation')]}, s = {variance_of(choice)}"
    about = {"valid": answer["valid"], "region": answer["region"]}
    note = f"width {choice.number('width') or USUAL_WIDTH}, 3 seeds"
    look = scene.screen.look

    def walk(quantity: str) -> WalkSeries:
        predicted = _numbers(answer[f"predicted_{quantity}"])
        return WalkSeries(name, RESIDUAL, _numbers(answer[quantity]), predicted, **about)

    dots = FactorSeries(
        name, RESIDUAL, _numbers(answer["factor"]), _numbers(answer["predicted_factor"]), **about
    )
    return {
        "figures": {
            "gradient": figures.walks([walk("gradient")], "gradient", note=note, **look),
            "factor": figures.factor_dots([dots], note=note, **look),
            "signal": figures.walks([walk("signal")], "signal", note=note, **look),
        },
        "sentences": _sentences(answer),
    }


def _sentences(answer: Json) -> list[dict[str, str]]:
    """Where the factors settle, how deep that lets a network be, and what float32 keeps."""
    fixed = answer["fixed"]
    rule = f"{answer['formula']} ({answer['source']}; {answer['region']})"
    said = []
    if fixed["chi"] is not None:
        word = "arrives" if abs(fixed["chi"] - 1) < 1e-3 else (
            "vanishes" if fixed["chi"] < 1 else "explodes"
        )  # fmt: skip
        text = (
            f"In the long run every layer multiplies the squared gradient by chi = "
            f"{fixed['chi']:.4g}: it {word}."
        )
        said.append({"text": text, "rule": rule})
    if fixed["trainable"] is not None:
        text = f"Theory lets such a network train to about {number(fixed['trainable'])} layers."
        said.append({"text": text, "rule": "6 xi_c (Schoenholz et al. 2017, arXiv 1611.01232)"})
    if answer["lost"] is not None:
        text = f"A chain of these factors in float32 is lost after {answer['lost']} layers."
        said.append({"text": text, "rule": "sizes below 1.2e-38 count as 0"})
    return said


def controls(choice: InsideChoice) -> None:
    """Activation, variance, layers and width: the four numbers of the picture."""
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        _slider("Variance of a weight, s / width", "variance", VARIANCES, variance_of(choice))
        layers = choice.number("layers") or USUAL_LAYERS
        _slider("Layers", "layers", _with(LAYERS, layers), layers)
        width = choice.number("width") or USUAL_WIDTH
        _slider("Width", "width", _with(WIDTHS, width), width)


def _with(menu: tuple[int, ...], value: int) -> tuple[int, ...]:
    return tuple(sorted({*menu, value}))


def _slider(label: str, name: str, menu: tuple[str, ...] | tuple[int, ...], value: object) -> None:
    key = f"factors_{name}"

    def pick() -> None:
        choose_inside(current_inside().but(**{name: str(st.session_state[key])}))

    def said(one: object) -> str:
        known = KNOWN.get(str(one), "") if name == "variance" else ""
        return f"{one} ({known})" if known else str(one)

    st.session_state[key] = value
    with st.container(width=WIDTH_OF_FIELD):
        st.select_slider(label, menu, key=key, on_change=pick, format_func=said)


def _numbers(values: list[float | None] | list[list[float | None]]) -> NDArray[np.float64]:
    return np.array(values, np.float64)


PAGES.add("product_of_factors", Page(questions, view))
