"""What does every block add to its input?

Feature maps of x, F(x) and their sum in every block, for an image you choose, draw or upload;
what each block does on the whole test set; and what the network would say if it ended there.
"""

from dataclasses import replace
from pathlib import Path

import streamlit as st

from explorer.ui.components import charts
from explorer.ui.inside import blocks, guides
from explorer.ui.inside.controls import (
    choose_input,
    network_rows,
    pick_word,
    progress_bar,
    reading_guide,
    same_elsewhere,
)
from explorer.ui.inside.state import choose_inside, current_inside, inside_url
from explorer.ui.inside_panels import maps
from explorer.ui.pages import question

st.title(question(Path(__file__)))
st.caption(
    "Choose a digit, draw one, or upload one, and follow it through the blocks of a trained "
    "network: what comes in, what F adds, what goes on."
)
choice = current_inside()
weights = network_rows("blocks", choice)
if weights:
    url = inside_url("blocks", choice, blocks.figures_of(weights))
    progress_bar("blocks", url)
    choose_input(choice, url, weights[0])
    maps(
        "maps",
        url,
        max(blocks.blocks_of(one) for one in weights),
        lambda block: choose_inside(replace(current_inside(), block=block)),
    )
    pick_word("What is drawn by block", "what", blocks.WORDS_OF_QUANTITY)
    others = {"0": "the networks above", "1": "and the program's other depths"}
    pick_word("Of", "others", others)
    charts("inside", url, blocks.figures_of(weights), wide=("quantity",))
    guides.held_fixed(weights)
    same_elsewhere("blocks", choice)
    reading_guide(guides.BLOCKS, guides.BLOCKS_SOURCES)
