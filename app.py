"""The app: `streamlit run app.py`, or `explorer app`."""

import streamlit as st

from explorer.ui.server import ROUTES, SCRIPT, explain, lifetime

# The assignment stands here, as Streamlit finds an App by reading this file.
app = st.App(SCRIPT, routes=ROUTES, lifespan=lifetime, on_script_error=explain)
