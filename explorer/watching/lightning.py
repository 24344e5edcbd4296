"""Watching a Lightning training: `Trainer(callbacks=[ExplorerCallback(name="mine")])`."""

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from torch import Tensor

from explorer.probes import Watch
from explorer.store import Store
from explorer.watching.watched import Watched

# One library under two names. By name, so that the types are checked where it is not installed.
pytorch: Any = import_module("lightning.pytorch" if find_spec("lightning") else "pytorch_lightning")


class ExplorerCallback(pytorch.Callback):  # type: ignore[misc]
    """Records each `fit` as a run: every optimiser step, read before gradients are clipped.

    The loss is what `training_step` returned for the last batch of the step. Arguments are
    those of `explorer.watch`; a `fit` that goes on from a checkpoint counts on from there.
    """

    def __init__(
        self,
        name: str = "lightning",
        store: str | Path | Store | None = None,
        every: int | Watch = 5,
    ) -> None:
        super().__init__()
        self.name, self.store, self.every = name, store, every
        self.watched: Watched | None = None
        self.loss: Tensor | None = None

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Begin the run."""
        compiled = getattr(pl_module, "_compiler_ctx", None) is not None
        start = trainer.global_step
        self.watched = Watched(pl_module, self.name, self.store, self.every, start, compiled)
        self.watched.__enter__()

    def on_before_backward(self, trainer: Any, pl_module: Any, loss: Tensor) -> None:
        """Keep the loss, which Lightning has divided by the number of accumulated batches."""
        batches = trainer.accumulate_grad_batches if pl_module.automatic_optimization else 1
        self.loss = loss.detach() * batches

    def on_before_optimizer_step(self, trainer: Any, pl_module: Any, optimizer: Any) -> None:
        """Record the step; with float16 Lightning has scaled the loss, but not the weights'."""
        if self.watched is None:
            return
        scaler = getattr(trainer.precision_plugin, "scaler", None)
        scale = scaler.get_scale() if scaler is not None else 1.0
        loss, self.loss = self.loss, None
        self.watched.step(None if loss is None else loss / scale, scale=scale)

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        """End the run."""
        self._end()

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        """End the run with what went wrong."""
        self._end(exception)

    def _end(self, error: BaseException | None = None) -> None:
        if self.watched is not None:
            self.watched.close(error)
        self.watched = None
