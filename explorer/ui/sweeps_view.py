"""The view of a sweep over any grid: all that its page shows at this moment, as one JSON object."""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from explorer import figures
from explorer.experiments.reference import Recorded, reference
from explorer.figures import Ending, alt_text, make_arms
from explorer.figures.race_lines import Metric
from explorer.spec import RunSpec
from explorer.store import ENDED, Row, Run, Sweep
from explorer.ui.drawing import Screen, as_json
from explorer.ui.kept import Kept
from explorer.ui.lab import Lab
from explorer.ui.selection import MOST_SELECTED
from explorer.ui.sweep_cells import Cells, cells
from explorer.ui.sweep_progress import Part, Progress, state_of
from explorer.ui.sweeps_state import SweepChoice

GONE = "That sweep is not on this machine: it was deleted, or made elsewhere."
PUT_RIGHT = "This grid cannot be trained; the line above says why."
MOST_LISTED = 20
LIST_FOR = 1.0  # seconds for which the list of sweeps is not read again
LAYOUTS_FOR = 60.0
PROBES: dict[Metric, str] = {
    "train_error": "train_accuracy",
    "test_error": "test_accuracy",
    "loss": "train_loss",
}


@dataclass(frozen=True)
class Shown:
    """The specs on show, each with its run, None before it has one."""

    specs: tuple[RunSpec, ...]
    runs: tuple[Run | None, ...]
    recorded: tuple[Recorded | None, ...]  # where the program has what no run here did

    @cached_property
    def parts(self) -> list[Part]:
        """The runs with how far they are."""
        return [
            Part(spec, run.state if run else "queued", max(run.step, 0) if run else 0)
            for spec, run in zip(self.specs, self.runs, strict=True)
        ]

    @property
    def states(self) -> list[str]:
        """Every run's state as its mark shows it."""
        pairs = zip(self.parts, self.recorded, strict=True)
        return ["recorded" if found else part.state for part, found in pairs]

    @property
    def started(self) -> list[int]:
        """The ids of the runs that there are."""
        return [run.id for run in self.runs if run is not None]

    @property
    def ended(self) -> list[int]:
        """The ids of those that came to their end."""
        return [run.id for run in self.runs if run is not None and run.state in ENDED]

    @property
    def device(self) -> str:
        """Where they were trained."""
        return ", ".join(sorted({run.device for run in self.runs if run and run.device}))

    @property
    def facts(self) -> str:
        """Steps, seeds and devices, as a note under the chart's title."""
        steps = _span({spec.recipe.steps for spec in self.specs})
        seeds = sorted({spec.seed for spec in self.specs})
        said = f"seed{'s' if len(seeds) > 1 else ''} {_span(seeds)}"
        recorded = f"recorded: {reference().where}" if any(self.recorded) else ""
        return ", ".join(filter(None, (f"{steps} steps", said, self.device, recorded)))


class SweepsViews:
    """Makes views of sweeps; one for all visitors, for it remembers what it read."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.progress = Progress(lab)
        self.lists: Kept[list[dict[str, Any]]] = Kept(seconds=LIST_FOR, most=1)
        self.layouts: Kept[Cells] = Kept(seconds=LAYOUTS_FOR, most=16)
        self.drawn: Kept[tuple[Any, str]] = Kept(seconds=LAYOUTS_FOR, most=32)

    def view(self, choice: SweepChoice, screen: Screen) -> dict[str, Any]:
        """The view of the attached sweep, or of the grid before it is trained."""
        sweep = self.lab.store.sweeps.get(choice.sweep) if choice.sweep else None
        refused = sweep is None and any(choice.refusal)
        shown = Shown((), (), ()) if refused else self._shown(choice, sweep)
        answer = self.progress.of(sweep, shown.specs, shown.parts, "New sweep")
        answer["note"] = shown.device
        answer["sweeps"] = self.listed()
        if refused:
            answer |= {"progress": PUT_RIGHT, "words": {**answer["words"], "play": "Train"}}
        if choice.sweep and sweep is None:
            answer["message"] = GONE
        if refused:
            return {**answer, "members": None, "figures": {}, "alts": {}}
        layout = self.layout(shown.specs)
        answer |= _members(shown, layout)
        drawn = {name: self._drawn(choice, shown, layout, screen) for name in screen.show}
        answer["figures"] = {name: figure for name, (figure, _) in drawn.items()}
        answer["alts"] = {name: alt for name, (_, alt) in drawn.items()}
        return answer

    def layout(self, specs: Sequence[RunSpec]) -> Cells:
        """Where each spec stands."""
        return self.layouts.get(tuple(spec.key for spec in specs), lambda: cells(specs))

    def listed(self) -> list[dict[str, Any]]:
        """The newest sweeps of the store, whoever trains them, newest first."""
        return self.lists.get("newest", self._list)

    def _list(self) -> list[dict[str, Any]]:
        return [
            {
                "id": sweep.id,
                "name": sweep.name,
                "created": sweep.created,
                "state": state_of(sweep),
                "done": len(sweep.members) - len(sweep.unfinished),
                "all": len(sweep.members),
            }
            for sweep in self.lab.store.sweeps.recent(MOST_LISTED)
        ]

    def _shown(self, choice: SweepChoice, sweep: Sweep | None) -> Shown:
        """The members of the sweep; without one the grid's runs, as far as the store has them."""
        if sweep is not None:
            specs = tuple(member.spec for member in sweep.members)
            runs = tuple(member.run for member in sweep.members)
            return Shown(specs, runs, (None,) * len(runs))
        store = self.lab.store
        found = [store.sweeps.finished(spec.key) for spec in choice.specs]
        mine = tuple(None if one is None else store.run(one) for one in found)
        pairs = zip(choice.specs, mine, strict=True)
        known = tuple(None if run else reference().runs.get(spec.key) for spec, run in pairs)
        return Shown(choice.specs, mine, known)

    def _drawn(
        self, choice: SweepChoice, shown: Shown, layout: Cells, screen: Screen
    ) -> tuple[Any, str]:
        """The figure as JSON and in words; made anew when another run has ended."""

        def make() -> tuple[Any, str]:
            figure = figures.outcomes(
                self._endings(shown, layout, choice.metric),
                layout.columns,
                layout.field,
                choice.metric,
                screen.theme,
                rows=layout.rows,
                plain=layout.plain,
                asked=len(shown.specs),
                chance=chance(shown.specs, choice.metric),
                narrow=screen.narrow,
                note=shown.facts,
            )
            return as_json(figure), alt_text(figure)

        keys = tuple(spec.key for spec in shown.specs)
        return self.drawn.get((keys, choice.metric, screen, tuple(shown.ended)), make)

    def _endings(self, shown: Shown, layout: Cells, metric: Metric) -> list[Ending]:
        """Where the runs ended that came to their end and have a reading to say so."""
        rows = {row.id: row for row in self.lab.store.table.some(list(set(shown.ended)))}
        found = []
        several = zip(shown.specs, shown.runs, shown.recorded, layout.places, strict=True)
        for spec, run, recorded, (column, row) in several:
            ended = rows.get(run.id) if run else recorded
            value = ending(ended, spec, metric) if ended else math.nan
            if ended is not None and math.isfinite(value):
                found.append(Ending(column, row, spec.seed, value, ended.state == "diverged"))
        return found


def ending(row: Row | Recorded, spec: RunSpec, metric: Metric) -> float:
    """The number that a run ended with; chance if it diverged, NaN if it was not read.

    Error and loss in training are those of the mean batch of the last epoch.
    """
    if row.state == "diverged":
        return chance([spec], metric)
    read = row.last.get(PROBES[metric], math.nan)
    return read if metric == "loss" else round(1 - read, 6)  # float32 shares add up to 1


def chance(specs: Sequence[RunSpec], metric: Metric) -> float:
    """The error or loss of a guess; NaN where it is not the same for all."""
    counts = {spec.network.classes for spec in specs}
    if len(counts) != 1:
        return math.nan
    return math.log(counts.pop()) if metric == "loss" else 1 - 1 / counts.pop()


def _members(shown: Shown, layout: Cells) -> dict[str, Any]:
    """Every run as a mark of the table, and the way to all of them together."""
    look = {arm.name: arm.color for arm in make_arms(layout.rows, layout.plain)}
    marks = [
        {
            "row": row,
            "column": column,
            "seed": part.spec.seed,
            "state": state,
            "share": 1.0 if state == "recorded" else part.share,
            "color": look[row],
            "link": f"/runs?ids={run.id}" if run else None,
        }
        for part, run, state, (column, row) in zip(
            shown.parts, shown.runs, shown.states, layout.places, strict=True
        )
    ]
    ids = list(dict.fromkeys(shown.started))[:MOST_SELECTED]
    opens = "; a press opens it" if ids else ""
    link = {"text": "Compare them on the Runs page", "href": f"/runs?ids={','.join(map(str, ids))}"}
    return {
        "members": marks,
        "members_head": layout.field,
        "members_columns": list(layout.columns),
        "members_said": f"Each mark is one run of one seed{opens}.",
        "members_link": link if ids else None,
    }


def _span(values: Collection[int]) -> str:
    low, high = min(values), max(values)
    return f"{low}" if low == high else f"{low} to {high}"
