"""How deep does a gradient reach?

The gradient at the first block over that at the last, from depth 2 to 1000, plain and residual,
beside theory; for the networks you choose, or for every initialisation or normalisation.
"""

from pathlib import Path

import streamlit as st

from explorer.ui.components import charts
from explorer.ui.gradients import depths, guides
from explorer.ui.gradients.form import any_networks
from explorer.ui.inside.controls import (
    pick_word,
    progress_bar,
    reading_guide,
    same_elsewhere,
)
from explorer.ui.inside.guides import held_fixed
from explorer.ui.inside.state import current_inside, inside_url
from explorer.ui.pages import question

st.title(question(Path(__file__)))
st.caption(
    "Each point is a network of that depth at initialisation. Inside the shaded zone, between a "
    "thousandth and a thousand times, a gradient counts as arriving."
)
choice = current_inside()
weights = any_networks("gradient_by_depth", choice, steps=False)
if weights:
    url = inside_url("gradient_by_depth", choice, depths.FIGURES)
    pick_word("Beside depth, vary", "grid", depths.GRIDS)
    progress_bar("gradient_by_depth", url)
    charts("depths", url, depths.FIGURES, wide=depths.FIGURES)
    _, start = depths.panels(choice, weights)[0]
    held_fixed(tuple(start), "at every depth; training mode, first batch")
    same_elsewhere("gradient_by_depth", choice)
    reading_guide(guides.DEPTHS, guides.DEPTHS_SOURCES)
