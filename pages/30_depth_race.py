"""Do deeper networks train worse?

The same networks at several depths, with and without skip connections, from several seeds:
training and test error while they train, and the final error against depth.
"""

import streamlit as st

from explorer.ui import race
from explorer.ui.components import transport
from explorer.ui.panels import trouble
from explorer.ui.race_state import current_race, race_url

choice = current_race()
url = race_url(choice, race.FIGURES)

st.title("Do deeper networks train worse?")
st.caption(
    "Error while training, and at the end against depth: figure 6 of He et al. 2015, made anew "
    "on this machine, with seeds and intervals. Until you train, recorded runs stand here."
)
race.choose(choice)
transport("transport", url, race.command)
trouble()
race.drawing(choice)
race.figures(url)
race.rule_out(url)
race.fixed(choice)
race.reading_guide()
