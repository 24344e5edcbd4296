"""The view of a depth race: all that its page shows at this moment, as one JSON object."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, get_args

from explorer import figures
from explorer.cost import Speed, fit
from explorer.cost import step_flops as flops_of
from explorer.experiments.race import longer, normalized, race_run, race_runs, with_readings
from explorer.experiments.reference import recorded_run, reference
from explorer.figures import alt_text
from explorer.figures.race import Metric
from explorer.figures.theme import PLAIN, RESIDUAL
from explorer.race_finding import RaceRun, explanation, finding
from explorer.spec import RunSpec
from explorer.store import ACTIVE, ENDED, Sweep
from explorer.ui.drawing import Screen, as_json
from explorer.ui.kept import Kept
from explorer.ui.lab import Lab
from explorer.ui.race_state import RaceChoice
from explorer.ui.traces import Traces
from explorer.wording import capital, number

ROWS = {"": "", "longer": ", 3x the steps", "normalized": ", normalised steps"}
COLORS = {"plain": PLAIN, "residual": RESIDUAL}
STATES = {
    "running": "running",
    "cancelled": "stopped",
    "interrupted": "interrupted",
    "done": "done",
}
CONTROLS = {
    "idle": {"play": True, "stop": False, "reset": False},
    "running": {"play": False, "stop": True, "reset": True},
    "stopped": {"resume": True, "stop": False, "reset": True},
    "interrupted": {"resume": True, "stop": False, "reset": True},
    "done": {"play": False, "stop": False, "reset": True},
    "failed": {"resume": True, "stop": False, "reset": True},
}
METRICS: dict[str, Metric] = {name: name for name in get_args(Metric)}
SELDOM = 1.0  # seconds between two drawings of all but the first figure, while it trains
NOTHING_LOST = "No depth that has finished trains worse than a shallower one by the rule above."
GONE = "That sweep is not on this machine: it was deleted, or made elsewhere."
SAMPLES = 60  # newest finished runs from which this machine's speed is read


@dataclass(frozen=True)
class Shown:
    """The runs of a race with where they come from."""

    runs: list[RaceRun]
    specs: list[RunSpec]
    links: list[str]
    note: str


class RaceViews:
    """Makes views of races; one for all visitors, for it remembers what it read."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.traces = Traces(lab.store)
        self.kept: Kept[Any] = Kept(seconds=SELDOM, most=64)
        self.speeds: Kept[Speed] = Kept(seconds=10.0, most=1)

    def view(self, choice: RaceChoice, screen: Screen) -> dict[str, Any]:
        """The view of the attached sweep, or of the race before it is trained."""
        sweep = self.lab.store.sweeps.get(choice.sweep) if choice.sweep else None
        shown = self.shown(choice, sweep)
        answer = self._progress(sweep, choice, shown)
        if choice.sweep and sweep is None:
            answer["message"] = GONE
        said = finding(shown.runs)
        answer["sentences"] = [{"text": f"{capital(said.sentence)}.", "rule": said.rule}]
        further = [f"{capital(text)}." for text in explanation(shown.runs)] or [NOTHING_LOST]
        answer["explanations"] = [{"text": text, "rule": ""} for text in further]
        answer["members"] = _members(shown)
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

    def _progress(self, sweep: Sweep | None, choice: RaceChoice, shown: Shown) -> dict[str, Any]:
        """State, steps and words for the transport."""
        state = STATES.get(sweep.state, sweep.state) if sweep else "idle"
        if sweep and state == "done" and sweep.unfinished:
            state = "failed"
        total = sum(run.steps for run in shown.runs)
        done = sum(min(_steps_done(run), run.steps) for run in shown.runs) if sweep else 0
        left = self._seconds_left(sweep, choice, shown)
        missing = [s for s in choice.race.specs if self.lab.store.sweeps.finished(s.key) is None]
        return {
            "busy": state == "running",
            "state": state,
            "step": done,
            "steps": total,
            "seconds_left": left,
            "message": sweep.message if sweep else "",
            "progress": _progress_text(sweep, state, shown, left, self._cost(choice, missing)),
            "controls": {**CONTROLS[state], **({"play": bool(missing)} if sweep is None else {})},
            "words": {
                "play": "Training" if state == "running" else _play_word(len(missing)),
                "stop": "Cancel",
                "resume": "Resume",
                "reset": "New race",
            },
            "note": shown.note,
        }

    def _cost(self, choice: RaceChoice, specs: Sequence[RunSpec]) -> str:
        """What training `specs`, those of the race not in the store, takes, in words."""
        stored = len(choice.race.specs) - len(specs)
        there = f", {stored} of them in the store already" if stored else ""
        text = f"{len(choice.race.specs)} runs{there}"
        if not specs:
            return f"All {stored} runs were trained on this machine and stand below"
        workers = min(self.lab.executor.runs_at_once, len(specs))
        flops = sum(flops_of(spec) * spec.recipe.steps for spec in specs)
        seconds = self._seconds(specs) / workers
        at_once = f"{workers} at a time" if workers > 1 else "one after the other"
        return f"{text}: {_duration(seconds)}, {at_once}; {number(flops)} floating-point operations"

    def _seconds(self, specs: Sequence[RunSpec]) -> float:
        speed = self.speeds.get("speed", self._speed)
        return sum(speed.seconds(spec) * spec.recipe.steps for spec in specs)

    def _speed(self) -> Speed:
        """This machine's speed, read off its newest runs; the recorded one before there are any."""
        rows = self.lab.store.table.rows(SAMPLES)
        samples = [
            (row.spec, row.elapsed_s / row.step)
            for row in rows
            if row.spec and row.state == "done" and row.step > 0 and row.elapsed_s > 0
        ]
        return fit(samples) or Speed.default()

    def _seconds_left(self, sweep: Sweep | None, choice: RaceChoice, shown: Shown) -> float | None:
        if sweep is None or sweep.state != "running":
            return None
        left = 0.0
        for spec, run in zip(shown.specs, shown.runs, strict=True):
            if run.state not in ENDED:
                share = 1 - min(_steps_done(run) / run.steps, 1.0)
                left += share * self._seconds([spec])
        return left / max(self.lab.executor.runs_at_once, 1)

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


def _progress_text(
    sweep: Sweep | None, state: str, shown: Shown, left: float | None, cost: str
) -> str:
    if sweep is None:
        return cost
    ended = sum(run.finished for run in shown.runs)
    going = sum(member.state in ACTIVE and member.run is not None for member in sweep.members)
    text = f"{ended} of {len(shown.runs)} runs done"
    if state == "running":
        text += f", {going} training"
    return f"{text}, about {_duration(left)} left" if left else text


def _duration(seconds: float) -> str:
    if seconds < 1:
        return "less than 1 s"
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def _play_word(missing: int) -> str:
    """What the first button says of the runs it trains."""
    if missing:
        return "Train 1 run" if missing == 1 else f"Train {missing} runs"
    return "Trained"


def _members(shown: Shown) -> list[dict[str, Any]]:
    """Every run as a mark of the table."""
    marks = []
    for run, link in zip(shown.runs, shown.links, strict=True):
        recorded = not link and run.finished
        marks.append(
            {
                "row": f"{run.kind}{ROWS.get(run.variant, '')}",
                "depth": run.depth,
                "seed": run.seed,
                "state": "recorded" if recorded else run.state,
                "share": min(_steps_done(run) / run.steps, 1.0),
                "color": COLORS[run.kind],
                "link": link or None,
            }
        )
    return marks
