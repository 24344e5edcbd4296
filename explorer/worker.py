"""A process that trains and measures for the app: `python -m explorer.worker`.

Standard input carries one JSON command a line; its closing ends the process, so no worker
outlives the program that started it, however that one died. What is trained goes to the
store; standard output carries a JSON line for "ready", for each measurement, and when idle.
"""

import json
import os
import queue
import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from functools import cached_property
from typing import IO, Any

GRACE = 3.0  # seconds to commit and checkpoint after standard input has closed


def messages(source: IO[str]) -> Iterator[dict[str, Any]]:
    """The JSON objects that come line by line, until the other end closes or dies."""
    for line in source:
        if not line.endswith("\n"):  # half a line: it was killed while it wrote
            return
        yield json.loads(line)


class Commands:
    """Commands as they arrive on standard input, in a queue; the end of input is one too."""

    def __init__(self, source: IO[str]) -> None:
        self.waiting: queue.Queue[dict[str, Any]] = queue.Queue()
        self.ended = False
        self.cancelled: set[int] = set()  # questions nobody wants answered any more
        threading.Thread(target=self._listen, args=(source,), daemon=True).start()

    def _listen(self, source: IO[str]) -> None:
        for command in messages(source):
            if command["do"] == "cancel":  # at once, though the main thread is busy answering
                self.cancelled.add(command["id"])
            else:
                self.waiting.put(command)
        self.ended = True
        self.waiting.put({"do": "end"})
        # Whatever the main thread is doing, the process is gone before long.
        threading.Timer(GRACE, os._exit, (3,)).start()

    def wait(self) -> dict[str, Any]:
        """The next command; blocks until there is one. After the end there are only ends."""
        if self.ended and self.waiting.empty():
            return {"do": "end"}
        return self.waiting.get()

    def take(self, block: bool = False) -> dict[str, Any] | None:
        """The next command, or None if there is none (waits for one when `block`)."""
        try:
            return self.waiting.get(block=block)
        except queue.Empty:
            return None


class Replies:
    """JSON lines to the app; stray prints of libraries go to standard error instead."""

    def __init__(self) -> None:
        self.out = os.fdopen(os.dup(1), "w")
        os.dup2(2, 1)

    def send(self, **reply: Any) -> None:
        """Send one reply; the app's end being closed is no error, for then nobody waits."""
        try:
            self.out.write(json.dumps(reply) + "\n")
            self.out.flush()
        except BrokenPipeError:
            return


def main() -> None:
    """Serve commands until standard input closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the app, which closes our input
    replies = Replies()
    commands = Commands(sys.stdin)
    from explorer.session import TROUBLE, gpu_count, one_line, run_session, warm_up

    try:
        device = warm_up(sys.argv[1] if len(sys.argv) > 1 else "auto")
    except TROUBLE as error:
        replies.send(event="unable", error=one_line(error))
        os._exit(1)
    replies.send(event="ready", device=str(device), gpus=gpu_count(device))
    desk = Desk(device, commands, replies)
    while (command := commands.wait())["do"] != "end":
        if command["do"] == "start":
            run_session(command["comparison"], device, commands, command["paused"])
            replies.send(event="idle")
        elif command["do"] == "answer":
            desk.serve(command)
        elif command["do"] == "chore":
            _do_chore(command, replies)
    os._exit(0)  # a plain return waits for torch's threads and can abort


class Desk:
    """Answers questions as they come; what they need is imported by the first one."""

    def __init__(self, device: Any, commands: Commands, replies: Replies) -> None:
        self.device = device
        self.commands = commands
        self.replies = replies

    @cached_property
    def answerer(self) -> Any:
        """What knows the answers."""
        from explorer.answering import Answerer

        return Answerer(self.device)

    def serve(self, question: dict[str, Any]) -> None:
        """Answer it, or say in one line why not."""
        from explorer.session import TROUBLE, one_line

        number = question["id"]

        def counted(done: int, total: int) -> None:
            self.replies.send(event="counted", id=number, done=done, all=total)

        def cancelled() -> bool:
            return number in self.commands.cancelled

        try:
            answer = self.answerer.answer(question, counted, cancelled)
        except Exception as error:  # whatever it is: others wait for this process, too
            if not isinstance(error, TROUBLE):
                traceback.print_exc()  # the log has it
            self.replies.send(event="answered", id=number, error=one_line(error))
        else:
            self.replies.send(event="answered", id=number, answer=answer)
        self.commands.cancelled.discard(number)


def _do_chore(command: dict[str, Any], replies: Replies) -> None:
    from explorer.chores import do_chore

    try:
        name = do_chore(command, lambda **facts: replies.send(event="progress", **facts))
        replies.send(event="finished", name=name)
    except (ValueError, OSError) as error:
        replies.send(event="refused", error=(str(error).splitlines() or ["failed"])[0])


if __name__ == "__main__":
    main()
