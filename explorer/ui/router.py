"""Run for every visitor at every change: which pages there are, and the one chosen."""

import streamlit as st

from explorer.ui.pages import BRAND, menu, navigation

page = navigation()
st.set_page_config(page_title=f"{page.title} | {BRAND}", layout="wide")
# Streamlit's header is empty, and must not lie over the navigation.
st.html(
    """<style>
    .stMainBlockContainer {padding-top: 0.5rem}
    .stAppHeader {background: none; pointer-events: none}
    h1 {font-size: 2.1rem !important; padding-top: 0 !important}
    .page-link {color: inherit; text-underline-offset: 0.2em}
    </style>"""
)
menu(page)
page.run()
