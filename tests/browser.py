"""The app in a browser, as the e2e tests use it: a server of its own, and a page that is read.

Nothing here sleeps: what is waited for is what a visitor sees.
"""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlparse

import psutil

ROOT = Path(__file__).parents[1]
SECONDS = 1000  # in milliseconds
PATIENCE = 40 * SECONDS  # for a busy machine; what is awaited usually takes a tenth of it
SMALL = ("plain-8,width=4,steps=4000", "resnet-8,width=4,steps=4000")  # trains until it is stopped
LINES = """(id) => (document.querySelector(`[data-chart="${id}"] .plot`)?._fullData ?? []).map(
  (line) => ({ name: line.name, x: Array.from(line.x ?? []), y: Array.from(line.y ?? []) }))"""
NEWER = """(step) => Number(document.querySelector('.panel-charts')?.dataset.step) >= step"""


class App:
    """`streamlit run` of a script on a free port, with a data folder of its own."""

    def __init__(self, home: Path, script: str = "app.py") -> None:
        home.mkdir(parents=True, exist_ok=True)
        self.home = home
        self.port = _free_port()
        self.url = f"http://127.0.0.1:{self.port}/"
        environment = {"EXPLORER_HOME": str(home), "EXPLORER_MAX_WORKERS": "2"}
        environment["PYTHONPATH"] = str(ROOT)
        options = ["--server.port", str(self.port), "--server.headless", "true"]
        with (home / "server.log").open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "streamlit", "run", script, *options],
                cwd=ROOT,
                env={**os.environ, **environment},
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self._wait_until_up()

    def _wait_until_up(self) -> None:
        for _ in range(600):
            try:
                with urllib.request.urlopen(self.url + "_stcore/health", timeout=5):
                    return
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.1)
            if self.process.poll() is not None:
                break
        raise RuntimeError(f"the app did not start:\n{(self.home / 'server.log').read_text()}")

    def workers(self) -> list[psutil.Process]:
        """Its worker processes."""
        children = psutil.Process(self.process.pid).children(recursive=True)
        return [child for child in children if "explorer.worker" in child.cmdline()]

    def busiest(self) -> psutil.Process:
        """The worker that trains."""
        return max(self.workers(), key=lambda worker: worker.cpu_percent(0.3))

    def end(self) -> None:
        """End it as Ctrl-C would; kill it if it does not."""
        self.process.terminate()
        try:
            self.process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


class Visit:
    """A tab with the Playground; `page` is Playwright's."""

    def __init__(self, app: App, page: Any) -> None:
        self.app = app
        self.page = page

    def open(self, *arms: str, run: str = "") -> "Visit":
        """Go to the Playground with these arms and wait for its first numbers."""
        query = [("arm", arm) for arm in arms] + ([("run", run)] if run else [])
        self.page.goto(self.app.url + (f"?{urlencode(query)}" if query else ""))
        return self.ready()

    def ready(self) -> "Visit":
        """Wait until the page is there from top to bottom and has drawn a profile."""
        self.page.wait_for_selector(".panel-charts[data-step]", timeout=PATIENCE)
        self.page.wait_for_selector("[data-chart=profile] .plot .scatter", timeout=PATIENCE)
        self.settle()
        return self

    def press(self, name: str) -> None:
        """Press a button of the transport, once it can be pressed."""
        selector = f"[data-testid={name}]:not([aria-disabled])"
        self.page.locator(selector).click(timeout=PATIENCE)

    def play(self, step: int = 1) -> "Visit":
        """Press Play and wait until `step` is on screen."""
        self.press("play")
        return self.reach(step)

    def reach(self, step: int) -> "Visit":
        """Wait until the charts show `step` or a later one."""
        self.page.wait_for_function(NEWER, arg=step, timeout=PATIENCE)
        return self

    def wait_for(self, *states: str) -> "Visit":
        """Wait until the charts and the transport show one of `states`."""
        for panel in ("charts", "transport"):
            choice = ", ".join(f".panel-{panel}[data-state={state}]" for state in states)
            self.page.wait_for_selector(choice, timeout=PATIENCE)
        return self

    def see(self, text: str, **options: Any) -> None:
        """Wait until `text` is on screen."""
        self.page.get_by_text(text, **options).first.wait_for(timeout=PATIENCE)

    def settle(self) -> None:
        """Wait until the script of the page has run; no timer reruns this page."""
        self.page.wait_for_selector("[data-test-script-state=notRunning]", timeout=PATIENCE)

    def leave(self) -> None:
        """Stop the run on show, if it is not over, and close the tab."""
        going = ("queued", "running", "paused")
        if self.page.is_closed():
            return
        if self.page.locator(".panel-charts").count() and self.state in going:
            self.press("stop")
            self.wait_for("stopped", "done", "diverged")
        self.page.close()

    @property
    def step(self) -> int:
        """The step on screen."""
        return int(self.page.locator(".panel-charts").first.get_attribute("data-step"))

    @property
    def state(self) -> str:
        """The state on screen."""
        return str(self.page.locator(".panel-charts").first.get_attribute("data-state"))

    @property
    def query(self) -> dict[str, list[str]]:
        """The address bar's parameters."""
        return parse_qs(urlparse(self.page.url).query)

    @property
    def run(self) -> str:
        """The id of the run in the address; empty if none is attached."""
        return self.query.get("run", [""])[0]

    def wait_for_url(self, *parts: str, without: str = "\n") -> None:
        """Wait until the address has all of `parts` and not `without`."""

        def fits(url: str) -> bool:
            return all(part in url for part in parts) and without not in url

        self.page.wait_for_url(fits, timeout=PATIENCE)

    def lines(self, chart: str) -> list[dict[str, Any]]:
        """What a chart draws: name, x and y of every line."""
        found: list[dict[str, Any]] = self.page.evaluate(LINES, chart)
        return found

    def line(self, chart: str, name: str) -> list[float]:
        """The y values of the first line called `name`."""
        return next(list(line["y"]) for line in self.lines(chart) if line["name"] == name)

    def wait_for_change(self, chart: str, name: str, before: list[float]) -> list[float]:
        """Wait until the line `name` is not `before`; returns what it is then."""
        script = f"""([chart, name, before]) => JSON.stringify(
          ({LINES})(chart).find((line) => line.name === name)?.y) !== JSON.stringify(before)"""
        self.page.wait_for_function(script, arg=[chart, name, before], timeout=PATIENCE)
        return self.line(chart, name)

    def wait_for_label(self, chart: str, text: str) -> None:
        """Wait until `text` stands in the chart's drawing."""
        place = self.page.locator(f"[data-chart={chart}] svg").get_by_text(text)
        place.first.wait_for(timeout=PATIENCE, state="attached")
