"""What a click on a skip costs on the server: the new network measured, its charts made."""

from collections.abc import Iterator
from functools import partial
from random import Random

import numpy as np

from explorer.bench import Rows, row, seconds
from explorer.bench._lab import own_home, own_lab
from explorer.experiments.arms import DEFAULT, Arms, with_value
from explorer.ui.drawing import Screen
from explorer.ui.live import as_text
from explorer.ui.view import Views

TOGGLES = 60
BOUND = 0.3  # seconds


def toggled(arms: Arms, count: int) -> Iterator[Arms]:
    """`arms` after each of `count` clicks on skips of the last one; no two are alike."""
    random = Random(0)
    gates = list(arms[-1].network.gates("skip"))
    seen = {tuple(gates)}
    while len(seen) <= count:
        block = random.randrange(len(gates))
        gates[block] = 1.0 - gates[block]
        if tuple(gates) not in seen:
            seen.add(tuple(gates))
            yield (*arms[:-1], with_value(arms[-1], "skip", tuple(gates)))


def rows() -> Rows:
    """Median and 95th percentile of the time from the new gates to the view as JSON.

    Clicks follow each other at once, so each also waits for a band's seed under way.
    """
    with own_home(), own_lab() as lab:
        views = Views(lab)

        def view(arms: Arms) -> str:
            return as_text(views.view(arms, "", Screen()))

        view(DEFAULT.specs)
        times = [seconds(partial(view, arms)) for arms in toggled(DEFAULT.specs, TOGGLES)]
    what = f"toggle a skip -> updated profile, depth 56, {TOGGLES} toggles"
    yield row(f"{what}, median", float(np.median(times)), "s", "at most", BOUND)
    yield row(f"{what}, 95 %", float(np.percentile(times, 95)), "s", "at most", BOUND)
