"""What does the answer rest on?

Captum's attributions of one image, plain and residual network side by side, each with the error
that it states; and which methods would be wrong on these networks.
"""

from pathlib import Path

import streamlit as st

from explorer.ui.components import charts
from explorer.ui.inside import attributions, guides
from explorer.ui.inside.controls import (
    choose_input,
    network_rows,
    progress_bar,
    reading_guide,
    same_elsewhere,
)
from explorer.ui.inside.state import current_inside, inside_url
from explorer.ui.pages import question

st.title(question(Path(__file__)))
st.caption(
    "Five ways to ask which places of the image, or which units of a block, the answer came from. "
    "They need not agree; each says how far it keeps its own promise."
)
choice = current_inside()
weights = network_rows("attributions", choice)
if weights:
    url = inside_url("attributions", choice, attributions.FIGURES)
    progress_bar("attributions", url)
    choose_input(choice, url, weights[0])
    attributions.controls(choice, weights)
    charts("attributions", url, (*attributions.FIGURES, "sentences"), wide=attributions.FIGURES)
    guides.held_fixed(weights)
    same_elsewhere("attributions", choice)
    reading_guide(guides.ATTRIBUTIONS, guides.ATTRIBUTIONS_SOURCES)
