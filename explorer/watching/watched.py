"""A module in somebody's own training loop, watched: `with watch(module) as w: … w.step(loss)`."""

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import torch
from torch import Tensor, nn

from explorer.probes import Watch
from explorer.spec import SpecError
from explorer.store import State, Store
from explorer.watching.recorder import Recorder
from explorer.watching.subject import cadence, first_process, one_line, sites_of, unwrapped
from explorer.watching.tape import Tape, Values
from explorer.watching.weights import MOST_COPIED, Weights

LONGEST_NAME = 80  # characters
SEALED = "the module is compiled or replicated: its blocks cannot be seen, its weights are watched"
UNSEEN = (
    "step {step}: no block's gradient was seen. Call step(loss) after loss.backward(); a module"
    " that is compiled or rebuilt elsewhere cannot be seen into"
)
GONE = "step {step}: no weight has a gradient; call step(loss) before optimizer.zero_grad()"
TOO_MANY = f"update_ratio is left out: more than {MOST_COPIED:,} weights would be copied"
LEFT_OUT = "step {step}: other blocks ran than at first; those missing are NaN, new ones left out"


def watch(
    module: nn.Module,
    name: str = "watched",
    store: str | Path | Store | None = None,
    every: int | Watch = 5,
    start: int = 0,
) -> "Watched":
    """Record a training loop of one's own, so that the app shows it live.

    `with watch(module, name="mine") as w:` goes around the loop, and `w.step(loss)` between
    `loss.backward()` and `optimizer.step()`. Gradients are read every `every` steps,
    activations and updates every fifth of those (or as a Watch says); `start` is the number
    of steps done before, in a run that goes on. `store` is a folder or a Store, else
    EXPLORER_HOME. Where several processes train together, the first one records.

    Nothing of the training changes, bit for bit. ValueError, one line, for what cannot be
    watched; trouble with the store is logged and never ends a loop.
    """
    return Watched(module, name, store, every, start)


class Watched:
    """A watched loop; `sites` names the blocks, `steps` counts the calls of `step`.

    Made by `watch`; `sealed` says that the module runs compiled, if that cannot be seen from it.
    """

    def __init__(
        self,
        module: nn.Module,
        name: str = "watched",
        store: str | Path | Store | None = None,
        every: int | Watch = 5,
        start: int = 0,
        sealed: bool = False,
    ) -> None:
        if not isinstance(module, nn.Module):
            raise SpecError("module", type(module).__name__, "a torch.nn.Module is watched")
        if not name or len(name) > LONGEST_NAME:
            raise SpecError("name", name, f"it has 1 to {LONGEST_NAME} characters")
        self.name = name
        self.watch = cadence(every)
        self.steps = start
        self.module, seals = unwrapped(module)
        self.sealed = sealed or seals
        self.places = sites_of(self.module)
        self.tape = Tape(self.module, {} if self.sealed else self.places)
        self.weights = Weights(self.module)
        place = Path(store).expanduser() if isinstance(store, str | Path) else store
        device = next((p.device for p in self.module.parameters()), torch.device("cpu"))
        self.recorder = Recorder(place, device)
        self.open = False
        self.first = first_process()
        self._said: set[str] = set()

    @property
    def sites(self) -> tuple[str, ...]:
        """The blocks that are watched, in the order in which the module holds them."""
        return tuple(self.places)

    @property
    def run_id(self) -> int | None:
        """The run in the store; None before the block and where nothing is recorded."""
        return self.recorder.run_id

    def __enter__(self) -> Self:
        self.open = True
        if self.first:
            count = sum(p.numel() for p in self.module.parameters())
            module, version = type(self.module).__name__, torch.__version__
            facts = {"module": module, "parameters": f"{count:,}", "torch": version}
            self.recorder.open(self.name, facts)
            if self.sealed:
                self._say(SEALED)
            self._prepare()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close(error)

    def close(self, error: BaseException | None = None) -> None:
        """End the run: done, failed with that error, or stopped if it is Ctrl-C's."""
        if not self.open:
            return
        self.open = False
        self.tape.close()
        if not self.first:
            return
        self._finish_update()
        state: State = "done" if error is None else "failed"
        if isinstance(error, KeyboardInterrupt):
            state, error = "stopped", None
        self.recorder.close(state, "" if error is None else one_line(error))

    def step(
        self,
        loss: Tensor | float | None,
        accuracy: Tensor | float | None = None,
        scale: float = 1.0,
    ) -> None:
        """Record one optimiser step; call it after `backward` and before the weights change.

        `loss` is that of the step, one number (None: not known); `accuracy` a share of 1.
        Of several backward passes the last one's activation gradients count; a weight's
        gradient is what stands in `.grad`. With a GradScaler give `scale=scaler.get_scale()`,
        after `scaler.unscale_(optimizer)`. ValueError for a loss that is not one number.
        """
        if not self.open:
            raise ValueError("step: it is called inside the block, `with watch(module) as w:`")
        if self.first:
            self._scalar("train_loss", "loss", loss)
            self._scalar("train_accuracy", "accuracy", accuracy)
            self._finish_update()
            self._read(scale)
        self.steps += 1
        if self.first:
            self._prepare()
            self.recorder.write()

    def note(self, probe: str, value: float) -> None:
        """Record a number about the step before, where it is known only after the step."""
        if self.open and self.first and self.steps:
            self._add(probe, ("network",), torch.tensor(float(value)), self.steps - 1)

    def _prepare(self) -> None:
        """Attach the hooks if the coming step is due."""
        due = self.watch.due(self.steps)
        if due & {"gradient", "activation"} and self.tape.sites:
            self.tape.open(statistics="activation" in due)

    def _read(self, scale: float) -> None:
        """What is due of the step that has just been computed."""
        due = self.watch.due(self.steps)
        if due & {"gradient", "activation"} and not self.sealed:
            found = self.tape.close()
            readings = found.readings(scale) if found else {}
            if not readings:
                self._say(UNSEEN.format(step=self.steps), UNSEEN)
            if "gradient" not in due:
                readings.pop("activation_gradient", None)
            for probe, values in readings.items():
                self._record(probe, values)
        if "gradient" in due and self.weights.named:
            gradients = self.weights.gradients()
            if gradients is None:
                self._say(GONE.format(step=self.steps), GONE)
            else:
                self._add("weight_gradient", self.weights.sites, gradients)
        if "update" in due:
            if self.weights.few:
                self.weights.keep(self.steps)
            else:
                self._say(TOO_MANY)

    def _finish_update(self) -> None:
        """How far the step before, if its weights were kept, has moved them."""
        moved = self.weights.moved()
        if moved is not None:
            self._add("update_ratio", self.weights.sites, moved, self.weights.copied_at)

    def _record(self, probe: str, values: Values) -> None:
        """Values at the sites of the probe's first reading; NaN for those that did not run."""
        sites = self.recorder.sites.setdefault(probe, tuple(values))
        if set(sites) != set(values):
            self._say(LEFT_OUT.format(step=self.steps), LEFT_OUT)
        missing = torch.tensor(torch.nan)
        self._add(probe, sites, [values.get(site, missing) for site in sites])

    def _scalar(self, probe: str, field: str, value: Tensor | float | None) -> None:
        if value is None:
            return
        if not isinstance(value, Tensor):
            value = torch.tensor(float(value))
        if value.numel() != 1:
            raise SpecError(field, tuple(value.shape), "it is one number, such as a batch's mean")
        # A copy: a loop may go on to change its loss in place.
        self._add(probe, ("network",), value.detach().to(torch.float32, copy=True))

    def _add(
        self,
        probe: str,
        sites: Sequence[str],
        values: Tensor | Sequence[Tensor],
        step: int | None = None,
    ) -> None:
        self.recorder.sites.setdefault(probe, tuple(sites))
        self.recorder.add(probe, self.steps if step is None else step, values)

    def _say(self, message: str, kind: str = "") -> None:
        """Say it, and its kind only once."""
        if (kind or message) not in self._said:
            self._said.add(kind or message)
            self.recorder.say(message)
