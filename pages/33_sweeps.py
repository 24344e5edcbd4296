"""What changes over a whole grid?

Any fields of a network and its recipe, every combination of their values, from several seeds:
trained from here, and where each run ends; every sweep of the store, to be cancelled and resumed.
"""

from pathlib import Path

import streamlit as st

from explorer.ui import sweeps
from explorer.ui.components import transport
from explorer.ui.pages import question
from explorer.ui.panels import trouble
from explorer.ui.sweeps_state import current_sweeps, sweeps_url

choice = current_sweeps()
url = sweeps_url(choice, sweeps.FIGURES)

st.title(question(Path(__file__)))
st.caption(
    "Every combination of the values you list is trained once a seed, several at a time. A dot is "
    "where one run ends."
)
sweeps.form(choice)
sweeps.other_sweep(choice)
transport("transport", url, sweeps.command)
trouble()
sweeps.metric(choice)
sweeps.figures(url)
sweeps.fixed(choice)
sweeps.listed(choice, url)
sweeps.reading_guide()
