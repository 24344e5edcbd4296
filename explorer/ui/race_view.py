"""The view of a depth race: all that its page shows at this moment, as one JSON object."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, get_args

from explorer import figures
from explorer.experiments.race import longer, normalized, race_run, race_runs, with_readings
from explorer.experiments.reference import recorded_run, reference
from explorer.figures import alt_text
from explorer.figures.race_lines import Metric
from explorer.figures.theme import PLAIN, RESIDUAL
from explorer.race_finding import explanation, finding
from explorer.race_runs import RaceRun
from explorer.spec import RunSpec
from explorer.store import Sweep
from explorer.ui.drawing import Screen, as_json
from explorer.ui.kept import Kept
from explorer.ui.lab import Lab
from explorer.ui.race_state import RaceChoice
from explorer.ui.sweep_progress import Part, Progress
from explorer.ui.traces import Traces
from explorer.wording import capital

ROWS = {"": "", "longer": ", 3x the steps", "normalized": ", normalised steps"}
COLORS = {"plain": PLAIN, "residual": RESIDUAL}
METRICS: dict[str, Metric] = {name: name for name in get_args(Metric)}
SELDOM = 1.0  # seconds between two drawings of all but the first figure, while it trains
NOTHING_LOST = "No depth that has finished trains worse than a shallower one by the rule above."
GONE = "That sweep is not on this machine: it was deleted, or made elsewhere."


@dataclass(frozen=True)
class Shown:
    """The runs of a race with where they come from."""

    runs: list[RaceRun]
    specs: list[RunSpec]
    links: list[str]
    note: str

    @cached_property
    def parts(self) -> list[Part]:
        """The runs with the steps that have been read of them."""
        pairs = zip(self.runs, self.specs, strict=True)
        return [Part(spec, run.state, _steps_done(run)) for run, spec in pairs]


class RaceViews:
    """Makes views of races; one for all visitors, for it remembers what it read."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.traces = Traces(lab.store)
        self.kept: Kept[Any] = Kept(seconds=SELDOM, most=64)
        self.progress = Progress(lab)

    def view(self, choice: RaceChoice, screen: Screen) -> dict[str, Any]:
        """The view of the attached sweep, or of the race before it is trained."""
        sweep = self.lab.store.sweeps.get(choice.sweep) if choice.sweep else None
        shown = self.shown(choice, sweep)
        answer = self.progress.of(sweep, choice.race.specs, shown.parts, "New race")
        answer["note"] = shown.note
        if choice.sweep and sweep is None:
            answer["message"] = GONE
        said = finding(shown.runs)
        answer["sentences"] = [{"text": f"{capital(said.sentence)}.", "rule": said.rule}]
        further = [f"{capital(text)}." for text in explanation(shown.runs)] or [NOTHING_LOST]
        answer["explanations"] = [{"text": text, "rule": ""} for text in further]
        answer["members"] = _members(shown)
        answer["members_head"] = "depth"
        answer["members_columns"] = sorted({run.depth for run in shown.runs})
        answer["members_said"] = "Each mark is one run of one seed."
        if any(shown.links):
            answer["members_said"] = "Each mark is one run of one seed; a press opens it."
        drawn = {name: self._drawn(name, choice, shown, screen, answer) for name in screen.show}
        answer["figures"] = {name: figure for name, (figure, _) in drawn.items()}
        answer["alts"] = {name: alt for name, (figure, alt) in drawn.items() if figure}
        return answer

    def shown(self, choice: RaceChoice, sweep: Sweep | None = None) -> Shown:
        """The runs of the attached sweep; without one those that are known of the race."""
        if sweep is None and choice.sweep:
            sweep = self.lab.store.sweeps.get(choice.sweep)
        return self._of_sweep(sweep) if sweep else self._at_rest(choice)

    def _of_sweep(self, sweep: Sweep) -> Shown:
        runs = race_runs(sweep, self.traces.get)
        links = [f"/runs?ids={m.run.id}" if m.run else "" for m in sweep.members]
        devices = sorted({m.run.device for m in sweep.members if m.run and m.run.device})
        note = ", ".join(devices)
        return Shown(runs, [m.spec for m in sweep.members], links, note)

    def _at_rest(self, choice: RaceChoice) -> Shown:
        """What this machine's store or, failing that, the program's record has of the race."""
        specs = choice.race.specs
        steps = choice.race.base.recipe.steps
        runs, kept, links = [], [], []
        recorded = 0
        for spec in (*specs, *longer(specs), *normalized(specs)):
            run, link = self._finished(spec, steps), ""
            if run is None:
                run = recorded_run(spec, steps)
                recorded += run is not None
            else:
                link = f"/runs?ids={self.lab.store.sweeps.finished(spec.key)}"
            if run is None and spec in specs:
                run = race_run(spec, steps)
            if run is not None:
                runs.append(run)
                kept.append(spec)
                links.append(link)
        note = f"recorded: {reference().where}" if recorded else ""
        return Shown(runs, kept, links, note)

    def _finished(self, spec: RunSpec, base_steps: int) -> RaceRun | None:
        found = self.lab.store.sweeps.finished(spec.key)
        run = self.lab.store.run(found) if found is not None else None
        if run is None:
            return None
        return with_readings(race_run(spec, base_steps), run, self.traces.get)

    def _drawn(
        self, name: str, choice: RaceChoice, shown: Shown, screen: Screen, answer: dict[str, Any]
    ) -> tuple[Any, str]:
        """The figure as JSON, None where there is none, and what it shows in words."""

        def make() -> tuple[Any, str]:
            note = answer["note"]
            look: dict[str, Any] = {"narrow": screen.narrow, "note": note}
            if name == "by_depth":
                figure = figures.by_depth(shown.runs, "train_error", screen.theme, **look)
            elif name in METRICS:
                look["smooth"] = choice.smooth
                figure = figures.race(shown.runs, METRICS[name], choice.x, screen.theme, **look)
            else:
                return None, ""
            return as_json(figure), alt_text(figure)

        if answer["state"] != "running" or name == screen.show[0]:
            return make()
        key = (choice.sweep, name, screen, choice.x, choice.smooth)
        drawn: tuple[Any, str] = self.kept.get(key, make)
        return drawn


def _steps_done(run: RaceRun) -> int:
    return int(run.loss.steps[-1]) + 1 if len(run.loss) else 0


def _members(shown: Shown) -> list[dict[str, Any]]:
    """Every run as a mark of the table."""
    marks = []
    for run, link, part in zip(shown.runs, shown.links, shown.parts, strict=True):
        recorded = not link and run.finished
        marks.append(
            {
                "row": f"{run.kind}{ROWS.get(run.variant, '')}",
                "column": run.depth,
                "seed": run.seed,
                "state": "recorded" if recorded else run.state,
                "share": part.share,
                "color": COLORS[run.kind],
                "link": link or None,
            }
        )
    return marks
