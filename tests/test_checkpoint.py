"""Checkpoints: a run goes on from one to the same curve bit for bit, or from none at all."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from explorer.checkpoint import checkpoint_path, restore, save
from explorer.probes import EVERYTHING
from explorer.spec import parse
from explorer.trace import Reading
from explorer.training import Trainer

ID = 7
SHORT = "resnet-8,width=4,batch=16,lr=0.05,warmup=3,steps=8"
Bits = list[tuple[str, int, bytes]]


def trainer_of(text: str = SHORT) -> Trainer:
    return Trainer(parse(text), torch.device("cpu"), EVERYTHING)


def bits(readings: list[Reading]) -> Bits:
    return [(reading.probe, reading.step, reading.values.tobytes()) for reading in readings]


def advanced(trainer: Trainer, until: int) -> list[Reading]:
    readings: list[Reading] = []
    while trainer.step < until and not trainer.finished:
        readings += trainer.advance()
    return readings


def state(trainer: Trainer) -> dict[str, bytes]:
    return {name: t.numpy().tobytes() for name, t in trainer.network.state_dict().items()}


def nothing(trainer: Trainer) -> None:
    """The run is left alone."""


def slower(trainer: Trainer) -> None:
    trainer.set_lr(0.007)


def cut(trainer: Trainer) -> None:
    trainer.network.set_gates((0.0, 1.0, 0.3), (1.0, 0.1, 1.0))


@pytest.mark.parametrize(
    "fields",
    [
        "momentum=0",
        "momentum=0.9",
        "nesterov=true,weight_decay=0.01,schedule=step",
        "optimizer=adam,schedule=one_cycle",
        "optimizer=adamw,weight_decay=0.1,clip=0.5",
        "optimizer=adam,channels_last=true",
        "norm=none,augment=true,label_smoothing=0.1",
        "bf16=true,norm=group",
    ],
)
@pytest.mark.parametrize("at", [0, 4])
def test_a_restored_run_gives_the_unbroken_curve(fields: str, at: int) -> None:
    unbroken, first, second = (trainer_of(f"{SHORT},{fields}") for _ in range(3))
    expected = bits(advanced(unbroken, 8))
    before = bits(advanced(first, at))
    save(first, ID)
    assert restore(second, ID)
    assert second.step == at
    assert before + bits(advanced(second, 8)) == expected
    assert state(second) == state(unbroken)


def test_a_network_on_points_goes_on_too() -> None:
    text = "mlp-6,width=4,data=spirals,batch=16,steps=6,optimizer=adam"
    unbroken, first, second = (trainer_of(text) for _ in range(3))
    expected = bits(advanced(unbroken, 6))
    before = bits(advanced(first, 3))
    save(first, ID)
    assert restore(second, ID)
    assert before + bits(advanced(second, 6)) == expected


@pytest.mark.parametrize("change", [slower, cut])
def test_changes_made_while_training_are_kept(change: Callable[[Trainer], None]) -> None:
    unbroken, first, second, untouched = (trainer_of() for _ in range(4))
    for trainer in (unbroken, first, untouched):
        advanced(trainer, 3)
    change(unbroken)
    change(first)
    save(first, ID)
    assert restore(second, ID)
    expected = bits(advanced(unbroken, 8))
    assert bits(advanced(second, 8)) == expected
    assert bits(advanced(untouched, 8)) != expected


def test_a_diverged_run_stays_diverged() -> None:
    text = "resnet-56,width=4,norm=none,batch=16,steps=8"
    first, second = trainer_of(text), trainer_of(text)
    advanced(first, 8)
    assert first.diverged_at is not None
    save(first, ID)
    assert restore(second, ID)
    assert (second.finished, second.diverged_at) == (True, first.diverged_at)


def test_no_checkpoint_is_no_error() -> None:
    trainer = trainer_of()
    assert not restore(trainer, ID)
    assert trainer.step == 0


def test_a_save_that_breaks_off_leaves_the_earlier_checkpoint(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first, second = trainer_of(), trainer_of()
    advanced(first, 2)
    save(first, ID)
    whole = checkpoint_path(ID).read_bytes()
    advanced(first, 4)

    def broken(source: Path, target: Path) -> None:
        raise OSError("the power failed")

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", broken)
        with pytest.raises(OSError, match="power"):
            save(first, ID)
    checkpoint_path(ID).with_suffix(".fresh").write_bytes(b"half a checkpoint")
    assert checkpoint_path(ID).read_bytes() == whole
    assert restore(second, ID)
    assert second.step == 2
    save(first, ID)
    assert [path.name for path in checkpoint_path(ID).parent.iterdir()] == ["7.safetensors"]
    assert restore(second, ID)
    assert second.step == 4


def test_a_leftover_alone_counts_as_none() -> None:
    first = trainer_of()
    save(first, ID)
    checkpoint_path(ID).rename(checkpoint_path(ID).with_suffix(".fresh"))
    assert not restore(trainer_of(), ID)


def refuses(trainer: Trainer) -> bool:
    """Whether nothing is restored and the trainer is as new."""
    fresh = state(trainer)
    refused = not restore(trainer, ID)
    return refused and state(trainer) == fresh and trainer.step == 0


def test_a_truncated_checkpoint_counts_as_none() -> None:
    first = trainer_of()
    expected = bits(advanced(first, 3))
    save(first, ID)
    whole = checkpoint_path(ID).read_bytes()
    for length in (0, 1, 7, 8, 100, len(whole) // 2, len(whole) - 1):
        checkpoint_path(ID).write_bytes(whole[:length])
        second = trainer_of()
        assert refuses(second), length
    assert bits(advanced(second, 3)) == expected


def test_one_wrong_bit_anywhere_counts_as_none() -> None:
    first, second = trainer_of(), trainer_of()
    advanced(first, 3)
    save(first, ID)
    whole = checkpoint_path(ID).read_bytes()
    places = range(0, len(whole), len(whole) // 150)
    for place in [*places, len(whole) - 1]:
        damaged = bytearray(whole)
        damaged[place] ^= 1
        checkpoint_path(ID).write_bytes(damaged)
        assert refuses(second), place


@pytest.mark.parametrize("content", [b"\0" * 5000, b'{"step": 3}', b"\xff" * 64])
def test_what_is_no_checkpoint_counts_as_none(content: bytes) -> None:
    checkpoint_path(ID).parent.mkdir()
    checkpoint_path(ID).write_bytes(content)
    assert refuses(trainer_of())


@pytest.mark.parametrize("facts", [None, {"step": "3"}, {"key": "{"}, {"step": "[1, 2"}])
def test_a_foreign_safetensors_file_counts_as_none(facts: dict[str, str] | None) -> None:
    checkpoint_path(ID).parent.mkdir()
    save_file(trainer_of().network.state_dict(), checkpoint_path(ID), facts)
    assert refuses(trainer_of())


def test_a_folder_in_its_place_counts_as_none() -> None:
    checkpoint_path(ID).mkdir(parents=True)
    assert refuses(trainer_of())


@pytest.mark.parametrize(
    "other",
    [
        "resnet-8,width=8,batch=16,lr=0.05,warmup=3,steps=8",
        "resnet-14,width=4,batch=16,lr=0.05,warmup=3,steps=8",
        "plain-8,width=4,batch=16,lr=0.05,warmup=3,steps=8",
        f"{SHORT},seed=1",
        f"{SHORT},optimizer=adam",
    ],
)
def test_another_run_is_not_restored_even_where_its_shapes_fit(other: str) -> None:
    first = trainer_of()
    advanced(first, 2)
    save(first, ID)
    assert refuses(trainer_of(other))
