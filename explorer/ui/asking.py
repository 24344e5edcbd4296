"""Answers about networks as pages need them: kept, recorded, or on their way from a worker.

What has been answered is kept by content: in memory, and what took long in the store, too.
"""

import contextlib
import threading
import time
from concurrent.futures import wait
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
MOST_SLOW, MOST_QUICK = 256, 64  # answers in memory; a deep network's maps take megabytes
MOST_ENDED = 1000  # questions whose failure is remembered
UNWANTED = 15.0  # seconds after which a slow question that nobody looks at lets others go first


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
    """A question under way, when it was last looked at, and when its progress was first seen."""

    asked: Asked
    slow: bool
    seen: float = 0.0
    began: float = 0.0
    share_then: float | None = None

    def found(self) -> Found:
        """How far it is."""
        done, total = self.asked.progress
        left = self._seconds_left(done / total) if total else None
        return Found("running", None, done, total, left)

    def _seconds_left(self, share: float) -> float | None:
        """Estimated from the share done so far; None before there is enough of it.

        Of shares, not counts, for an analysis of several parts may count each in its own steps.
        """
        now = time.monotonic()
        if self.share_then is None:
            self.began, self.share_then = now, share
        if share <= self.share_then:
            return None
        return (1 - share) * (now - self.began) / (share - self.share_then)


@dataclass
class Asking:
    """All questions of this process's visitors; one for all, so that none is put twice.

    Any thread may call it.
    """

    lab: Lab
    kept: "Kept[Json]" = field(default_factory=lambda: Kept(seconds=DAY, most=MOST_SLOW))
    quick: "Kept[Json]" = field(default_factory=lambda: Kept(seconds=DAY, most=MOST_QUICK))
    open: dict[str, Open] = field(default_factory=dict)
    ended: dict[str, Found] = field(default_factory=dict)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def get(self, inquiry: Inquiry, patience: float = 0.0, slow: bool = True) -> Found:
        """The answer, if it is there within `patience` seconds; it is asked for if it is not.

        One that failed or was cancelled stays so until `again`.
        """
        known = self._at_hand(inquiry.key) or self._stored(inquiry.key, slow)
        if known is not None:
            return known
        with self.lock:
            known = self._at_hand(inquiry.key)  # it may have come meanwhile
            if known is not None:
                return known
            question = self.open.get(inquiry.key)
            if question is None:
                asked = self.lab.executor.ask(inquiry.question, slow)
                question = self.open[inquiry.key] = Open(asked, slow)
            question.seen = time.monotonic()
        wait([question.asked.future], timeout=patience)
        self._tidy(slow)
        if question.asked.future.done():
            return self._settled(inquiry.key, question)
        return question.found()

    def _at_hand(self, key: str) -> Found | None:
        """What is known without a look into the store."""
        recorded = recorded_answers().answers.get(key)
        if recorded is not None:
            return Found("recorded", recorded)
        for some in (self.kept, self.quick):
            with some.lock:
                kept = some.made.get(key)
                if kept is not None:
                    some.made.move_to_end(key)  # what is looked at stays longest
                    return Found("done", kept[1])
        return self.ended.get(key)

    def _stored(self, key: str, slow: bool) -> Found | None:
        if not slow or key in self.open:
            return None
        with contextlib.suppress(StoreError):
            stored = self.lab.store.cache_get(KIND, key)
            if stored is not None:
                return self._keep(key, Found("done", stored), slow)
        return None

    def _settled(self, key: str, question: Open) -> Found:
        """What came of a question that has been answered; kept by whoever sees it first."""
        error = question.asked.future.exception()
        if error is None:
            found = Found("done", question.asked.future.result())
        else:
            found = Found("cancelled" if str(error) == CANCELLED else "failed", error=str(error))
        with self.lock:
            first = self.open.get(key) is question
            if first:
                self._keep(key, found, question.slow)
                del self.open[key]
        if first and question.slow and found.answer is not None:
            with contextlib.suppress(StoreError):  # a full disk: it is computed again next time
                self.lab.store.cache_put(KIND, key, found.answer)
        return found

    def _keep(self, key: str, found: Found, slow: bool) -> Found:
        answer = found.answer
        if answer is not None:
            (self.kept if slow else self.quick).get(key, lambda: answer)
            return found
        self.ended[key] = found
        while len(self.ended) > MOST_ENDED:
            del self.ended[next(iter(self.ended))]
        return found

    def _tidy(self, slow: bool) -> None:
        """Keep answers that nobody came back for, and give up what nobody looks at any more.

        The latter only where somebody waits for a slow one; it is asked anew once it is wanted.
        """
        with self.lock:
            answered = [(k, one) for k, one in self.open.items() if one.asked.future.done()]
            for key, question in list(self.open.items()) if slow else ():
                unwanted = time.monotonic() - question.seen > UNWANTED
                if question.slow and unwanted and not question.asked.future.done():
                    del self.open[key]
                    self._cancel(question)
        for key, question in answered:
            self._settled(key, question)

    def cancel(self, inquiries: "list[Inquiry]") -> None:
        """Give these up, if they are under way."""
        with self.lock:
            for inquiry in inquiries:
                question = self.open.get(inquiry.key)
                if question is not None:
                    self._cancel(question)

    def _cancel(self, question: Open) -> None:
        with self.lab.executor.lock:  # one thread at a time speaks to a worker
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
