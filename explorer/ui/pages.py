"""The pages and the way between them, from the files in pages/: `10_playground.py` comes first.

The first digit of a file's name is its group, its docstring's first line its question.
"""

import ast
import html
from pathlib import Path
from urllib.parse import urlencode

import streamlit as st
from streamlit.navigation.page import StreamlitPage

from explorer.ui.components import panel

FOLDER = Path(__file__).parents[2] / "pages"
GROUPS = {"1": "Play", "2": "Understand", "3": "Compare", "4": "Yours"}
BRAND = "Residual Explorer"

# Streamlit's own navigation has no sections that pass axe, and its links mark no current page.
_panel = panel("navigation", space=37)


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


def paths() -> dict[Path, str]:
    """The path of each page's address: its file's name; the first page's is "/"."""
    first, *others = page_files()
    return {first: "/", **{file: f"/{file.stem[3:]}" for file in others}}


def address(file_stem: str, **query: str | list[str]) -> str:
    """The address of the page in `pages/<file_stem>.py` with that query.

    Raises ValueError if there is no such page.
    """
    known = {file.stem: path for file, path in paths().items()}
    if file_stem not in known:
        raise ValueError(f"page: {file_stem!r} is not allowed; one of {', '.join(known)}")
    return known[file_stem] + (f"?{urlencode(query, doseq=True)}" if query else "")


def link_to(file_stem: str, label: str, **query: str | list[str]) -> None:
    """A link to another page, which opens with that query and without a reload."""
    target = html.escape(address(file_stem, **query))
    # The navigation takes the press over. A `st.page_link` to the first page is no use in a new
    # tab, as it names no path, and it cannot stand on a page that is run alone.
    st.html(f'<a class="page-link" href="{target}">{html.escape(label)}</a>', width="content")


def navigation() -> StreamlitPage:
    """The page that the address names, to be run after `menu` has drawn the way to the others."""
    files = page_files()
    pages = [
        st.Page(file, title=title(file), url_path=file.stem[3:], default=file == files[0])
        for file in files
    ]
    return st.navigation(pages, position="hidden")


def menu(current: StreamlitPage) -> None:
    """The groups, and the pages of the current one; groups with no page yet are not shown."""
    groups: dict[str, list[dict[str, str]]] = {}
    for file, path in paths().items():
        groups.setdefault(GROUPS[file.name[0]], []).append({"name": title(file), "path": path})
    data = {
        "brand": BRAND,
        "current": f"/{current.url_path}",
        "groups": [{"name": name, "pages": pages} for name, pages in groups.items()],
    }
    _panel(key="navigation", data=data)
