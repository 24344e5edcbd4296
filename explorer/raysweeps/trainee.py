"""What Ray starts on a node: it trains one run after another, in pieces that it is asked for.

An actor, not a streaming task: its process stays warm from run to run, ending it frees its
share of a node at once, and its calls work through a Ray client too. No torch is imported
with this module, since the driver needs the class, nor is Ray, which gives it its process.
"""

import os
import socket
from collections.abc import Sequence
from typing import TYPE_CHECKING

from explorer.raysweeps.messages import Beginning, Failure, Report
from explorer.store import Event, Run

if TYPE_CHECKING:
    from explorer.remote import Training


class Trainee:
    """One process of a node. `home` is the data folder on this machine, None on another's node."""

    def __init__(self, device: str, home: str | None) -> None:
        self.device = device
        self.node = ""
        if home is None:
            self.node = socket.gethostname()
        else:
            os.environ["EXPLORER_HOME"] = home
        self.training: Training | None = None

    def hello(self) -> str:
        """The node's name, "" on this machine, once torch is loaded there."""
        import explorer.remote  # noqa: F401

        return self.node

    def begin(
        self, run: Run, events: Sequence[Event], checkpoint: bytes | None
    ) -> Beginning | Failure:
        """Make ready to train `run` from the step of `checkpoint`, or from step 0."""
        from explorer.remote import TROUBLE, Training, one_line

        try:
            self.training = Training(run, events, checkpoint, self.device)
            return self.training.beginning
        except TROUBLE as error:
            return self._failure(one_line(error))

    def work(self, seconds: float, save: bool = False) -> Report | Failure:
        """Train so many seconds; the report has a checkpoint at the end, and if `save`."""
        from explorer.remote import TROUBLE, one_line

        assert self.training is not None
        try:
            return self.training.work(seconds, save)
        except TROUBLE as error:
            return self._failure(one_line(error))

    def _failure(self, message: str) -> Failure:
        return Failure(f"on node {self.node}: {message}" if self.node else message)
