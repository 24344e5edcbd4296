"""From an image that is chosen to the maps of all blocks of residual-56, served and on screen."""

from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import numpy as np

from explorer.bench import Rows, leave_out, row, seconds
from explorer.bench._app import NO_BROWSER, App, Client, own_app, own_browser
from explorer.bench._lab import own_home, wait_until
from explorer.experiments.inside_questions import RESIDUAL

if TYPE_CHECKING:
    from playwright.sync_api import Browser

IMAGES = 60
PRESSES = 30
BOUND = 0.4  # seconds
WHAT = "image -> maps of all blocks, residual-56"
READY = "() => document.querySelector('.panel-maps[data-image]')"
PRESS = """(number) => new Promise((done) => {
    const maps = document.querySelector(".panel-maps");
    const before = maps.getAttribute("data-image");
    const buttons = [...document.querySelectorAll("[data-testid^=picture-sample]")];
    const others = buttons.filter((button) => button.getAttribute("aria-pressed") !== "true");
    const began = performance.now();
    const look = () => maps.getAttribute("data-image") !== before
        ? done((performance.now() - began) / 1000) : requestAnimationFrame(look);
    others[number % others.length].click();
    look();
})"""  # seconds from a press on another image to its maps drawn


def rows() -> Rows:
    """95th percentile over images that are new to the server, and over presses in a browser."""
    with own_home(), own_app() as app:
        took = float(np.percentile(served(app), 95))
        yield row(f"{WHAT}, served, 95 %", took, "s", "at most", BOUND)
        with own_browser() as browser:
            if browser is None:
                leave_out(f"{WHAT}, on screen", NO_BROWSER)
                return
            took = float(np.percentile(_pressed(app, browser), 95))
        yield row(f"{WHAT}, on screen, 95 %", took, "s", "at most", BOUND)


def served(app: App) -> list[float]:
    """Seconds to the answer of the page's route, an image each."""
    client = Client(app)
    wait_until(lambda: client.get(_address(0))[0] == 200, every=0.3)
    return [seconds(partial(_look, client, number)) for number in range(1, IMAGES + 1)]


def _address(image: int) -> str:
    words = {"net": RESIDUAL, "image": f"test:{image}", "show": "quantity"}
    return f"/live/inside/blocks?{urlencode(words)}"


def _look(client: Client, image: int) -> None:
    status, _ = client.get(_address(image))
    assert status == 200, f"test:{image} was answered with {status}"


def _pressed(app: App, browser: "Browser") -> list[float]:
    page = browser.new_page()
    page.goto(f"{app.url}/blocks?{urlencode({'net': RESIDUAL})}")
    page.wait_for_function(READY)
    page.wait_for_timeout(3000)  # until what a first look computes is there
    return [page.evaluate(PRESS, number) for number in range(PRESSES)]
