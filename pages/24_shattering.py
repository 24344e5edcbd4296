"""Does the gradient at one input tell anything about the next?

Shattered gradients: the derivative of a function of one variable along its input, for plain and
residual networks, beside white and brown noise; and across two inputs by depth, beside theory.
"""

from pathlib import Path

import streamlit as st

from explorer.ui.components import charts
from explorer.ui.gradients import guides, shattering
from explorer.ui.inside.controls import pick_word, progress_bar, reading_guide
from explorer.ui.inside.state import current_inside, inside_url
from explorer.ui.pages import question

st.title(question(Path(__file__)))
st.caption(
    "A gradient that is as good as noise cannot guide a step. These are functions of one number; "
    "their derivative should change little from a point to its neighbour."
)
choice = current_inside()
pick_word("Blocks", "blocks", shattering.DEPTHS)
url = inside_url("shattering", choice, shattering.FIGURES)
progress_bar("shattering", url)
charts("shattering", url, shattering.FIGURES, wide=shattering.FIGURES[:1])
reading_guide(guides.SHATTERING, guides.SHATTERING_SOURCES)
