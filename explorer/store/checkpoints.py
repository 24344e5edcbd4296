"""The checkpoint files of runs, as far as the store needs them: their step, their removal.

A run has one checkpoint, `<run>.safetensors`, from which it goes on, and snapshots of its weights
at earlier steps, `<run>/<step>.safetensors`, which are looked into and never gone on from.
"""

import json
import shutil
from pathlib import Path
from typing import Any

from explorer.home import home

SUFFIXES = (".safetensors", ".json")
LONGEST_HEADER = 100_000_000  # bytes, the bound of the safetensors format itself


def folder() -> Path:
    """Where checkpoints lie, whether or not there are any."""
    return home() / "checkpoints"


def latest(run_id: int) -> Path:
    """The file of the run's checkpoint, whether or not it is there."""
    return folder() / f"{run_id}.safetensors"


def snapshot(run_id: int, step: int) -> Path:
    """The file of the run's weights at that step, whether or not it is there."""
    return folder() / str(run_id) / f"{step}.safetensors"


def is_kept(step: int) -> bool:
    """Whether weights are kept at that step: 1, 3, 10, 30, 100 and so on."""
    digits = str(step)
    return digits[0] in "13" and not digits[1:].strip("0")


def snapshots(run_id: int) -> dict[int, Path]:
    """The files of the run's weights by step, the latest checkpoint's among them."""
    paths = (folder() / str(run_id)).glob("*.safetensors")
    found = {int(path.stem): path for path in paths if path.stem.isdecimal()}
    step = step_of(run_id)
    return dict(sorted((found | ({step: latest(run_id)} if step else {})).items()))


def facts(path: Path) -> dict[str, Any]:
    """What a checkpoint or snapshot says of itself; empty if there is none to read.

    It stands in the header of the safetensors file: 8 bytes of length, then JSON.
    """
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(min(length, LONGEST_HEADER)))
        return {name: json.loads(text) for name, text in header["__metadata__"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def step_of(run_id: int) -> int:
    """The step at which the run's checkpoint was taken; 0 if there is none to read."""
    step = facts(latest(run_id)).get("step", 0)
    return step if type(step) is int else 0


def forget_after(run_id: int, step: int) -> None:
    """Delete snapshots of later steps: from that step on, the run takes another course."""
    for found, path in snapshots(run_id).items():
        if found > step and path != latest(run_id):
            path.unlink(missing_ok=True)


def remove(run_id: int) -> None:
    """Delete the run's checkpoint and snapshots, if there are any."""
    for suffix in SUFFIXES:
        (folder() / f"{run_id}{suffix}").unlink(missing_ok=True)
    shutil.rmtree(folder() / str(run_id), ignore_errors=True)


def largest_id() -> int:
    """The largest run id of any checkpoint or snapshot; 0 if there is none."""
    names = (path.stem for path in folder().glob("*"))
    return max((int(name) for name in names if name.isdecimal() and len(name) < 18), default=0)


def size() -> int:
    """Bytes of all checkpoints and snapshots."""
    return sum(path.stat().st_size for path in folder().rglob("*") if path.is_file())
