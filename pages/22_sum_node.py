"""What does a sum do to the gradient?

One block with the numbers of a real forward and backward pass on every arrow, in slow motion; then
what a ReLU after the sum, a projection, a zeroed branch or a cut skip changes.
"""

from dataclasses import replace
from pathlib import Path

import streamlit as st

from explorer.ui.gradients import sum_node, sum_node_guide
from explorer.ui.gradients.form import any_networks
from explorer.ui.inside.controls import pick_word, progress_bar, reading_guide
from explorer.ui.inside.guides import held_fixed
from explorer.ui.inside.state import current_inside, inside_url
from explorer.ui.pages import question
from explorer.ui.sum_node_panel import sum_node as diagram

st.title(question(Path(__file__)))
st.caption(
    "A skip connection adds x to F(x). On the way back the sum copies its gradient to both, and "
    "so one copy gets past F untouched. Press Play to see it happen."
)
choice = current_inside()
choice = replace(choice, nets=choice.nets[:1])
weights = any_networks("sum_node", choice)[:1]
if weights:
    url = inside_url("sum_node", choice, sum_node.FIGURES)
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        sum_node.block_slider(weights[0], choice)
        pick_word("The block", "variant", sum_node.VARIANTS)
    diagram("sum_node", url)
    progress_bar("sum_node", url)
    held_fixed(weights, "training mode, first batch of the run")
    reading_guide(sum_node_guide.GUIDE, sum_node_guide.SOURCES)
