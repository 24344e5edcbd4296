"""Can a 56-layer network learn these images?

Two networks of the same layers, one with skip connections: what gradient reaches each block,
and what each learns from the same batches.
"""

import streamlit as st

from explorer.ui import panels, playground
from explorer.ui.components import transport
from explorer.ui.state import current, view_url

choice = current()
shown = panels.shown_figures(choice)
url = view_url(choice, shown)

st.title(panels.question(choice))
panels.presets(choice)
panels.controls(choice)
panels.banner(choice)
transport("transport", url, playground.command)
panels.trouble()
panels.twins(choice, url)
panels.figures(url, shown)
panels.arms_editor(choice)
panels.more_controls(choice)
panels.reading_guide()
