"""How soon the first screen is there, with a server that runs and with one just started."""

from statistics import median
from typing import TYPE_CHECKING

from explorer.bench import Rows, leave_out, row
from explorer.bench._app import NO_BROWSER, drawn_at, own_app, own_browser
from explorer.bench._lab import own_home, wait_until

if TYPE_CHECKING:
    from playwright.sync_api import Browser

VISITS = 5
STARTS = 3
WARM = 1.0  # seconds
COLD = 3.0  # seconds
PAINTED = """() => (performance.timeOrigin
    + performance.getEntriesByName("first-contentful-paint")[0].startTime)"""
BEGAN = "() => performance.timeOrigin"


def visit(browser: "Browser", address: str) -> tuple[float, float, float]:
    """Times at which a new visitor's page began, painted something and drew its first chart.

    In seconds since 1970; nothing is in the browser's cache.
    """
    context = browser.new_context(viewport={"width": 1280, "height": 1000})
    try:
        page = context.new_page()
        page.goto(address, wait_until="commit")
        drawn = drawn_at(page)
        return page.evaluate(BEGAN) / 1000, page.evaluate(PAINTED) / 1000, drawn
    finally:
        context.close()


def cold(browser: "Browser") -> tuple[float, float]:
    """Seconds from the start of the server's process to the first paint and the first chart."""
    with own_home(), own_app() as app:
        _, painted, drawn = visit(browser, app.url)
        return painted - app.started, drawn - app.started


def warm(browser: "Browser") -> list[tuple[float, float]]:
    """Seconds from a visit to its first paint and its first chart, of several visits."""
    with own_home(), own_app() as app:
        wait_until(lambda: app.settled, 0.25)
        visits = [visit(browser, app.url) for _ in range(VISITS)]
    return [(painted - began, drawn - began) for began, painted, drawn in visits]


def rows() -> Rows:
    """First contentful paint and the first chart drawn: medians, in headless Chromium."""
    with own_browser() as browser:
        if browser is None:
            leave_out("first paint of the first screen", NO_BROWSER)
            return
        warm_times = warm(browser)
        cold_times = [cold(browser) for _ in range(STARTS)]
    for server, times, bound in (("warm", warm_times, WARM), ("cold", cold_times, COLD)):
        painted, drawn = (median(column) for column in zip(*times, strict=True))
        what = f"first screen, {server} server"
        yield row(f"{what}, first contentful paint", painted, "s", "at most", bound)
        yield row(f"{what}, first chart drawn", drawn, "s", "at most", bound)
