"""What does a trained network lose without a block?

Delete blocks by a press, swap them, damage them; many at random, and each alone.
"""

from pathlib import Path

import streamlit as st

from explorer.ui.components import charts
from explorer.ui.inside import guides, lesions
from explorer.ui.inside.controls import network_rows, progress_bar, reading_guide, same_elsewhere
from explorer.ui.inside.state import current_inside, inside_url
from explorer.ui.lesion_panels import lesions as rows_of_blocks
from explorer.ui.pages import question

st.title(question(Path(__file__)))
st.caption(
    "Press a block and it is gone: of a residual block the shortcut stays, of a plain one nothing. "
    "The accuracy is measured anew on the whole test set, without any further training."
)
choice = current_inside()
weights = network_rows("lesions", choice)
if weights:
    url = inside_url("lesions", choice, lesions.figures_of(weights))
    progress_bar("lesions", url)
    lesions.controls(weights)
    rows_of_blocks("lesions", url, lesions.set_order, [lesions.blocks_of(one) for one in weights])
    lesions.choose_harm()
    charts("charts", url, lesions.figures_of(weights), wide=("each",))
    guides.held_fixed(weights)
    same_elsewhere("lesions", choice)
    reading_guide(guides.LESIONS, guides.LESIONS_SOURCES)
