"""The navigation, built from the files in pages/: `10_playground.py` is the first page's.

The first digit of a file's name is its group, its docstring's first line its question.
"""

import ast
from pathlib import Path

import streamlit as st
from streamlit.navigation.page import StreamlitPage

FOLDER = Path(__file__).parents[2] / "pages"
MOST_SIDE_BY_SIDE = 5
GROUPS = {"1": "Play", "2": "Understand", "3": "Compare", "4": "Yours"}


def page_files() -> list[Path]:
    """The files of all pages, in the order of the navigation."""
    return sorted(FOLDER.glob("[1-9][0-9]_*.py"))


def title(file: Path) -> str:
    """A page's name in the navigation: its file's, in words."""
    return file.stem[3:].replace("_", " ").capitalize()


def question(file: Path) -> str:
    """The question that the page answers: the first line of its docstring."""
    docstring = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or title(file)
    return docstring.splitlines()[0]


def navigation() -> StreamlitPage:
    """The page that the address names; groups with no page yet are not shown.

    Few pages stand side by side, one press away; more are grouped.
    """
    groups: dict[str, list[StreamlitPage]] = {}
    for file in page_files():
        page = st.Page(
            file, title=title(file), url_path=file.stem[3:], default=file == page_files()[0]
        )
        groups.setdefault(GROUPS[file.name[0]], []).append(page)
    pages = [page for group in groups.values() for page in group]
    if len(pages) <= MOST_SIDE_BY_SIDE:
        return st.navigation(pages, position="top")
    return st.navigation(groups, position="top")
