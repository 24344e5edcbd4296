"""Pinned runs, as thin lines behind the curves of whatever is on show."""

import html
import threading
from collections import OrderedDict

from explorer.figures import Arm, CurveSeries
from explorer.store import Row, Store
from explorer.ui.kept import Kept
from explorer.ui.scene import Scene
from explorer.ui.selection import Selection

MOST = 4
FOR = 5.0  # seconds for which nobody looks again which runs are pinned
GREY = "#7a7f87"
DASHES = ("solid", "dot", "dashdot", "longdash")  # the chance line is dashed
PROBES = ("train_loss", "train_accuracy", "test_accuracy")

_pinned: Kept[tuple[Row, ...]] = Kept(seconds=FOR, most=1)
_drawn: "OrderedDict[tuple[str, int, int, str], CurveSeries]" = OrderedDict()
_lock = threading.Lock()


def references_of(scene: Scene) -> list[CurveSeries]:
    """The newest pinned runs that learn the data of `scene` and are not in it, at most MOST.

    A run of a user's own module is taken, too: what it learns is not known here.
    """
    if scene.traces is None or scene.comparison is None:
        return []
    store, data = scene.traces.store, scene.specs[0].data.name
    own = {run.id for run in scene.comparison.runs}
    rows = [
        row
        for row in _pinned.get(str(store.path), lambda: pinned(store))
        if row.id not in own and (row.spec is None or row.spec.data.name == data)
    ][:MOST]
    labels = Selection(tuple(rows)).labels
    return [_series(store, row, labels[i], DASHES[i % len(DASHES)]) for i, row in enumerate(rows)]


def pinned(store: Store) -> tuple[Row, ...]:
    """All pinned runs, newest first."""
    return tuple(row for row in store.table.rows() if row.pinned)


def look_again() -> None:
    """Forget which runs are pinned: somebody has just changed it."""
    with _pinned.lock:
        _pinned.made.clear()


def _series(store: Store, row: Row, label: str, dash: str) -> CurveSeries:
    """The run's curves, read from the store once for each step that it has reached."""
    key = (str(store.path), row.id, row.step, f"{label}{dash}")
    with _lock:
        if key in _drawn:
            return _drawn[key]
    arm = Arm(html.escape(label), GREY, dash)
    made = CurveSeries(arm, *(store.trace(row.id, probe) for probe in PROBES))
    with _lock:
        _drawn[key] = made
        while len(_drawn) > 2 * MOST:
            _drawn.popitem(last=False)
    return made
