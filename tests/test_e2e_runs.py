"""The Runs page in a browser: search, select, compare, tag, delete, export."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from browser import PATIENCE, App, Visit
from stored import HOSTILE, add_pair, add_watched
from test_e2e_access import WCAG

from explorer.store import Store
from explorer.trace import Reading

pytestmark = pytest.mark.e2e

ROWS = """() => [...document.querySelectorAll(".panel-table tbody tr")].map(
  (row) => Number(row.dataset.id))"""
DRAWN = """(count) => new Set((document.querySelector("[data-chart=curves] .plot")?._fullData ?? [])
  .map((line) => line.name)).size === count"""
SEARCH = """async ([rows, texts]) => {
  const { searcher, textOf } = await import("/assets/search.js");
  for (const row of rows) row.text = textOf(row);
  return texts.map((text) => rows.filter(searcher(text)).map((row) => row.id));
}"""


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """A server whose store has three pairs and a watched run: ids 1 to 7."""
    home = tmp_path_factory.mktemp("filled")
    store = Store(home / "runs.sqlite")
    add_pair(store)
    add_pair(store, ("plain-20,width=4,steps=20", "resnet-20,width=4,steps=20"))
    add_pair(store, ("plain-14,width=4,norm=none,steps=40", "resnet-14,width=4,steps=40"))
    add_watched(store)
    store.close()
    app = App(home)
    yield app
    app.end()


@pytest.fixture
def runs(tab: Callable[..., Visit], filled: App) -> Callable[..., Visit]:
    """Opens the Runs page with a query, and waits for its rows."""

    def open_page(query: str = "", **screen: Any) -> Visit:
        # Streamlit asks below a page's own address first, which browsers log as an error.
        visit = tab(filled, calm=False, **screen)
        visit.page.goto(f"{filled.url}runs{query}")
        visit.page.wait_for_selector(".panel-table[data-state=ready] tbody tr", timeout=PATIENCE)
        visit.settle()
        return visit

    return open_page


def wait_for_rows(visit: Visit, *ids: int) -> None:
    visit.page.wait_for_function(
        f"(ids) => JSON.stringify(({ROWS})()) === JSON.stringify(ids)",
        arg=list(ids),
        timeout=PATIENCE,
    )


def mark(visit: Visit, *ids: int) -> None:
    for one in ids:
        visit.page.get_by_role("checkbox", name=f"Select run {one},").click()


def test_search_sort_select_and_compare(runs: Callable[..., Visit]) -> None:
    visit = runs()
    wait_for_rows(visit, 7, 6, 5, 4, 3, 2, 1)
    box = visit.page.get_by_role("searchbox", name="Search runs")
    box.press_sequentially("depth>8 norm:batch")
    wait_for_rows(visit, 6, 4, 3)
    visit.page.get_by_role("button", name="Network").click()
    wait_for_rows(visit, 3, 6, 4)
    visit.wait_for_url("find=depth", "sort=name")
    mark(visit, 3, 4)
    visit.page.wait_for_function(DRAWN, arg=2, timeout=PATIENCE)
    visit.wait_for_url("ids=3%2C4")
    visit.see("Held fixed: data, order of batches")
    shortcuts = visit.page.get_by_role("row", name="shortcut").get_by_role("cell")
    assert shortcuts.all_inner_texts() == ["none", "zero_pad"]
    visit.page.reload()
    visit.page.wait_for_function(DRAWN, arg=2, timeout=PATIENCE)
    wait_for_rows(visit, 3, 6, 4)
    assert visit.page.get_by_test_id("count").inner_text() == "3 of 7 runs, 2 selected"


def test_the_keyboard_moves_and_selects(runs: Callable[..., Visit]) -> None:
    visit = runs()
    visit.page.get_by_role("checkbox", name="Select run 7,").focus()
    for key in ("ArrowDown", "ArrowDown", "Space"):
        visit.page.keyboard.press(key)
    visit.wait_for_url("ids=5")
    visit.page.wait_for_function(DRAWN, arg=1, timeout=PATIENCE)
    visit.page.keyboard.press("Space")
    visit.wait_for_url("runs", without="ids")


def test_tags_deletion_and_the_way_back(runs: Callable[..., Visit]) -> None:
    visit = runs("?ids=1,2")
    visit.page.get_by_role("button", name="Tag and annotate").click()
    box = visit.page.get_by_role("textbox", name="Tags to add")
    box.fill("mine, <b>bold</b>")
    box.press("Tab")
    visit.settle()
    visit.page.get_by_role("button", name="Add", exact=True).click()
    row = visit.page.locator("tr[data-id='1']")
    row.get_by_text("<b>bold</b>").wait_for(timeout=PATIENCE)
    visit.page.keyboard.press("Escape")
    visit.page.get_by_role("button", name="Delete 2 runs").click()
    wait_for_rows(visit, 7, 6, 5, 4, 3)
    assert visit.page.get_by_test_id("count").inner_text() == "5 runs"
    visit.page.get_by_role("button", name="Undo").click()
    wait_for_rows(visit, 7, 6, 5, 4, 3, 2, 1)
    visit.wait_for_url("ids=1%2C2")
    visit.page.get_by_role("searchbox").fill("tag:mine")
    wait_for_rows(visit, 2, 1)


def test_a_run_leaves_as_a_file_and_comes_back(runs: Callable[..., Visit], tmp_path: Any) -> None:
    visit = runs("?ids=4")
    visit.page.get_by_role("button", name="Export").click()
    with visit.page.expect_download(timeout=PATIENCE) as download:
        visit.page.get_by_role("link", name="Python program").click()
    text = download.value.path().read_text()
    assert download.value.suggested_filename.endswith(".py")
    compile(text, "script.py", "exec")
    with visit.page.expect_download(timeout=PATIENCE) as download:
        visit.page.get_by_role("link", name="JSON").click()
    download.value.save_as(tmp_path / "runs.json")
    visit.page.keyboard.press("Escape")
    visit.page.get_by_text("Import, storage").click()
    visit.page.locator("input[type=file]").set_input_files(tmp_path / "runs.json")
    visit.wait_for_url("ids=8%2C9")
    visit.page.wait_for_function(DRAWN, arg=2, timeout=PATIENCE)
    mark(visit, 8, 9, 9)
    visit.page.get_by_role("button", name="Delete 1 run").click()
    visit.wait_for_url("runs", without="ids")


def test_what_changes_elsewhere_is_seen_here(runs: Callable[..., Visit], filled: App) -> None:
    visit = runs()
    row = visit.page.locator("tr[data-id='5']")
    assert "20/40" in row.inner_text()
    store = Store(filled.home / "runs.sqlite")
    store.write([(5, Reading("train_loss", 33, np.array([0.0625], np.float32)))])
    store.close()
    row.get_by_role("cell", name="33/40", exact=True).wait_for(timeout=PATIENCE)
    assert "0.0625" in row.inner_text()


def test_hostile_names_are_text(runs: Callable[..., Visit]) -> None:
    visit = runs("?ids=7")
    visit.page.wait_for_function(DRAWN, arg=1, timeout=PATIENCE)
    assert visit.page.locator("tr[data-id='7'] .run-name").inner_text() == HOSTILE
    assert visit.page.locator("main img, .panel img").count() == 0
    assert visit.page.evaluate("document.scrollingElement.scrollWidth") <= 1280


@pytest.mark.parametrize(("width", "theme"), [(1280, "light"), (390, "dark")])
def test_axe_finds_nothing(runs: Callable[..., Visit], width: int, theme: str) -> None:
    visit = runs("?ids=4,7", width=width, theme=theme)
    visit.page.wait_for_function(DRAWN, arg=2, timeout=PATIENCE)
    visit.page.get_by_text("How to read this").click()
    visit.page.get_by_text("Import, storage").click()
    visit.settle()
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    only = {"runOnly": {"type": "tag", "values": WCAG}}
    found = axe.run(visit.page, context=".stMain", options=only).response["violations"]
    assert [f"{rule['id']}: {node['target']}" for rule in found for node in rule["nodes"]] == []
    main = "document.querySelector('[data-testid=stMain]').scrollWidth"
    assert visit.page.evaluate(main) <= width


def line(number: int, **values: Any) -> dict[str, Any]:
    base = {"id": number, "name": "plain-8", "words": "arm k3j9", "state": "done", "device": "cpu"}
    base |= {"note": "", "message": "", "tags": [], "pinned": False, "edited": False, "fields": {}}
    return {**base, **values}


def test_what_a_search_finds(runs: Callable[..., Visit]) -> None:
    rows = [
        line(1, fields={"depth": 8, "norm": "batch", "lr": 0.1}, loss=0.5, test_error=0.021),
        line(2, name="ResNet-56", fields={"depth": 56, "norm": "none", "lr": 0.1}, loss=None),
        line(12, state="running", tags=["Mine", "a b"], note="Why: depth>20"),
    ]
    expected = {
        "": [1, 2, 12],
        "plain": [1, 12],
        "PLAIN done": [1],
        "resnet": [2],
        "depth>8": [2],
        "depth>=8 lr=0.1": [1, 2],
        "depth:8": [1],
        "norm:none": [2],
        "norm=none": [2],
        "-norm:none": [1, 12],
        "state:run": [12],
        "tag:mine": [12],
        "why: -cuda": [12],
        "error<3": [1],
        "error<2": [],
        "loss<1": [1],
        "id:1": [1],
        "#12": [12],
        "-": [1, 2, 12],
        "k3j9 nothing": [],
        "depth>": [12],
        "constructor:function": [],
        "depth>x": [],
        "(": [],
    }
    found = runs().page.evaluate(SEARCH, [rows, list(expected)])
    assert dict(zip(expected, found, strict=True)) == expected
