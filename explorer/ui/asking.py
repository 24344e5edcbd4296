"""Answers about networks as pages need them: kept, recorded, or on their way from a worker.

What has been answered is kept by content: in memory, and what took long in the store, too.
"""

import contextlib
import threading
import time
from concurrent.futures import TimeoutError
from dataclasses import dataclass, field
from typing import Literal

from explorer.experiments.inside_reference import recorded_answers
from explorer.inquiry import Inquiry
from explorer.lanes import CANCELLED, Asked, Json
from explorer.store import StoreError
from explorer.ui.kept import Kept
from explorer.ui.lab import Lab

State = Literal["done", "recorded", "running", "cancelled", "failed"]
KIND = "inside"  # of these entries in the store's cache
DAY = 86_400.0


@dataclass(frozen=True)
class Found:
    """What is known of a question: its answer, or how far it is, or why there is none."""

    state: State
    answer: Json | None = None
    done: int = 0
    all: int = 0
    seconds_left: float | None = None
    error: str = ""

    @property
    def busy(self) -> bool:
        """Whether there will be more."""
        return self.state == "running"


@dataclass
class Open:
    """A question under way, and when its first progress was seen."""

    asked: Asked
    began: float = 0.0
    done_then: int = 0

    def seconds_left(self) -> float | None:
        """Estimated from the progress so far; None before there is enough of it."""
        done, now = self.asked.done, time.monotonic()
        if done == 0:
            return None
        if self.began == 0.0:
            self.began, self.done_then = now, done
        if done == self.done_then:
            return None
        return (self.asked.total - done) * (now - self.began) / (done - self.done_then)


@dataclass
class Asking:
    """All questions of this process's visitors; one for all, so that none is put twice."""

    lab: Lab
    kept: "Kept[Json]" = field(default_factory=lambda: Kept(seconds=DAY, most=256))
    open: dict[str, Open] = field(default_factory=dict)
    ended: dict[str, tuple[State, str]] = field(default_factory=dict)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def get(self, inquiry: Inquiry, patience: float = 0.0, slow: bool = True) -> Found:
        """The answer, if it is there within `patience` seconds; it is asked for if it is not.

        One that failed or was cancelled stays so until `again`.
        """
        key = inquiry.key
        known = self._known(key, slow)
        if known is not None:
            return known
        with self.lock:
            if key in self.ended:
                state, error = self.ended[key]
                return Found(state, error=error)
            question = self.open.get(key)
            if question is None:
                question = self.open[key] = Open(self.lab.executor.ask(inquiry.question, slow))
        try:
            answer = question.asked.future.result(timeout=patience)
        except TimeoutError:
            asked = question.asked
            return Found("running", None, asked.done, asked.total, question.seconds_left())
        except ValueError as error:
            return self._refused(key, str(error))
        return self._answered(key, answer, slow)

    def _known(self, key: str, slow: bool) -> Found | None:
        recorded = recorded_answers().answers.get(key)
        if recorded is not None:
            return Found("recorded", recorded)
        with self.kept.lock:
            kept = self.kept.made.get(key)
        if kept is not None:
            return Found("done", kept[1])
        stored = None
        if slow:
            with contextlib.suppress(StoreError):
                stored = self.lab.store.cache_get(KIND, key)
        return None if stored is None else self._answered(key, stored, slow=False)

    def _answered(self, key: str, answer: Json, slow: bool) -> Found:
        self.kept.get(key, lambda: answer)
        with self.lock:
            self.open.pop(key, None)
        if slow:
            with contextlib.suppress(StoreError):  # a full disk: it is computed again next time
                self.lab.store.cache_put(KIND, key, answer)
        return Found("done", answer)

    def _refused(self, key: str, error: str) -> Found:
        state: State = "cancelled" if error == CANCELLED else "failed"
        with self.lock:
            self.open.pop(key, None)
            self.ended[key] = (state, error)
        return Found(state, error=error)

    def cancel(self, inquiries: "list[Inquiry]") -> None:
        """Give these up, if they are under way."""
        with self.lock:
            for inquiry in inquiries:
                question = self.open.get(inquiry.key)
                if question is not None:
                    question.asked.cancel()

    def again(self, inquiries: "list[Inquiry]") -> None:
        """Let those be asked anew that failed or were cancelled."""
        with self.lock:
            for inquiry in inquiries:
                self.ended.pop(inquiry.key, None)


def how_far(found: Found) -> str:
    """How far a question under way is, in words."""
    if not found.all:
        return "waits for a worker"
    left = "" if found.seconds_left is None else f", about {max(found.seconds_left, 1):.0f} s left"
    return f"{100 * found.done / found.all:.0f} %{left}"


_askings: list[Asking] = []
_LOCK = threading.Lock()


def asking(lab: Lab) -> Asking:
    """The process's one Asking on that lab."""
    with _LOCK:
        if not _askings or _askings[0].lab is not lab:
            _askings[:] = [Asking(lab)]
        return _askings[0]


def where_recorded() -> str:
    """When and where the recorded answers were made."""
    return recorded_answers().where
