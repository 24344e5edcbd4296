"""Exported programs: each repeats, bit for bit, what the trainer read."""

import csv
import random
import subprocess
import sys
from collections.abc import Iterator, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from explorer.changes import apply
from explorer.exports.script import script
from explorer.spec import RunSpec, SpecError, parse
from explorer.store import Event
from explorer.training import Trainer

READINGS = ("train_loss", "train_accuracy", "test_accuracy")
Rows = dict[tuple[str, int], bytes]  # (probe, step) -> the float32's bytes
FACTORS: dict[str, tuple[str, ...]] = {
    "block": ("basic", "preact", "bottleneck", "preact_bottleneck"),
    "shortcut": ("none", "zero_pad", "projection", "projection_all"),
    "norm": ("batch", "none", "group", "layer"),
    "init": ("he", "xavier", "lecun", "torch_default", "orthogonal", "delta_orthogonal"),
    "optimizer": ("sgd", "adam", "adamw"),
    "schedule": ("constant", "step", "one_cycle"),
    "warmup": ("0", "2", "9"),
    "momentum": ("0.9", "0.8", "0"),
    "weight_decay": ("0", "0.01"),
    "clip": ("0", "0.5"),
    "normalized": ("false", "true"),
    "label_smoothing": ("0", "0.1"),
    "bf16": ("false", "true"),
    "channels_last": ("false", "true"),
    "augment": ("false", "true"),
    "bias": ("false", "true"),
    "branch_scale": ("1", "0.3"),
    "skip": ("1", "0.5", "0.5~1"),
    "residual": ("1", "0.7", "1~0.25"),
    "stages": ("1x8~1x16", "2x6", "1x8~1x8"),
    "seed": ("0", "5"),
}


def text_of(row: dict[str, str], steps: int = 4) -> str:
    pairs = ",".join(f"{key}={value}" for key, value in row.items())
    return f"resnet,{pairs},steps={steps},batch=16,lr=0.02"


def possible(row: dict[str, str]) -> bool:
    try:
        parse(text_of(row))
    except SpecError:
        return False
    return True


def pairs_of(row: dict[str, str]) -> set[tuple[tuple[str, str], ...]]:
    return set(combinations(sorted(row.items()), 2))


def matrix(rows: int) -> Iterator[dict[str, str]]:
    """Rows in which pairs of values come together as soon as they can, the same every time."""
    draw, seen = random.Random(0), set[Any]()
    for _ in range(rows):
        drawn = ({k: draw.choice(v) for k, v in FACTORS.items()} for _ in range(60))
        best = max(filter(possible, drawn), key=lambda row: len(pairs_of(row) - seen))
        seen |= pairs_of(best)
        yield best


MATRIX = list(matrix(40))


def trained(spec: RunSpec, events: Sequence[Event] = (), arm: int = 0) -> Rows:
    """What the trainer reads, the changes made as the worker makes them."""
    trainer, found = Trainer(spec, torch.device("cpu")), {}
    while not trainer.finished:
        for event in events:
            if event.step == trainer.step and event.concerns(arm):
                apply(event, trainer)
        for reading in trainer.advance():
            found[reading.probe, reading.step] = reading.values.tobytes()
    return {key: value for key, value in found.items() if key[0] in READINGS}


def repeated(source: str, *steps: int) -> Rows:
    """What the program's loop yields, run in this process."""
    names: dict[str, Any] = {"__name__": "exported"}
    exec(compile(source, "exported.py", "exec"), names)
    return {
        (probe, step): np.float32(value).tobytes()
        for step, *values in names["train"](*steps)
        for probe, value in zip(READINGS, values, strict=True)
        if value is not None
    }


def readings_in(file: Path) -> Rows:
    """What a program wrote."""
    with file.open(newline="") as lines:
        return {
            (probe, int(line["step"])): np.float32(line[probe]).tobytes()
            for line in csv.DictReader(lines)
            for probe in READINGS
            if line[probe]
        }


def as_a_program(source: str, folder: Path) -> Rows:
    """What the program writes when it is started alone, as a reader starts it."""
    (folder / "exported.py").write_text(source)
    command = [sys.executable, "-I", "exported.py", "--out", "curve.csv"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    return readings_in(folder / "curve.csv")


def test_the_matrix_has_every_value_and_nearly_every_pair() -> None:
    values = {(key, value) for key, values in FACTORS.items() for value in values}
    assert {item for row in MATRIX for item in row.items()} == values
    every = {
        tuple(sorted([(a, x), (b, y)]))
        for a, b in combinations(FACTORS, 2)
        for x in FACTORS[a]
        for y in FACTORS[b]
    }
    seen = set[Any]().union(*map(pairs_of, MATRIX))
    assert len(every & seen) > 0.9 * len(every)


@pytest.mark.parametrize("row", MATRIX, ids=lambda row: ",".join(row.values()))
def test_a_program_repeats_the_trainer(row: dict[str, str]) -> None:
    spec = parse(text_of(row))
    assert repeated(script(spec)) == trained(spec)
