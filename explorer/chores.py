"""Work that a page starts and waits for beside training: downloads, and adding own images."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from explorer.data import download
from explorer.data.own import add_files, add_zip

Report = Callable[..., None]
EVERY = 0.1  # seconds between two reports


def do_chore(command: dict[str, Any], report: Report) -> str:
    """Carry out `command`; `report(done=, total=)` is called as it goes.

    Returns the name of the data set that is there afterwards; ValueError with one line if not.
    """
    if command["chore"] == "download":
        download(command["name"], _seldom(report))
        return str(command["name"])
    folder = Path(command["folder"])
    if command["chore"] == "add_zip":
        return add_zip(folder / "upload.zip", command["name"])
    files = ((name, (folder / str(i)).read_bytes()) for i, name in enumerate(command["files"]))
    return add_files(files, command["name"])


def _seldom(report: Report) -> Callable[[int, int], None]:
    """`report` called at most every EVERY seconds, and at the end."""
    last = 0.0

    def progress(done: int, total: int) -> None:
        nonlocal last
        if done >= total or time.monotonic() - last > EVERY:
            last = time.monotonic()
            report(done=done, total=total)

    return progress
