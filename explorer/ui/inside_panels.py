"""The browser panels of the Blocks page as Streamlit components: feature maps, and the image."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import streamlit as st
from streamlit.components.v2.types import ComponentRenderer

from explorer.image_names import DRAWN_LEVELS

SPACE = {"maps": 960, "picture": 330}  # px held until the panel is drawn

STORED = re.compile(r"(?:test|train):(?:0|[1-9][0-9]{0,8})")
DRAWN = "drawn:"


def _panel(name: str) -> ComponentRenderer:
    loader = (
        f'const address = new URL("/assets/{name}.js", location.origin).href;\n'
        "export default (args) => import(address).then((panel) => panel.mount(args));\n"
    )
    space = f'<div class="panel-space" style="min-height: {SPACE[name]}px"></div>'
    return st.components.v2.component(
        f"explorer_{name}", html=space, js=loader, isolate_styles=False
    )


_maps = _panel("maps")
_picture = _panel("picture")


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
