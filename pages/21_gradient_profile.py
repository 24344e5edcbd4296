"""What gradient reaches every block, and what does theory say?

‖dL/dx‖ and the size of the signal at every block, over seeds, beside the predicted curve and its
region; for any network, at initialisation and at every stored step of a run.
"""

from pathlib import Path

import streamlit as st

from explorer.ui.components import charts
from explorer.ui.gradients import guides, profile
from explorer.ui.gradients.form import any_networks
from explorer.ui.inside.controls import pick_word, progress_bar, reading_guide
from explorer.ui.inside.guides import held_fixed
from explorer.ui.inside.state import current_inside, inside_url
from explorer.ui.pages import question

st.title(question(Path(__file__)))
st.caption(
    "Solid is measured, dotted is predicted, the band holds 80 % of the seeds. Where no formula is "
    "known nothing is predicted."
)
choice = current_inside()
weights = any_networks("gradient_profile", choice)
if weights:
    url = inside_url("gradient_profile", choice, profile.FIGURES)
    progress_bar("gradient_profile", url)
    pick_word("Seeds", "seeds", profile.SEEDS)
    charts("profile", url, (*profile.FIGURES, "sentences"), wide=())
    held_fixed(weights, "training mode, first batch of the run")
    reading_guide(guides.PROFILE, guides.PROFILE_SOURCES)
