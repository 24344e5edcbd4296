"""What every test shares: a home of its own, one thread, and a reason for each skip."""

import functools
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from browser import App, Visit
from hypothesis import settings

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

settings.register_profile("tests", deadline=None, derandomize=True, database=None)
settings.load_profile("tests")
torch.set_num_threads(1)
torch.set_flush_denormal(True)


# Files that take long, first: two processes share the suite, and the last file should be short.
LONG = ("e2e", "worker", "ray", "story", "sweeping", "exports", "watch", "asking", "sum_node_page")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files come first; tests marked gpu are skipped, with the reason, without a GPU."""
    items.sort(key=lambda item: not item.path.stem.removeprefix("test_").startswith(LONG))
    if torch.cuda.is_available():
        return
    for item in items:
        if item.get_closest_marker("gpu"):
            item.add_marker(pytest.mark.skip(reason="no CUDA device on this machine"))


@pytest.fixture(scope="session", autouse=True)
def _session_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keeps fixtures that outlive one test out of the user's own data folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EXPLORER_HOME", str(tmp_path_factory.mktemp("session-home")))
        yield


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder of its own for every test."""
    path = tmp_path / "home"
    monkeypatch.setenv("EXPLORER_HOME", str(path))
    return path


@pytest.fixture(scope="session")
def chromium_path() -> str | None:
    """The system's Chromium; None where Playwright has to start the browser it brought."""
    chosen = os.environ.get("EXPLORER_CHROMIUM")
    return chosen or next(filter(None, map(shutil.which, BROWSERS)), None)


@pytest.fixture(scope="module")
def browser(chromium_path: str | None) -> Iterator[Any]:
    """Chromium, for the tests of one file."""
    api = pytest.importorskip("playwright.sync_api")
    with api.sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-gpu"]
        browser = playwright.chromium.launch(executable_path=chromium_path, args=arguments)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """One server for all tests that leave it as they found it."""
    app = App(tmp_path_factory.mktemp("app"))
    yield app
    app.end()


@pytest.fixture(scope="module")
def screen(browser: Any) -> Callable[[int, str], Any]:
    """Browser contexts by width and theme; the app keeps no cookies that tests could share."""

    @functools.cache
    def context(width: int, theme: str) -> Any:
        size = {"width": width, "height": 900}
        return browser.new_context(viewport=size, color_scheme=theme, reduced_motion="reduce")

    return context


def is_ours(message: Any) -> bool:
    """Whether a console message is an error of the app.

    On a page below the root Streamlit's client looks for its server there first, in vain.
    """
    return message.type == "error" and "/_stcore/" not in message.location.get("url", "")


@pytest.fixture
def tab(app: App, screen: Callable[[int, str], Any]) -> Iterator[Callable[..., Visit]]:
    """Opens tabs: `tab(width=390, theme="dark")`, each a session of its own.

    Stops what they left running, and fails on any error of a page, unless it was opened with
    `calm=False` because its server is about to die.
    """
    visits: list[Visit] = []
    errors: list[str] = []

    def open_tab(
        at: App = app, *, width: int = 1280, theme: str = "light", calm: bool = True
    ) -> Visit:
        page = screen(width, theme).new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        if calm:
            page.on("console", lambda m: errors.append(m.text) if is_ours(m) else None)
        visits.append(Visit(at, page))
        return visits[-1]

    yield open_tab
    for visit in visits:
        visit.leave()
    assert errors == []


@pytest.fixture
def visit(tab: Callable[..., Visit]) -> Visit:
    """A tab on a wide, light screen."""
    return tab()
