"""The browser panels of the Lesions and the Paths pages: lesions.js and unravelled.js."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import streamlit as st

from explorer.ui.components import panel

Order = tuple[int, ...]  # the block that runs in each place, 0 where it is deleted


_lesions = panel("lesions", space=392)
_unravelled = panel("unravelled", space=512)


def lesions(
    key: str, url: str, on_lesion: Callable[[int, Order], None], shape: Sequence[int]
) -> None:
    """The trained networks of the view behind `url`, whose blocks can be deleted or swapped.

    `on_lesion` is given the arm and what now runs in its places; `shape` is blocks an arm.
    """

    def changed() -> None:
        lesion = read_lesion(st.session_state[key], shape)
        if lesion is not None:
            on_lesion(*lesion)

    _lesions(key=key, data={"url": url}, on_lesion_change=changed)


def unravelled(key: str, url: str) -> None:
    """The unravelled graph of the view behind `url`, with the paths that run through it."""
    _unravelled(key=key, data={"url": url})


def read_lesion(events: Mapping[str, Any], shape: Sequence[int]) -> tuple[int, Order] | None:
    """The arm and the order of its blocks in the panel's event.

    None if there is none, or it does not fit `shape` (blocks an arm): a browser may answer for
    networks that have been replaced meanwhile, or send anything at all. No block runs twice;
    whether two may change places is for the network to say.
    """
    event = events.get("lesion")
    if not isinstance(event, dict):
        return None
    arm, order = event.get("arm"), event.get("order")
    if type(arm) is not int or not 0 <= arm < len(shape) or not isinstance(order, list):
        return None
    blocks = shape[arm]
    if len(order) != blocks or not all(type(one) is int and 0 <= one <= blocks for one in order):
        return None
    running = [one for one in order if one]
    return (arm, tuple(order)) if len(set(running)) == len(running) else None
