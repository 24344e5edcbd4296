"""Questions about networks: put once, kept, cancelled, given up, and answered by a real worker."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest
from stand_in import StandIn, install

from explorer import executors
from explorer.executors import Executor
from explorer.experiments.inside_questions import usual_questions
from explorer.inquiry import Inquiry, inquiry
from explorer.lanes import Asked
from explorer.store import Store, StoreError
from explorer.ui import asking as module
from explorer.ui.asking import UNWANTED, Asking, Found, Open, asking, how_far, where_recorded
from explorer.ui.kept import Kept
from explorer.ui.lab import Lab, lab
from explorer.weights import find
from explorer.worker import Desk

SMALL = "resnet-8,width=4@0"
TRAINED = "resnet-20,width=8,steps=300"
PATIENCE = 60.0  # seconds a test waits for what takes a few on an idle machine


@pytest.fixture
def executor(monkeypatch: pytest.MonkeyPatch) -> StandIn:
    return install(monkeypatch)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The time that questions are told; it stands still until `now` is set."""
    made = SimpleNamespace(now=1000.0)
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: made.now))
    return made


def asks(what: str = "similarity", net: str = SMALL, **options: Any) -> Inquiry:
    return inquiry(what, find(Store(), net), **options)


def until(condition: Callable[[], Any]) -> Any:
    """The first true value of `condition`; the test fails if there is none in time."""
    end = time.monotonic() + PATIENCE
    while not (value := condition()):
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.03)
    return value


def test_a_question_is_put_once_and_its_answer_kept(executor: StandIn) -> None:
    executor.left_open = {"similarity"}
    answers = asking(lab())
    assert answers is asking(lab())
    assert [answers.get(asks()).state for _ in range(3)] == ["running"] * 3
    executor.count("similarity", 1, 4)
    assert (answers.get(asks()).done, answers.get(asks()).all) == (1, 4)
    executor.left_open = set()
    executor.settle()
    first, again = answers.get(asks()), answers.get(asks())
    assert (first.state, again.state, first.busy) == ("done", "done", False)
    assert first.answer == again.answer
    assert [asked.question for asked in executor.inquired] == [asks().question]
    assert answers.get(asks(debiased=False)).answer != first.answer
    assert len(executor.inquired) == 2
    assert answers.open == {}


def test_slow_answers_outlive_the_server_and_quick_ones_do_not(executor: StandIn) -> None:
    quick = asks("samples")
    before = Asking(lab()).get(asks()), Asking(lab()).get(quick, 1.0, slow=False)
    later = Asking(lab())
    assert later.get(asks()) == before[0]
    assert len(executor.inquired) == 2
    assert later.get(quick, 1.0, slow=False) == before[1]
    assert [asked.what for asked in executor.inquired] == ["similarity", "samples", "samples"]


def test_recorded_answers_are_asked_of_nobody_and_say_so(executor: StandIn) -> None:
    found = [asking(lab()).get(one) for one in usual_questions(executor.store)]
    assert {one.state for one in found} == {"recorded"}
    assert all(one.answer for one in found)
    assert where_recorded()
    assert executor.inquired == []


def test_what_failed_stays_failed_until_it_is_asked_again(executor: StandIn) -> None:
    executor.error = "the measuring process has ended"
    answers = asking(lab())
    failed = answers.get(asks())
    executor.error = ""
    assert failed == Found("failed", error="the measuring process has ended")
    assert answers.get(asks()) == failed
    assert len(executor.inquired) == 1
    answers.again([asks(), asks("responses")])
    assert answers.get(asks()).state == "done"


def test_what_was_cancelled_stays_so_until_it_is_asked_again(executor: StandIn) -> None:
    executor.left_open = {"similarity", "responses"}
    answers = asking(lab())
    for one in (asks(), asks("responses")):
        answers.get(one)
    answers.cancel([asks(), asks("path_lengths")])
    assert [answers.get(asks()).state for _ in range(2)] == ["cancelled"] * 2
    assert [asked.cancelled for asked in executor.inquired] == [True, False]
    assert answers.get(asks("responses")).busy
    answers.again([asks()])
    executor.left_open = set()
    assert answers.get(asks()).state == "done"


def test_only_so_many_failures_are_remembered(
    executor: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_ENDED", 2)
    executor.error = "no"
    answers = asking(lab())
    several = [asks("path_lengths", draws=draws) for draws in (1, 2, 3)]
    assert [answers.get(one).state for one in several] == ["failed"] * 3
    assert list(answers.ended) == [one.key for one in several[1:]]


def test_what_is_looked_at_stays_longest(executor: StandIn) -> None:
    answers = Asking(lab(), quick=Kept(seconds=60, most=2))
    images = [asks("maps", image=f"test:{number}") for number in (0, 1, 0, 2, 0)]
    for one in images:
        assert answers.get(one, 1.0, slow=False).state == "done"
    assert [asked.question for asked in executor.inquired] == [
        images[at].question for at in (0, 1, 3)
    ]


def test_a_full_disk_is_no_failure(executor: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    full = Mock(side_effect=StoreError("the disk is full"))
    monkeypatch.setattr(Store, "cache_put", full)
    monkeypatch.setattr(Store, "cache_get", full)
    answers = asking(lab())
    assert [answers.get(asks()).state for _ in range(2)] == ["done", "done"]
    assert len(executor.inquired) == 1


@pytest.mark.parametrize(
    "counted",
    [
        [(4, 40), (10, 40), (20, 40)],
        [(1, 10), (25, 100), (1, 2)],  # an analysis of parts, each counted in its own steps
    ],
)
def test_time_left_is_that_of_a_steady_pace(
    counted: list[tuple[int, int]], clock: SimpleNamespace
) -> None:
    question = Open(Asked(1, None), slow=True)
    pace = 60.0  # seconds for the whole, by the shares above
    waiting = question.found()
    assert (waiting.seconds_left, how_far(waiting)) == (None, "waits for a worker")
    said = []
    for done, total in counted:
        question.asked.progress = (done, total)
        clock.now = 1000.0 + pace * done / total
        said.append(question.found())
        assert question.found() == said[-1]
    shares = [done / total for done, total in counted]
    left = [None, *(pytest.approx(pace * (1 - share)) for share in shares[1:])]
    assert [found.seconds_left for found in said] == left
    assert [how_far(found) for found in said] == [
        "10 %",
        "25 %, about 45 s left",
        "50 %, about 30 s left",
    ]


def test_several_visitors_at_once_put_one_question(
    executor: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    executor.left_open = {"similarity"}
    answers, together = asking(lab()), threading.Barrier(8)
    kept = Mock(wraps=executor.store.cache_put)
    monkeypatch.setattr(Store, "cache_put", lambda self, *entry: kept(*entry))

    def ask(_: int) -> Found:
        together.wait()
        return answers.get(asks())

    with ThreadPoolExecutor(8) as threads:
        assert {found.state for found in threads.map(ask, range(8))} == {"running"}
        executor.settle()
        assert {found.state for found in threads.map(ask, range(8))} == {"done"}
    assert len(executor.inquired) == kept.call_count == 1


def test_an_answer_that_comes_between_two_looks_is_not_asked_for_again(
    executor: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    executor.left_open = {"similarity"}
    answers = asking(lab())
    answers.get(asks())

    def meanwhile(key: str, slow: bool) -> None:
        monkeypatch.undo()
        executor.settle()
        answers.get(asks())  # another visitor has it now

    monkeypatch.setattr(answers, "_stored", meanwhile)
    assert answers.get(asks()).state == "done"
    assert len(executor.inquired) == 1


def test_an_answer_nobody_came_back_for_is_kept(executor: StandIn) -> None:
    executor.left_open = {"similarity", "responses"}
    answers = asking(lab())
    answers.get(asks())
    executor.settle()
    answers.get(asks("responses"))  # a visitor of another page
    assert list(answers.open) == [asks("responses").key]
    assert executor.store.cache_get("inside", asks().key) is not None


def test_what_nobody_looks_at_lets_others_go_first(
    executor: StandIn, clock: SimpleNamespace
) -> None:
    executor.left_open = {"similarity", "responses", "samples", "maps"}
    answers = asking(lab())
    for what in ("similarity", "samples", "maps", "responses"):
        answers.get(asks(what), slow=what in ("similarity", "responses"))
    clock.now += UNWANTED + 1
    answers.get(asks("samples"), slow=False)  # a quick one waits for none of the slow
    assert len(answers.open) == 4
    assert answers.get(asks("responses")).busy
    assert [asked.cancelled for asked in executor.inquired] == [True, False, False, False]
    assert answers.get(asks()).busy  # it is wanted again, and so asked for anew
    assert [asked.what for asked in executor.inquired[4:]] == ["similarity"]
    executor.settle()
    assert answers.get(asks()).state == answers.get(asks("responses")).state == "done"


class Replies:
    """What a desk replies."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []

    def send(self, **reply: Any) -> None:
        self.sent.append(reply)


def test_no_question_ends_the_process_that_answers_others(
    capsys: pytest.CaptureFixture[str],
) -> None:
    commands: Any = SimpleNamespace(cancelled=set())
    replies: Any = Replies()
    desk = Desk("cpu", commands, replies)
    asked = {"id": 7, "what": "samples", "weights": [find(Store(), SMALL).question], "options": {}}
    commands.cancelled.add(7)
    desk.serve(asked)  # cancelled before it was its turn
    assert commands.cancelled == set()
    desk.serve(asked | {"what": "nonsense"})
    desk.serve(asked)
    errors = [reply.get("error", "") for reply in replies.sent]
    assert errors[0] == "cancelled"
    assert errors[1].startswith("analysis: 'nonsense' is not allowed; choose one of ")
    labels = {sample["label"] for sample in replies.sent[2]["answer"]["samples"]}
    assert (errors[2], labels) == ("", set("0123456789"))
    assert capsys.readouterr().err == ""
    desk.answerer = Mock(answer=Mock(side_effect=AssertionError("not so\nmore")))
    desk.serve(asked)
    assert replies.sent[-1] == {"event": "answered", "id": 7, "error": "not so"}
    assert "AssertionError: not so" in capsys.readouterr().err  # goes to the workers' log


@pytest.fixture
def working(monkeypatch: pytest.MonkeyPatch) -> Iterator[Executor]:
    monkeypatch.setattr(executors, "Pool", lambda *_: Mock(workers=[]))  # nothing is trained here
    executor = Executor(Store(), "cpu", 1, reserve=0)
    yield executor
    executor.shutdown()


def test_real_workers_report_cancel_and_are_replaced(working: Executor) -> None:
    answers = Asking(Lab(working.store, working))
    long = asks("lesion_some", TRAINED, reestimate=True, draws=100)
    waiting, quick = asks(), asks("samples")
    assert all(answers.get(one).busy for one in (long, waiting))
    question = answers.open[long.key].asked
    until(lambda: answers.get(quick, slow=False).state == "done")  # both lanes start at once
    until(lambda: answers.get(long).done)
    maps = answers.get(asks("maps", image="test:3"), PATIENCE, slow=False)
    assert (maps.state, len((maps.answer or {})["blocks"])) == ("done", 3)
    assert answers.get(long).busy
    assert not working.measuring
    answers.cancel([waiting, long])
    ended = until(lambda: question.future.done() and answers.get(long))
    assert ended == Found("cancelled", error="cancelled")
    done, total = question.progress
    assert 0 < done < total
    assert until(lambda: not (found := answers.get(waiting)).busy and found) == ended

    answers.again([long, waiting])
    until(lambda: answers.get(long).done)
    first = working.slow.worker
    assert first is not None
    first.process.kill()
    lost = until(lambda: not (found := answers.get(long)).busy and found)
    assert lost == Found("failed", error="the measuring process ended (signal 9)")
    assert answers.get(waiting, PATIENCE).state == "done"
    assert working.slow.worker is not first
