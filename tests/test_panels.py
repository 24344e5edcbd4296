"""The browser panels: what Python reads of their events, and what they do in a browser.

The panels run on a bare page without Streamlit, against a server that counts what it is asked.
"""

import functools
import itertools
import json
import math
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from explorer.ui import components

ASSETS = Path(components.__file__).parent / "assets"
HOSTILE = "plain <script>window.harmed = true</script>"
GRADIENT = [[1.0, 0.1, 0.01, 0.001], [1.0, 1.0, None, 1.0]]
PAGE = """<!doctype html><title>panels</title><body>
<div id="transport"></div><div id="diagram"></div><div id="charts"></div>
<script>
window.events = [];
window.drawn = [];
window.Plotly = {
  react: async (plot, data, layout) => { window.drawn.push(layout.title.text); },
  purge() {}, Plots: { resize() {} },
};
window.show = async (name, data) => {
  const panel = await import(`/assets/${name}.js`);
  const setTriggerValue = (event, value) => window.events.push([event, value]);
  return panel.mount({ data, parentElement: document.getElementById(name), setTriggerValue });
};
</script>"""


def arm(index: int) -> dict[str, Any]:
    plain = index == 0
    return {
        "name": HOSTILE if plain else "residual",
        "color": "#D55E00" if plain else "#0072B2",
        "plain": plain,
        "stages": [2, 1],
        "gates": [1.0] * 3,
        "residual": [1.0] * 3,
        "shortcut": "none" if plain else "zero_pad",
    }


class Fake:
    """The view that the server gives, and the addresses it was asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.step = 0
        self.state = "idle"

    def view(self) -> dict[str, Any]:
        running = self.state == "running"
        names = ("play", "pause", "resume", "step", "stop", "reset")
        return {
            "busy": running,
            "state": self.state,
            "step": self.step,
            "steps": 200,
            "seconds_left": 8.2 if running else None,
            "steps_per_s": 12.34 if running else None,
            "queue": 0,
            "message": "",
            "arms": [{**arm(i), "gradient": GRADIENT[i]} for i in (0, 1)],
            "sentences": [{"text": HOSTILE, "rule": ""}],
            "figures": {"profile": {"data": [], "layout": {"title": {"text": self.step}}}},
            "alts": {"profile": "a profile"},
            "controls": {n: n in (("pause",) if running else ("play", "step")) for n in names},
        }


class Handler(BaseHTTPRequestHandler):
    def __init__(self, fake: Fake, *args: Any) -> None:
        self.fake = fake
        super().__init__(*args)

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/view":
            self.fake.asked.append(self.path)
            body = json.dumps(self.fake.view()).encode()
            tag = f'"{hash(body)}"'
            fresh = self.headers.get("If-None-Match") == tag
            self.answer(304 if fresh else 200, b"" if fresh else body, "application/json", tag)
        elif path.startswith("/assets/"):
            kind = "text/css" if path.endswith(".css") else "text/javascript"
            file = ASSETS / Path(path).name
            self.answer(200, file.read_bytes() if file.is_file() else b"", kind)
        else:
            self.answer(200, PAGE.encode(), "text/html")

    def answer(self, status: int, body: bytes, kind: str, tag: str = "") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("ETag", tag)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        """The test's output is not a log."""


@pytest.fixture
def fake() -> Fake:
    return Fake()


@pytest.fixture
def page(fake: Fake, browser: Any) -> Iterator[Any]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, fake))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    page = browser.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(f"http://127.0.0.1:{server.server_port}/")
    yield page
    page.close()
    server.shutdown()
    server.server_close()
    assert errors == []


def show(page: Any, name: str, **data: Any) -> None:
    page.evaluate("([name, data]) => show(name, data).then(() => null)", [name, data])


@pytest.mark.e2e
def test_a_click_cuts_a_skip_at_once_and_tells_python_all_gates(page: Any) -> None:
    show(page, "diagram", arms=[arm(0), arm(1)])
    skip = page.get_by_role("switch", name="Skip connection of block 2 of residual")
    page.evaluate("window.before = document.querySelector('[data-testid=skip-1-1]')")
    skip.locator(".hit").click()
    assert skip.get_attribute("aria-checked") == "false"
    skip.press("ArrowRight")
    page.keyboard.press("Space")
    events = page.evaluate("events")
    assert [name for name, _ in events] == ["toggle", "toggle"]
    gates = components.read_gates({"toggle": events[-1][1]}, (3, 3))
    assert gates == ((1.0, 1.0, 1.0), (1.0, 0.0, 0.0))
    show(page, "diagram", arms=[arm(0), {**arm(1), "gates": [1, 0, 0]}])
    assert page.evaluate("before === document.querySelector('[data-testid=skip-1-1]')")
    assert page.evaluate("window.harmed") is None
    assert page.get_by_text(HOSTILE).count() == 1


@pytest.mark.e2e
def test_every_other_and_strength_set_all_gates(page: Any) -> None:
    show(page, "diagram", arms=[arm(0), arm(1)])
    page.get_by_test_id("skips-every-other-1").click()
    page.get_by_test_id("strength-1").fill("0.5")
    page.wait_for_function("events.length >= 2")
    first, last = (page.evaluate(f"events.at({at})[1].gates[1]") for at in (0, -1))
    assert first == [1, 0, 1]
    assert last == [0.5, 0.5, 0.5]


@pytest.mark.e2e
def test_bars_share_one_log_scale_and_mark_what_is_no_number(page: Any) -> None:
    show(page, "diagram", arms=[arm(0), arm(1)], url="/view")
    page.wait_for_selector("[data-reading=some]")
    heights = page.evaluate(
        "[...document.querySelectorAll('.bar')].map(b => +b.getAttribute('height'))"
    )
    plain, residual = heights[:4], heights[4:]
    steps = [a - b for a, b in itertools.pairwise(plain)]
    assert max(steps) - min(steps) < 0.02
    assert residual[0] == plain[0]
    assert page.locator("[data-reading=none] title").text_content().endswith("not a number")


@pytest.mark.e2e
def test_transport_follows_the_view_and_the_keyboard(page: Any, fake: Fake) -> None:
    show(page, "transport", url="/view")
    page.wait_for_selector("[data-testid=play]:not([aria-disabled])")
    page.keyboard.press("Space")
    page.keyboard.press("ArrowRight")
    commands = [components.read_command({name: event}) for name, event in page.evaluate("events")]
    assert commands == ["play", "step"]
    fake.state, fake.step = "running", 93
    page.get_by_text("step 93 of 200, 12.3 steps/s, about 8 s left").wait_for()
    assert page.get_by_test_id("play").inner_text() == "Pause"
    page.keyboard.press("ArrowRight")
    assert page.evaluate("events.length") == 2


@pytest.mark.e2e
def test_panels_share_one_poller_and_charts_follow_the_step(page: Any, fake: Fake) -> None:
    fake.state = "running"
    charts = {
        "url": "/view",
        "ids": ["profile", "sentences", "heatmap"],
        "plotly": "/assets/none.js",
    }
    show(page, "charts", **charts)
    show(page, "transport", url="/view")
    page.wait_for_selector(".panel-charts[data-step='0']")
    fake.step = 7
    page.wait_for_selector(".panel-charts[data-step='7']")
    page.wait_for_function("drawn.at(-1) === 7")
    assert all("theme=light" in address for address in fake.asked)
    assert page.get_by_test_id("chart-heatmap").is_hidden()
    fake.asked.clear()
    page.wait_for_timeout(1000)
    assert 1 <= len(fake.asked) <= 5  # two pollers would ask eight times


def test_events_of_another_network_or_of_no_shape_are_nothing() -> None:
    good = {"gates": [[1, 0.5], [0, 1]], "seq": 2}
    old = {"gates": [[1, 1], [1, 1]], "seq": 1}
    read = functools.partial(components.read_gates, shape=(2, 2))
    assert read({"toggle": old, "skip_all": good}) == ((1.0, 0.5), (0.0, 1.0))
    assert components.read_gates({"toggle": good}, (2, 3)) is None
    bad: list[Any] = [None, [], {}, {"gates": 1}, {"gates": [1, 2]}, {"gates": [[1, "x"], [0, 1]]}]
    bad += [{"gates": [[1, value], [0, 1]]} for value in (math.nan, math.inf, 11, None)]
    assert [read({"toggle": event}) for event in bad] == [None] * len(bad)
    assert components.read_command({"command": {"name": "rm"}}) is None
    assert components.read_command({"command": {"name": ["play"]}}) is None


def test_no_panel_makes_markup_out_of_text() -> None:
    text = "".join(file.read_text() for file in ASSETS.glob("*.js"))
    assert "innerHTML" not in text
    assert "insertAdjacentHTML" not in text
    assert "eval(" not in text
