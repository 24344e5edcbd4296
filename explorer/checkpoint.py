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

from explorer.network import Network
from explorer.spec import short_form
from explorer.store import checkpoints
from explorer.training import Trainer

Facts = dict[str, Any]
Tensors = dict[str, Tensor]


def checkpoint_path(run_id: int) -> Path:
    """The file of that run's checkpoint, whether or not it is there."""
    return checkpoints.latest(run_id)


def save(trainer: Trainer, run_id: int) -> None:
    """Write the trainer's state; an earlier checkpoint stays whole until the new one is."""
    tensors = _weights(trainer.network)
    for index, values in trainer.optimizer.state_dict()["state"].items():
        for name, value in values.items():
            if value is not None:
                tensors[f"optimizer.{index}.{name}"] = torch.as_tensor(value)
    facts = {"lr": trainer.recipe.lr, "diverged_at": trainer.diverged_at}
    write(checkpoint_path(run_id), _facts(trainer) | facts, tensors)


def save_weights(trainer: Trainer, path: Path) -> None:
    """Write the weights, statistics and gates that the network has now, to be looked into."""
    spec = {"spec": short_form(trainer.run)}
    write(path, _facts(trainer) | spec, _weights(trainer.network))


def _weights(network: Network) -> Tensors:
    return {f"network.{name}": tensor for name, tensor in network.state_dict().items()}


def _facts(trainer: Trainer) -> Facts:
    return {
        "key": trainer.run.key,
        "step": trainer.step,
        "skip": [block.skip for block in trainer.network.blocks],
        "residual": [block.residual_gate for block in trainer.network.blocks],
    }


def write(path: Path, facts: Facts, tensors: Tensors) -> None:
    """Write tensors and facts with a checksum; a file that was there stays whole until it is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    tensors = {name: t.contiguous().cpu() for name, t in tensors.items()}
    facts = facts | {"checksum": _checksum(facts, tensors)}
    fresh = path.with_suffix(".fresh")
    save_file(tensors, fresh, {name: json.dumps(value) for name, value in facts.items()})
    os.replace(fresh, path)


def read(path: Path) -> tuple[Facts, Tensors] | None:
    """What `write` wrote; None if there is nothing whole to read."""
    try:
        with safe_open(path, framework="pt") as file:
            facts = {name: json.loads(text) for name, text in (file.metadata() or {}).items()}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError, ValueError):
        return None
    checksum = facts.pop("checksum", None)
    return (facts, tensors) if checksum == _checksum(facts, tensors) else None


def load_weights(network: Network, key: str, path: Path) -> int | None:
    """Put the weights, statistics and gates of a run with that key into `network`; their step.

    None if there are none to read: then the network is left as it is.
    """
    found = read(path)
    if found is None or found[0].get("key") != key or not _same_shapes(network, found[1]):
        return None
    facts, tensors = found
    network.load_state_dict(_below(tensors, "network."))
    network.set_gates(tuple(facts["skip"]), tuple(facts["residual"]))
    return int(facts["step"])


def restore(trainer: Trainer, run_id: int) -> bool:
    """Put a fresh trainer where its run's checkpoint was taken; False if there is none to read.

    A damaged checkpoint, or one of another RunSpec, counts as none: the trainer is left as it
    is, and the run starts again from step 0, to the same curve.
    """
    found = read(checkpoint_path(run_id))
    if found is None or found[0].get("key") != trainer.run.key:
        return False
    facts, tensors = found
    if not _same_shapes(trainer.network, tensors):
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


def _same_shapes(network: Network, tensors: Tensors) -> bool:
    saved, ours = _below(tensors, "network."), network.state_dict()
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
