"""The panels of lesions and of the unravelled graph: what is sent, what is read, what is shown.

They run on a bare page without Streamlit, whose requests the test answers itself.
"""

import functools
import itertools
import json
import math
from collections import Counter
from collections.abc import Iterator
from math import comb
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from explorer.inside.expansion import MOST_BLOCKS, paths
from explorer.spec import SpecError
from explorer.ui import lesion_panels
from explorer.ui.lesion_panels import read_lesion
from explorer.ui.unravelling import unravelling

ASSETS = Path(lesion_panels.__file__).parent / "assets"
HOSTILE = "plain <script>window.harmed = true</script>"
SHAPE = (6, 6)
PAGE = """<!doctype html><title>panels</title><body><div id="lesions"></div>
<div id="unravelled"></div><script>
window.events = [];
window.show = async (name) => {
  const panel = await import(`/assets/${name}.js`);
  const setTriggerValue = (event, value) => window.events.push({ [event]: value });
  const parentElement = document.getElementById(name);
  panel.mount({ data: { url: "/view" }, parentElement, setTriggerValue });
};
</script>"""


class Fake:
    """A view of two networks of two stages, in which block 4 changes the shape."""

    def __init__(self) -> None:
        self.mode = "delete"
        self.orders = [list(range(1, 7)), list(range(1, 7))]
        self.costs = [[0.4, 0.8, 0.2, 0.6, 0.7, 0.5], [0.0, -0.2, 0.2, 0.4, 0.0, 0.1]]
        self.accuracy: float | None = 0.97
        self.blocks = 3

    def arm(self, index: int) -> dict[str, Any]:
        pairs = zip(self.orders[index], self.costs[index], strict=True)
        blocks = [
            {"number": place, "runs": runs or place, "gone": runs == 0, "cost": cost}
            | {"changes_shape": place == 4}
            for place, (runs, cost) in enumerate(pairs, 1)
        ]
        return {
            "name": HOSTILE if index == 0 else "residual",
            "color": ("#D55E00", "#0072B2")[index],
            "plain": index == 0,
            "stages": [3, 3],
            "accuracy": self.accuracy,
            "intact": 0.99,
            "chance": 0.1,
            "busy": self.accuracy is None,
            "said": f"order {self.orders[index]}",
            "blocks": blocks,
        }

    def view(self) -> dict[str, Any]:
        lesions = {"mode": self.mode, "arms": [self.arm(0), self.arm(1)]}
        return {"busy": True, "lesions": lesions, "unravelled": unravelling(self.blocks)}

    def answer(self, route: Any) -> None:
        path = route.request.url.split("test/", 1)[1]
        if path == "view":
            route.fulfill(json=self.view())
        elif path.startswith("assets/"):
            route.fulfill(path=ASSETS / Path(path).name)
        else:
            route.fulfill(body=PAGE, content_type="text/html")


@pytest.fixture
def fake() -> Fake:
    return Fake()


@pytest.fixture
def page(fake: Fake, browser: Any) -> Iterator[Any]:
    page = browser.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.route("**/*", fake.answer)
    page.goto("http://panels.test/")
    yield page
    page.close()
    assert errors == []


def show(page: Any, name: str, ready: str) -> None:
    page.evaluate(f"show('{name}')")
    page.get_by_test_id(ready).wait_for()


def block(page: Any, arm: int, number: int) -> Any:
    return page.get_by_test_id(f"lesion-{arm}-{number}")


def sent(page: Any) -> list[Any]:
    """What Python reads of the events so far."""
    return [read_lesion(event, SHAPE) for event in page.evaluate("events")]


def last(page: Any, count: int) -> Any:
    """What Python reads of the newest event, once there are `count`."""
    page.wait_for_function(f"events.length === {count}")
    return sent(page)[-1]


@pytest.mark.e2e
def test_a_press_deletes_a_block_at_once_and_another_brings_it_back(page: Any, fake: Fake) -> None:
    show(page, "lesions", "lesion-1-6")
    five = block(page, 1, 5)
    five.click()
    assert five.get_attribute("aria-checked") == "false"
    assert last(page, 1) == (1, (1, 2, 3, 4, 0, 6))
    assert page.locator("[data-waits]").count() == 1  # the accuracy is of another network
    five.press("Home")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Space")
    assert last(page, 2) == (1, (1, 0, 3, 4, 0, 6))
    fake.orders[1], fake.accuracy = [1, 0, 3, 4, 0, 6], 0.512
    page.get_by_text("51.2 %").nth(1).wait_for()
    page.wait_for_function("!document.querySelector('[data-waits]')")
    page.get_by_role("button", name="Restore all blocks of residual").click()
    assert last(page, 3) == (1, (1, 2, 3, 4, 5, 6))
    assert block(page, 1, 2).get_attribute("aria-checked") == "true"
    assert page.evaluate("window.harmed") is None
    assert page.get_by_text(HOSTILE, exact=True).count() == 1


@pytest.mark.e2e
def test_the_view_corrects_a_press_that_came_to_nothing(page: Any) -> None:
    show(page, "lesions", "lesion-1-6")
    block(page, 0, 1).click()
    page.wait_for_selector("[data-testid=lesion-0-1][aria-checked=true]")
    assert page.locator("[data-waits]").count() == 0


@pytest.mark.e2e
def test_swaps_are_between_blocks_of_one_shape(page: Any, fake: Fake) -> None:
    fake.mode, fake.orders[1] = "swap", [1, 2, 0, 4, 5, 6]
    show(page, "lesions", "lesion-1-6")
    disabled = "[data-testid^=lesion-1-][aria-disabled=true]"
    numbers = f"[...document.querySelectorAll('{disabled}')].map((b) => +b.dataset.testid.at(-1))"
    assert page.evaluate(numbers) == [3, 4]
    block(page, 1, 1).press("Enter")
    assert block(page, 1, 1).get_attribute("aria-pressed") == "true"
    assert page.evaluate(numbers) == [3, 4, 5, 6]
    assert "another shape than block 1" in block(page, 1, 5).get_attribute("title")
    block(page, 1, 5).click(force=True)
    assert sent(page) == []
    block(page, 1, 2).click()
    assert last(page, 1) == (1, (2, 1, 0, 4, 5, 6))
    assert "Block 2 of residual, in place 1" in block(page, 1, 1).get_attribute("aria-label")
    block(page, 1, 5).click()
    page.keyboard.press("Escape")
    assert page.locator("[aria-pressed=true]").count() == 0


@pytest.mark.e2e
def test_a_block_deleted_after_a_swap_comes_back_as_itself(page: Any, fake: Fake) -> None:
    """The view forgets which block stood in a deleted place; none may then run twice."""
    fake.orders[0] = [3, 2, 0, 4, 5, 6]  # block 1 is missing, and the view says 3 of place 3
    show(page, "lesions", "lesion-0-3")
    block(page, 0, 3).click()
    assert last(page, 1) == (0, (3, 2, 1, 4, 5, 6))


@pytest.mark.e2e
def test_all_bars_stand_on_one_linear_scale_and_gains_hang_below_it(page: Any, fake: Fake) -> None:
    show(page, "lesions", "lesion-1-6")
    boxes = page.evaluate(
        "[...document.querySelectorAll('.cost')].map((room) => [room, room.firstChild].map((b) => "
        "{ const { top, bottom } = b.getBoundingClientRect(); return [top, bottom]; }))"
    )
    unit = 26 / (0.8 + 0.2)  # px of the room that -0.2 to 0.8 share
    for cost, ((_, floor), (top, bottom)) in zip(itertools.chain(*fake.costs), boxes, strict=True):
        zero = floor - 0.2 * unit
        ends = sorted((zero - cost * unit, zero))
        assert [top, bottom] == pytest.approx(ends, abs=1.01)  # the least bar is a pixel
    finding = page.locator(".lesion-finding").inner_text()
    assert finding.endswith("55.0 (at most 80.0); residual 5.0 (at most 40.0).")
    widths = [e.evaluate("e => parseFloat(e.style.width)") for e in page.locator(".fill").all()]
    assert widths == pytest.approx([100 * (0.97 - 0.1) / 0.9] * 2, abs=0.01)


@pytest.mark.e2e
def test_a_path_lights_where_it_runs_whichever_way_it_is_chosen(page: Any, fake: Fake) -> None:
    show(page, "unravelled", "path-7")
    lit = ".unravelled-graph svg:last-child [data-on]"
    page.get_by_test_id("path-0").press("ArrowDown")
    page.keyboard.press("End")
    expected = unravelling(3)["paths"]
    assert page.locator(lit).count() == sum(len(expected[7][one]) for one in ("nodes", "edges"))
    assert page.locator(".in-series .node[data-on] .box").count() == 3
    page.keyboard.press("Tab")
    assert page.locator(lit).count() == 0
    for index in range(8):
        page.locator(f"g[data-path='{index}'] circle").hover()
        assert page.locator("li[data-on] button").get_attribute("data-testid") == f"path-{index}"
        boxes = page.locator(".in-series .node[data-on]").all_text_contents()
        taken = [int("₀₁₂₃".index(text[-1])) for text in boxes if text.startswith("F")]
        assert taken == expected[index]["blocks"]
        assert page.locator(".in-series > .edge[data-on]").count() == 3  # past a block or through
    page.locator("g[data-path='2'] circle").click()
    fake.blocks = 2
    page.wait_for_function("document.querySelectorAll('li').length === 4")
    assert page.locator(lit).count() == 0


@pytest.mark.parametrize("n", range(1, MOST_BLOCKS + 1))
def test_each_copy_of_x_is_the_start_of_one_path(n: int) -> None:
    """Walked backwards here, from the output, where the view was walked forwards."""
    drawn = json.loads(json.dumps(unravelling(n)))
    sources: dict[int, list[tuple[int, int]]] = {}
    for edge, (source, target) in enumerate(drawn["edges"]):
        sources.setdefault(target, []).append((source, edge))
    whole: list[tuple[list[int], list[int]]] = []

    def back(nodes: list[int], edges: list[int]) -> None:
        if nodes[0] not in sources:
            whole.append((nodes, edges))
        for source, edge in sources.get(nodes[0], []):
            back([source, *nodes], [edge, *edges])

    back([len(drawn["nodes"]) - 1], [])
    claimed = [(path["nodes"], path["edges"]) for path in drawn["paths"]]
    assert sorted(claimed) == sorted(whole)
    copies = [i for i, node in enumerate(drawn["nodes"]) if node["kind"] == "x"]
    assert sorted(path["nodes"][0] for path in drawn["paths"]) == copies
    assert len(copies) == 2**n
    for path in drawn["paths"]:
        labels = [drawn["nodes"][at]["label"] for at in path["nodes"]]
        assert [f"F{number}" for number in path["blocks"]] == [one for one in labels if "F" in one]
    lengths = Counter(len(path["blocks"]) for path in drawn["paths"])
    assert lengths == {k: comb(n, k) for k in range(n + 1)}


def test_values_go_to_their_paths_and_what_json_cannot_hold_is_none() -> None:
    values = [10.0 * len(path.blocks) + sum(path.blocks) for path in paths(3)]
    for path in unravelling(3, values)["paths"]:
        assert path["value"] == 10.0 * len(path["blocks"]) + sum(path["blocks"])
    assert [path["value"] for path in unravelling(1, [float("nan"), 2])["paths"]] == [None, 2.0]
    for bad in (functools.partial(unravelling, 7), functools.partial(unravelling, 2, [1.0])):
        with pytest.raises(SpecError):
            bad()


ANYTHING = st.recursive(
    st.sampled_from((None, True, 1.0, 0.5, math.nan, "1", {})) | st.integers(-2, 8),
    lambda inner: st.lists(inner, max_size=4),
    max_leaves=4,
)
ORDERS = st.permutations(range(1, 5)).flatmap(
    lambda order: st.tuples(*(st.sampled_from((0, block)) for block in order))
)


@given(arm=st.integers(0, 1), order=ORDERS)
@settings(max_examples=50, deadline=None)
def test_every_order_with_blocks_missing_is_read(arm: int, order: tuple[int, ...]) -> None:
    assert read_lesion({"lesion": {"arm": arm, "order": list(order)}}, (4, 4)) == (arm, order)


@given(arm=ANYTHING, order=ANYTHING | st.lists(st.integers(-1, 4) | st.booleans(), max_size=4))
@settings(max_examples=200, deadline=None)
def test_what_a_browser_may_not_send_is_nothing(arm: Any, order: Any) -> None:
    lesion = read_lesion({"lesion": {"arm": arm, "order": order}}, (3, 2))
    if lesion is not None:
        index, blocks = lesion
        assert type(index) is int
        assert all(type(block) is int for block in blocks)
        assert len(blocks) == (3, 2)[index]
        assert all(Counter(blocks)[block] == 1 for block in blocks if block)
        assert set(blocks) <= set(range(len(blocks) + 1))


BAD_ORDERS = ([1, 2], [1, 1, 0], [1, 2, 4], [1, -1, 3], [1.0, 2, 3], [True, 2, 3], "123", None)


def test_events_that_fit_no_network_are_nothing() -> None:
    bad: list[Any] = [None, [], {}, *({"arm": 0, "order": order} for order in BAD_ORDERS)]
    bad += [{"arm": arm, "order": [1, 2]} for arm in (True, -1, "1", 1.0)]
    bad += [{"arm": 2, "order": [1, 2, 3]}]
    assert [read_lesion({"lesion": event}, (3, 2)) for event in bad] == [None] * len(bad)
    assert read_lesion({}, (3, 2)) is None
