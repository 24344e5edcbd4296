"""The navigation's groups and addresses, and what a browser does with it over many pages."""

import html
import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlparse

import pytest
from browser import PATIENCE, App, Visit
from streamlit.testing.v1 import AppTest
from test_e2e_access import violations

from explorer.ui import pages

HOSTILE = """</a><script>alert("1")</script>&amp;='"""
ROUTER = Path(pages.__file__).with_name("router.py")
NAMES = {
    "Play": ["10_playground"],
    "Understand": ["20_product_of_factors", "23_paths", "26_inside_blocks", "28_lesions"],
    "Compare": ["30_depth_race", "33_sweeps"],
    "Yours": ["41_your_model", "42_runs"],
}
STUB = '''"""Is this {stem}?"""
import streamlit as st
from explorer.ui.pages import link_to
st.title("{stem}")
st.text(" ".join(st.query_params.get_all("arm")) or "no arms")
st.html("<div style='height: 1200px'></div>")
link_to("10_playground", "Open both", arm=["plain-8", "resnet-8,lr=0.1"])
'''
STUB_APP = """import streamlit as st
from pathlib import Path
from explorer.ui import pages
from explorer.ui.server import ROUTES, SCRIPT
pages.FOLDER = Path(__file__).parent / "pages"
app = st.App(SCRIPT, routes=ROUTES)
"""


def write_pages(folder: Path, *stems: str) -> Path:
    folder.mkdir()
    for stem in stems:
        (folder / f"{stem}.py").write_text(STUB.format(stem=stem), encoding="utf-8")
    return folder


def shown(page: AppTest) -> dict[str, Any]:
    """What the navigation on a page is given."""
    (panel,) = page.get("bidi_component")
    data: dict[str, Any] = json.loads(panel.proto.json)
    return data


@pytest.mark.parametrize("groups", [[*NAMES], ["Play", "Compare", "Yours"], ["Play"]])
def test_groups_hold_their_pages_in_order_and_empty_ones_are_not_shown(
    groups: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stems = [stem for group in groups for stem in NAMES[group]]
    folder = write_pages(tmp_path / "pages", *stems)
    monkeypatch.setattr(pages, "FOLDER", folder)
    page = AppTest.from_file(str(ROUTER)).run()
    assert not page.exception
    assert {group["name"]: len(group["pages"]) for group in shown(page)["groups"]} == {
        name: len(NAMES[name]) for name in groups
    }
    listed = [one for group in shown(page)["groups"] for one in group["pages"]]
    assert [one["path"] for one in listed] == [pages.address(stem) for stem in stems]
    for stem, one in zip(stems, listed, strict=True):
        page.switch_page(os.path.relpath(folder / f"{stem}.py", ROUTER.parent)).run()
        assert page.title[0].value == stem
        assert shown(page)["current"] == one["path"]


def test_the_address_of_a_page_carries_any_query() -> None:
    query = {"arm": ["plain-8,lr=0.1", HOSTILE], "run": "a b&c=d#e"}
    for file, path in pages.paths().items():
        assert pages.address(file.stem) == path
        parts = urlparse(pages.address(file.stem, **query))
        assert parts.path == path
        assert parse_qs(parts.query) == {"arm": query["arm"], "run": [query["run"]]}
    with pytest.raises(ValueError, match=r"^page: 'nowhere' is not allowed; one of 10_\w+, .*$"):
        pages.address("nowhere")


def test_a_link_shows_its_label_and_address_as_they_are() -> None:
    def script(label):  # type: ignore[no-untyped-def]  # its text is run elsewhere
        from explorer.ui.pages import link_to

        link_to("42_runs", label, find=label)

    page = AppTest.from_function(script, args=(HOSTILE,)).run()
    link = re.fullmatch(r'<a class="page-link" href="([^"<>]*)">([^<>]*)</a>', page.html[0].value)
    assert link is not None
    assert html.unescape(link[2]) == HOSTILE
    assert parse_qs(urlparse(html.unescape(link[1])).query) == {"find": [HOSTILE]}


@pytest.fixture(scope="module")
def stubs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """A server over nine pages with next to nothing on them."""
    folder = tmp_path_factory.mktemp("stubs")
    write_pages(folder / "pages", *(stem for stems in NAMES.values() for stem in stems))
    (folder / "app.py").write_text(STUB_APP, encoding="utf-8")
    app = App(folder / "home", str(folder / "app.py"))
    yield app
    app.end()


@pytest.fixture
def at(tab: Callable[..., Visit], stubs: App) -> Callable[..., Visit]:
    """Opens the page at an address among the stubs."""

    def open_page(address: str, **screen: Any) -> Visit:
        visit = tab(stubs, **screen)
        visit.page.goto(stubs.url + address)
        visit.page.wait_for_selector("nav a[aria-current=page]", timeout=PATIENCE)
        visit.settle()
        return visit

    return open_page


def marked(visit: Visit, group: str, page: str | None, text: str) -> None:
    """Wait until that page is there with that text, and marked as the current one."""
    visit.see(text, exact=True)
    visit.page.wait_for_function(
        """(expected) => [...document.querySelectorAll("nav [aria-current]")].map(
          (link) => `${link.textContent}: ${link.ariaCurrent}`).join() === expected""",
        arg=f"{group}: true,{page}: page" if page else f"{group}: page",
        timeout=PATIENCE,
    )
    visit.settle()


def link(visit: Visit, name: str) -> Any:
    return visit.page.get_by_role("navigation", name="Pages").get_by_role(
        "link", name=name, exact=True
    )


@pytest.mark.e2e
def test_pages_change_without_a_reload_and_back_keeps_what_was_chosen(
    at: Callable[..., Visit],
) -> None:
    visit = at("?arm=plain-8&arm=resnet-8")
    visit.page.evaluate("window.before = 1")
    entries = visit.page.evaluate("history.length")
    link(visit, "Play").click()  # the page one is on: nothing is lost
    link(visit, "Understand").click()
    marked(visit, "Understand", "Product of factors", "20_product_of_factors")
    assert visit.query == {}
    link(visit, "Lesions").press("Enter")
    marked(visit, "Understand", "Lesions", "28_lesions")
    assert visit.page.evaluate("document.activeElement.textContent") == "Lesions"
    assert visit.page.title() == "Lesions | Residual Explorer"
    assert visit.page.evaluate("history.length") == entries + 2
    visit.page.go_back()
    marked(visit, "Understand", "Product of factors", "20_product_of_factors")
    visit.page.go_back()
    marked(visit, "Play", None, "plain-8 resnet-8")
    assert visit.query["arm"] == ["plain-8", "resnet-8"]
    visit.page.go_forward()
    marked(visit, "Understand", "Product of factors", "20_product_of_factors")
    assert visit.page.evaluate("window.before") == 1


@pytest.mark.e2e
def test_a_link_on_a_page_opens_another_at_its_top_with_its_query(
    at: Callable[..., Visit],
) -> None:
    visit = at("runs")
    visit.page.evaluate("window.before = 1")
    visit.page.get_by_role("link", name="Open both").click()
    marked(visit, "Play", None, "plain-8 resnet-8,lr=0.1")
    assert visit.query["arm"] == ["plain-8", "resnet-8,lr=0.1"]
    assert visit.page.evaluate("window.before") == 1
    assert link(visit, "Play").bounding_box()["y"] >= 0
    with visit.page.context.expect_page() as opened:
        visit.page.get_by_role("link", name="Open both").click(modifiers=["Control"])
    assert parse_qs(urlparse(opened.value.url).query) == visit.query
    opened.value.close()


@pytest.mark.e2e
@pytest.mark.parametrize(("width", "theme"), [(1280, "light"), (390, "dark")])
def test_axe_finds_nothing_on_many_pages(at: Callable[..., Visit], width: int, theme: str) -> None:
    visit = at("lesions", width=width, theme=theme)
    assert violations(visit.page) == []
    assert visit.page.evaluate("document.scrollingElement.scrollWidth") <= width
    boxes = [one.bounding_box() for one in visit.page.locator("nav a").all()]
    assert len(boxes) == len(NAMES) + len(NAMES["Understand"])
    assert all(box["x"] >= 0 and box["x"] + box["width"] <= width for box in boxes)
    assert all(box["height"] >= 24 for box in boxes)
    if width == 1280:  # two rows
        assert len({box["y"] + box["height"] for box in boxes}) == 2
        assert max(box["y"] + box["height"] for box in boxes) <= 90
