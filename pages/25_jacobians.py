"""How much does a network stretch and squeeze?

Singular values of Jacobians, of blocks, of the way from the stem and of the whole network, at
initialisation or at a stored step.
"""

from pathlib import Path

import streamlit as st

from explorer.ui.components import charts
from explorer.ui.gradients import guides, jacobians
from explorer.ui.gradients.form import any_networks
from explorer.ui.inside.controls import progress_bar, reading_guide, same_elsewhere
from explorer.ui.inside.guides import held_fixed
from explorer.ui.inside.state import current_inside, inside_url
from explorer.ui.pages import question

st.title(question(Path(__file__)))
st.caption(
    "A gradient is multiplied by the Jacobian on its way back. If all its singular values are near "
    "1, no direction vanishes and none explodes, whatever the product of a few numbers says."
)
choice = current_inside()
weights = any_networks("jacobians", choice)
if weights:
    url = inside_url("jacobians", choice, jacobians.FIGURES)
    progress_bar("jacobians", url)
    charts("jacobians", url, (*jacobians.FIGURES, "sentences"), wide=jacobians.FIGURES[:1])
    held_fixed(weights, "training mode, one example of the first batch")
    same_elsewhere("jacobians", choice)
    reading_guide(guides.JACOBIANS, guides.JACOBIANS_SOURCES)
