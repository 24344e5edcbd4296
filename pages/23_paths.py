"""Along which paths does the gradient come back?

A residual network written out as the sum of its paths, and the gradient by path length, measured
in a trained network.
"""

from pathlib import Path

import streamlit as st

from explorer.ui.components import charts
from explorer.ui.inside import guides, paths
from explorer.ui.inside.controls import (
    network_rows,
    pick_word,
    progress_bar,
    reading_guide,
    same_elsewhere,
)
from explorer.ui.inside.state import current_inside, inside_url
from explorer.ui.lesion_panels import unravelled
from explorer.ui.pages import question

st.title(question(Path(__file__)))
st.caption(
    "With n skip connections there are 2ⁿ ways from the input to the output. Point at one: it is "
    "one term of the sum that the network computes, if every F is linear."
)
choice = current_inside()
pick_word("Blocks", "n", {name: name for name in "123456"})
url = inside_url("paths", choice, paths.FIGURES)
unravelled("unravelled", url)
st.subheader("The gradient by path length, measured")
weights = network_rows("paths", choice)
if weights:
    if paths.residual(weights):
        progress_bar("paths", url)
        draws = {name: name for name in ("4", "16", "64", "200")}
        pick_word("Paths drawn of each length", "draws", draws)
        charts("paths", url, (*paths.FIGURES, "sentences"), wide=paths.FIGURES)
    else:
        st.markdown(
            "A plain network has a single path, which runs through every F: there is no length "
            "to choose from. Take a residual network, or put one beside it."
        )
    guides.held_fixed(weights, "training mode, one batch")
    same_elsewhere("paths", choice)
    reading_guide(guides.PATHS, guides.PATHS_SOURCES)
