"""Why would a gradient vanish, or explode?

A product of n factors, one a layer: the usual picture of the vanishing gradient as something to
turn the knobs of, and the real network of the same setting behind it.
"""

from pathlib import Path

import streamlit as st

from explorer.spec import SpecError
from explorer.ui.components import charts
from explorer.ui.gradients import factors, guides
from explorer.ui.inside.controls import pick_word, progress_bar, reading_guide
from explorer.ui.inside.state import InsideChoice, choose_inside, current_inside, inside_url
from explorer.ui.pages import question
from explorer.ui.panels import escaped

st.title(question(Path(__file__)))
st.caption(
    "Every layer multiplies the gradient by a factor on its way from the loss to the input. Below "
    "1 it vanishes, above 1 it explodes; s, the variance of the weights, decides."
)
choice = current_inside()
try:
    factors.variance_of(choice)
except SpecError as error:
    st.error(escaped(str(error)))
    choice = InsideChoice()
    st.button("Start again", on_click=choose_inside, args=(choice,))
pick_word("Activation", "activation", factors.ACTIVATIONS)
factors.controls(choice)
url = inside_url("product_of_factors", choice, factors.FIGURES)
progress_bar("product_of_factors", url)
charts("factors", url, (*factors.FIGURES, "sentences"), wide=("gradient",))
reading_guide(guides.FACTORS, guides.FACTORS_SOURCES)
