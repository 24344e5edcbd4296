"""Makes the networks and answers that the pages on the inside of blocks show before any work.

It trains on this machine's CPU. Run as `python -m explorer.experiments.record_inside`; on another
machine or another torch the numbers differ a little, and the file says whose they are.
"""

import gzip
import json
import os
import platform
from datetime import UTC, datetime
from pathlib import Path

import torch
from rich.progress import track

from explorer.answering import Answerer
from explorer.checkpoint import save_weights
from explorer.experiments.doctor import installed
from explorer.experiments.inside_questions import usual_questions
from explorer.experiments.inside_reference import FILE, SPECS
from explorer.spec import parse
from explorer.store import Store
from explorer.training import Trainer, one_thread
from explorer.weights import recorded, recorded_specs

FOLDER = Path(__file__).parents[1] / "recorded"


def record() -> None:
    """Train the networks, ask every usual question about them, and write both."""
    one_thread()
    for text in track(SPECS, "networks"):
        _train(text)
    recorded.cache_clear()
    recorded_specs.cache_clear()
    answerer = Answerer(torch.device("cpu"))
    questions = list(usual_questions(Store()))
    answers = {
        one.key: answerer.answer(one.question, _nobody, _never)
        for one in track(questions, "answers")
    }
    today = datetime.now(UTC).date().isoformat()
    machine = f"{platform.machine()}, {os.cpu_count()} cores, torch {installed('torch')}"
    written = {
        "where": f"{today}, {machine}",
        "command": "python -m explorer.experiments.record_inside",
        "answers": answers,
    }
    path = FOLDER / FILE
    path.write_bytes(gzip.compress(json.dumps(written).encode(), mtime=0))
    print(f"{path}: {path.stat().st_size:,} bytes")


def _train(text: str) -> None:
    trainer = Trainer(parse(text), torch.device("cpu"))
    while not trainer.finished:
        trainer.advance()
    name = text.partition(",")[0]
    save_weights(trainer, FOLDER / "networks" / f"{name}.safetensors")


def _nobody(done: int, total: int) -> None:
    """Nobody watches the progress of a single answer."""


def _never() -> bool:
    return False


if __name__ == "__main__":
    record()
