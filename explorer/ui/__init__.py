"""The app's own parts: what a page chooses, shows and commands. Streamlit lives here only."""
