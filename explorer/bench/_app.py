"""The real app in a process of its own on 127.0.0.1, and a browser that looks at it."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from explorer.bench._lab import wait_until

if TYPE_CHECKING:
    from playwright.sync_api import Browser

ROOT = Path(__file__).parents[2]
HOST = "127.0.0.1"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
NO_BROWSER = "no Chromium that Playwright can start; `make browser` gets both"
# Milliseconds since 1970, once the profile is drawn.
DRAWN = """() => document.querySelector("[data-chart=profile] .plot:not(.skeleton) .main-svg")
    && performance.timeOrigin + performance.now()"""


class App:
    """`streamlit run app.py` with the present home."""

    def __init__(self) -> None:
        with socket.create_server((HOST, 0)) as free:
            self.port = free.getsockname()[1]
        options = {"address": HOST, "port": self.port, "headless": "true"}
        arguments = [f"--server.{name}={value}" for name, value in options.items()]
        self.started = time.time()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "streamlit", "run", "app.py", *arguments],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.url = f"http://{HOST}:{self.port}"

    @property
    def answers(self) -> bool:
        """Whether it serves pages by now; RuntimeError if it has ended."""
        if self.process.poll() is not None:
            raise RuntimeError(f"the app ended at once, with exit code {self.process.returncode}")
        try:
            return Client(self).get("/_stcore/health")[0] == 200
        except OSError:
            return False

    @property
    def settled(self) -> bool:
        """Whether its first screen is measured with all its seeds, so that its workers rest."""
        return not json.loads(Client(self).get("/live/view")[1])["busy"]

    def close(self) -> None:
        """End it, and with it its workers."""
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Client:
    """A connection that stays open and asks as a page does: for what changed since last time."""

    def __init__(self, app: App) -> None:
        self.connection = HTTPConnection(HOST, app.port, timeout=30)
        self.tag = ""

    def get(self, address: str) -> tuple[int, bytes]:
        """Status and body."""
        self.connection.request("GET", address, headers={"If-None-Match": self.tag})
        answer = self.connection.getresponse()
        body = answer.read()
        self.tag = answer.headers.get("ETag", "")
        return answer.status, body


@contextmanager
def own_app() -> Iterator[App]:
    """The app, started with the block, answering inside it and ended after it."""
    app = App()
    try:
        wait_until(lambda: app.answers)
        yield app
    finally:
        app.close()


@contextmanager
def own_browser() -> Iterator["Browser | None"]:
    """A headless Chromium; None where there is none, or no Playwright to start it."""
    try:
        from playwright.sync_api import Error, sync_playwright
    except ImportError:
        yield None
        return
    chosen = os.environ.get("EXPLORER_CHROMIUM")
    path = chosen or next(filter(None, map(shutil.which, BROWSERS)), None)
    with sync_playwright() as playwright:
        try:
            found = playwright.chromium.launch(executable_path=path)
        except Error:
            found = None
        try:
            yield found
        finally:
            if found is not None:
                found.close()


def drawn_at(page: Any) -> float:
    """Seconds since 1970 at which the page had its first chart drawn; waits for it."""
    return float(page.wait_for_function(DRAWN, polling="raf").json_value()) / 1000
