"""Do the blocks of a deep network see different things?

Linear CKA between all blocks of a plain and a residual network, and of one with the other.
"""

from pathlib import Path

import streamlit as st

from explorer.ui.components import charts
from explorer.ui.inside import guides, similarity
from explorer.ui.inside.controls import (
    network_rows,
    pick_word,
    progress_bar,
    reading_guide,
    same_elsewhere,
)
from explorer.ui.inside.state import current_inside, inside_url
from explorer.ui.pages import question

WIDTH, WIDTH_ALONE = 362, 720  # px; three beside each other
HEIGHT = 460  # px held until a map is drawn

st.title(question(Path(__file__)))
st.caption(
    "Each square compares two blocks by the test images that they find alike. A large square of "
    "one colour is depth that changes nothing."
)
choice = current_inside()
weights = network_rows("similarity", choice)
if weights:
    url = inside_url("similarity", choice, similarity.FIGURES)
    progress_bar("similarity", url)
    with st.container(horizontal=True, gap="small"):
        pick_word("Estimate", "debiased", {"1": "Debiased", "0": "Biased"})
        pick_word("Features", "pooled", {"1": "Channel means", "0": "Every pixel"})
    shown = similarity.FIGURES if len(weights) > 1 else similarity.FIGURES[:1]
    with st.container(horizontal=True, gap="small"):
        for name in shown:
            with st.container(width=WIDTH if len(weights) > 1 else WIDTH_ALONE):
                charts(f"similarity_{name}", url, (name,), (name,), heights={name: HEIGHT})
    guides.held_fixed(weights)
    same_elsewhere("similarity", choice)
    reading_guide(guides.SIMILARITY, guides.SIMILARITY_SOURCES)
