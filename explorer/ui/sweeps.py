"""The parts of the sweeps' page, from top to bottom, and what its buttons do."""

from dataclasses import replace
from typing import Any

import streamlit as st

from explorer.comparison import held_fixed
from explorer.experiments.arms import value_of
from explorer.figures.race import NAMES
from explorer.figures.race_lines import Metric
from explorer.spec import RunSpec, SpecError, parse
from explorer.store import StoreError
from explorer.ui.components import charts, members, panel
from explorer.ui.controls import LABELS
from explorer.ui.lab import lab
from explorer.ui.panels import escaped
from explorer.ui.race import guarded
from explorer.ui.selection import said
from explorer.ui.state import complain
from explorer.ui.sweep_cells import varied
from explorer.ui.sweeps_state import (
    FIELDS,
    METRICS,
    MOST_FIELDS,
    MOST_SEEDS,
    SweepChoice,
    choose_sweep,
    current_sweeps,
)
from explorer.wording import capital

FIGURES = ("outcomes",)
WIDTH_OF_FIELD, WIDTH_OF_VALUES = 200, 300  # px
LONGEST_ID = 40
STYLE = """<style>
.panel-sweeps .scroll {overflow-x: auto}
.panel-sweeps table {border-collapse: collapse}
.panel-sweeps :is(th, td) {padding: 0.125rem 1rem 0.125rem 0; text-align: left;
  font-weight: 400; white-space: nowrap}
.panel-sweeps thead th {color: var(--quiet)}
.panel-sweeps .number {text-align: right; padding-right: 0}
.panel-sweeps button {padding: 0.25rem 0; text-align: left; max-width: 36rem; overflow: hidden;
  text-overflow: ellipsis; text-decoration: underline; text-underline-offset: 0.2em}
.panel-sweeps button[aria-current] {font-weight: 600; text-decoration: none}
.members-link {display: inline-block; margin-top: 0.5rem; color: inherit;
  text-underline-offset: 0.2em}
@media (max-width: 700px) {.panel-sweeps button {max-width: 15rem}}
</style>"""

_list = panel("sweeps", space=120)


def command(name: str) -> None:
    """Carry out a press of play (train), stop (cancel), resume or reset (a new sweep)."""
    choice = current_sweeps()
    sweep = choice.sweep
    if name == "play":
        guarded(lambda: _start(choice))
    elif name == "resume" and sweep:
        guarded(lambda: lab().sweeping.resume(sweep))
    elif name == "stop" and sweep:
        guarded(lambda: lab().sweeping.cancel(sweep))
    elif name == "reset":
        choose_sweep(replace(choice, sweep=None))


def _start(choice: SweepChoice) -> None:
    sweep = lab().sweeping.start(choice.name, choice.specs)
    choose_sweep(replace(choice, sweep=sweep.id))


def form(choice: SweepChoice) -> None:
    """The base network, the fields with their values, and the seeds; what cannot be is said."""
    where, why = choice.refusal
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        with st.container(width=2 * WIDTH_OF_VALUES):
            st.session_state["sweep_base"] = choice.base
            st.text_input(
                "What all runs share", key="sweep_base", on_change=_set_base,
                help="A network in short form, such as resnet-20,width=8,steps=300.",
            )  # fmt: skip
        with st.container(width=WIDTH_OF_FIELD):
            st.session_state["sweep_seeds"] = choice.seeds
            st.select_slider(
                "seeds", range(1, MOST_SEEDS + 1), key="sweep_seeds", on_change=_set_seeds,
                help="Each combination is trained once a seed.",
            )  # fmt: skip
    if where == "base":
        _refused(why)
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        for index in range(min(len(choice.grid) + 1, MOST_FIELDS)):
            _row(index, choice)
    if where == "grid":
        _refused(why)


def _row(index: int, choice: SweepChoice) -> None:
    """One field of the grid with its values; the last one is empty and adds a field."""
    field, values = (*choice.grid, (None, ""))[index]
    key, values_key = f"sweep_field_{index}", f"sweep_values_{index}"
    taken = {name for name, _ in choice.grid} - {field}
    st.session_state[key], st.session_state[values_key] = field, values
    with st.container(horizontal=True, gap="small", width="content", vertical_alignment="bottom"):
        with st.container(width=WIDTH_OF_FIELD):
            st.selectbox(
                f"Field {index + 1}", [name for name in FIELDS if name not in taken], key=key,
                index=None, placeholder="another field", format_func=field_words,
                on_change=_set_field, args=(index,),
            )  # fmt: skip
        if field:
            with st.container(width=WIDTH_OF_VALUES):
                st.text_input(
                    f"Values of {field}", key=values_key, on_change=_set_values, args=(index,),
                    help="With commas between them; lists are written as in the short form.",
                )  # fmt: skip


def field_words(field: str) -> str:
    """A field as one types it, and in words where that is not the same."""
    words = LABELS.get(field, field)
    return field if words.replace(" ", "_") == field else f"{field}: {words}"


def _refused(why: str) -> None:
    st.markdown(f":red[{escaped(why)}]")


def _set_base() -> None:
    base = str(st.session_state["sweep_base"]).strip()
    _change(base=base or SweepChoice().base)


def _set_seeds() -> None:
    _change(seeds=int(st.session_state["sweep_seeds"]))


def _set_field(index: int) -> None:
    """Vary another field, from the value that the base has; none leaves the row out."""
    choice = current_sweeps()
    field = st.session_state[f"sweep_field_{index}"]
    row = [(field, _present(choice.base, field))] if field else []
    _change(grid=(*choice.grid[:index], *row, *choice.grid[index + 1 :]))


def _present(base: str, field: str) -> str:
    """The value of a field in the base network, as one types it; "" for one of a list."""
    try:
        value = parse(base).network.family if field == "family" else value_of(parse(base), field)
    except SpecError:
        return ""
    return "" if isinstance(value, tuple) else said(value)


def _set_values(index: int) -> None:
    choice = current_sweeps()
    field, _ = choice.grid[index]
    row = (field, str(st.session_state[f"sweep_values_{index}"]).strip())
    _change(grid=(*choice.grid[:index], row, *choice.grid[index + 1 :]))


def _change(**changes: Any) -> None:
    """Another grid: the attached sweep is left to itself."""
    choose_sweep(replace(current_sweeps(), sweep=None, **changes))


def metric(choice: SweepChoice) -> None:
    """Which number of each run's end is drawn."""

    def pick() -> None:
        chosen: Metric = st.session_state["sweep_metric"] or "train_error"
        choose_sweep(replace(current_sweeps(), metric=chosen))

    st.session_state["sweep_metric"] = choice.metric
    st.segmented_control(
        "What is drawn", METRICS, key="sweep_metric", on_change=pick,
        format_func=lambda name: capital(NAMES[name]), label_visibility="collapsed",
    )  # fmt: skip


def figures(url: str) -> None:
    """Where the runs end, and a mark for every run."""
    st.html(STYLE)
    charts("sweep", url, FIGURES, wide=FIGURES)
    members("members", url)


def fixed(choice: SweepChoice) -> None:
    """What all runs of one seed share, and what differs."""
    specs = _on_show(choice)
    if not specs:
        return
    one_seed = [spec for spec in specs if spec.seed == specs[0].seed]
    sentence, _ = held_fixed(one_seed, [""] * len(one_seed))
    differ = ", ".join(varied(specs)) or "nothing but the seed"
    seeds = len({spec.seed for spec in specs})
    more = f" {seeds} seeds draw weights and order anew." if seeds > 1 else ""
    st.markdown(f"{escaped(sentence)} Differs: {escaped(differ)}.{more}")


def other_sweep(choice: SweepChoice) -> None:
    """Say so where the sweep on show is not of the grid in the form."""
    try:
        sweep = lab().store.sweeps.get(choice.sweep) if choice.sweep else None
    except StoreError:  # the panels say so
        return
    if sweep is None:
        return
    members = {member.key for member in sweep.members}
    if any(choice.refusal) or members != {spec.key for spec in choice.specs}:
        name = escaped(sweep.name)
        st.markdown(f"On show: **{name}**. The form above is for a new sweep.")


def _on_show(choice: SweepChoice) -> list[RunSpec]:
    """The members of the attached sweep, else the form's runs; none if those cannot be."""
    try:
        sweep = lab().store.sweeps.get(choice.sweep) if choice.sweep else None
    except StoreError:  # the panels say so
        return []
    if sweep is not None:
        return [member.spec for member in sweep.members]
    return [] if any(choice.refusal) else list(choice.specs)


def listed(choice: SweepChoice, url: str) -> None:
    """The newest sweeps of the store; a press puts one into the address."""
    st.subheader("Sweeps on this machine")
    st.caption(
        "The newest, those that a terminal or another program trains, too. One press shows a sweep "
        "above, where it can be cancelled and resumed."
    )

    def pressed() -> None:
        event = st.session_state["sweeps"].get("attach")
        name = event.get("id") if isinstance(event, dict) else None
        if isinstance(name, str) and 0 < len(name) <= LONGEST_ID:
            attach(name)

    _list(key="sweeps", data={"url": url, "chosen": choice.sweep or ""}, on_attach_change=pressed)


def attach(name: str) -> None:
    """Show that sweep; the form keeps its grid."""
    if lab().store.sweeps.state(name) is None:
        complain(f"sweep: '{name}' is not in the store")
        return
    choose_sweep(replace(current_sweeps(), sweep=name))


GUIDE = """
**A dot is one run**, at the value of the field with the most values; colour and symbol name the
values of all other fields, which stand side by side. The bar is the mean over the seeds. A run that
**diverged** is a cross at chance: what it would guess. Runs that have not ended are left out until
they do, and the note above the chart counts them.

**Training error** is 1 - the accuracy on the training batches, the mean over the last epoch;
**training loss** is the mean over the same batches, on a log axis. **Test error** is the last
reading on the whole test set. The best of many runs is best by luck, too: look at how far the seeds
lie apart before you believe a difference, and train the winner again from other seeds.

**Every field of the short form** can be varied: `lr` from `0.3,0.1,0.01`, `norm` from `batch,none`,
`depth` from `8,20,56`, `shortcut` from `none,zero_pad,projection`. What the store has trained
already is taken from there. The same grid from a terminal is
`explorer sweep plain-20,width=8 --grid lr=0.3,0.1,0.01 --grid norm=batch,none --seeds 2`; it shows
up in the list below while it trains.
"""

SOURCES = """
The time is estimated from this machine's newest runs, or from the program's own measurements before
there are any. FLOPs: multiply-adds of convolutions and linear layers times two, the backward pass
counted as two forward passes (Kaplan et al. 2020, arXiv 2001.08361). The mean over the last epoch:
one batch of 128 cannot tell an error of 0.5 % from none; He et al. 2015 (arXiv 1512.03385, fig. 6)
draw training error likewise while the network trains.
"""


def reading_guide() -> None:
    """How to read the page, and where it comes from."""
    with st.expander("How to read this"):
        st.markdown(GUIDE)
    with st.expander("Source"):
        st.markdown(SOURCES)
