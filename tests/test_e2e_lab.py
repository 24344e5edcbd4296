"""The gradient laboratory in a browser: what a visitor turns changes the numbers that are read."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from browser import PATIENCE, Visit
from test_e2e_inside import all_can_use

pytestmark = pytest.mark.e2e

FIRST = {  # the chart that says what a page is about
    "product_of_factors": "gradient",
    "gradient_profile": "gradient",
    "shattering": "autocorrelation",
    "jacobians": "whole",
    "gradient_by_depth": "ratio",
    "paths": "split",
}
DRAWN = "[data-chart={}] .plot .main-svg"
TITLE = """(chart) => (document.querySelector(`[data-chart="${chart}"] .plot`)?.layout?.title?.text
  ?? "").replace(/<[^>]*>/g, " ").replace(/\\s+/g, " ")"""  # title and note


def opened(visit: Visit, page: str, query: str = "") -> Any:
    """The page, once its first chart is drawn."""
    visit.page.goto(f"{visit.app.url}{page}{query}")
    visit.page.wait_for_selector(DRAWN.format(FIRST[page]), timeout=PATIENCE)
    visit.settle()
    return visit.page


def said(visit: Visit, chart: str, pattern: str) -> float:
    """The number that the first group of `pattern` finds in a chart's title, once it does."""
    script = f"([chart, pattern]) => new RegExp(pattern).test(({TITLE})(chart))"
    visit.page.wait_for_function(script, arg=[chart, pattern], timeout=PATIENCE)
    found = re.search(pattern, visit.page.evaluate(TITLE, chart))
    assert found
    return float(found[1])


def curve(visit: Visit, name: str) -> list[float]:
    """An autocorrelation, which is drawn over its band."""
    return [list(line["y"]) for line in visit.lines("autocorrelation") if line["name"] == name][-1]


def network(page: Any, number: int, text: str) -> None:
    """Type another network over one that is shown."""
    field = page.get_by_label(f"Network {number}", exact=True)
    field.fill(text)
    field.press("Enter")


def test_a_smaller_variance_leaves_less_of_the_gradient(tab: Callable[..., Visit]) -> None:
    """Of He's s = 2 all is left in the wide limit, of 1.6 the root of 0.8^50."""
    visit = tab(width=390, theme="dark")
    page = opened(visit, "product_of_factors")
    assert said(visit, "gradient", r"theory ([\d.e-]+)\)") == 1
    page.get_by_role("slider").first.press("ArrowLeft")
    visit.wait_for_url("variance=1.6")
    left = said(visit, "gradient", r"theory (0[\d.e-]+|\d[\d.]*e-\d+)\)")
    assert left == pytest.approx(0.8**25, rel=0.05)
    visit.see("multiplies the squared gradient by chi = 0.8: it vanishes")
    all_can_use(visit)


def test_a_typed_network_takes_the_place_of_another(visit: Visit) -> None:
    page = opened(visit, "gradient_profile")
    before = said(visit, "gradient", r"receives ([\d.e]+) x")
    network(page, 1, "plain-20,width=4")
    visit.wait_for_url("net=plain-20%2Cwidth%3D4%400")
    page.get_by_role("radio", name="2", exact=True).click()
    pattern = r"receives ([\d.e]+) x the last block's gradient in plain-20.* 2 seeds, first batch"
    assert 1 < said(visit, "gradient", pattern) < before / 10  # 20 layers, not 56
    network(page, 1, "plain-21")
    visit.see("depth: '21' is not allowed; with basic blocks 6n+2")
    assert page.get_by_label("Network 1", exact=True).input_value() == "plain-21"
    assert "net=plain-20%2Cwidth%3D4%400" in page.url
    page.get_by_text("BatchNorm and skips", exact=True).click()
    visit.wait_for_url("net=plain-56%2Cwidth%3D8%400")
    page.get_by_text("is not allowed").wait_for(state="detached", timeout=PATIENCE)
    all_can_use(visit)


def test_two_blocks_do_not_shatter_as_24_do(tab: Callable[..., Visit]) -> None:
    visit = tab(theme="dark")
    page = opened(visit, "shattering")
    assert said(visit, "autocorrelation", r"(\d+) blocks, width 200") == 24
    deep = curve(visit, "plain, BatchNorm")
    page.get_by_role("radio", name="2", exact=True).click()
    visit.wait_for_url("blocks=2")
    assert said(visit, "autocorrelation", r" after [^;]*;.* (2) blocks, width 200") == 2
    shallow = curve(visit, "plain, BatchNorm")
    assert shallow[0] == pytest.approx(1)
    assert shallow[1] > 0.6 > 0.2 > deep[1]
    all_can_use(visit)


def test_a_shallower_network_stretches_less(tab: Callable[..., Visit]) -> None:
    visit = tab(width=390)
    page = opened(visit, "jacobians")
    stretch = re.compile(r"plain-\d+: from the stem to the last block .* up to ([\d.e+]+) times")

    def grown(label: str) -> float:
        line = page.get_by_text(re.compile(f"^{label}: from the stem")).first
        line.wait_for(timeout=PATIENCE)
        found = stretch.search(line.inner_text())
        assert found
        return float(found[1])

    deep = grown("plain-56")
    network(page, 1, "plain-8,width=4")
    assert 1 < grown("plain-8") < deep / 10
    page.get_by_role("button", name="Remove the last").click()
    visit.wait_for_url("net=plain-8", without="resnet")
    page.wait_for_function(
        "document.querySelector('[data-chart=whole] .plot')._fullData"
        ".every((line) => !line.name.includes('residual'))",
        timeout=PATIENCE,
    )
    all_can_use(visit)


def points(visit: Visit) -> int:
    return sum(len(line["y"]) for line in visit.lines("ratio") if line["name"] == "residual")


def test_points_by_depth_come_one_by_one_until_cancelled_and_go_on(visit: Visit) -> None:
    page = opened(visit, "gradient_by_depth")
    page.get_by_role("button", name="Remove the last").click()
    network(page, 1, "resnet-56,width=16,block=preact,batch=64")
    visit.see(re.compile(r"^\d+ of 14 networks measured, about \d+ (s|min) left"))  # type: ignore[arg-type]
    page.wait_for_function(
        "document.querySelector('[data-chart=ratio] .plot')._fullData.some((line) => "
        "line.x?.length > 1)",
        timeout=PATIENCE,
    )
    visit.press("stop")
    visit.see("Cancelled; Compute starts it again")
    visit.settle()
    some = points(visit)
    assert some > 0
    visit.press("play")
    page.wait_for_function(
        "(some) => document.querySelector('[data-chart=ratio] .plot')._fullData.filter((line) => "
        "line.name === 'residual').reduce((sum, line) => sum + line.y.length, 0) > some",
        arg=some,
        timeout=PATIENCE,
    )
    visit.press("stop")
    visit.see("Cancelled; Compute starts it again")
    all_can_use(visit)


def test_the_shortcut_s_share_of_the_gradient_changes_with_training(
    tab: Callable[..., Visit],
) -> None:
    visit = tab(width=390)
    page = opened(visit, "paths")
    trained = said(visit, "split", r"median block: (\d+) %")
    visit.see("added as vectors, so that paths may cancel")
    page.get_by_role("slider").first.press("Home")
    visit.wait_for_url("%400")
    visit.see("residual-56 after 0 steps; training mode, one batch")
    other = said(visit, "split", rf"median block: (?!{trained:.0f} )(\d+) %")
    assert 0 < other < 100
    page.close()
