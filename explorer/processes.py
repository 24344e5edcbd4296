"""A worker process seen from the app: started, spoken to, heard, ended. No torch here."""

import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import IO, Any

from explorer.home import home
from explorer.worker import messages

LARGEST_LOG = 1_000_000  # bytes of a worker log that are kept before it starts anew


class Worker:
    """One `python -m explorer.worker`: started at once, ready some seconds later."""

    def __init__(self, device: str, on_reply: "Callable[[Worker, dict[str, Any]], None]") -> None:
        self.was_ready = False
        self.reason = ""  # why it could not be ready, if it said so
        self.comparison: str | None = None
        self.arms = 0  # of that comparison, each of which takes a core
        self.behind = False  # whether it is trained behind the scenes
        self.on_reply = on_reply
        with _log() as log:
            self.process: subprocess.Popen[str] = subprocess.Popen(
                [sys.executable, "-m", "explorer.worker", device],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,  # Ctrl-C in the terminal reaches the app first
            )
        threading.Thread(target=self._read, daemon=True).start()

    def send(self, **command: Any) -> bool:
        """Send a command; False if the worker is gone."""
        try:
            assert self.process.stdin is not None
            self.process.stdin.write(json.dumps(command) + "\n")
            self.process.stdin.flush()
        except (BrokenPipeError, ValueError, OSError):
            return False
        return True

    def hang_up(self) -> None:
        """Close its input, which ends it."""
        assert self.process.stdin is not None
        with contextlib.suppress(OSError):  # it is gone already
            self.process.stdin.close()

    def wait(self) -> None:
        """Wait for its end; kill it if it has not gone within some seconds."""
        try:
            self.process.wait(timeout=4)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for reply in messages(self.process.stdout):
            self.was_ready = self.was_ready or reply["event"] == "ready"
            self.reason = reply["error"] if reply["event"] == "unable" else self.reason
            self.on_reply(self, reply)
        code = self.process.wait()
        self.process.stdout.close()
        self.hang_up()
        self.on_reply(self, {"event": "gone", "code": code})


class Chore:
    """A download, or images being added, by a worker of its own that ends with it."""

    def __init__(self, on_end: Callable[[], None], **command: Any) -> None:
        self.done = 0
        self.total = 0
        self.result = ""  # the data set's name, once it is there
        self.error = ""  # one line, if it could not be
        self.on_end = on_end
        self.worker = Worker("cpu", self._on_reply)
        self.worker.send(do="chore", **command)

    @property
    def ended(self) -> bool:
        """Whether there is a result or an error."""
        return bool(self.result or self.error)

    def cancel(self) -> None:
        """End it; what was downloaded so far is left for the next try."""
        self.error = self.error or "cancelled"
        self.worker.hang_up()

    def _on_reply(self, worker: Worker, reply: dict[str, Any]) -> None:
        if reply["event"] == "progress":
            self.done, self.total = reply["done"], reply["total"]
            return
        if reply["event"] == "finished":
            self.result = reply["name"]
        elif reply["event"] in ("refused", "unable"):
            self.error = reply["error"]
        elif reply["event"] == "gone":
            self.error = self.error or ("" if self.result else "the worker process ended")
            self.on_end()
            return
        if self.ended:
            worker.hang_up()


def _log() -> IO[bytes]:
    """The file that takes the workers' complaints; started anew when large."""
    path = home() / "worker.log"
    try:
        mode = "ab" if path.exists() and path.stat().st_size < LARGEST_LOG else "wb"
        return path.open(mode)
    except OSError:  # a full disk is no reason not to measure
        return open(os.devnull, "wb")
