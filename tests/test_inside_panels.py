"""The panels of maps and image: what Python reads of their events, and what they show and send.

They run on a bare page without Streamlit and without a server: Playwright answers the browser.
"""

import base64
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import plotly
import pytest
from numpy.typing import NDArray

from explorer.ui.inside_panels import read_block, read_picture

ASSETS = Path(__file__).parents[1] / "explorer" / "ui" / "assets"
PLOTLY = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"
SITE = "http://panels.test/"
SIDE = 4  # pixels of an image, and of a map
PAGE = """<!doctype html><title>panels</title><body>
<div id="picture"></div><div id="maps"></div><div id="charts"></div>
<script>
window.events = [];
window.show = async (name, data) => {
  const panel = await import(`/assets/${name}.js`);
  const setTriggerValue = (event, value) => window.events.push([event, value]);
  panel.mount({ data, parentElement: document.getElementById(name), setTriggerValue });
};
</script>"""
Values = NDArray[np.float64]


def test_a_block_is_one_of_those_there_are() -> None:
    assert [read_block({"block": {"block": n, "seq": 1}}, 27) for n in (1, 27)] == [1, 27]
    bad: list[Any] = [None, 5, [], {}, *({"block": n} for n in (0, 28, -1, 1.0, True, "1", None))]
    assert [read_block({"block": event}, 27) for event in bad] == [None] * len(bad)
    assert read_block({}, 27) is None


def read(name: Any, *shape: int) -> str | None:
    return read_picture({"picture": {"id": name, "seq": 1}}, shape)


def test_a_picture_is_stored_or_drawn_in_its_form() -> None:
    for name in ("test:0", "train:17", "test:59999"):
        assert read(name, 3, 32, 32) == name
    assert read("drawn:0g9a", 1, 2, 2) == "drawn:0g9a"
    bad: list[Any] = [
        "",
        "test:",
        "test:-1",
        "test:017",
        "test:1.5",
        "test:1\n",
        "test:\u0661",
        "valid:1",
    ]
    bad += [
        "Test:1",
        "drawn:",
        "drawn:000",
        "drawn:00000",
        "drawn:00h0",
        "drawn:00G0",
        "drawn:00 0",
    ]
    bad += ["drawn:000\u0660", "test:" + "9" * 30, None, 3, ["test:1"]]
    assert [read(name, 1, 2, 2) for name in bad] == [None] * len(bad)
    assert read("drawn:" + "0" * 12, 3, 2, 2) is None
    assert read("drawn:00", 2) is None
    assert [read_picture(events, (1, 2, 2)) for events in ({}, {"picture": "test:1"})] == [None] * 2


def packed(values: Values) -> dict[str, Any]:
    """As the view has a map."""
    peak = float(np.abs(values).max())
    levels = np.rint(127 * values / peak).astype(np.int8)
    text = base64.b64encode(levels.tobytes()).decode()
    return {"shape": list(values.shape), "peak": peak, "q": text}


def grey(values: NDArray[Any]) -> str:
    return base64.b64encode(values.astype(np.uint8).tobytes()).decode()


class Fake:
    """The view: two blocks of four channels, and two images of 4 x 4 pixels."""

    def __init__(self) -> None:
        draw = np.random.default_rng(0).normal
        self.x, self.residual = draw(size=(2, 2, 4, SIDE, SIDE))
        self.residual[0, 0] = np.eye(SIDE) * [[5], [-5], [5], [5]]
        self.image = np.arange(0, 16 * SIDE * SIDE, 16)

    def block(self, at: int) -> dict[str, Any]:
        x, residual = self.x[at], self.residual[at]
        form = {"name": f"block {at + 1}", "stage": 1, "skip": 1.0, "act": False}
        maps = {"x": packed(x), "residual": packed(residual), "output": packed(x + residual)}
        return {**form, **maps}

    def view(self) -> dict[str, Any]:
        image = packed(self.image.reshape(1, SIDE, SIDE) / 255)
        arm = {"name": "residual", "color": "#0072B2", "plain": False, "input": image}
        arm |= {"stem": packed(self.x[0]), "blocks": [self.block(0), self.block(1)]}
        samples = [{"id": f"test:{n}", "label": str(n), "pixels": grey(self.image)} for n in (3, 4)]
        picture = {"chosen": "test:3", "shape": [1, SIDE, SIDE], "drawable": True, "label": "3"}
        picture |= {"samples": samples, "current": {"pixels": grey(self.image)}}
        lines = {"data": [{"x": [0, 1, 2], "y": [1, 2, 4]}], "layout": {"height": 300}}
        linked = {**lines, "layout": {"height": 300, "meta": {"blocks": True}}}
        figures = {"linked": linked, "other": lines}
        return {"maps": {"arms": [arm], "block": 1}, "picture": picture, "figures": figures}


@pytest.fixture
def fake() -> Fake:
    return Fake()


@pytest.fixture
def show(fake: Fake, browser: Any) -> Iterator[Callable[..., Any]]:
    """Opens a page with the panels of these names."""
    page = browser.new_page(viewport={"width": 1000, "height": 1400}, reduced_motion="reduce")
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))

    def answer(route: Any) -> None:
        path = route.request.url.removeprefix(SITE).partition("?")[0]
        if path == "view":
            route.fulfill(json=fake.view())
        elif path.endswith("plotly.min.js"):
            route.fulfill(path=PLOTLY)
        elif path.startswith("assets/"):
            route.fulfill(path=ASSETS / Path(path).name)
        else:
            route.fulfill(body=PAGE, content_type="text/html")

    def open_page(*names: str) -> Any:
        page.route(f"{SITE}**", answer)
        page.goto(SITE)
        data = {"url": "/view", "ids": ["linked", "other"], "plotly": "/assets/plotly.min.js"}
        for name in names:
            page.evaluate("([name, data]) => show(name, data)", [name, data])
        return page

    yield open_page
    page.close()
    assert errors == []


def over(page: Any, canvas: Any, channel: int, row: int, column: int) -> float:
    """The value that is said when the pointer is there; four channels lie two by two."""
    box = canvas.bounding_box()
    x = (channel % 2 + (column + 0.5) / SIDE) / 2
    y = (channel // 2 + (row + 0.5) / SIDE) / 2
    page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"])
    said = page.get_by_test_id("maps-value").inner_text()
    assert f"channel {channel + 1}, row {row + 1}, column {column + 1}: " in said
    return float(re.split(": ", said)[-1].replace("\u2212", "-"))


@pytest.mark.e2e
def test_a_map_says_its_values_and_between_two_blocks_their_mean(
    show: Callable[..., Any], fake: Fake
) -> None:
    page = show("maps")
    page.get_by_test_id("maps-row-2").wait_for()
    canvas = page.locator(".maps-one canvas").nth(1)
    page.get_by_test_id("maps-slider").fill("1.5")
    page.get_by_text("between block 1 and 2").wait_for()
    middle = fake.residual.mean(axis=0)
    for place in ((0, 0, 0), (1, 3, 2), (3, 2, 1)):
        assert over(page, canvas, *place) == pytest.approx(middle[place], abs=0.06)
    page.get_by_test_id("maps-slider").fill("1")
    for place in ((0, 2, 2), (2, 0, 3)):
        assert over(page, canvas, *place) == pytest.approx(fake.residual[0][place], abs=0.06)


@pytest.mark.e2e
def test_blue_is_above_nought_red_below_and_the_page_at_it(show: Callable[..., Any]) -> None:
    page = show("maps")
    page.get_by_test_id("maps-row-2").wait_for()
    pixel = """(canvas, [x, y]) => [...canvas.getContext("2d").getImageData(
      canvas.width / 2 * (x + 0.5) / 4, canvas.height / 2 * (y + 0.5) / 4, 1, 1).data]"""
    canvas = page.locator(".maps-one canvas").nth(1)
    assert canvas.evaluate(pixel, [0, 0]) == [0x21, 0x66, 0xAC, 255]
    assert canvas.evaluate(pixel, [1, 1]) == [0xB2, 0x18, 0x2B, 255]
    assert canvas.evaluate(pixel, [1, 0]) == [255, 255, 255, 255]


@pytest.mark.e2e
def test_a_row_chooses_its_block_and_marks_it_in_the_charts(show: Callable[..., Any]) -> None:
    page = show("maps", "charts")
    page.wait_for_selector("[data-chart=linked] .plot .scatter")
    page.wait_for_selector("[data-chart=other] .plot .scatter")
    script = """(id) => { const { layout, _fullLayout } =
      document.querySelector(`[data-chart=${id}] .plot`);
      return [layout.shapes ?? [], _fullLayout.xaxis.range]; }"""
    _, before = page.evaluate(script, "linked")
    row = page.get_by_test_id("maps-row-2")
    row.press("Enter")
    block = page.evaluate("events.at(-1)[1]")
    assert read_block({"block": block}, 2) == 2
    assert row.get_attribute("aria-pressed") == "true"
    (line,), after = page.evaluate(script, "linked")
    assert after == before
    assert line["x0"] == line["x1"] == pytest.approx((2 - before[0]) / (before[1] - before[0]))
    assert page.evaluate(script, "other")[0] == []
    row.blur()
    assert page.evaluate(script, "linked")[0] == []
    page.locator("[data-chart=linked] .nsewdrag").hover()
    page.wait_for_selector("[data-testid=maps-row-1][data-looked]")


def levels_sent(page: Any) -> NDArray[np.int64]:
    name, event = page.evaluate("events.at(-1)")
    found = read_picture({name: event}, (1, SIDE, SIDE))
    assert found is not None
    levels = ["0123456789abcdefg".index(sign) for sign in found.removeprefix("drawn:")]
    return np.array(levels).reshape(SIDE, SIDE)


def draw_row(page: Any, row: int) -> None:
    """One stroke from the left to the right."""
    box = page.get_by_test_id("picture-canvas").bounding_box()
    y = box["y"] + box["height"] * (row + 0.5) / SIDE
    page.mouse.move(box["x"] + 2, y)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] - 2, y, steps=2)
    page.mouse.up()


@pytest.mark.e2e
def test_a_stroke_begins_on_blank_or_on_the_image_and_strokes_add(
    show: Callable[..., Any], fake: Fake
) -> None:
    page = show("picture")
    draw_row(page, 0)
    levels = levels_sent(page)
    assert (levels[0] == 16).all()
    assert ((levels[1] > 0) & (levels[1] < 16)).all()
    assert not levels[2:].any()
    draw_row(page, 3)
    assert (levels_sent(page)[[0, 3]] == 16).all()
    page.get_by_test_id("picture-sample-1").click()
    name, event = page.evaluate("events.at(-1)")
    assert read_picture({name: event}, (1, SIDE, SIDE)) == "test:4"
    page.get_by_test_id("picture-over").click()
    canvas = page.get_by_test_id("picture-canvas")
    for key in ("ArrowRight", "ArrowDown", "Space"):
        canvas.press(key)
    image = np.rint(fake.image / 255 * 16).reshape(SIDE, SIDE)
    levels = levels_sent(page)
    assert levels[1, 1] == 16
    assert (levels >= image).all()
    assert (levels[3] == image[3]).all()
    page.get_by_test_id("picture-clear").click()
    assert not levels_sent(page).any()
