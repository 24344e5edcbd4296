"""Finished runs with a few made-up readings, put into a store."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from explorer.spec import parse
from explorer.store import Store, this_process
from explorer.trace import Reading

PAIR = ("plain-8,width=4,steps=20", "resnet-8,width=4,steps=20,lr=0.05")
HOSTILE = "<img src=x onerror=alert(1)> \u202e" + "x" * 50
LOSS = np.array([2.5, 2.0, 1.25], np.float32)
ACCURACY = np.array([0.1, 0.25, 0.75], np.float32)


def add_pair(store: Store, arms: Sequence[str] = PAIR, state: Any = "done") -> list[int]:
    """A comparison with three readings of every arm, at steps 0, 10 and 20; returns its ids."""
    named = [(f"arm {i}", parse(arm)) for i, arm in enumerate(arms)]
    runs = store.add_comparison(named, this_process()).runs
    for run in runs:
        add_readings(store, run.id, run.spec.network.sites)
        store.update(run.id, state=state, device="cpu")
    return [run.id for run in runs]


def add_readings(store: Store, run_id: int, sites: Sequence[str]) -> None:
    for probe in ("train_loss", "train_accuracy", "test_accuracy"):
        store.describe(run_id, probe, (probe,), "1", False)
    store.describe(run_id, "activation_gradient", sites, "‖dL/dx‖", True)
    for step, loss, accuracy in zip((0, 10, 20), LOSS, ACCURACY, strict=True):
        values = {"train_loss": loss, "train_accuracy": accuracy, "test_accuracy": accuracy / 2}
        readings = [Reading(name, step, np.array([v], np.float32)) for name, v in values.items()]
        gradient = np.arange(1, len(sites) + 1, dtype=np.float32)
        readings.append(Reading("activation_gradient", step, gradient))
        store.write([(run_id, reading) for reading in readings], {run_id: 1.5})


def add_watched(store: Store, name: str = HOSTILE) -> int:
    row = store.table.watch(name, this_process(), "cpu", {"module": "Mine", "torch": "2"})
    add_readings(store, row.id, ("layer 1", "layer 2"))
    store.update(row.id, state="done")
    return row.id
