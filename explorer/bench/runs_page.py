"""The Runs page with a filled store: how soon it is there, filters, and compares."""

from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

from explorer.bench import Rows, leave_out, row
from explorer.bench._app import NO_BROWSER, App, own_app, own_browser
from explorer.bench._lab import own_home, wait_until
from explorer.comparison import names
from explorer.spec import RunSpec, parse
from explorer.store import Store, this_process
from explorer.trace import Reading

if TYPE_CHECKING:
    from playwright.sync_api import Browser

RUNS = 200
COMPARED = 20
STEPS = 200
TIMES = 5
FILTERED, PAINTED = 0.2, 1.0  # seconds
SCALARS = {"train_loss": 1, "train_accuracy": 1, "test_accuracy": 25}  # every so many steps
GRADIENT = "activation_gradient"
READY = """() => document.querySelector(".panel-table[data-state=ready] tbody tr")
    && performance.now() / 1000"""
FIRST_PAINT = "() => performance.getEntriesByName('first-contentful-paint')[0].startTime / 1000"
FILTER = """async (words) => {
    const search = document.querySelector(".finder input");
    const took = [];
    for (const word of words) {
        search.value = word;
        const began = performance.now();
        search.dispatchEvent(new Event("input"));
        await new Promise((drawn) => requestAnimationFrame(() => setTimeout(drawn)));
        took.push((performance.now() - began) / 1000);
    }
    return took;
}"""  # seconds from a key to the rows drawn, for each text in the box
COMPARE = """(count) => new Promise((done) => {
    const lines = () => document.querySelector("[data-chart=curves] .plot")?._fullData ?? [];
    const began = performance.now();
    const look = () => new Set(lines().map((line) => line.name)).size >= count
        ? done((performance.now() - began) / 1000) : requestAnimationFrame(look);
    document.querySelector("thead input").click();
    look();
})"""  # seconds from a click that selects all that are found to their curves


def fill(store: Store) -> None:
    """RUNS finished runs of networks of several depths, with made-up readings."""
    random = np.random.default_rng(0)
    for number in range(RUNS // 2):
        depth, seed = (8, 20, 32, 44, 56)[number % 5], number // 5
        specs = [parse(f"{kind}-{depth},width=8,seed={seed}") for kind in ("plain", "resnet")]
        arms = list(zip(names(specs), specs, strict=True))
        comparison = store.add_comparison(arms, this_process())
        for run in comparison.runs:
            _train(store, run.id, run.spec, random)


def _train(store: Store, run_id: int, spec: RunSpec, random: np.random.Generator) -> None:
    sites = spec.network.sites
    for probe in SCALARS:
        store.describe(run_id, probe, (probe,), "1", False)
    store.describe(run_id, GRADIENT, sites, "‖dL/dx‖", True)
    readings = [
        Reading(probe, step, random.random(1, np.float32))
        for probe, every in SCALARS.items()
        for step in range(0, STEPS + 1, every)
    ]
    readings += [
        Reading(GRADIENT, step, random.random(len(sites), np.float32) + 0.1)
        for step in range(0, STEPS + 1, 5)
    ]
    store.write([(run_id, reading) for reading in readings], {run_id: 20.0})
    store.update(run_id, state="done", device="cpu")


@contextmanager
def opened(browser: "Browser", app: App, query: str = "") -> Iterator[Any]:
    """The page in a new tab, its rows drawn; nothing is in the browser's cache."""
    context = browser.new_context(viewport={"width": 1280, "height": 1000})
    try:
        page = context.new_page()
        page.goto(f"{app.url}/runs{query}", wait_until="commit")
        page.wait_for_function(READY, polling="raf")
        yield page
    finally:
        context.close()


def first_paint(browser: "Browser", app: App) -> tuple[float, float]:
    """Seconds from a visit to the first paint, and to the rows."""
    with opened(browser, app) as page:
        rows_at = page.evaluate(READY)
        return float(page.evaluate(FIRST_PAINT)), float(rows_at)


def filtering(browser: "Browser", app: App) -> list[float]:
    """Seconds from a key to the rows drawn, of words typed letter by letter and taken away."""
    texts = [word[:end] for word in ("plain-56", "depth>20", "") for end in range(len(word) + 1)]
    with opened(browser, app) as page:
        page.wait_for_function("window.Plotly")  # a page at rest
        return [float(took) for took in page.evaluate(FILTER, texts)]


def comparing(browser: "Browser", app: App) -> float:
    """Seconds from the click that selects COMPARED runs to their curves."""
    with opened(browser, app, f"?find=seed%3C{COMPARED // 10}") as page:
        page.wait_for_function("window.Plotly")
        return float(page.evaluate(COMPARE, COMPARED))


def rows() -> Rows:
    """Medians in headless Chromium with a warm server; of filtering also the longest."""
    with own_browser() as browser:
        if browser is None:
            leave_out(f"the Runs page with {RUNS} runs", NO_BROWSER)
            return
        with own_home():
            fill(Store())
            with own_app() as app:
                wait_until(lambda: app.settled, 0.25)
                first_paint(browser, app)
                visits = [first_paint(browser, app) for _ in range(TIMES)]
                filtered = filtering(browser, app)
                compared = [comparing(browser, app) for _ in range(TIMES)]
    what = f"the Runs page with {RUNS} runs"
    painted, ready = (median(column) for column in zip(*visits, strict=True))
    yield row(f"{what}, first contentful paint", painted, "s", "at most", PAINTED)
    yield row(f"{what}, all rows there", ready, "s", "at most", PAINTED)
    yield row(f"{what}, key to filtered rows, median", median(filtered), "s", "at most", FILTERED)
    yield row(f"{what}, key to filtered rows, longest", max(filtered), "s", "at most", FILTERED)
    yield row(f"comparing {COMPARED} runs, click to curves", median(compared), "s", "at most", 1.0)
