"""The view: all that a live page shows of its arms at this moment, as one JSON object."""

from collections.abc import Sequence
from typing import Any

from explorer.diagnosis import gradient_flow_verdict, learning_verdict
from explorer.experiments.arms import Arms
from explorer.figures import alt_text
from explorer.reproduction import RULE, Outcome, verdict
from explorer.store import Comparison
from explorer.ui.drawing import Screen, as_json, draw
from explorer.ui.flows import BAND_SEEDS, SLOW, Flow, Flows, recorded, recorded_flows
from explorer.ui.kept import Kept
from explorer.ui.lab import Lab
from explorer.ui.scene import Scene, scene_at_rest, scene_of
from explorer.ui.traces import Traces

CONTROLS = {
    "idle": ("play", "step"),
    "measuring": ("play", "step"),
    "queued": ("stop", "reset"),
    "running": ("pause", "step", "stop", "reset"),
    "paused": ("resume", "step", "stop", "reset"),
    "done": ("play", "reset"),
    "diverged": ("play", "reset"),
    "stopped": ("resume", "reset"),
    "interrupted": ("resume", "reset"),
    "failed": ("resume", "reset"),
}
SELDOM = ("heatmap",)  # dear, and little changes in it while it trains
BETWEEN = 2.0  # seconds from one drawing of those to the next
GONE = "That run is not on this machine: it was deleted, or made elsewhere."


class Views:
    """Makes views of the lab's runs; one for all visitors, for it remembers what it read."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.flows = Flows(lab)
        self.traces = Traces(lab.store)
        self.kept: Kept[tuple[Any, str]] = Kept(seconds=BETWEEN, most=16)

    def view(
        self, specs: Arms, run: str, screen: Screen, expected: Outcome | None = None
    ) -> dict[str, Any]:
        """The view of comparison `run`, or of `specs` untrained if there is none of that id.

        `expected` is what a link says comes of `specs`: it invites to find out, then says.
        """
        comparison = self.lab.store.comparison(run) if run else None
        if comparison is None:
            answer, scene = self._at_rest(specs)
            invitation = expected.invitation if expected else ""
            answer["message"] = GONE if run else answer["message"] or invitation
        else:
            answer, scene = self._attached(comparison)
        names = ("play", "pause", "resume", "step", "stop", "reset")
        answer["controls"] = {name: name in CONTROLS[answer["state"]] for name in names}
        answer["arms"] = [_arm(scene, index) for index in range(len(scene.arms))]
        answer["sentences"] = [*_verdict(scene, specs, expected), *_sentences(scene)]
        drawn = {name: self._drawn(name, scene, screen, answer) for name in screen.show}
        answer["figures"] = {name: figure for name, (figure, _) in drawn.items()}
        answer["alts"] = {name: alt for name, (figure, alt) in drawn.items() if figure}
        return answer

    def _drawn(
        self, name: str, scene: Scene, screen: Screen, answer: dict[str, Any]
    ) -> tuple[Any, str]:
        """The figure as JSON, None where there is none, and what it shows in words."""

        def make() -> tuple[Any, str]:
            figure = draw(name, scene, screen, answer["note"])
            return (None, "") if figure is None else (as_json(figure), alt_text(figure))

        if scene.comparison is None or answer["state"] != "running" or name not in SELDOM:
            return make()
        return self.kept.get((scene.comparison.id, name, screen), make)

    def _at_rest(self, specs: Arms) -> tuple[dict[str, Any], Scene]:
        note = message = ""
        flows: Sequence[Flow | None] | None
        bands: list[list[Flow]] = []
        try:
            flows = self.flows.first(specs)
            bands = [self.flows.band(spec) for spec in specs] if flows is not None else []
        except ValueError as error:
            flows, message = [None] * len(specs), str(error)
        measuring = flows is None
        if flows is None:
            flows = recorded_flows(specs) or [None] * len(specs)
            note = f"recorded: {recorded()['where']}" if flows[0] else ""
            message = "Measuring on this machine …"
        elif not message:
            note = _seeds(bands)
        scene = scene_at_rest(specs, flows, bands)
        growing = any(len(b) < BAND_SEEDS and b and b[0]["elapsed_s"] <= SLOW for b in bands)
        return {
            "busy": measuring or growing,
            "state": "measuring" if measuring else "idle",
            "step": 0,
            "steps": max(spec.recipe.steps for spec in specs),
            "seconds_left": None,
            "steps_per_s": None,
            "queue": 0,
            "message": message,
            "note": note,
        }, scene

    def _attached(self, comparison: Comparison) -> tuple[dict[str, Any], Scene]:
        runs = comparison.runs
        flows = [self.lab.store.cache_get("flow", run.spec.start_key) for run in runs]
        scene = scene_of(comparison, flows, self.lab.store, self.traces)
        step = max(run.step for run in runs)
        steps = max(run.spec.recipe.steps for run in runs)
        elapsed = max(run.elapsed_s for run in runs)
        speed = step / elapsed if elapsed > 0 and step > 0 else None
        running = comparison.state == "running"
        return {
            "busy": comparison.state in ("queued", "running"),
            "state": comparison.state,
            "step": max(step, 0),
            "steps": steps,
            "seconds_left": (steps - step) / speed if running and speed else None,
            "steps_per_s": speed,
            "queue": self.lab.executor.queue_position(comparison.id),
            "message": _messages(comparison),
            "note": f"seed {runs[0].spec.seed}, {runs[0].device}",
        }, scene


def _messages(comparison: Comparison) -> str:
    """What the store says of the runs: once if it says the same of all, else arm by arm."""
    runs = comparison.runs
    if len({run.message for run in runs}) == 1:
        return runs[0].message
    return " ".join(f"{run.arm}: {run.message}" for run in runs if run.message)


def _seeds(bands: Sequence[Sequence[Flow]]) -> str:
    seeds = min((len(band) for band in bands), default=0)
    first = bands[0][0] if seeds else None
    if first is None:
        return ""
    shade = f"; shaded: 10-90 % of {seeds} seeds" if seeds > 1 else ""
    return f"at initialisation, {first['device']}{shade}"


def _arm(scene: Scene, index: int) -> dict[str, Any]:
    """What the diagram and the transport show of one arm."""
    spec, arm = scene.specs[index], scene.arms[index]
    gradient = scene.trace(index, "activation_gradient")
    run = scene.comparison.runs[index] if scene.comparison else None
    return {
        "name": arm.name,
        "color": arm.color,
        "plain": spec.network.shortcut == "none",
        "state": run.state if run else "idle",
        "step": max(run.step, 0) if run else 0,
        "gates": list(scene.gates(index, "skip")),
        "residual": list(scene.gates(index, "residual")),
        "stages": [stage.blocks for stage in spec.network.all_stages],
        "gradient": [float(value) for value in gradient.last] if len(gradient) else None,
    }


def _verdict(scene: Scene, specs: Arms, expected: Outcome | None) -> list[dict[str, str]]:
    """Whether the run of `specs` came to what their link says, once every arm has ended."""
    comparison, traces = scene.comparison, scene.traces
    if expected is None or comparison is None or traces is None or specs != scene.specs:
        return []
    text = verdict(expected, comparison, traces.get)
    return [{"text": text, "rule": RULE}] if text else []


def _sentences(scene: Scene) -> list[dict[str, str]]:
    """The findings in words, each with the rule that it follows."""
    found = []
    for index, arm in enumerate(scene.arms):
        trace = scene.trace(index, "activation_gradient")
        if len(trace) and len(trace.sites) > 1:
            verdict = gradient_flow_verdict(trace.last, trace.sites, arm.name)
            found.append({"text": verdict.sentence, "rule": verdict.rule})
    if scene.comparison is not None:
        runs = [
            learning_verdict(
                scene.trace(i, "train_loss"),
                scene.trace(i, "test_accuracy"),
                scene.specs[i].network.classes,
                arm.name,
            )
            for i, arm in enumerate(scene.arms)
            if len(scene.trace(i, "train_loss"))
        ]
        found += [{"text": run.sentence, "rule": run.rule} for run in runs]
    return found
