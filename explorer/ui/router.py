"""Run for every visitor at every change: which pages there are, and the one chosen."""

import streamlit as st

from explorer.ui.pages import navigation

st.set_page_config(page_title="Residual Explorer", layout="wide")
st.html(
    """<style>
    .stMainBlockContainer {padding-top: 3rem}
    h1 {font-size: 2.1rem !important; padding-top: 0 !important}
    .brand {position: absolute; top: -2rem; font-weight: 600; opacity: 0.75}
    </style><div class="brand">Residual Explorer</div>"""
)
navigation().run()
