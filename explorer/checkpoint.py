"""Where a run can go on from: its weights, its optimiser's state and its step, in one file.

A safetensors file holds tensors and text only, so reading a foreign one runs nothing.
"""

import json
import os
import zlib
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from explorer.home import home
from explorer.training import Trainer

Facts = dict[str, Any]
Tensors = dict[str, Tensor]


def checkpoint_path(run_id: int) -> Path:
    """The file of that run's checkpoint, whether or not it is there."""
    return home() / "checkpoints" / f"{run_id}.safetensors"


def save(trainer: Trainer, run_id: int) -> None:
    """Write the trainer's state; an earlier checkpoint stays whole until the new one is."""
    path = checkpoint_path(run_id)
    path.parent.mkdir(parents=True, exist_ok=True)
    tensors = {f"network.{name}": t for name, t in trainer.network.state_dict().items()}
    for index, values in trainer.optimizer.state_dict()["state"].items():
        for name, value in values.items():
            if value is not None:
                tensors[f"optimizer.{index}.{name}"] = torch.as_tensor(value)
    tensors = {name: t.contiguous().cpu() for name, t in tensors.items()}
    facts: Facts = {
        "key": trainer.run.key,
        "step": trainer.step,
        "lr": trainer.recipe.lr,
        "diverged_at": trainer.diverged_at,
        "skip": [block.skip for block in trainer.network.blocks],
        "residual": [block.residual_gate for block in trainer.network.blocks],
    }
    facts["checksum"] = _checksum(facts, tensors)
    fresh = path.with_suffix(".fresh")
    save_file(tensors, fresh, {name: json.dumps(value) for name, value in facts.items()})
    os.replace(fresh, path)


def restore(trainer: Trainer, run_id: int) -> bool:
    """Put a fresh trainer where its run's checkpoint was taken; False if there is none to read.

    A damaged checkpoint, or one of another RunSpec, counts as none: the trainer is left as it
    is, and the run starts again from step 0, to the same curve.
    """
    try:
        with safe_open(checkpoint_path(run_id), framework="pt") as file:
            facts = {name: json.loads(text) for name, text in (file.metadata() or {}).items()}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError, ValueError):
        return False
    if not _fits(trainer, facts, tensors):
        return False
    trainer.network.load_state_dict(_below(tensors, "network."))
    state: dict[int, Tensors] = {}
    for name, value in _below(tensors, "optimizer.").items():
        index, _, field = name.partition(".")
        state.setdefault(int(index), {})[field] = value
    groups = trainer.optimizer.state_dict()["param_groups"]
    trainer.optimizer.load_state_dict({"state": state, "param_groups": groups})
    trainer.network.set_gates(tuple(facts["skip"]), tuple(facts["residual"]))
    trainer.set_lr(facts["lr"])
    trainer.step, trainer.diverged_at = facts["step"], facts["diverged_at"]
    return True


def _fits(trainer: Trainer, facts: Facts, tensors: Tensors) -> bool:
    """Whether what was read is whole, and of the trainer's own RunSpec and network."""
    checksum = facts.pop("checksum", None)
    if facts.get("key") != trainer.run.key or checksum != _checksum(facts, tensors):
        return False
    saved, ours = _below(tensors, "network."), trainer.network.state_dict()
    return {n: t.shape for n, t in saved.items()} == {n: t.shape for n, t in ours.items()}


def _checksum(facts: Facts, tensors: Tensors) -> int:
    """CRC-32 of the facts and of every tensor's name, kind, shape and values."""
    checksum = zlib.crc32(json.dumps(facts, sort_keys=True).encode())
    for name, values in sorted(tensors.items()):
        header = f"{name} {values.dtype} {tuple(values.shape)}"
        checksum = zlib.crc32(values.numpy().data, zlib.crc32(header.encode(), checksum))
    return checksum


def _below(tensors: Tensors, prefix: str) -> Tensors:
    return {k.removeprefix(prefix): t for k, t in tensors.items() if k.startswith(prefix)}
