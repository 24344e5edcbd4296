"""Watching a Hugging Face training: `Trainer(callbacks=[ExplorerCallback(name="mine")])`."""

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from explorer.probes import Watch
from explorer.store import Store
from explorer.watching.tape import Hook
from explorer.watching.watched import Watched

# By name, so that the types are checked where it is not installed.
transformers: Any = import_module("transformers")


class ExplorerCallback(transformers.TrainerCallback):  # type: ignore[misc]
    """Records each `train` as a run: every optimiser step, read before the weights change.

    No event carries the loss, so a hook takes it from the model's output, and the gradient
    that comes back to it tells with what weight it entered the step's loss: the reading is
    right however batches are accumulated. A loss computed outside the model is recorded as
    the Trainer logs it, a mean over `logging_steps`. Weight gradients are read after the
    Trainer's clipping, activation gradients are those before. Arguments are those of
    `explorer.watch`.
    """

    def __init__(
        self,
        name: str = "transformers",
        store: str | Path | Store | None = None,
        every: int | Watch = 5,
    ) -> None:
        self.name, self.store, self.every = name, store, every
        self.watched: Watched | None = None
        self.handle: RemovableHandle | None = None
        self.losses: list[Tensor] = []  # of the batches of one step, each times its weight
        self.seen = False

    def on_train_begin(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
        """Begin the run; one that an exception ended, which no event tells, ends here."""
        self._end(RuntimeError("training ended before its last step"))
        model: nn.Module = rest["model"]
        compiled = bool(args.torch_compile)
        start = state.global_step
        self.watched = Watched(model, self.name, self.store, self.every, start, compiled)
        self.watched.__enter__()
        self.losses, self.seen = [], False
        if not self.watched.sealed:
            self.handle = model.register_forward_hook(Hook(self._take_loss))

    def _take_loss(self, _module: nn.Module, _inputs: object, output: object) -> None:
        loss = output.get("loss") if isinstance(output, Mapping) else None
        if isinstance(loss, Tensor) and loss.requires_grad:
            value = loss.detach()
            loss.register_hook(lambda weight: self._weigh(value, weight))  # type: ignore[no-untyped-call]

    def _weigh(self, loss: Tensor, weight: Tensor) -> None:
        self.losses.append((loss * weight.detach()).float().reshape(()))

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
        """Record the step: here gradients are there, and the weights are those of the batch."""
        if self.watched is None:
            return
        scaler = getattr(rest.get("optimizer"), "scaler", None)
        scale = scaler.get_scale() if scaler is not None else 1.0
        loss = torch.stack(self.losses).sum() / scale if self.losses else None
        self.seen = self.seen or loss is not None
        self.losses = []
        self.watched.step(loss, scale=scale)

    def on_log(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
        """Record the Trainer's own loss where the model does not tell it."""
        loss = (rest.get("logs") or {}).get("loss")
        if self.watched is not None and not self.seen and loss is not None:
            self.watched.note("train_loss", loss)

    def on_train_end(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
        """End the run."""
        self._end()

    def _end(self, error: BaseException | None = None) -> None:
        if self.handle is not None:
            self.handle.remove()
        if self.watched is not None:
            self.watched.close(error)
        self.watched = self.handle = None
