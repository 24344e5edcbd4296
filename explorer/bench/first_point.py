"""How soon after Play there is something to see, with a warm worker."""

from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from explorer.bench import Row, Rows, leave_out, row
from explorer.bench._app import NO_BROWSER, drawn_at, own_app, own_browser
from explorer.bench._lab import own_home, own_lab, wait_until
from explorer.comparison import names
from explorer.experiments.arms import DEFAULT
from explorer.ui.drawing import Screen
from explorer.ui.lab import Lab
from explorer.ui.live import as_text
from explorer.ui.view import Views

if TYPE_CHECKING:
    from playwright.sync_api import Browser

WHAT = "Play -> first point of both arms"
STARTS = 7
REST = 1000  # ms between starts on screen, in which the worker stops and is free again
BOUND = 1.0  # seconds
PLAY = """() => new Promise((done) => {
    const lines = () => document.querySelector("[data-chart=curves] .plot")._fullData ?? [];
    const began = performance.now();
    const look = () => lines().some((line) => line.xaxis === "x2" && line.x?.length)
        ? done((performance.now() - began) / 1000) : requestAnimationFrame(look);
    document.querySelector("[data-testid=play]").click();
    look();
})"""  # seconds from the click to the first accuracy drawn, which has the second pair of axes


def start(lab: Lab, views: Views) -> tuple[float, float]:
    """Seconds from Play to the first step of every arm in the store, and in a view as JSON."""
    arms = list(zip(names(DEFAULT.specs), DEFAULT.specs, strict=True))
    started = perf_counter()
    comparison = lab.executor.start(arms)
    wait_until(lambda: all(lab.store.last_step(run.id) >= 0 for run in comparison.runs), 0.002)
    committed = perf_counter() - started
    view = views.view(DEFAULT.specs, comparison.id, Screen())
    as_text(view)
    shown = perf_counter() - started
    lab.executor.command(comparison.id, "stop")
    wait_until(lambda: lab.executor.worker_of(comparison.id) is None)
    return committed, shown if _has_points(view) else float("nan")


def _has_points(view: dict[str, Any]) -> bool:
    return all(arm["gradient"] for arm in view["arms"])


def on_screen(browser: "Browser") -> list[float]:
    """Seconds from a click on Play to the first readings drawn, several times."""
    with own_home(), own_app() as app:
        wait_until(lambda: app.settled, 0.25)
        page = browser.new_page()
        page.goto(app.url)
        drawn_at(page)
        times = []
        for _ in range(STARTS):
            page.wait_for_selector("[data-testid=play][data-command=play]:not([aria-disabled])")
            times.append(float(page.evaluate(PLAY)))
            page.click("[data-testid=reset]")
            page.wait_for_selector(".panel-charts[data-state=idle]")
            page.wait_for_timeout(REST)
        page.close()
    return times


def rows() -> Rows:
    """Median and longest of several starts of the default comparison, in the store and beyond."""
    with own_home(), own_lab() as lab:
        views = Views(lab)
        times = np.array([start(lab, views) for _ in range(STARTS)])
    stored, shown = times.T
    yield _row("in the store, median", float(np.median(stored)))
    yield _row("in the view, median", float(np.median(shown)))
    yield _row("in the view, longest", float(shown.max()))
    with own_browser() as browser:
        if browser is None:
            leave_out(f"{WHAT}, on screen", NO_BROWSER)
            return
        drawn = on_screen(browser)
    yield _row("on screen, median", float(np.median(drawn)))
    yield _row("on screen, longest", max(drawn))


def _row(what: str, value: float) -> Row:
    return row(f"{WHAT}, {what} of {STARTS}", value, "s", "at most", BOUND)
