"""How far a sweep is, what it takes, and which buttons it has: alike on all pages of sweeps."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from explorer.cost import Speed, fit
from explorer.cost import step_flops as flops_of
from explorer.spec import RunSpec
from explorer.store import ACTIVE, ENDED, Sweep
from explorer.ui.kept import Kept
from explorer.ui.lab import Lab
from explorer.wording import number

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
SAMPLES = 60  # newest finished runs from which this machine's speed is read
SPEED_FOR = 10.0  # seconds for which it is not read again


@dataclass(frozen=True)
class Part:
    """One run of those on show, and the steps of it that are done."""

    spec: RunSpec
    state: str
    step: int

    @property
    def covered(self) -> int:
        """The steps of it that need not be trained: all of them once it ended, if it diverged."""
        steps = self.spec.recipe.steps
        return steps if self.state in ENDED else min(self.step, steps)

    @property
    def share(self) -> float:
        """How much of it is done, from 0 to 1."""
        return min(self.step / self.spec.recipe.steps, 1.0)


def state_of(sweep: Sweep | None) -> str:
    """The state as the transport has it; "failed" if some of its runs did, "idle" without one."""
    if sweep is None:
        return "idle"
    state = STATES.get(sweep.state, sweep.state)
    return "failed" if state == "done" and sweep.unfinished else state


class Progress:
    """Makes a view's words and numbers for the transport; remembers this machine's speed."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.speeds: Kept[Speed] = Kept(seconds=SPEED_FOR, most=1)

    def of(
        self, sweep: Sweep | None, asked: Sequence[RunSpec], parts: Sequence[Part], new: str
    ) -> dict[str, Any]:
        """State, steps, buttons and words: of the sweep, or of the runs asked for before one.

        `new` is what the button says that leaves the sweep.
        """
        state = state_of(sweep)
        left = self._seconds_left(parts) if state == "running" else None
        finished = self.lab.store.sweeps.finished
        missing = [] if sweep else [spec for spec in asked if finished(spec.key) is None]
        return {
            "busy": state == "running",
            "state": state,
            "step": sum(part.covered for part in parts) if sweep else 0,
            "steps": sum(part.spec.recipe.steps for part in parts),
            "seconds_left": left,
            "message": sweep.message if sweep else "",
            "progress": how_far(sweep, left) if sweep else self.cost(asked, missing),
            "controls": {**CONTROLS[state], **({} if sweep else {"play": bool(missing)})},
            "words": {
                "play": "Training" if state == "running" else play_word(len(missing)),
                "stop": "Cancel",
                "resume": "Resume",
                "reset": new,
            },
        }

    def cost(self, asked: Sequence[RunSpec], missing: Sequence[RunSpec]) -> str:
        """What training `missing`, those of `asked` not in the store, takes, in words."""
        stored = len(asked) - len(missing)
        if not missing:
            those = "The only run was" if stored == 1 else f"All {stored} runs were"
            return f"{those} trained on this machine and stand{'s' * (stored == 1)} below"
        there = f", {stored} of them in the store already" if stored else ""
        text = f"{len(asked)} run{'s' * (len(asked) != 1)}{there}"
        workers = min(self.lab.executor.runs_at_once, len(missing))
        flops = sum(flops_of(spec) * spec.recipe.steps for spec in missing)
        seconds = self._seconds(missing) / workers
        at_once = f"{workers} at a time" if workers > 1 else "one after the other"
        return f"{text}: {duration(seconds)}, {at_once}; {number(flops)} floating-point operations"

    def _seconds(self, specs: Sequence[RunSpec]) -> float:
        speed = self.speeds.get("speed", self._speed)
        return sum(_step_seconds(speed, spec) * spec.recipe.steps for spec in specs)

    def _speed(self) -> Speed:
        """This machine's speed, read off its newest runs; the recorded one before there are any."""
        rows = self.lab.store.table.rows(SAMPLES)
        samples = [
            (row.spec, row.elapsed_s / row.step)
            for row in rows
            if row.spec and row.state == "done" and row.step > 0 and row.elapsed_s > 0
        ]
        return fit(samples) or Speed.default()

    def _seconds_left(self, parts: Sequence[Part]) -> float:
        going = [part for part in parts if part.state not in ENDED]
        left = sum((1 - part.share) * self._seconds([part.spec]) for part in going)
        return left / max(self.lab.executor.runs_at_once, 1)


@lru_cache(maxsize=4096)
def _step_seconds(speed: Speed, spec: RunSpec) -> float:
    """Remembered: a sweep of a thousand deep networks asks for all of them at every look."""
    return speed.seconds(spec)


def how_far(sweep: Sweep, left: float | None) -> str:
    """How many of its runs are done, how many train, and how long the rest takes."""
    count = len(sweep.members)
    text = f"{count - len(sweep.unfinished)} of {count} runs done"
    if sweep.state == "running":
        going = sum(member.state in ACTIVE and member.run is not None for member in sweep.members)
        text += f", {going} training"
    return f"{text}, about {duration(left)} left" if left else text


def duration(seconds: float) -> str:
    """A time in its largest unit: "45 s", "3 min"."""
    if seconds < 1:
        return "less than 1 s"
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def play_word(missing: int) -> str:
    """What the first button says of the runs it trains."""
    if missing:
        return "Train 1 run" if missing == 1 else f"Train {missing} runs"
    return "Trained"
