"""Any networks by their short form, at initialisation or at a stored step."""

import contextlib
from dataclasses import replace

import streamlit as st

from explorer.experiments.arms import PRESETS
from explorer.spec import RunSpec, SpecError, short_form
from explorer.store import StoreError
from explorer.ui.inside.route import PAGES, networks
from explorer.ui.inside.state import MOST_ON, InsideChoice, choose_inside, current_inside
from explorer.ui.lab import lab
from explorer.ui.panels import trouble
from explorer.ui.state import complain
from explorer.weights import Weights, find

WIDTH_OF_NET, WIDTH_OF_STEP = 380, 114  # px


def any_networks(page: str, choice: InsideChoice, steps: bool = True) -> tuple[Weights, ...]:
    """Presets, then a line a network, to be typed over; those on show, () if one is not.

    With `steps` false there are no steps to choose: the page is about initialisation.
    """
    try:
        chosen = networks(page, choice)
        PAGES[page].questions(choice, chosen)  # what else the address says must fit them
    except (SpecError, StoreError) as error:
        complain(str(error))
        trouble()
        st.button("Show the usual networks", on_click=choose_inside, args=(InsideChoice(),))
        return ()
    if MOST_ON.get(page, 2) > 1:  # a regime is a pair of networks
        _presets(chosen)
    with st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
        for index, one in enumerate(chosen):
            _line(page, index, one, steps)
        _add_or_remove(page, choice.nets_on(page), chosen)
    return chosen


def _add_or_remove(page: str, nets: tuple[str, ...], chosen: tuple[Weights, ...]) -> None:
    """One network more, up to what the page has room for, or one less."""
    with st.container(horizontal=True, gap="small", width="content", vertical_alignment="bottom"):
        if len(chosen) < MOST_ON.get(page, 2):
            more = (*nets, f"{short_form(_another(chosen))}@0")
            st.button("Add a network", key="add_net", on_click=_set_nets, args=(more,))
        if len(chosen) > 1:
            st.button("Remove the last", key="remove_net", on_click=_set_nets, args=(nets[:-1],))


def _another(chosen: tuple[Weights, ...]) -> RunSpec:
    """The twin of the first network whose twin is not on show; else the last with another seed."""
    shown = {one.spec.start_key for one in chosen}
    for one in chosen:
        network = one.spec.network
        shortcut = "zero_pad" if network.shortcut == "none" else "none"
        with contextlib.suppress(SpecError):  # not every network has a twin
            twin = one.spec.replace(network=network.replace(shortcut=shortcut))
            if twin.start_key not in shown:
                return twin
    last = chosen[-1].spec
    return last.replace(seed=last.seed + 1)


def _presets(chosen: tuple[Weights, ...]) -> None:
    """The Playground's regimes, at initialisation."""
    named = {preset.name: preset.specs for preset in PRESETS}
    shown = tuple(one.spec.start_key for one in chosen)
    at_rest = next(
        (n for n, specs in named.items() if tuple(s.start_key for s in specs) == shown), None
    )
    st.session_state["lab_preset"] = at_rest

    def pick() -> None:
        name = st.session_state["lab_preset"]
        if name in named:
            _set_nets(tuple(f"{short_form(spec)}@0" for spec in named[name]))

    st.segmented_control(
        "Regime", list(named), key="lab_preset", on_change=pick, label_visibility="collapsed"
    )


def _line(page: str, index: int, one: Weights, steps: bool) -> None:
    key, step_key = f"lab_net_{index}", f"lab_step_{index}" if steps and len(one.steps) > 1 else ""
    wrong = st.session_state.pop(f"{key}_wrong", "")  # stays in sight, to be mended
    st.session_state[key] = wrong or one.text.rpartition("@")[0]
    with st.container(horizontal=True, gap="small", width="content", vertical_alignment="bottom"):
        with st.container(width=WIDTH_OF_NET):
            st.text_input(
                f"Network {index + 1}", key=key, on_change=_typed,
                args=(page, index, key, step_key),
                help="Such as plain-56,norm=none,init=xavier,width=64 or resnet-1202,width=8, or "
                "the number of a run.",
            )  # fmt: skip
        if step_key:
            st.session_state[step_key] = one.step
            with st.container(width=WIDTH_OF_STEP):
                st.select_slider(
                    "at step", one.steps, key=step_key, on_change=_typed,
                    args=(page, index, key, step_key),
                    help="0 is the network as initialised; the others are stored.",
                )  # fmt: skip


def _typed(page: str, index: int, key: str, step_key: str = "") -> None:
    """Another network in that place; what cannot be is said, and nothing changes."""
    choice = current_inside()
    nets, said = list(choice.nets_on(page)), str(st.session_state[key])
    try:
        nets[index] = _named(said, st.session_state[step_key] if step_key else 0)
        chosen = replace(choice, nets=tuple(nets))
        PAGES[page].questions(chosen, networks(page, chosen))
    except (SpecError, StoreError) as error:
        complain(str(error))
        st.session_state[f"{key}_wrong"] = said
        return
    _set_nets(tuple(nets))


def _named(said: str, step: int) -> str:
    """The address of a network as it is typed; at `step` if that is stored of it, else at 0.

    A step that is typed behind an @ goes first. SpecError or StoreError if there is none.
    """
    name, at, typed = said.strip().rpartition("@")
    if at:
        return find(lab().store, f"{name.strip()}@{typed}").text
    one = find(lab().store, f"{said.strip()}@0")
    return f"{one.text.rpartition('@')[0]}@{step if step in one.steps else 0}"


def _set_nets(nets: tuple[str, ...]) -> None:
    choose_inside(replace(current_inside(), nets=nets))
