"""Watching when something fails: the loss, the loop, or the store."""

import logging
import math
import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from test_watch import only
from test_watch_hard_cases import linear, step_once

from explorer import watch
from explorer.store import Store, StoreError
from explorer.watching import recorder


def test_a_loss_that_is_not_finite_is_recorded_and_said(caplog: pytest.LogCaptureFixture) -> None:
    module = linear()
    with watch(module, every=1) as w:
        for factor in (1.0, math.nan, 1.0, math.inf):
            loss = module(torch.ones(5, 4)).square().mean() * factor
            loss.backward()
            w.step(loss)
    row, traces = only()
    assert np.isfinite(traces["train_loss"].values[:, 0]).tolist() == [True, False, True, False]
    assert row.state == "diverged"
    assert row.message == "the loss is not a finite number at step 1"
    assert caplog.messages == [row.message]


@pytest.mark.parametrize(
    ("error", "state", "message"),
    [
        (RuntimeError("too large\nsecond line"), "failed", "RuntimeError: too large"),
        (KeyboardInterrupt(), "stopped", ""),
    ],
)
def test_an_exception_ends_the_run_and_goes_on(
    error: BaseException, state: str, message: str
) -> None:
    module = linear()

    def loop() -> None:
        with watch(module, every=1) as w:
            step_once(module, w)
            raise error

    with pytest.raises(type(error)):
        loop()
    row, traces = only()
    assert (row.state, row.message) == (state, message)
    assert len(traces["activation_gradient"]) == 1
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in module.modules())


def test_a_full_disk_is_said_once_and_costs_no_step(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What is read meanwhile is written once there is room."""
    monkeypatch.setattr(recorder, "COMMIT", 0.0)
    monkeypatch.setattr(recorder, "RETRY", 0.0)
    full = True
    write = Store.write

    def refuse(store: Store, *values: Any) -> None:
        if full:
            raise StoreError("the disk is full")
        write(store, *values)

    monkeypatch.setattr(Store, "write", refuse)
    module = linear()
    with watch(module) as w:
        for step in range(6):
            full = step < 4
            step_once(module, w)
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "the disk is full; training goes on" in caplog.text
    row, traces = only()
    assert row.state == "done"
    assert traces["train_loss"].steps.tolist() == [0, 1, 2, 3, 4, 5]
    assert w.recorder.waiting == []


@pytest.mark.parametrize("when", ["before", "while"])
def test_a_store_that_is_not_there_costs_no_step(
    when: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "COMMIT", 0.0)
    module = linear()
    place = tmp_path / "place"
    if when == "before":
        place.write_text("a file where a folder should be")
    with watch(module, store=place) as w:
        step_once(module, w)
        if when == "while":
            with sqlite3.connect(place / "runs.sqlite") as connection:
                connection.execute("DELETE FROM run")
        for _ in range(3):
            step_once(module, w)
    assert len(caplog.messages) == 1
    assert "training goes on" in caplog.text
