"""What a page that shows a sweep costs its training, and how often its charts change."""

import time
from statistics import median
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from explorer.bench import Rows, leave_out, paired, row
from explorer.bench._app import NO_BROWSER, App, own_app, own_browser
from explorer.bench._lab import own_home, own_lab, wait_until
from explorer.bench.live import COUNTER, REST, polling
from explorer.experiments.race import Race
from explorer.spec import parse
from explorer.ui.lab import Lab
from explorer.ui.race import FIGURES
from explorer.ui.race_state import RaceChoice, race_url

if TYPE_CHECKING:
    from playwright.sync_api import Browser

WHAT = "sweep speed watched / unwatched"
LONG = 100_000  # steps that no measurement reaches
WINDOW = 5.0  # seconds
PAIRS = 5
RACE = Race(depths=(20, 56), seeds=2, base=parse(f"resnet-20,width=8,steps={LONG}"))
DRAWN = "() => document.querySelector('[data-chart=train_error] .plot:not(.skeleton) .main-svg')"


class Training:
    """A race without end, on as many workers as there are cores."""

    def __init__(self, lab: Lab) -> None:
        self.store = lab.store
        self.sweep = lab.sweeping.start("bench", RACE.specs)
        self.choice = RaceChoice(RACE, self.sweep.id)
        wait_until(lambda: self.going == lab.executor.runs_at_once, 0.1)

    @property
    def going(self) -> int:
        """Runs that have begun."""
        return sum(run.step > 0 for run in self.store.runs(len(RACE.specs)))

    def speed(self) -> float:
        """Optimiser steps a second, of all runs together, over WINDOW seconds."""
        first, began = self._steps(), time.perf_counter()
        time.sleep(WINDOW)
        return (self._steps() - first) / (time.perf_counter() - began)

    def _steps(self) -> int:
        return sum(max(run.step, 0) for run in self.store.runs(len(RACE.specs)))


class Page:
    """A visitor's page in Chromium that shows the race, closed while nobody watches."""

    def __init__(self, browser: "Browser", app: App, training: Training) -> None:
        self.page = browser.new_page(viewport={"width": 1280, "height": 1000})
        self.address = f"{app.url}/depth_race?{urlencode(training.choice.query)}"
        self.training = training
        self.rates: list[float] = []  # updates a second, of each time it was open

    def watched_speed(self) -> float:
        """The speed of the training while the page is open and draws."""
        self.page.goto(self.address)
        self.page.wait_for_function(DRAWN)
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
    """Speed of a sweep watched over unwatched, by a client that draws nothing and by Chromium."""
    with own_home(), own_lab() as lab, own_app() as app:
        training = Training(lab)
        address = race_url(training.choice, FIGURES)

        def polled() -> float:
            with polling(app, address):
                return training.speed()

        value = paired(polled, training.speed, PAIRS)
        yield row(f"{WHAT}, polled every 0.25 s", value, "x", "at least", 0.95)
        with own_browser() as browser:
            if browser is None:
                leave_out(f"{WHAT}, Chromium drawing; live updates of its charts", NO_BROWSER)
                return
            page = Page(browser, app, training)
            value = paired(page.watched_speed, training.speed, PAIRS)
    yield row(f"{WHAT}, Chromium drawing", value, "x", "at least", 0.85)
    yield row(
        "live updates of a sweep's charts in Chromium", median(page.rates), "1/s", "at least", 4
    )
