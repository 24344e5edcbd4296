"""The stored steps of the networks on show, played one after the other."""

import time
from dataclasses import replace

import streamlit as st

from explorer.ui.inside.state import choose_inside, current_inside
from explorer.weights import Weights

PAUSE = 1.5  # seconds that a step stays on show
PLAYING, MOVED = "steps_playing", "steps_moved"  # whether they play, and when the last one came


def play_steps(weights: tuple[Weights, ...]) -> None:
    """A button that goes through the stored steps, all networks together, from the first on."""
    if all(len(one.steps) == 1 for one in weights):
        return
    playing = bool(st.session_state.get(PLAYING))
    word = "Stop" if playing else "Play the stored steps"
    st.button(word, key="play_steps", on_click=_press, args=(weights,))
    if playing:
        _move(weights)


def _press(weights: tuple[Weights, ...]) -> None:
    """Start from the step on show, from 0 where that is the last; or stop."""
    playing = not st.session_state.get(PLAYING)
    st.session_state.update({PLAYING: playing, MOVED: time.monotonic()})
    if playing and later(weights) is None:
        choose_inside(replace(current_inside(), nets=tuple(at(one, 0) for one in weights)))


@st.fragment(run_every=PAUSE)
def _move(weights: tuple[Weights, ...]) -> None:
    """The next step, once this one has been on show long enough; the last one ends it."""
    now = time.monotonic()
    if now - st.session_state[MOVED] < 0.8 * PAUSE:  # the page itself has just been drawn
        return
    nets = later(weights)
    st.session_state.update({PLAYING: nets is not None, MOVED: now})
    if nets is not None:
        choose_inside(replace(current_inside(), nets=nets))
    st.rerun()


def later(weights: tuple[Weights, ...]) -> tuple[str, ...] | None:
    """The networks at the next step that any of them has stored; None after the last.

    Each is then at its last step up to that one.
    """
    now = max(one.step for one in weights)
    ahead = [step for one in weights for step in one.steps if step > now]
    if not ahead:
        return None
    return tuple(at(one, max(step for step in one.steps if step <= min(ahead))) for one in weights)


def at(one: Weights, step: int) -> str:
    """The network at another step, as an address names it."""
    return f"{one.text.rpartition('@')[0]}@{step}"
