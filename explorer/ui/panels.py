"""The parts of the Playground's page, from top to bottom."""

from typing import Any
from urllib.parse import urlencode, urlsplit

import streamlit as st

from explorer.comparison import held_fixed, names
from explorer.experiments.arms import MOST_ARMS, PRESETS, Arms, value_of
from explorer.reproduction import share_query, why_no_link
from explorer.store import Comparison
from explorer.ui import playground
from explorer.ui.components import DiagramArm, charts, diagram
from explorer.ui.controls import IN_SIGHT, LABELS, MORE, choices, control, words
from explorer.ui.data_panel import data_panel
from explorer.ui.drawing import EXTRA
from explorer.ui.lab import lab
from explorer.ui.scene import looks
from explorer.ui.state import Choice, choose, last_trouble, leave

ARM_FIELDS = ("depth", "shortcut", "init", "norm", "block", "width", "lr", "optimizer", "seed")
WIDTH_OF_FIELD = 146  # px: seven in a row on a wide screen, two on a phone
READINGS = {
    "activation_std": "spread of the activations",
    "activation_mean": "mean of the activations",
    "dead_share": "dead units",
    "residual_ratio": "size of F(x) against x",
    "weight_gradient": "gradient of the weights",
    "update_ratio": "size of the update against the weight",
}


def presets(choice: Choice) -> None:
    """Four regimes at one click each, and what to look at in the one that is on show."""
    chosen = next((p for p in PRESETS if p.specs == choice.arms), None)
    labels = [preset.name for preset in PRESETS]
    st.session_state["preset"] = chosen.name if chosen else None

    def pick() -> None:
        preset = next((p for p in PRESETS if p.name == st.session_state["preset"]), None)
        if preset is not None:
            leave(choice)
            choose(Choice(preset.specs))

    st.segmented_control(
        "Regime", labels, key="preset", on_change=pick, label_visibility="collapsed"
    )
    own = "Your own comparison: the line below the charts says what is held fixed."
    st.caption(chosen.look_at if chosen else own)


def banner(choice: Choice) -> None:
    """A way back to a comparison out of sight: one that trains, was interrupted, or is the same."""
    going = playground.going_elsewhere(choice)
    found = going or playground.interrupted(choice) or playground.trained_before(choice)
    if found is None:
        return
    arms = escaped(" and ".join(run.arm for run in found.runs))
    state = "are training" if going else "were interrupted"
    state = state if found.state in (*playground.GOING, "interrupted") else "were trained before"
    steps = found.runs[0].spec.recipe.steps
    with st.container(horizontal=True, vertical_alignment="center", key="banner"):
        st.markdown(f"{arms} {state}: step {max(found.step, 0)} of {steps}.", width="content")
        st.button("Show", key="show_run", on_click=playground.show_run, args=(found,))
        if going:
            st.button("Stop", key="stop_run", on_click=playground.stop, args=(found.id,))


def escaped(text: str) -> str:
    """`text` as Markdown shows it literally."""
    return "".join(f"\\{c}" if c in "\\`*_{}[]()#+-.!|<>~$:" else c for c in text)


def trouble() -> None:
    """The one line about what could not be done, and what this visitor must know of the store."""
    line = last_trouble()
    if line:
        st.error(escaped(line))
    notice = st.session_state.setdefault("notice", "") or lab().take_notice()
    st.session_state["notice"] = notice
    if notice:
        st.warning(escaped(notice))


def twins(choice: Choice, url: str) -> None:
    """The arms as rows of blocks, with every skip connection to click."""
    arm_names = names(choice.arms)
    rows: list[DiagramArm] = []
    for spec, look in zip(choice.arms, looks(choice.arms, arm_names), strict=True):
        network = spec.network
        side = network.inputs[-1]
        labels = [
            f"{stage.width * network.form.expansion} ch, {max(1, -(-side // 2**i))}²"
            for i, stage in enumerate(network.all_stages)
        ]
        rows.append(
            {
                "name": look.name,
                "color": look.color,
                "plain": network.shortcut == "none",
                "stages": [stage.blocks for stage in network.all_stages],
                "gates": network.gates("skip"),
                "residual": network.gates("residual"),
                "shortcut": network.shortcut,
                "labels": labels if network.family == "resnet" else [f"{network.width} units"],
            }
        )
    diagram("twins", rows, playground.set_gates, url)


def figures(url: str, shown: tuple[str, ...]) -> None:
    """Profile, curves, heat maps and whatever else was asked for."""
    order = ["profile", "curves", "sentences", *shown[2:]]
    wide = ("sentences",) if "boundary" in shown else ("sentences", "heatmap")
    charts("charts", url, order, wide=wide)


def shown_figures(choice: Choice) -> tuple[str, ...]:
    """The names of the figures on show."""
    plane = choice.arms[0].data.info.kind == "plane"
    extra = st.session_state.get("extra_readings") or []
    known = [name for name in EXTRA if name in extra]
    return ("profile", "curves", *(("boundary",) if plane else ()), "heatmap", *known)


def controls(choice: Choice) -> None:
    """The fields in sight, in one row that wraps."""
    base = choice.arms[0]
    with st.container(horizontal=True, gap="small"):
        for field in IN_SIGHT:
            with st.container(width=WIDTH_OF_FIELD):
                control(field, base, playground.set_field)


def more_controls(choice: Choice) -> None:
    """What is changed less often: more readings, more data, the other fields, the arms."""
    st.pills(
        "More readings by block",
        EXTRA,
        key="extra_readings",
        selection_mode="multi",
        format_func=READINGS.__getitem__,
    )
    if choice.run:
        st.caption(
            "While it trains, the learning rate and the skip connections change at once; any "
            "other change builds new networks, and the run goes on without you."
        )
    with st.expander("More: block, shortcut, optimiser, schedule, steps, data of your own"):
        for column, (group, fields) in zip(st.columns(4), MORE.items(), strict=True):
            with column:
                st.markdown(f"**{group}**")
                for field in fields:
                    control(field, choice.arms[0], playground.set_field)
        data_panel()


def arms_editor(choice: Choice) -> None:
    """What is held fixed, what each arm differs in; add and remove arms."""
    fixed, differences = held_fixed(choice.arms, names(choice.arms))
    st.markdown(escaped(fixed))
    for index, text in enumerate(differences, start=1):
        line, remove = st.columns([8, 1], vertical_alignment="center")
        line.markdown(f"Differs: {escaped(text.replace('->', '→'))}.")
        if len(choice.arms) > 2:
            remove.button(
                "Remove", key=f"remove_{index}", on_click=playground.remove_arm, args=(index,)
            )
    with st.container(horizontal=True):
        if len(choice.arms) < MOST_ARMS:
            with st.popover("Add an arm"):
                _new_arm(choice)
        share = st.popover("Share", key="share", on_change="rerun")
        if share.open:  # a run may have ended since the page was drawn
            with share:
                share_links(choice.arms, playground.attached(choice))


def _new_arm(choice: Choice) -> None:
    base = choice.arms[0]
    field = st.selectbox(
        "It differs in", ARM_FIELDS, format_func=lambda f: LABELS.get(f, words(f)), key="new_field"
    )
    what = choices(field, base)
    value: Any
    if what.values is not None:
        others = [v for v in what.values if v != value_of(base, field)]
        value = st.selectbox("and has", others, format_func=words, key=f"new_{field}")
    else:
        value = st.number_input("and has", value=value_of(base, field) + 1, key=f"new_{field}")
    st.button("Add", key="add_arm", on_click=playground.add_arm, args=(field, value))


def share_links(arms: Arms, comparison: Comparison | None) -> None:
    """The address of these arms in full, and of their run with what came of it."""
    place = urlsplit(st.context.url or "")
    page = f"{place.scheme}://{place.netloc}/" if place.netloc else "/"
    st.markdown("Whoever opens this address sees these networks; on a CPU they train bit for bit.")
    st.code(f"{page}?{urlencode(Choice(arms).query, doseq=True)}", language=None)
    if comparison is None:
        return
    query = share_query(lab().store, comparison)
    if query is None:
        st.markdown(why_no_link(comparison))
        return
    st.markdown(
        "This one also says what the run's curves were, and checks them once it is rebuilt."
    )
    st.code(f"{page}?{urlencode(query, doseq=True)}", language=None)


def question(choice: Choice) -> str:
    """The page's title: what the arms on show are about to answer."""
    base = choice.arms[0]
    what = {"plane": "tell these points apart", "image": "learn these images"}
    subject = "these digits" if base.data.name == "digits" else ""
    task = f"learn {subject}" if subject else what[base.data.info.kind]
    depth = base.network.depth
    article = "an" if str(depth).startswith("8") or depth in (11, 18) else "a"
    return f"Can {article} {depth}-layer network {task}?"


GUIDE = """
**Gradient by block.** ‖dL/dx‖ is the L2 norm, over the batch, of the loss's gradient with
respect to each block's output. The loss is on the right, the input on the left; the axis is
logarithmic. A line that falls towards the left vanishes, one that rises explodes. The dotted
line is the wide-network prediction, where there is one; narrow networks fall short of it, and
nothing is drawn where no formula is known (post-activation residual blocks with BatchNorm).

**Loss and accuracy.** Training loss and accuracy of each batch as they were read, without
smoothing; test accuracy every 25 steps. Until Play is pressed, the standard deviation of each
block's output stands in their place: the signal on its way up.

**Heat maps.** The same gradient by block and step, both arms on one colour scale.

**What to try.** Cut one skip connection and watch the profile; cut all of them while it
trains; take the normalisation away; change the initialisation. A large or a small gradient
is not yet a network that fails, and a healthy one not yet a network that learns.
"""

SOURCES = """
Plain and residual networks, their shortcuts and the degradation of plain ones: He et al. 2015,
arXiv 1512.03385. Initialisation: He et al. 2015, arXiv 1502.01852; Glorot & Bengio 2010. Exploding
gradients of plain networks with BatchNorm: Yang et al. 2019, arXiv 1902.08129. Residual growth:
Hanin & Rolnick 2018, arXiv 1803.01719; De & Smith 2020, arXiv 2002.10444. Digits: UCI handwritten
digits, from scikit-learn.
"""


def reading_guide() -> None:
    """How to read the page, and where it comes from."""
    with st.expander("How to read this"):
        st.markdown(GUIDE)
    with st.expander("Source"):
        st.markdown(SOURCES)
