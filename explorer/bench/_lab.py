"""A store and warm workers that are there for the measurements only."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from explorer.executors import Executor
from explorer.store import Store
from explorer.ui.lab import Lab

PATIENCE = 120.0  # seconds


@contextmanager
def own_home() -> Iterator[Path]:
    """Inside, EXPLORER_HOME is an empty folder, here and in processes started from here."""
    before = os.environ.get("EXPLORER_HOME")
    # A worker may write its last lines while the folder is being removed.
    with TemporaryDirectory(prefix="explorer-bench-", ignore_cleanup_errors=True) as folder:
        os.environ["EXPLORER_HOME"] = folder
        try:
            yield Path(folder)
        finally:
            if before is None:
                del os.environ["EXPLORER_HOME"]
            else:
                os.environ["EXPLORER_HOME"] = before


@contextmanager
def own_lab() -> Iterator[Lab]:
    """A lab in the present home whose workers have started up; they end with the block."""
    store = Store()
    executor = Executor(store, "cpu")
    try:
        workers = executor.workers
        wait_until(lambda: all(worker.was_ready for worker in workers))
        yield Lab(store, executor)
    finally:
        executor.shutdown()
        store.close()


def wait_until(condition: Callable[[], bool], every: float = 0.01) -> None:
    """Wait for `condition`; TimeoutError after PATIENCE seconds."""
    last = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > last:
            raise TimeoutError(f"nothing happened within {PATIENCE:g} s")
        time.sleep(every)
