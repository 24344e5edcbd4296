"""What an answer rests on: Captum's attributions for a network, each with the error it states.

Captum computes every map; what is added is the check that the method's promise was kept,
and progress (`caveats` says where a method would be wrong). The network is read in evaluation
mode and left as it was. A baseline not given is 0, the mean training image.
"""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from captum.attr import (
    IntegratedGradients,
    LayerConductance,
    LayerGradCam,
    NeuronGradient,
    Occlusion,
)
from numpy.typing import NDArray
from torch import Tensor, nn

from explorer.inside.mode import Report, in_mode
from explorer.network import Block, Network
from explorer.spec import SpecError

Settings = Mapping[str, int | str]
Map = NDArray[np.float32]


@dataclass(frozen=True)
class Attribution:
    """How much each place counts for one logit (neuron_gradient: for one neuron).

    `values`: shaped as the input (C, H, W) for integrated_gradients and neuron_gradient;
    (H, W) for occlusion, and for grad_cam at the block's resolution; shaped as the block's
    output for conductance. `change` is f(x) - f(baseline) and `error` how far the sum of the
    map is from it, for methods that promise completeness, else None. `settings` name the rest.
    """

    method: str
    values: Map
    settings: Settings
    change: float | None
    error: float | None
    seconds: float


def integrated_gradients(
    module: nn.Module,
    x: Tensor,
    target: int,
    *,
    baseline: Tensor | None = None,
    steps: int = 50,
    batch: int = 25,
    report: Report | None = None,
) -> Attribution:
    """The gradient's mean from `baseline` to `x` (1, …), times x - baseline; complete.

    Sundararajan et al. 2017, arXiv 1703.01365. Gauss-Legendre points, `batch` at a time.
    """
    started = time.perf_counter()
    _at_least_one(steps=steps, batch=batch)
    x, baseline = _ends(module, x, baseline)
    with in_mode(module, training=False):
        change = _change(module, x, baseline, target)
        forward = _Reporting(module, math.ceil(steps / batch), report)
        values = IntegratedGradients(forward).attribute(
            x, baseline, target=target, n_steps=steps, internal_batch_size=batch
        )
        forward.finish()
    settings: Settings = {"target": target, "steps": steps, "rule": "gausslegendre"}
    return _complete("integrated_gradients", values[0], settings, change, started)


def conductance(
    network: Network,
    x: Tensor,
    target: int,
    *,
    blocks: Sequence[int] | None = None,
    baseline: Tensor | None = None,
    steps: int = 50,
    report: Report | None = None,
) -> tuple[Attribution, ...]:
    """What of the change from `baseline` to `x` flows through each unit, for the outputs of all
    blocks or of those named, counted from 1; each map is complete.

    Dhamdhere et al. 2018, arXiv 1805.12233. `seconds` is each block's own.
    """
    _at_least_one(steps=steps)
    x, baseline = _ends(network, x, baseline)
    numbers = range(1, len(network.blocks) + 1) if blocks is None else blocks
    found = []
    with in_mode(network, training=False):
        change = _change(network, x, baseline, target)
        for done, number in enumerate(numbers):
            if report is not None:
                report(done, len(numbers))
            started = time.perf_counter()
            layer = LayerConductance(network, _block(network, number))
            values = layer.attribute(x, baseline, target=target, n_steps=steps)
            settings: Settings = {"block": number, "target": target, "steps": steps}
            found.append(_complete("conductance", values[0], settings, change, started))
    if report is not None:
        report(len(numbers), len(numbers))
    return tuple(found)


def grad_cam(
    network: Network, x: Tensor, target: int, block: int, *, positive: bool = True
) -> Attribution:
    """A block's maps (block from 1), weighted by their mean gradients and summed over channels.

    Selvaraju et al. 2017, arXiv 1610.02391; `positive`: what speaks against the class is cut
    off, as there.
    """
    started = time.perf_counter()
    if not network.convolves:
        raise SpecError("network", "mlp", "grad_cam reads maps, which only a resnet has")
    x, _ = _ends(network, x, None)
    with in_mode(network, training=False):
        _check_target(network, x, target)
        cam = LayerGradCam(network, _block(network, block))
        values = cam.attribute(x, target=target, relu_attributions=positive)
    settings: Settings = {"block": block, "target": target, "positive": str(positive).lower()}
    return _made("grad_cam", values[0, 0], settings, started)


def occlusion(
    module: nn.Module,
    x: Tensor,
    target: int,
    *,
    window: int = 3,
    stride: int = 1,
    baseline: Tensor | None = None,
    batch: int = 32,
    report: Report | None = None,
) -> Attribution:
    """How far the logit falls where a square of `window` pixels is covered by `baseline`.

    A pixel's value is the mean over the squares that cover it. Zeiler & Fergus 2014, arXiv
    1311.2901. `batch` squares at a time.
    """
    started = time.perf_counter()
    _at_least_one(batch=batch)
    x, baseline = _ends(module, x, baseline)
    if x.dim() != 4:
        raise SpecError("x", tuple(x.shape), "occlusion covers squares of an image (1, C, H, W)")
    channels, *sides = x.shape[1:]
    if not 1 <= window <= min(sides):
        raise SpecError("window", window, f"1 to {min(sides)} pixels")
    if not 1 <= stride <= window:
        raise SpecError("stride", stride, f"1 to {window} pixels, the window's side")
    places = math.prod(math.ceil((side - window) / stride) + 1 for side in sides)
    with in_mode(module, training=False):
        _check_target(module, x, target)
        forward = _Reporting(module, 1 + math.ceil(places / batch), report)
        values = Occlusion(forward).attribute(
            x,
            sliding_window_shapes=(channels, window, window),
            strides=(channels, stride, stride),
            baselines=baseline,
            target=target,
            perturbations_per_eval=batch,
        )
        forward.finish()
    settings: Settings = {"target": target, "window": window, "stride": stride}
    return _made("occlusion", values[0, 0], settings, started)


def neuron_gradient(
    network: Network, x: Tensor, block: int, neuron: tuple[int, ...]
) -> Attribution:
    """The gradient by the input of one unit of a block's output; `neuron` is (c, h, w) or (c,)."""
    started = time.perf_counter()
    x, _ = _ends(network, x, None)

    def select(output: Tensor) -> Tensor:
        shape = output.shape[1:]
        inside = (0 <= at < size for at, size in zip(neuron, shape, strict=False))
        if len(neuron) != len(shape) or not all(inside):
            raise SpecError("neuron", neuron, f"a place in block {block}'s output {tuple(shape)}")
        return output[(slice(None), *neuron)]

    with in_mode(network, training=False):
        gradient = NeuronGradient(network, _block(network, block))
        values = gradient.attribute(x.requires_grad_(), select)
    settings: Settings = {"block": block, "neuron": ", ".join(map(str, neuron))}
    return _made("neuron_gradient", values[0], settings, started)


class _Reporting:
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


def _ends(module: nn.Module, x: Tensor, baseline: Tensor | None) -> tuple[Tensor, Tensor]:
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
def _check_target(module: nn.Module, x: Tensor, target: int) -> None:
    classes = module.head.out_features if isinstance(module, Network) else module(x).shape[1]
    if not 0 <= target < classes:
        raise SpecError("target", target, f"a class from 0 to {classes - 1}")


@torch.no_grad()
def _change(module: nn.Module, x: Tensor, baseline: Tensor, target: int) -> float:
    """f(x) - f(baseline), f the logit of `target`; both in one forward pass."""
    _check_target(module, x, target)
    after, before = module(torch.cat([x, baseline]))[:, target].tolist()
    return float(after - before)


def _block(network: Network, number: int) -> Block:
    blocks = network.all_blocks
    if not 1 <= number <= len(blocks):
        raise SpecError("block", number, f"1 to {len(blocks)}")
    return blocks[number - 1]


def _at_least_one(**counts: int) -> None:
    for name, count in counts.items():
        if count < 1:
            raise SpecError(name, count, "1 or more")


def _made(
    method: str,
    values: Tensor,
    settings: Settings,
    started: float,
    change: float | None = None,
    error: float | None = None,
) -> Attribution:
    found = values.detach().float().cpu().numpy()
    return Attribution(method, found, settings, change, error, time.perf_counter() - started)


def _complete(
    method: str, values: Tensor, settings: Settings, change: float, started: float
) -> Attribution:
    error = abs(float(values.detach().double().sum()) - change)
    return _made(method, values, settings, started, change, error)
