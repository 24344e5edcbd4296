"""The browser panels of the Blocks page as Streamlit components: feature maps, and the image."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import streamlit as st

from explorer.image_names import DRAWN_LEVELS
from explorer.ui.components import panel

STORED = re.compile(r"(?:test|train):(?:0|[1-9][0-9]{0,8})")
DRAWN = "drawn:"


_maps = panel("maps", space=960)
_picture = panel("picture", space=330)


def maps(key: str, url: str, blocks: int, on_block: Callable[[int], None]) -> None:
    """The view's feature maps; `on_block` is given the block, 1 to `blocks`, that is chosen."""

    def chosen() -> None:
        block = read_block(st.session_state[key], blocks)
        if block is not None:
            on_block(block)

    _maps(key=key, data={"url": url}, on_block_change=chosen)


def picture(key: str, url: str, shape: Sequence[int], on_picture: Callable[[str], None]) -> None:
    """The image on show, of `shape` (C, H, W), and others to choose from.

    `on_picture` is given the id of the one that is chosen or drawn, see `read_picture`.
    """

    def chosen() -> None:
        found = read_picture(st.session_state[key], shape)
        if found is not None:
            on_picture(found)

    _picture(key=key, data={"url": url}, on_picture_change=chosen)


def read_block(events: Mapping[str, Any], blocks: int) -> int | None:
    """The block in the maps' event; None if there is none, or it is not from 1 to `blocks`."""
    event = events.get("block")
    block: object = event.get("block") if isinstance(event, dict) else None
    return block if type(block) is int and 1 <= block <= blocks else None


def read_picture(events: Mapping[str, Any], shape: Sequence[int]) -> str | None:
    """The id in the picture's event: "test:17", "train:4", or "drawn:" and a sign a pixel.

    None if there is none, or it has not its form. Only images of one channel are drawn; their
    signs are the levels 0 to 16 of H * W pixels, row by row.
    """
    event = events.get("picture")
    name: object = event.get("id") if isinstance(event, dict) else None
    if not isinstance(name, str):
        return None
    return name if STORED.fullmatch(name) or _is_drawing(name, shape) else None


def _is_drawing(name: str, shape: Sequence[int]) -> bool:
    """Whether it is "drawn:" and a level for each pixel of one channel."""
    signs = name.removeprefix(DRAWN)
    if not name.startswith(DRAWN) or len(shape) != 3 or shape[0] != 1:
        return False
    return len(signs) == shape[1] * shape[2] and set(signs) <= set(DRAWN_LEVELS)
