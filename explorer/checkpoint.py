"""Where a run can go on from: its weights, its optimiser's state and its step, in one file.

A safetensors file holds tensors and text only, so reading a foreign one runs nothing.
"""

import json
import os
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from explorer.home import home
from explorer.train import Trainer


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
    facts = {
        "step": trainer.step,
        "lr": trainer.recipe.lr,
        "diverged_at": trainer.diverged_at,
        "skip": [block.skip for block in trainer.network.blocks],
        "residual": [block.residual_gate for block in trainer.network.blocks],
    }
    fresh = path.with_suffix(".fresh")
    save_file({k: t.contiguous().cpu() for k, t in tensors.items()}, fresh, _metadata(facts))
    os.replace(fresh, path)


def _metadata(facts: dict[str, Any]) -> dict[str, str]:
    return {name: json.dumps(value) for name, value in facts.items()}


def restore(trainer: Trainer, run_id: int) -> bool:
    """Put a fresh trainer where its run's checkpoint was taken; False if there is none to read.

    A damaged checkpoint counts as none: the run then starts again from step 0, to the same curve.
    """
    try:
        with safe_open(checkpoint_path(run_id), framework="pt") as file:
            facts = {name: json.loads(text) for name, text in file.metadata().items()}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (FileNotFoundError, SafetensorError, OSError):
        return False
    trainer.network.load_state_dict(_below(tensors, "network."))
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in _below(tensors, "optimizer.").items():
        index, _, field = name.partition(".")
        state.setdefault(int(index), {})[field] = value
    groups = trainer.optimizer.state_dict()["param_groups"]
    trainer.optimizer.load_state_dict({"state": state, "param_groups": groups})
    trainer.network.set_gates(tuple(facts["skip"]), tuple(facts["residual"]))
    trainer.set_lr(facts["lr"])
    trainer.step, trainer.diverged_at = facts["step"], facts["diverged_at"]
    return True


def _below(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): t for k, t in tensors.items() if k.startswith(prefix)}
