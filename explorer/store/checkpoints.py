"""The checkpoint files of runs, as far as the store needs them: their step, their removal."""

import json
from pathlib import Path

from explorer.home import home

SUFFIXES = (".safetensors", ".json")
LONGEST_HEADER = 100_000_000  # bytes, the bound of the safetensors format itself


def folder() -> Path:
    """Where checkpoints lie, whether or not there are any."""
    return home() / "checkpoints"


def step_of(run_id: int) -> int:
    """The step at which the run's checkpoint was taken; 0 if there is none to read.

    It stands in the header of the safetensors file: 8 bytes of length, then JSON.
    """
    try:
        with (folder() / f"{run_id}.safetensors").open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(min(length, LONGEST_HEADER)))
        return int(header["__metadata__"]["step"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0


def remove(run_id: int) -> None:
    """Delete the run's checkpoint files, if there are any."""
    for suffix in SUFFIXES:
        (folder() / f"{run_id}{suffix}").unlink(missing_ok=True)


def largest_id() -> int:
    """The largest run id of any checkpoint file; 0 if there is none."""
    names = (path.stem for path in folder().glob("*.safetensors"))
    return max((int(name) for name in names if name.isdecimal() and len(name) < 18), default=0)


def size() -> int:
    """Bytes of all checkpoint files."""
    return sum(path.stat().st_size for path in folder().glob("*") if path.is_file())
