"""Which process a comparison belongs to, in words that no later process can claim."""

import os

import psutil

CLOCK_SLACK = 2.0  # seconds a start time may move when the system clock is corrected


def this_process() -> str:
    """This process as an owner, `pid:start time`: process ids are used again, pairs are not."""
    return f"{os.getpid()}:{psutil.Process().create_time():.2f}"


def owner_alive(owner: str) -> bool:
    """Whether the process that `this_process` named so still runs."""
    pid, _, started = owner.partition(":")
    try:
        process = psutil.Process(int(pid))
        same: bool = abs(process.create_time() - float(started)) < CLOCK_SLACK
        ended: bool = process.status() == psutil.STATUS_ZOMBIE
        return same and not ended
    except (ValueError, OverflowError, psutil.Error):
        return False
