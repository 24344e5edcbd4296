"""The Sum node page: one block's diagram with real numbers on every edge, in slow motion."""

from collections.abc import Mapping
from dataclasses import replace

import streamlit as st

from explorer.inquiry import inquiry
from explorer.ui.gradients.sum_node_changes import changed, finding
from explorer.ui.gradients.sum_node_drawing import drawing, labels
from explorer.ui.gradients.sum_node_stages import stages
from explorer.ui.inside.blocks import blocks_of, chosen_block
from explorer.ui.inside.route import PAGES, Ask, Json, Page, Scene
from explorer.ui.inside.state import InsideChoice, choose_inside, current_inside
from explorer.weights import Weights

FIGURES = ()  # the page draws none: its diagram is a panel of its own
VARIANTS = {
    "as_is": "As it is",
    "no_act": "No ReLU after the sum",
    "projection": "Projection",
    "zeroed": "F times 0",
    "cut": "Skip cut",
}
WIDTH_OF_FIELD = 320  # px
NOW, BEFORE = "block", "block as it is"
DEEP = 120  # blocks; with 600 an answer takes ten seconds, and the quick ones would wait for it


def questions(choice: InsideChoice, weights: tuple[Weights, ...]) -> Mapping[str, Ask]:
    """The block as it is chosen, and as it is in the network where that is something else."""
    if not weights:
        return {}
    block, variant = chosen_block(choice, weights[:1]), choice.word("variant")
    slow = blocks_of(weights[0]) > DEEP
    asked = {NOW: None} if variant == "as_is" else {NOW: variant, BEFORE: None}
    return {
        name: Ask(inquiry("sum_node", weights[0], block=block, variant=said), slow)
        for name, said in asked.items()
    }


def view(scene: Scene) -> Json:
    """The diagram with its numbers, the stages of both passes, and what the variant changes."""
    answer = scene.answer(NOW)
    if answer is None:
        return {"figures": {}}
    spec = scene.weights[0].spec.network
    when = f"step {answer['step']}" if answer["step"] else "at initialisation"
    return {
        "figures": {},
        "sum_node": {
            **drawing(answer, spec),
            "stages": stages(answer, labels(answer, spec)),
            "finding": finding(answer),
            "changed": changed(answer, scene.answer(BEFORE)),
            "note": f"{scene.arms[0].name}, {when}, seed {scene.weights[0].spec.seed}; first "
            f"batch of {answer['examples']} examples, {answer['device']}",
        },
    }


def block_slider(one: Weights, choice: InsideChoice) -> None:
    """Which block is laid open; nothing where there is only one."""
    most = blocks_of(one)
    if most < 2:
        return
    st.session_state["sum_block"] = chosen_block(choice, (one,))
    with st.container(width=WIDTH_OF_FIELD):
        st.select_slider("Block", range(1, most + 1), key="sum_block", on_change=_set_block)


def _set_block() -> None:
    choose_inside(replace(current_inside(), block=int(st.session_state["sum_block"])))


PAGES.add("sum_node", Page(questions, view))
