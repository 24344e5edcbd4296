"""What the Runs page shows live, as JSON objects: the table of all runs, and some compared."""

import math
from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from explorer import figures
from explorer.diagnosis import (
    Learning,
    Verdict,
    flow_ratio,
    gradient_flow_verdict,
    learning_verdict,
)
from explorer.figures import CurveSeries, ProfileSeries, alt_text
from explorer.spec import RunSpec
from explorer.store import Row, Store
from explorer.trace import Trace
from explorer.ui.drawing import Screen, as_json
from explorer.ui.kept import Kept
from explorer.ui.selection import Selection, selection
from explorer.ui.traces import Traces
from explorer.wording import number, percent

MOST_ROWS = 1000
MOST_SENTENCES = 4  # runs that are diagnosed; a title names as many
SIZES_FOR = 30.0  # seconds for which the sizes of runs are not counted again
GOING = ("queued", "running")
NUMBERS = ("train_loss", "train_accuracy", "test_accuracy")
SEARCHED = {
    "network": ("family", "depth", "width", "block", "shortcut", "norm", "init"),
    "recipe": ("optimizer", "lr", "schedule", "batch", "steps"),
}
OWN_SITES = "newest reading of each run, against its own blocks"


class RunsViews:
    """Makes the views; one for all visitors, for it remembers what it read."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.traces = Traces(store)
        self.tables: Kept[dict[str, Any]] = Kept(seconds=SIZES_FOR, most=1)
        self.sizes: Kept[dict[int, int]] = Kept(seconds=SIZES_FOR, most=1)

    def table(self, tag: str) -> dict[str, Any]:
        """Every run as a line, newest first; `tag` is the store's token of its present state."""
        return self.tables.get(tag, self._table)

    def _table(self) -> dict[str, Any]:
        sizes = self.sizes.get("sizes", self.store.table.sizes)
        rows = [line(row, sizes.get(row.id, 0)) for row in self.store.table.rows(MOST_ROWS)]
        return {"busy": False, "rows": rows}  # not busy: once a second is often enough

    def tag(self, ids: Sequence[int]) -> str:
        """A token that changes whenever something of these runs does."""
        comparisons = {row.comparison for row in self.store.table.some(ids)}
        return "-".join(self.store.tag(name) for name in sorted(comparisons))

    def compare(self, ids: Sequence[int], screen: Screen) -> dict[str, Any]:
        """These runs in charts and sentences, as the panel of charts takes them."""
        chosen = selection(self.store, ids)
        drawn = {
            "curves": self._curves(chosen, screen),
            "profile": self._profile(chosen, screen),
        }
        return {
            "busy": any(row.state in GOING for row in chosen.rows),
            "state": "compared",
            "step": max((row.step for row in chosen.rows), default=0),
            "sentences": self._sentences(chosen),
            "figures": {name: figure and as_json(figure) for name, figure in drawn.items()},
            "alts": {name: alt_text(figure) for name, figure in drawn.items() if figure},
        }

    def _trace(self, row: Row, probe: str) -> Trace:
        changes = len(self.store.events(row.comparison)) if row.edited else 0
        return self.traces.get(row.id, probe, changes)

    def _curves(self, chosen: Selection, screen: Screen) -> go.Figure:
        series = [
            CurveSeries(arm, *(self._trace(row, probe) for probe in NUMBERS))
            for arm, row in zip(chosen.arms, chosen.rows, strict=True)
        ]
        many = len(chosen.rows) > MOST_SENTENCES or chosen.classes is None
        return figures.curves(
            series,
            chosen.classes,
            screen.theme,
            narrow=screen.narrow,
            note=facts(chosen.rows),
            title=_range_of_accuracy(chosen) if many else "",
        )

    def _profile(self, chosen: Selection, screen: Screen) -> go.Figure | None:
        read = [
            (arm, self._trace(row, "activation_gradient"))
            for arm, row in zip(chosen.arms, chosen.rows, strict=True)
        ]
        series = [ProfileSeries(arm, t.sites, t.last) for arm, t in read if len(t)]
        if not series:
            return None
        title = _range_of_flow(series) if len(series) > MOST_SENTENCES else ""
        note = "" if len({one.sites for one in series}) == 1 else OWN_SITES
        return figures.profile(series, screen.theme, narrow=screen.narrow, note=note, title=title)

    def _sentences(self, chosen: Selection) -> list[dict[str, str]]:
        """What the readings of a few runs say, each with the rule that it follows."""
        if len(chosen.rows) > MOST_SENTENCES:
            return []
        found: list[Verdict | Learning] = []
        for label, row in zip(chosen.labels, chosen.rows, strict=True):
            trace = self._trace(row, "activation_gradient")
            if len(trace) and len(trace.sites) > 1:
                found.append(gradient_flow_verdict(trace.last, trace.sites, label))
        for label, row in zip(chosen.labels, chosen.rows, strict=True):
            loss = self._trace(row, "train_loss")
            if row.spec is not None and len(loss):
                tested, classes = self._trace(row, "test_accuracy"), row.spec.network.classes
                found.append(learning_verdict(loss, tested, classes, label))
        return [{"text": verdict.sentence, "rule": verdict.rule} for verdict in found]


def line(row: Row, size: int) -> dict[str, Any]:
    """One run as the table takes it; errors are shares, a number that was never read is left out.

    `name` is what stands in the table, `words` what else is searched.
    """
    last = {name: row.last[name] for name in NUMBERS if name in row.last}
    errors = {
        f"{kind}_error": 1 - last[f"{kind}_accuracy"]
        for kind in ("train", "test")
        if f"{kind}_accuracy" in last
    }
    return {
        "id": row.id,
        "name": row.arm if row.spec is None else row.network,
        "state": row.state,
        "step": max(row.step, 0),
        **({"planned": row.spec.recipe.steps} if row.spec else {}),
        **({"loss": last["train_loss"]} if "train_loss" in last else {}),
        **errors,
        "device": row.device,
        "seconds": row.elapsed_s,
        "bytes": size,
        "created": row.created,
        "tags": list(row.tags),
        "note": row.note,
        "message": row.message,
        "pinned": row.pinned,
        "edited": row.edited,
        "fields": _fields(row.spec),
        "words": f"{row.arm} {row.comparison} {row.network}",
    }


def _fields(spec: RunSpec | None) -> dict[str, Any]:
    """What `depth>20` and `norm:none` in the search box look at."""
    if spec is None:
        return {}
    found = {name: getattr(spec.network, name) for name in SEARCHED["network"]}
    found |= {name: getattr(spec.recipe, name) for name in SEARCHED["recipe"]}
    return {**found, "data": spec.data.name, "seed": spec.seed}


def facts(rows: Sequence[Row]) -> str:
    """Steps, seeds and devices of the runs, as a note under a chart's title."""
    steps = sorted({max(row.step, 0) for row in rows})
    seeds = sorted({row.spec.seed for row in rows if row.spec is not None})
    devices = ", ".join(sorted({row.device for row in rows if row.device}))
    parts = [f"{_span(steps)} steps", f"seed {_span(seeds)}" if seeds else "", devices]
    return ", ".join(part for part in parts if part)


def _span(values: Sequence[int]) -> str:
    return f"{values[0]} to {values[-1]}" if len(values) > 1 else f"{values[0] if values else 0}"


def _range_of_accuracy(chosen: Selection) -> str:
    """The worst and the best newest test accuracy, and whose they are."""
    pairs = zip(chosen.arms, chosen.rows, strict=True)
    read = [(row.last.get("test_accuracy", math.nan), arm.name) for arm, row in pairs]
    read = sorted(pair for pair in read if math.isfinite(pair[0]))
    if not read:
        return "Loss of each run; no test accuracy was read"
    (low, worst), (high, best) = read[0], read[-1]
    if worst == best:
        return f"{best} reaches {percent(high)} test accuracy"
    return f"Newest test accuracy: from {percent(low)} ({worst}) to {percent(high)} ({best})"


def _range_of_flow(series: Sequence[ProfileSeries]) -> str:
    """The least and the greatest share of the last site's gradient that reaches the first."""
    ratios = [(flow_ratio(s.values), s.arm.name) for s in series if len(s.values) > 1]
    known = sorted(pair for pair in ratios if math.isfinite(pair[0]))
    if not known:
        return "No gradient is finite"
    (low, least), (high, greatest) = known[0], known[-1]
    return (
        f"First site's gradient over the last one's: from {number(low)} ({least})"
        f" to {number(high)} ({greatest})"
    )
