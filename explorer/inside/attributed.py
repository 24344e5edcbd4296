"""What all attributions share: the result, the checks before the call, and its progress."""

import time
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from explorer.inside.mode import Report
from explorer.network import Block, Network
from explorer.spec import SpecError

Settings = Mapping[str, int | str]


@dataclass(frozen=True)
class Attribution:
    """How much each place counts for one logit (neuron_gradient: for one neuron).

    `values`: shaped as the input (C, H, W) for integrated_gradients and neuron_gradient;
    (H, W) for occlusion, and for grad_cam at the block's resolution; shaped as the block's
    output for conductance. `change` is f(x) - f(baseline) and `error` how far the sum of the
    map is from it, for methods that promise completeness, else None. `settings` name the rest.
    """

    method: str
    values: NDArray[np.float32]
    settings: Settings
    change: float | None
    error: float | None
    seconds: float


class Reporting:
    """The network as Captum calls it, `total` times, with a report before each call."""

    def __init__(self, module: nn.Module, total: int, report: Report | None) -> None:
        self.module, self.total, self.report = module, total, report
        self.done = 0

    def __call__(self, x: Tensor) -> Tensor:
        if self.report is not None:
            self.report(self.done, self.total)
        self.done += 1
        logits: Tensor = self.module(x)
        return logits

    def finish(self) -> None:
        """The last report; none comes if a call raised."""
        if self.report is not None:
            self.report(self.total, self.total)


def ends(module: nn.Module, x: Tensor, baseline: Tensor | None) -> tuple[Tensor, Tensor]:
    """Fresh copies of the example and its baseline, where the network lies."""
    if len(x) != 1:
        raise SpecError("x", tuple(x.shape), "one example: a first dimension of 1")
    if isinstance(module, Network) and tuple(x.shape[1:]) != module.inputs:
        raise SpecError("x", tuple(x.shape), f"the network reads {(1, *module.inputs)}")
    if baseline is not None and baseline.shape != x.shape:
        raise SpecError("baseline", tuple(baseline.shape), f"shaped as x: {tuple(x.shape)}")
    device = next((p.device for p in module.parameters()), x.device)
    x = x.detach().clone().to(device)
    start = torch.zeros_like(x) if baseline is None else baseline.detach().clone().to(device)
    return x, start


@torch.no_grad()
def check_target(module: nn.Module, x: Tensor, target: int) -> None:
    classes = module.head.out_features if isinstance(module, Network) else module(x).shape[1]
    if not 0 <= target < classes:
        raise SpecError("target", target, f"a class from 0 to {classes - 1}")


@torch.no_grad()
def change_of(module: nn.Module, x: Tensor, baseline: Tensor, target: int) -> float:
    """f(x) - f(baseline), f the logit of `target`; both in one forward pass."""
    check_target(module, x, target)
    after, before = module(torch.cat([x, baseline]))[:, target].tolist()
    return float(after - before)


def block_of(network: Network, number: int) -> Block:
    blocks = network.all_blocks
    if not 1 <= number <= len(blocks):
        raise SpecError("block", number, f"1 to {len(blocks)}")
    return blocks[number - 1]


def at_least_one(**counts: int) -> None:
    for name, count in counts.items():
        if count < 1:
            raise SpecError(name, count, "1 or more")


def made(
    method: str,
    values: Tensor,
    settings: Settings,
    started: float,
    change: float | None = None,
    error: float | None = None,
) -> Attribution:
    found = values.detach().float().cpu().numpy()
    return Attribution(method, found, settings, change, error, time.perf_counter() - started)


def complete(
    method: str, values: Tensor, settings: Settings, change: float, started: float
) -> Attribution:
    error = abs(float(values.detach().double().sum()) - change)
    return made(method, values, settings, started, change, error)
