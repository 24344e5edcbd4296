"""What a watching page costs training, and how often its charts change: the real app, watched."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from statistics import median
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from explorer.bench import Row, Rows, leave_out, paired, row
from explorer.bench._app import NO_BROWSER, App, Client, drawn_at, own_app, own_browser
from explorer.bench._lab import own_home, own_lab, wait_until
from explorer.comparison import names
from explorer.experiments.arms import DEFAULT
from explorer.ui.drawing import Screen
from explorer.ui.lab import Lab
from explorer.ui.state import Choice, view_url

if TYPE_CHECKING:
    from playwright.sync_api import Browser

WHAT = "training speed watched / unwatched"
STEPS = 50  # of a window: two periods of the default watch
PAIRS = 5
POLL = 0.25  # seconds between a page's questions
LONG = 100_000  # steps that no measurement reaches
REST = 1.0  # seconds after a page is closed, for what it left to be done
COUNTER = """() => {
    window.changes = 0;
    new MutationObserver(() => { window.changes += 1; }).observe(
        document.querySelector(".panel-charts"), {attributeFilter: ["data-step"]});
}"""


class Training:
    """The default comparison, without end, in a worker of `lab`: the app reads the same store."""

    def __init__(self, lab: Lab) -> None:
        specs = tuple(s.replace(recipe=s.recipe.replace(steps=LONG)) for s in DEFAULT.specs)
        comparison = lab.executor.start(list(zip(names(specs), specs, strict=True)))
        self.choice = Choice(specs, comparison.id)
        self.committed = partial(lab.store.last_step, comparison.runs[-1].id)

    def speed(self) -> float:
        """Steps a second over the next STEPS steps, counted from one commit to another."""
        first, began = self._reach(self.committed() + 1)
        last, ended = self._reach(first + STEPS)
        return (last - first) / (ended - began)

    def _reach(self, step: int) -> tuple[int, float]:
        wait_until(lambda: self.committed() >= step, 0.02)
        return self.committed(), time.perf_counter()


@contextmanager
def polling(app: App, address: str) -> Iterator[None]:
    """Inside, a client asks for the view as a page does, and draws nothing."""
    ended = threading.Event()

    def ask() -> None:
        client = Client(app)
        while not ended.is_set():
            began = time.perf_counter()
            client.get(address)
            ended.wait(max(0.0, POLL - (time.perf_counter() - began)))

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


class Page:
    """A visitor's page in Chromium that shows the training, closed while nobody watches."""

    def __init__(self, browser: "Browser", app: App, training: Training) -> None:
        self.page = browser.new_page(viewport={"width": 1280, "height": 1000})
        self.address = f"{app.url}/?{urlencode(training.choice.query, doseq=True)}"
        self.training = training
        self.rates: list[float] = []  # updates a second, of each time it was open

    def watched_speed(self) -> float:
        """The speed of the training while the page is open and draws."""
        self.page.goto(self.address)
        drawn_at(self.page)
        time.sleep(REST)
        self.page.evaluate(COUNTER)
        began = time.perf_counter()
        speed = self.training.speed()
        changes = self.page.evaluate("window.changes")
        self.rates.append(changes / (time.perf_counter() - began))
        self.page.goto("about:blank")
        time.sleep(REST)
        return speed


def rows() -> Rows:
    """Speed of the default comparison watched over unwatched, by a client and by Chromium."""
    with own_home(), own_lab() as lab, own_app() as app:
        wait_until(lambda: app.settled)
        training = Training(lab)
        training.speed()
        yield _polled(app, training)
        with own_browser() as browser:
            if browser is None:
                leave_out(f"{WHAT}, Chromium drawing; live chart updates", NO_BROWSER)
                return
            page = Page(browser, app, training)
            value = paired(page.watched_speed, training.speed, PAIRS)
    yield row(f"{WHAT}, Chromium drawing", value, "x", "at least", 0.85)
    yield row("live chart updates in Chromium", median(page.rates), "1/s", "at least", 4)


def _polled(app: App, training: Training) -> Row:
    address = view_url(training.choice, Screen().show)

    def polled() -> float:
        with polling(app, address):
            return training.speed()

    value = paired(polled, training.speed, PAIRS)
    return row(f"{WHAT}, polled every {POLL:g} s", value, "x", "at least", 0.95)
