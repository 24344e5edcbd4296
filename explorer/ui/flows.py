"""Profiles at initialisation, measured by a worker, remembered by content.

The seed asked for comes first; when it is there, further seeds follow one by one, so that a
band grows while the page stays quick to answer.
"""

import json
import math
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, TimeoutError
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

from explorer.spec import RunSpec
from explorer.ui.lab import Lab

BAND_SEEDS = 8
QUIET = 0.8  # seconds without a change before the band grows
SLOW = 0.5  # seconds a seed, above which there is no band
PATIENCE = 2.0  # seconds that an answer is waited for
BRIEF = 0.3  # the same where recorded flows can stand in: a page is not kept waiting for torch
MOST_ASKED = 200  # questions kept open

Flow = dict[str, Any]


@dataclass
class Flows:
    """What is known of networks at initialisation, and what has been asked for."""

    lab: Lab
    asked: dict[tuple[str, ...], "Future[list[Flow]]"] = field(default_factory=dict)
    asked_at: float = -math.inf  # when a visitor last waited for a measurement
    lock: threading.Lock = field(default_factory=threading.Lock)

    def first(self, specs: Sequence[RunSpec]) -> list[Flow] | None:
        """One flow a spec, or None if that takes longer than a page waits.

        ValueError if they cannot be measured.
        """
        return self._ask(specs, min(BRIEF, PATIENCE) if recorded_flows(specs) else PATIENCE)

    def band(self, spec: RunSpec) -> list[Flow]:
        """The flows of further seeds that are there by now.

        The next one that is not is asked for once the measurer is idle, so that what a visitor
        waits for has at most one of them before it.
        """
        found = []
        for more in range(BAND_SEEDS):
            if more > 0 and time.monotonic() - self.asked_at < QUIET:
                break  # a visitor who has just changed something may change more
            flows = self._ask([spec.replace(seed=(spec.seed + more) % 2**31)], 0.0)
            if flows is None:
                break
            found += flows
            if found[0]["elapsed_s"] > SLOW:
                break
        return found

    def _ask(self, specs: Sequence[RunSpec], patience: float) -> list[Flow] | None:
        """The flows of `specs`, those unknown measured; a cut skip leaves its plain twin known."""
        known = {s.start_key: self.lab.store.cache_get("flow", s.start_key) for s in specs}
        unknown = [spec for spec in specs if known[spec.start_key] is None]
        measured = self._measured(unknown, patience) if unknown else []
        if measured is None:
            return None
        known |= {spec.start_key: flow for spec, flow in zip(unknown, measured, strict=True)}
        return [flow for spec in specs if (flow := known[spec.start_key]) is not None]

    def _measured(self, specs: Sequence[RunSpec], patience: float) -> list[Flow] | None:
        keys = tuple(spec.start_key for spec in specs)
        with self.lock:
            self._forget()
            future = self.asked.get(keys)
            if future is None and patience == 0 and self.lab.executor.measuring:
                return None
            if future is None:
                future = self.asked[keys] = self.lab.executor.measure(specs)
                self.asked_at = time.monotonic() if patience else self.asked_at
        try:
            flows = future.result(timeout=patience)
            for key, flow in zip(keys, flows, strict=True):
                self.lab.store.cache_put("flow", key, flow)
        except TimeoutError:
            return None
        finally:
            if future.done():
                self.asked.pop(keys, None)
        return flows

    def _forget(self) -> None:
        """Let go of answers that nobody came back for."""
        if len(self.asked) >= MOST_ASKED:
            for keys in [keys for keys, future in self.asked.items() if future.done()]:
                del self.asked[keys]


@cache
def recorded() -> dict[str, Any]:
    """The flows that ship with the program, by spec, and where they were recorded."""
    text = (files("explorer") / "recorded" / "flows.json").read_text(encoding="utf-8")
    return dict(json.loads(text))


def recorded_flows(specs: Sequence[RunSpec]) -> list[Flow] | None:
    """The recorded flow of every spec, if all of them were recorded."""
    flows = recorded()["flows"]
    found = [flows.get(spec.start_key) for spec in specs]
    return found if all(flow is not None for flow in found) else None
