"""What gradient reaches every block, and what does theory say?

‖dL/dx‖ and the size of the signal at every block, over seeds, beside the predicted curve and its
region; for any network, at initialisation and at every stored step of a run.
"""

from pathlib import Path

import streamlit as st

from explorer.ui.components import charts, facts
from explorer.ui.gradients import guides, profile
from explorer.ui.gradients.form import any_networks
from explorer.ui.gradients.steps import play_steps
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
    "Solid is measured, dotted is predicted, the band holds 80 % of the seeds. Where no formula is "
    "known nothing is predicted."
)
choice = current_inside()
weights = any_networks("gradient_profile", choice)
if weights:
    url = inside_url("gradient_profile", choice, profile.FIGURES)
    play_steps(weights)
    if any(one.step == 0 for one in weights):  # a trained network has no other seeds
        pick_word("Seeds", "seeds", profile.SEEDS)
    progress_bar("gradient_profile", url)
    charts("profile", url, (*profile.FIGURES, "sentences"), wide=())
    facts("slopes", url, "slopes")
    held_fixed(weights, "training mode, first batch of the run")
    same_elsewhere("gradient_profile", choice)
    reading_guide(guides.PROFILE, guides.PROFILE_SOURCES)
