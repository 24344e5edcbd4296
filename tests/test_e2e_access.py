"""Everyone can use it: WCAG by axe, a phone, and what is taken away or brought along as files."""

import io
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from browser import PATIENCE, SMALL, Visit
from PIL import Image

pytestmark = pytest.mark.e2e

WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]


def violations(page: Any) -> list[str]:
    """What axe finds against WCAG 2.2 A and AA, one line a place."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    found = axe.run(page, options={"runOnly": {"type": "tag", "values": WCAG}})
    return [
        f"{rule['id']}: {' '.join(map(str, node['target']))}: {node['failureSummary']}"
        for rule in found.response["violations"]
        for node in rule["nodes"]
    ]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_axe_finds_nothing(tab: Callable[..., Visit], width: int, theme: str) -> None:
    visit = tab(width=width, theme=theme).open(*SMALL)
    assert visit.page.locator(f".panel-charts[data-theme={theme}]").count() == 1
    for name in ("How to read this", "More: block, shortcut, optimiser"):
        visit.page.get_by_text(name).click()
    visit.settle()
    assert violations(visit.page) == []
    visit.play(step=5)
    assert violations(visit.page) == []


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize(
    ("address", "ready"),
    [
        ("depth_race", "[data-testid=members] .mark"),
        ("sweeps", "[data-testid=members] .mark"),
        ("runs", "text=How to read this"),
    ],
)
def test_axe_finds_nothing_on_the_other_pages(
    tab: Callable[..., Visit], address: str, ready: str, width: int, theme: str
) -> None:
    visit = tab(width=width, theme=theme)
    visit.page.goto(visit.app.url + address)
    visit.page.wait_for_selector(ready, timeout=PATIENCE)
    visit.page.get_by_text("How to read this").click()
    visit.settle()
    assert violations(visit.page) == []
    assert visit.page.evaluate("document.scrollingElement.scrollWidth") <= width


def test_a_phone_shows_all_of_it_without_scrolling_sideways(tab: Callable[..., Visit]) -> None:
    visit = tab(width=390).open()
    for script in ("document.scrollingElement", "document.querySelector('[data-testid=stMain]')"):
        assert visit.page.evaluate(f"{script}.scrollWidth") <= 390
    skip = visit.page.get_by_role("switch", name="Skip connection of block 27 of residual-56")
    skip.locator(".hit").click()
    assert skip.get_attribute("aria-checked") == "false"
    visit.wait_for_url("skip")
    for name in ("play", "step", "stop", "reset"):
        box = visit.page.get_by_test_id(name).bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 390
        assert box["height"] >= 24
    visit.page.get_by_test_id("step").click()
    visit.see("paused at step 1 of 200")


def upload(visit: Visit, name: str, content: bytes) -> None:
    visit.settle()
    visit.page.get_by_text("More: block, shortcut, optimiser").click()
    button = visit.page.get_by_role("button", name="More data")
    box = visit.page.get_by_role("textbox", name="Name", exact=True)
    button.click()
    visit.settle()
    if not box.is_visible():  # a page that is drawn anew meanwhile closes it again
        button.click()
    file = {"name": "images.zip", "mimeType": "application/zip", "buffer": content}
    box.fill(name)
    box.press("Tab")
    visit.settle()
    visit.page.locator(".st-key-own_zip input[type=file]").set_input_files([file])


def packed(*entries: tuple[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return buffer.getvalue()


def picture(level: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.full((12, 12), level, np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (packed(("../../evil.png", picture(0))), "'../../evil.png' is not allowed as a path"),
        (b"PK no zip at all", "zip"),
    ],
)
def test_a_hostile_upload_gets_one_line(visit: Visit, content: bytes, line: str) -> None:
    visit.open(*SMALL)
    upload(visit, "evil", content)
    alert = visit.page.get_by_role("alert")
    alert.wait_for(timeout=20_000)
    assert line in alert.inner_text()
    assert "\n" not in alert.inner_text().strip()
    visit.wait_for_url("plain-8", without="own")
    assert not list(visit.app.home.rglob("evil*"))
    assert not list(visit.app.home.glob("upload-*"))


def test_own_images_become_a_data_set_to_train_on(visit: Visit) -> None:
    visit.open("plain-8,width=4,steps=20,batch=16", "resnet-8,width=4,steps=20,batch=16")
    shades = {"dark": 0, "bright": 200}
    files = [(f"{name}/{i}.png", picture(shades[name] + i)) for name in shades for i in range(24)]
    upload(visit, "shades", packed(*files))
    visit.wait_for_url("own%3Ashades")
    visit.see("Can an 8-layer network learn these images?")
    visit.play()
    visit.wait_for("done")


def test_a_chart_can_be_taken_away_as_a_file(visit: Visit) -> None:
    visit.open(*SMALL)
    starts = {"SVG": b"<svg", "CSV": b"trace,x,y", "HTML": b"<!doctype html>"}
    for format_name, start in starts.items():
        button = visit.page.get_by_role("button", name=f"chart profile as {format_name}")
        with visit.page.expect_download() as download:
            button.click()
        assert download.value.suggested_filename == f"profile.{format_name.lower()}"
        content = download.value.path().read_bytes()
        assert content.startswith(start)
        assert b"plain-8" in content
