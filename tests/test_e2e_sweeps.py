"""Any grid in a browser: trained, cancelled, resumed; and a sweep of another program's."""

from collections.abc import Callable
from urllib.parse import urlencode

import pytest
from browser import PATIENCE, App, Visit

from explorer.experiments.grid import expand
from explorer.spec import parse
from explorer.store import Store, this_process

pytestmark = pytest.mark.e2e

SLOW = {"base": "resnet-8,width=4,steps=500", "grid": ["lr:0.1,0.0001"], "seeds": "1"}
LINES = "[data-testid=sweeps] tbody tr"


def open_sweeps(visit: Visit, **words: object) -> Visit:
    visit.page.goto(f"{visit.app.url}sweeps?{urlencode(words, doseq=True)}")
    visit.page.wait_for_selector("[data-testid=members] .mark", timeout=PATIENCE)
    visit.page.wait_for_selector(".panel-transport[data-state]", timeout=PATIENCE)
    visit.settle()
    return visit


def test_a_grid_is_trained_cancelled_and_resumed(app: App, tab: Callable[..., Visit]) -> None:
    visit = open_sweeps(tab(app), **SLOW)
    visit.see("2 runs: ")
    visit.press("play")
    visit.wait_for_url("sweep=")
    visit.page.wait_for_selector(".mark[data-state=running]", timeout=PATIENCE)
    visit.press("stop")
    visit.page.wait_for_selector(f"{LINES}[data-state=stopped]", timeout=PATIENCE)
    visit.page.wait_for_selector(".panel-transport[data-state=stopped]", timeout=PATIENCE)
    visit.press("play")  # it says Resume now
    visit.see("2 of 2 runs done")
    visit.wait_for_label("outcomes", "Lowest training error")
    dots = [line for line in visit.lines("outcomes") if len(line["x"]) == 2]
    assert len(dots) == 1
    visit.page.get_by_text("Compare them on the Runs page").click()
    visit.wait_for_url("/runs?ids=")


def test_a_sweep_of_another_program_is_shown_and_cancelled(
    app: App, tab: Callable[..., Visit], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXPLORER_HOME", str(app.home))
    specs = expand(parse("resnet-8,width=4,steps=9"), {"depth": (8, 14), "norm": ("batch", "none")})
    theirs = Store().sweeps.add("from a terminal", specs, this_process())
    visit = open_sweeps(tab(app), **SLOW)
    visit.page.get_by_role("button", name="from a terminal").click()
    visit.wait_for_url(f"sweep={theirs.id}")
    visit.page.wait_for_selector(".panel-transport[data-state=running]", timeout=PATIENCE)
    marks = visit.page.locator("[data-testid=members] .mark")
    visit.page.wait_for_function(
        "document.querySelector('[data-testid=members] th').textContent === 'depth'",
        timeout=PATIENCE,
    )
    assert marks.count() == 4
    visit.press("stop")
    visit.page.wait_for_selector(
        f"{LINES}[data-sweep='{theirs.id}'][data-state=stopped]", timeout=PATIENCE
    )
    assert Store().sweeps.state(theirs.id) == "cancelled"
