"""The depth race in a browser: trained, cancelled from a second one, and gone on with later."""

from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest
from browser import PATIENCE, App, Visit

pytestmark = pytest.mark.e2e

QUICK = {"depths": "8,14", "seeds": "2", "base": "resnet-8,width=4,steps=30"}
SLOW = {"depths": "8,14", "seeds": "2", "base": "resnet-8,width=4,steps=900"}
LABEL = "document.querySelector('.progress-label')?.textContent.includes"


def open_race(visit: Visit, **words: str) -> Visit:
    visit.page.goto(f"{visit.app.url}depth_race?{urlencode(words)}")
    visit.page.wait_for_selector(".panel-charts[data-step]", timeout=PATIENCE)
    visit.page.wait_for_selector("[data-testid=members] .mark", timeout=PATIENCE)
    visit.settle()
    return visit


def says(visit: Visit, text: str) -> None:
    """Wait until the progress line has `text`."""
    visit.page.wait_for_function(f"(text) => {LABEL}(text)", arg=text, timeout=PATIENCE)


def marks(visit: Visit) -> list[str]:
    found = visit.page.locator("[data-testid=members] .mark")
    return [str(mark.get_attribute("data-state")) for mark in found.all()]


@pytest.fixture
def mortal(tmp_path: Path) -> Iterator[App]:
    app = App(tmp_path / "mortal")
    yield app
    app.end()


def test_the_race_shows_a_finding_before_anything_is_trained(
    app: App, tab: Callable[..., Visit]
) -> None:
    visit = open_race(tab(app))
    visit.see("Plain-56 trains worse than plain-8")
    visit.see("Plain-56 after 900 steps")
    visit.wait_for_label("by_depth", "recorded:")
    assert set(marks(visit)) == {"recorded"}
    names = {line["name"] for line in visit.lines("train_error")}
    assert {"plain-8", "plain-110", "residual-8", "residual-110"} <= names


def test_a_race_is_trained_and_its_numbers_are_drawn(app: App, tab: Callable[..., Visit]) -> None:
    visit = open_race(tab(app), **QUICK)
    says(visit, "8 runs: ")
    visit.press("play")
    visit.wait_for_url("sweep=")
    says(visit, "8 of 8 runs done")
    assert set(marks(visit)) == {"done"}
    means = [line for line in visit.lines("by_depth") if line["name"] == "plain"]
    assert any(list(line["x"]) and max(line["y"]) > 0 for line in means)
    before = max(visit.lines("loss")[0]["x"])
    visit.page.get_by_role("radio", name="epochs").or_(
        visit.page.get_by_role("button", name="epochs")
    ).first.click()
    visit.wait_for_url("x=epochs")
    visit.page.wait_for_function(
        "(before) => Math.max(...document.querySelector('[data-chart=loss] .plot')._fullData[0].x)"
        " < before / 2",
        arg=before,
        timeout=PATIENCE,
    )
    visit.press("reset")
    visit.wait_for_url("depths=", without="sweep=")
    says(visit, "All 8 runs were trained on this machine")


def test_two_browsers_watch_and_one_cancels(app: App, tab: Callable[..., Visit]) -> None:
    one = open_race(tab(app), **SLOW)
    one.press("play")
    one.wait_for_url("sweep=")
    other = tab(app)
    other.page.goto(one.page.url)
    says(other, "training")
    other.page.wait_for_selector(".mark[data-state=running]", timeout=PATIENCE)
    one.press("stop")
    other.page.wait_for_selector(".panel-transport[data-state=stopped]", timeout=PATIENCE)
    other.page.wait_for_selector(".mark[data-state=running]", state="detached", timeout=PATIENCE)
    other.press("play")  # it says Resume now
    one.page.wait_for_selector(".panel-transport[data-state=running]", timeout=PATIENCE)
    one.press("stop")
    one.page.wait_for_selector(".mark[data-state=running]", state="detached", timeout=PATIENCE)


def test_a_killed_server_leaves_a_sweep_that_one_press_finishes(
    mortal: App, tab: Callable[..., Visit]
) -> None:
    words = {"depths": "8", "seeds": "3", "base": "resnet-8,width=4,steps=250"}
    visit = open_race(tab(mortal, calm=False), **words)
    visit.press("play")
    visit.wait_for_url("sweep=")
    visit.page.wait_for_selector(".mark[data-state=done]", timeout=PATIENCE)
    address = visit.page.url
    mortal.process.kill()
    mortal.process.wait()
    visit.page.close()
    again = App(mortal.home)
    try:
        visit = tab(again)
        visit.page.goto(address.replace(mortal.url, again.url))
        visit.page.wait_for_selector(".panel-transport[data-state=interrupted]", timeout=PATIENCE)
        finished = marks(visit).count("done")
        assert 1 <= finished < 6
        visit.press("play")
        says(visit, "6 of 6 runs done")
        visit.page.close()
    finally:
        again.end()
