"""What dies does not take a run with it: a worker, the server, and who comes back afterwards."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from browser import PATIENCE, App, Visit

pytestmark = pytest.mark.e2e

ARMS = ("plain-8,width=4,steps=150", "resnet-8,width=4,steps=150")


@pytest.fixture
def mortal(tmp_path: Path) -> Iterator[App]:
    """A server of its own, to be killed."""
    app = App(tmp_path / "mortal")
    yield app
    app.end()


def test_a_killed_worker_is_said_at_once_and_resume_finishes_the_run(
    mortal: App, tab: Callable[..., Visit]
) -> None:
    visit = tab(mortal).open(*ARMS).play(step=20)
    worker = mortal.busiest()
    worker.kill()
    killed = time.monotonic()
    visit.wait_for("interrupted")
    assert time.monotonic() - killed < 4  # half of it for a busy machine
    visit.see("the worker process ended unexpectedly (signal 9)")
    visit.press("play")
    visit.wait_for("done")
    visit.see("done at step 150 of 150")
    visit.page.wait_for_function(
        "document.querySelector('[data-testid=status]').textContent === ''", timeout=PATIENCE
    )


def test_a_killed_server_takes_its_workers_along_and_its_runs_can_go_on(
    mortal: App, tab: Callable[..., Visit]
) -> None:
    visit = tab(mortal, calm=False).open(*ARMS).play(step=20)
    workers = mortal.workers()
    assert workers
    mortal.process.kill()
    mortal.process.wait()
    _, left = psutil.wait_procs(workers, timeout=5)
    assert left == []
    visit.see("The server does not answer; trying again.")
    visit.page.close()
    again = App(mortal.home)
    try:
        visit = tab(again).open()
        visit.see("plain-8 and residual-8 were interrupted: step")
        visit.page.get_by_role("button", name="Show").click()
        visit.wait_for("interrupted")
        assert visit.step > 0
        visit.press("play")
        visit.wait_for("done")
        visit.see("done at step 150 of 150")
        visit.page.close()
    finally:
        again.end()
