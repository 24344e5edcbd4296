"""The pages on the inside of blocks in a browser: what a visitor presses changes what is read."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from browser import PATIENCE, Visit
from test_e2e_access import violations

pytestmark = pytest.mark.e2e

READY = {
    "paths": "[data-chart=lengths] .plot .scatter",
    "blocks": "[data-testid=maps][data-ready]",
    "attributions": "[data-chart=maps] .plot .main-svg",
    "similarity": "[data-chart=both] .plot .main-svg",
    "lesions": "[data-testid=lesion-accuracy-1]:not([data-words])",
}
MAPS = "() => document.querySelector('[data-chart=maps] .plot')._fullData.length"
CKA = """() => Array.from(document.querySelector('[data-chart=both] .plot')._fullData[0].z,
  (row) => Array.from(row))"""


def opened(visit: Visit, page: str, query: str = "") -> Any:
    """The page, once it shows what it is about; a reload of it is as good."""
    visit.page.goto(f"{visit.app.url}{page}{query}")
    visit.page.wait_for_selector(READY[page], timeout=PATIENCE)
    visit.settle()
    return visit.page


def all_can_use(visit: Visit) -> None:
    """Axe finds nothing, and the page does not scroll sideways."""
    page = visit.page
    page.get_by_text("How to read this").click()
    visit.settle()
    assert violations(page) == []
    for part in ("document.scrollingElement", "document.querySelector('[data-testid=stMain]')"):
        assert page.evaluate(f"{part}.scrollWidth") <= page.viewport_size["width"]
    page.close()


def until(page: Any, test_id: str, pattern: str) -> str:
    """The text of that part, once `pattern` is found in it."""
    part = page.get_by_test_id(test_id).filter(has_text=re.compile(pattern))
    part.wait_for(timeout=PATIENCE)
    return str(part.inner_text())


def test_a_drawn_digit_is_read_and_followed_to_another_block(tab: Callable[..., Visit]) -> None:
    visit = tab()
    page = opened(visit, "blocks")
    first = until(page, "picture-title", r"^Test image 0, labelled 9: .* reads ")
    page.get_by_test_id("picture-clear").click()
    box = page.get_by_test_id("picture-canvas").bounding_box()
    middle = box["x"] + box["width"] / 2
    page.mouse.move(middle, box["y"] + 0.1 * box["height"])
    page.mouse.down()
    page.mouse.move(middle, box["y"] + 0.9 * box["height"], steps=5)
    page.mouse.up()
    visit.wait_for_url("image=drawn", without="0" * 64)
    drawn = until(page, "picture-title", r"^Your drawing: .* reads \d")
    assert drawn.count(" reads ") == first.count(" reads ") == 2
    levels = visit.query["image"][0].removeprefix("drawn:")
    rows = [levels[at : at + 8] for at in range(0, 64, 8)]
    assert all(row[3] != "0" and row == row[::-1] for row in rows)  # a stroke down the middle
    page.get_by_test_id("maps-row-12").click()
    heading = until(page, "maps-title", "^Block 12: ")
    visit.wait_for_url("block=12")
    other = tab(width=390)
    opened(other, "blocks", "?" + page.url.partition("?")[2])
    assert until(other.page, "picture-title", "^Your drawing: .* reads ") == drawn
    assert until(other.page, "maps-title", "^Block 12: ") == heading
    all_can_use(other)


def accuracy(page: Any) -> float:
    """Percent of the second network, once it is measured for the blocks as they stand."""
    page.wait_for_function(
        "!document.querySelector('.lesion-result[data-waits]')", timeout=PATIENCE
    )
    return float(page.get_by_test_id("lesion-accuracy-1").inner_text().removesuffix(" %"))


def costs(block: Any) -> float:
    """Points of accuracy that are said to go with that block."""
    said = re.search(r"costs ([\d.]+) points", block.get_attribute("aria-label"))
    assert said
    return float(said[1])


def test_a_deleted_block_costs_what_is_said_of_it(tab: Callable[..., Visit]) -> None:
    visit = tab(width=390, theme="dark")
    page = opened(visit, "lesions")
    page.wait_for_selector("[data-testid=lesion-1-2][aria-label*=costs]", timeout=PATIENCE)
    second, third = (page.get_by_test_id(f"lesion-1-{number}") for number in (2, 3))
    intact = accuracy(page)
    second.click()
    visit.wait_for_url("order1=1-0-3-")
    assert accuracy(page) == pytest.approx(intact - costs(second), abs=0.11)
    second.click()
    visit.wait_for_url("/lesions", without="order1")
    assert accuracy(page) == intact
    second.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Space")
    visit.wait_for_url("order1=1-2-0-4-")
    assert third.get_attribute("aria-checked") == "false"
    assert accuracy(page) == pytest.approx(intact - costs(third), abs=0.11)
    page.keyboard.press("Space")
    visit.wait_for_url("/lesions", without="order1")
    assert accuracy(page) == intact
    all_can_use(visit)


def test_four_blocks_are_sixteen_paths(tab: Callable[..., Visit]) -> None:
    """Their shares are all of the output, and each lights the blocks that it runs through."""
    visit = tab(theme="dark")
    page = opened(visit, "paths")
    page.get_by_role("radio", name="4", exact=True).first.click()
    visit.wait_for_url("n=4")
    paths = page.locator("[data-testid=unravelled] [data-testid^=path-]")
    page.get_by_test_id("path-15").wait_for(timeout=PATIENCE)
    assert paths.count() == 16
    shares = [path.inner_text().split("\n")[-1].removesuffix(" %") for path in paths.all()]
    assert sum(float(share.replace("−", "-")) for share in shares) == pytest.approx(100, abs=0.9)
    lit = page.locator(".in-series .node[data-on] .box")
    for index, length in ((0, 0), (15, 4)):
        page.get_by_test_id(f"path-{index}").hover()
        assert lit.count() == length
    page.mouse.move(0, 0)
    page.get_by_test_id("path-0").press("End")
    assert lit.count() == 4
    all_can_use(visit)


def test_a_method_that_is_turned_off_takes_its_maps_along(visit: Visit) -> None:
    page = opened(visit, "attributions")
    methods = page.locator(".st-key-methods")
    chosen = methods.locator("[aria-pressed=true]").count()
    assert page.evaluate(MAPS) == 2 * (1 + chosen)  # the image and its maps, for each network
    methods.get_by_role("button", name="Occlusion").click()
    page.wait_for_function(f"({MAPS})() === {2 * chosen}", timeout=PATIENCE)
    visit.wait_for_url("methods=", without="occlusion")
    assert methods.locator("[aria-pressed=true]").count() == chosen - 1
    all_can_use(visit)


def test_the_biased_estimate_finds_more_alike(tab: Callable[..., Visit]) -> None:
    visit = tab(width=390, theme="dark")
    page = opened(visit, "similarity")
    debiased = np.array(page.evaluate(CKA))
    page.get_by_role("radio", name="Biased", exact=True).click()
    visit.wait_for_url("debiased=0")
    visit.wait_for_label("both", re.compile("^linear CKA, biased"))
    biased = np.array(page.evaluate(CKA))
    assert biased.shape == debiased.shape == (27, 27)
    assert (biased > debiased).mean() > 0.99
    assert biased.max() <= 1
    all_can_use(visit)
