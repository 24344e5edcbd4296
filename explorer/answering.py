"""What a worker answers when it is asked about networks: flows at initialisation, analyses."""

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import torch

from explorer.analyses import ANALYSES
from explorer.analyses.base import Json, Subject
from explorer.data import load
from explorer.inside.mode import Report
from explorer.inside_stored import read_network
from explorer.network import Network
from explorer.spec import SpecError, parse

MOST_NETWORKS = 8  # kept between questions
EVERY = 0.1  # seconds between two reports
CANCELLED = "cancelled"


class Cancelled(ValueError):
    """Who asked does not want the answer any more."""


class Answerer:
    """Answers questions, one after the other; networks that it has read are kept for the next."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.networks: OrderedDict[str, Network] = OrderedDict()

    def answer(
        self,
        question: Json,
        progress: Report,
        cancelled: Callable[[], bool],
    ) -> Any:
        """The answer, a JSON-able object; ValueError with one line if there is none.

        `progress(done, all)` is called now and then; `cancelled()` is asked whenever it might.
        """
        if cancelled():  # while it waited for its turn
            raise Cancelled(CANCELLED)
        if question["what"] == "flow":
            return self._flows(question["specs"], question["seeds"])
        if question["what"] not in ANALYSES:
            raise SpecError("analysis", question["what"], f"choose one of {', '.join(ANALYSES)}")
        subjects = tuple(self._subject(weights) for weights in question["weights"])
        reporter = Reporter(progress, cancelled)
        return ANALYSES[question["what"]](subjects, question["options"], reporter)

    def _flows(self, specs: list[str], seeds: int) -> list[Json]:
        from explorer.flow import flow

        return [flow(parse(text), seeds, str(self.device)).to_json() for text in specs]

    def _subject(self, weights: Json) -> Subject:
        run = parse(weights["spec"])
        network = self.networks.pop(weights["key"], None)
        if network is None:
            network = read_network(run, weights["path"]).to(self.device)
        self.networks[weights["key"]] = network
        while len(self.networks) > MOST_NETWORKS:
            self.networks.popitem(last=False)
        return Subject(network, run, load(run.data, self.device), weights["step"])


class Reporter:
    """A report of the functions of `inside`: seldom told on, and raising once cancelled."""

    def __init__(self, progress: Report, cancelled: Callable[[], bool]) -> None:
        self.progress = progress
        self.cancelled = cancelled
        self.told = 0.0

    def __call__(self, done: int, total: int) -> None:
        if self.cancelled():
            raise Cancelled(CANCELLED)
        now = time.monotonic()
        if now - self.told > EVERY:
            self.told = now
            self.progress(done, total)
