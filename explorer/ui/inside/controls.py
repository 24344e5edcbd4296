"""What these pages share: the choice of networks and their steps, of an image, and Cancel."""

import base64
from dataclasses import replace

import streamlit as st

from explorer.inquiry import inquiry
from explorer.spec import RunSpec, SpecError
from explorer.store import StoreError
from explorer.ui.asking import asking
from explorer.ui.components import transport
from explorer.ui.inside.route import PAGES, networks
from explorer.ui.inside.state import (
    MOST_NETS,
    USUAL_ON,
    InsideChoice,
    choose_inside,
    current_inside,
)
from explorer.ui.inside_panels import picture
from explorer.ui.lab import lab
from explorer.ui.pages import link_to, page_files, title
from explorer.ui.panels import escaped, trouble
from explorer.ui.state import complain
from explorer.weights import Weights, find, listed

WIDTH_OF_NET, WIDTH_OF_STEP = 228, 114  # px; side by side on a phone
UPLOAD_PATIENCE = 20.0  # seconds


def network_rows(page: str, choice: InsideChoice) -> tuple[Weights, ...]:
    """A row a network: which, and at which of its stored steps. Those on show, () if one is not.

    What cannot be is said, and the usual networks are offered.
    """
    try:
        chosen = networks(page, choice)
        PAGES[page].questions(choice, chosen)  # what else the address says must fit them
    except (SpecError, StoreError) as error:
        complain(str(error))
        trouble()
        st.button("Show the program's own networks", on_click=choose_inside, args=(InsideChoice(),))
        return ()
    options = {_name(one): one for one in (*listed(lab().store), *chosen)}
    with st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
        for index, one in enumerate(chosen):
            _network(page, index, one, options)
        _add_or_remove(page, chosen, options)
    return chosen


def _name(one: Weights) -> str:
    """A network's name in the address, without its step."""
    return one.text.rpartition("@")[0]


def _network(page: str, index: int, one: Weights, options: dict[str, Weights]) -> None:
    key, step_key = f"net_{index}", f"net_step_{index}"
    st.session_state[key], st.session_state[step_key] = _name(one), one.step
    word = "Network" if index == 0 else "beside it"
    with st.container(horizontal=True, gap="small", width="content", vertical_alignment="bottom"):
        with st.container(width=WIDTH_OF_NET):
            st.selectbox(
                word, list(options), key=key, on_change=_set_network, args=(page, index, key),
                format_func=lambda name: _said(options[name]),
                help="The program's own, trained on the digits, and the newest runs here.",
            )  # fmt: skip
        if len(one.steps) > 1:
            with st.container(width=WIDTH_OF_STEP):
                st.select_slider(
                    "at step", one.steps, key=step_key, on_change=_set_network,
                    args=(page, index, key, step_key),
                    help="Weights are kept at steps 1, 3, 10, 30, 100 and so on, and at the last.",
                )  # fmt: skip


def _said(one: Weights) -> str:
    recipe = one.spec.recipe
    return f"{one.label} ({one.spec.data.name}, {recipe.steps} steps)"


def _set_network(page: str, index: int, key: str, step_key: str = "") -> None:
    name = st.session_state[key]
    step = f"@{st.session_state[step_key]}" if step_key else ""
    nets = list(current_inside().nets_on(page))
    nets[index : index + 1] = [f"{name}{step}"]
    _choose_nets(page, tuple(nets))


def _choose_nets(page: str, nets: tuple[str, ...]) -> None:
    """Other networks: image and class of other data, and orders of other blocks, are let go."""
    choice = current_inside()
    changed = replace(choice, nets=nets)
    try:
        before, after = (find(lab().store, some[0]).spec for some in (choice.nets_on(page), nets))
    except (SpecError, StoreError) as error:
        complain(str(error))
        return
    if before.data.name != after.data.name:
        changed = replace(changed, image=InsideChoice().image).but(target="")
    choose_inside(changed.but(order0="", order1=""))


def _add_or_remove(page: str, chosen: tuple[Weights, ...], options: dict[str, Weights]) -> None:
    """One network less, or the twin of the only one beside it."""
    if len(chosen) > 1:
        st.button(
            "One network only", key="one_net", on_click=_choose_nets,
            args=(page, (chosen[1].text,)),
        )  # fmt: skip
    elif len(chosen) < MOST_NETS:
        other = _beside(chosen[0], options)
        st.button(
            "Put one beside it", key="two_nets", on_click=_choose_nets,
            args=(page, (other, chosen[0].text)), disabled=not other,
        )  # fmt: skip


def _beside(only: Weights, options: dict[str, Weights]) -> str:
    """The name of its twin, else of the first of the others; "" where there is none."""
    others = [name for name in options if name != _name(only)]
    twins = [name for name in others if _are_twins(options[name].spec, only.spec)]
    return next(iter([*twins, *others]), "")


def _are_twins(one: RunSpec, other: RunSpec) -> bool:
    """Whether they are of one depth, learn the same data, and only one has shortcuts."""
    depths, data = {one.network.depth, other.network.depth}, {one.data.name, other.data.name}
    plain = {one.network.shortcut == "none", other.network.shortcut == "none"}
    return len(depths) == len(data) == 1 and len(plain) == 2


def same_elsewhere(page: str, choice: InsideChoice) -> None:
    """The way to the other pages of networks with these, this image and this block."""
    common = replace(choice, nets=choice.nets_on(page), words={})
    with st.container(horizontal=True, gap="small"):
        st.markdown("The same networks on:", width="content")
        for file in page_files():
            name = file.stem[3:]
            if name in PAGES and name != page and USUAL_ON.get(name) != ():
                link_to(file.stem, title(file), **common.query)


def progress_bar(page: str, url: str) -> None:
    """How far the page's questions are, with Cancel, or Compute after that."""
    transport("transport", url, lambda name: _command(page, name))
    trouble()


def _command(page: str, name: str) -> None:
    choice = current_inside()
    try:
        asks = PAGES[page].questions(choice, networks(page, choice)).values()
    except (SpecError, StoreError) as error:
        complain(str(error))
        return
    asked = [ask.inquiry for ask in asks]
    if name == "stop":
        asking(lab()).cancel(asked)
    elif name in ("resume", "play"):
        asking(lab()).again(asked)


def choose_image(name: str) -> None:
    """Another image on show."""
    choose_inside(replace(current_inside(), image=name))


def choose_input(choice: InsideChoice, url: str, first: Weights) -> None:
    """The image on show, with others to choose from; the number of a point, which has none."""
    info = first.spec.data.info
    if info.kind == "image":
        picture("picture", url, info.shape, choose_image)
        _uploader(first)
        return
    st.session_state["point"] = min(int(choice.image.partition(":")[2]), info.test - 1)
    with st.container(width=WIDTH_OF_NET):
        st.number_input(
            "Test point", 0, info.test - 1, key="point",
            on_change=lambda: choose_image(f"test:{st.session_state['point']}"),
            help="These data are points of a plane: there is no image to choose or draw.",
        )  # fmt: skip


def _uploader(first: Weights) -> None:
    """A file of one's own as the image; it never leaves this machine."""
    info = first.spec.data.info
    with st.popover("Upload an image"):
        shape = f"{info.shape[-1]} × {info.shape[-1]} pixels"
        st.caption(
            f"Cut to its central square and scaled to {shape}; grey where the data is. A dark "
            "drawing on white paper is turned, for these images are bright on black."
        )
        refusal = st.empty()
        file = st.file_uploader("PNG, JPEG, BMP, GIF or WebP", key="upload", max_upload_size=8)
        if file is None or st.session_state.get("uploaded") == file.file_id:
            return
        st.session_state["uploaded"] = file.file_id
        with refusal:
            _upload(first, file.getvalue())


def _upload(first: Weights, content: bytes) -> None:
    question = inquiry("upload", first, content=base64.b64encode(content).decode())
    asked = lab().executor.ask(question.question, slow=False)
    try:
        name = asked.future.result(timeout=UPLOAD_PATIENCE)["image"]
    except (ValueError, TimeoutError) as error:
        st.error(escaped(str(error) or "the image could not be read in time; try again"))
        return
    choose_image(name)
    st.rerun()


def pick_word(label: str, name: str, words: dict[str, str]) -> None:
    """One of the page's own words, as a row of buttons."""

    def pick() -> None:
        chosen = st.session_state[f"word_{name}"]
        if chosen:
            choose_inside(current_inside().but(**{name: chosen}))

    st.session_state[f"word_{name}"] = current_inside().word(name)
    st.segmented_control(
        label, list(words), key=f"word_{name}", on_change=pick, format_func=words.__getitem__
    )


def reading_guide(guide: str, sources: str) -> None:
    """How to read the page, and where it comes from."""
    with st.expander("How to read this"):
        st.markdown(guide)
    with st.expander("Source"):
        st.markdown(sources)
