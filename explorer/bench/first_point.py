"""How soon after Play there is something to see, with a warm worker."""

from time import perf_counter
from typing import Any

import numpy as np

from explorer.bench import Rows, row
from explorer.bench._lab import own_home, own_lab, wait_until
from explorer.comparison import names
from explorer.experiments.arms import DEFAULT
from explorer.ui.drawing import Screen
from explorer.ui.lab import Lab
from explorer.ui.live import as_text
from explorer.ui.view import Views

STARTS = 7
BOUND = 1.0  # seconds


def start(lab: Lab, views: Views) -> tuple[float, float]:
    """Seconds from Play to the first step of every arm in the store, and in a view as JSON."""
    arms = list(zip(names(DEFAULT.specs), DEFAULT.specs, strict=True))
    started = perf_counter()
    comparison = lab.executor.start(arms)
    wait_until(lambda: all(lab.store.last_step(run.id) >= 0 for run in comparison.runs), 0.002)
    committed = perf_counter() - started
    view = views.view(DEFAULT.specs, comparison.id, Screen())
    as_text(view)
    shown = perf_counter() - started
    lab.executor.command(comparison.id, "stop")
    wait_until(lambda: lab.executor.worker_of(comparison.id) is None)
    return committed, shown if _has_points(view) else float("nan")


def _has_points(view: dict[str, Any]) -> bool:
    return all(arm["gradient"] for arm in view["arms"])


def rows() -> Rows:
    """Median and longest of several starts of the default comparison."""
    with own_home(), own_lab() as lab:
        views = Views(lab)
        times = np.array([start(lab, views) for _ in range(STARTS)])
    stored, shown = times.T
    what = f"Play -> first point of both arms, {STARTS} starts"
    yield row(f"{what}, in the store, median", float(np.median(stored)), "s", "at most", BOUND)
    yield row(f"{what}, in the view, median", float(np.median(shown)), "s", "at most", BOUND)
    yield row(f"{what}, in the view, longest", float(shown.max()), "s", "at most", BOUND)
