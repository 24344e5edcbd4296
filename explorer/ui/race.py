"""The parts of the depth race's page, from top to bottom, and what its buttons do."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import streamlit as st

from explorer.comparison import held_fixed, names
from explorer.experiments.arms import with_value
from explorer.experiments.race import (
    DEPTHS,
    KINDS,
    LONGER,
    SHARE,
    Race,
    longer,
    normalized,
)
from explorer.race_rule import losers
from explorer.spec import RunSpec, SpecError
from explorer.store import StoreError
from explorer.ui.components import charts, findings, members
from explorer.ui.controls import control
from explorer.ui.lab import lab
from explorer.ui.live_race import race_views
from explorer.ui.panels import escaped
from explorer.ui.race_state import X_AXES, RaceChoice, XAxis, change_race, choose_race, current_race
from explorer.ui.state import complain

FIGURES = ("train_error", "by_depth", "test_error", "loss")
IN_SIGHT = ("width", "norm", "init", "data", "lr", "steps")
MORE = ("block", "shortcut", "optimizer", "momentum", "weight_decay", "schedule", "batch", "seed")
WIDTH_OF_FIELD = 146  # px
X_WORDS = {"steps": "steps", "epochs": "epochs", "seconds": "seconds", "flops": "FLOPs"}


def guarded(act: Callable[[], object]) -> None:
    """Do what was pressed; what cannot be done is said in one line."""
    try:
        act()
    except (SpecError, StoreError) as error:
        complain(str(error))


def command(name: str) -> None:
    """Carry out a press of play (train), stop (cancel), resume or reset (a new race)."""
    choice = current_race()
    if name == "play":
        guarded(lambda: _start(choice, choice.race.specs))
    elif name == "resume" and choice.sweep:
        sweep = choice.sweep
        guarded(lambda: lab().sweeping.resume(sweep))
    elif name == "stop" and choice.sweep:
        sweep = choice.sweep
        guarded(lambda: lab().sweeping.cancel(sweep))
    elif name == "reset":
        choose_race(replace(choice, sweep=None))


def _start(choice: RaceChoice, specs: Sequence[RunSpec]) -> None:
    sweep = lab().sweeping.start(choice.race.name, specs)
    choose_race(replace(choice, sweep=sweep.id))


def train_longer() -> None:
    """Train the runs that trained worse than a shallower network for longer, beside the race."""
    choice = current_race()
    found = _lost(choice)
    if not found:
        complain("race: 'no loser' is not allowed; no finished depth trains worse by the rule yet")
        return
    guarded(lambda: _start(choice, (*_asked(choice), *longer(found))))


def train_normalized() -> None:
    """Train the race with steps of one relative size in every layer, beside the race."""
    choice = current_race()
    guarded(lambda: _start(choice, (*_asked(choice), *normalized(choice.race.specs))))


def _asked(choice: RaceChoice) -> tuple[RunSpec, ...]:
    """What is on show already: the attached sweep's runs, else the race's."""
    sweep = lab().store.sweeps.get(choice.sweep) if choice.sweep else None
    shown = [member.spec for member in sweep.members] if sweep else []
    return tuple(dict.fromkeys((*choice.race.specs, *shown)))


def _lost(choice: RaceChoice) -> list[RunSpec]:
    """The specs of the race that trained worse, by what the store or the record has of them."""
    shown = race_views().shown(choice)
    lost = {(run.kind, run.depth) for run in losers(shown.runs)}
    pairs = zip(shown.runs, shown.specs, strict=True)
    return [spec for run, spec in pairs if not run.variant and (run.kind, run.depth) in lost]


def choose(choice: RaceChoice) -> None:
    """Depths, kinds and seeds; then what all runs share."""
    race = choice.race
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        _pills("Depths", "race_depths", sorted({*DEPTHS, *race.depths}), race.depths, _set_depths)
        _pills("Networks", "race_kinds", list(KINDS), race.kinds, _set_kinds)
        with st.container(width=WIDTH_OF_FIELD):
            st.session_state["race_seeds"] = race.seeds
            options = sorted({1, 2, 3, 5, 10, race.seeds})
            st.select_slider(
                "seeds", options, key="race_seeds", on_change=_set_seeds,
                help="Each network is trained once a seed; intervals need two or more.",
            )  # fmt: skip
    with st.container(horizontal=True, gap="small"):
        for field in IN_SIGHT:
            with st.container(width=WIDTH_OF_FIELD):
                control(field, race.base, _set_field)
    with st.expander("More: block, shortcut, optimiser, schedule"), st.container(horizontal=True):
        for field in MORE:
            with st.container(width=WIDTH_OF_FIELD):
                control(field, race.base, _set_field)


def _pills(
    label: str, key: str, options: list[Any], chosen: Sequence[Any], changed: Callable[[], None]
) -> None:
    st.session_state[key] = list(chosen)
    st.pills(label, options, key=key, selection_mode="multi", on_change=changed, width="content")


def _set_depths() -> None:
    depths = tuple(sorted(st.session_state["race_depths"]))
    change_race(lambda race: replace(race, depths=depths or race.depths))


def _set_kinds() -> None:
    kinds = tuple(kind for kind in KINDS if kind in st.session_state["race_kinds"])
    change_race(lambda race: replace(race, kinds=kinds or race.kinds))


def _set_seeds() -> None:
    seeds = int(st.session_state["race_seeds"])
    change_race(lambda race: replace(race, seeds=seeds))


def _set_field(field: str, value: Any) -> None:
    def changed(race: Race) -> Race:
        return replace(race, base=with_value(race.base, field, value))

    guarded(lambda: change_race(changed))


def drawing(choice: RaceChoice) -> None:
    """How the curves are drawn: against what, and with a running mean or raw."""

    def pick() -> None:
        x: XAxis = st.session_state["race_x"] or "steps"
        choose_race(replace(current_race(), x=x, smooth=bool(st.session_state["race_smooth"])))

    st.session_state["race_x"], st.session_state["race_smooth"] = choice.x, choice.smooth
    with st.container(horizontal=True, vertical_alignment="center"):
        st.segmented_control(
            "Horizontal axis", X_AXES, key="race_x", on_change=pick,
            format_func=X_WORDS.__getitem__, label_visibility="collapsed",
        )  # fmt: skip
        st.toggle("running mean over an epoch", key="race_smooth", on_change=pick)


def figures(url: str) -> None:
    """The four charts, the findings under the first two, and a mark for every run."""
    charts("race", url, ("train_error", "by_depth", "sentences", "test_error", "loss"), wide=())
    members("members", url)


def rule_out(url: str) -> None:
    """Two explanations of the degradation, and the experiments that rule them in or out."""
    st.subheader("Does it degrade, or only learn slower?")
    st.markdown(
        "**An introductory text's explanation**: the gradient is a product of one factor a layer, "
        "so it vanishes on the way to the first layers of a deep plain network, which then cannot "
        "learn. **He et al. 2015 object** (section 4.1): with BatchNorm the signals do not vanish "
        "in either direction, and three times the iterations did not help. Both can be put to the "
        "test. What was measured, by the rule above:"
    )
    findings("explained", url, "explanations")
    with st.container(horizontal=True):
        st.button(
            f"Train the losers {LONGER} times longer",
            key="longer", on_click=train_longer,
            help="Those that train worse than a shallower network. If they catch up, they only "
            "learned slower.",
        )  # fmt: skip
        st.button(
            "Train all with normalised steps",
            key="normalized", on_click=train_normalized,
            help=f"Every layer moves by {SHARE:g} of its size a step, whatever the size of its "
            "gradient (LARS, You et al. 2017). If the gap stays, the size of the gradient is not "
            "its cause.",
        )  # fmt: skip


def fixed(choice: RaceChoice) -> None:
    """What all runs of one seed share, and what differs."""
    one_seed = [spec for spec in choice.race.specs if spec.seed == choice.race.base.seed]
    sentence, _ = held_fixed(one_seed, names(one_seed))
    seeds = choice.race.seeds
    differ = "depth and skip connections" if len(choice.race.kinds) > 1 else "depth"
    more = f" {seeds} seeds draw weights and order anew." if seeds > 1 else ""
    st.markdown(f"{escaped(sentence)} Differs: {differ}.{more}")


GUIDE = """
**Training error** is 1 - the accuracy on the training batches, the mean over the last epoch;
**test error** is read on the whole test set every 25 steps. Thin lines are single seeds as they
were read; thick lines are means over the seeds, smoothed over one epoch where that is switched on.
Plain networks are dashed, residual ones solid; the deeper, the stronger the colour.

**Final error against depth.** A dot is a seed, the bar the 95 % t interval of the mean over the
seeds. Three seeds make wide intervals: that is what three seeds can say.

**Degradation** (He et al. 2015) is a *training* error that grows with depth, although the deeper
network could copy the shallower one and leave its other layers as they are. It is no overfitting,
which would lower the training error. **Dotted tails** are runs with three times the steps; with
a constant rate they go on where the shorter run ends. **Seconds** are the run's mean seconds a
step times the step, on whatever else this machine did meanwhile.

**What to try.** Read the same curves against FLOPs: is a deep network worth its price? Take the
normalisation away. Give everything ten times the steps.
"""

SOURCES = """
Degradation, plain and residual networks, figure 6: He et al. 2015, arXiv 1512.03385. Steps of one
relative size in every layer: You et al. 2017, arXiv 1708.03888. Welch's t interval: Welch 1947,
Biometrika 34. FLOPs: multiply-adds of convolutions and linear layers times two, the backward pass
counted as two forward passes (Kaplan et al. 2020, arXiv 2001.08361).
"""


def reading_guide() -> None:
    """How to read the page, and where it comes from."""
    with st.expander("How to read this"):
        st.markdown(GUIDE)
    with st.expander("Source"):
        st.markdown(SOURCES)
