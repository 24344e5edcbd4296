"""What an answer rests on: Captum's attributions for a network, each with the error it states.

Captum computes every map; what is added is the check that the method's promise was kept,
and progress (`caveats` says where a method would be wrong). The network is read in evaluation
mode and left as it was. A baseline not given is 0, the mean training image.
"""

import math
import time
from collections.abc import Sequence

from captum.attr import (
    IntegratedGradients,
    LayerConductance,
    LayerGradCam,
    NeuronGradient,
    Occlusion,
)
from torch import Tensor, nn

from explorer.inside.attributed import (
    Attribution,
    Reporting,
    Settings,
    at_least_one,
    block_of,
    change_of,
    check_target,
    complete,
    ends,
    made,
)
from explorer.inside.mode import Report, in_mode
from explorer.network import Network
from explorer.spec import SpecError


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
    at_least_one(steps=steps, batch=batch)
    x, baseline = ends(module, x, baseline)
    with in_mode(module, training=False):
        change = change_of(module, x, baseline, target)
        forward = Reporting(module, math.ceil(steps / batch), report)
        values = IntegratedGradients(forward).attribute(
            x, baseline, target=target, n_steps=steps, internal_batch_size=batch
        )
        forward.finish()
    settings: Settings = {"target": target, "steps": steps, "rule": "gausslegendre"}
    return complete("integrated_gradients", values[0], settings, change, started)


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
    at_least_one(steps=steps)
    x, baseline = ends(network, x, baseline)
    numbers = range(1, len(network.blocks) + 1) if blocks is None else blocks
    found = []
    with in_mode(network, training=False):
        change = change_of(network, x, baseline, target)
        for done, number in enumerate(numbers):
            if report is not None:
                report(done, len(numbers))
            started = time.perf_counter()
            layer = LayerConductance(network, block_of(network, number))
            values = layer.attribute(x, baseline, target=target, n_steps=steps)
            settings: Settings = {"block": number, "target": target, "steps": steps}
            found.append(complete("conductance", values[0], settings, change, started))
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
    x, _ = ends(network, x, None)
    with in_mode(network, training=False):
        check_target(network, x, target)
        cam = LayerGradCam(network, block_of(network, block))
        values = cam.attribute(x, target=target, relu_attributions=positive)
    settings: Settings = {"block": block, "target": target, "positive": str(positive).lower()}
    return made("grad_cam", values[0, 0], settings, started)


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
    at_least_one(batch=batch)
    x, baseline = ends(module, x, baseline)
    if x.dim() != 4:
        raise SpecError("x", tuple(x.shape), "occlusion covers squares of an image (1, C, H, W)")
    channels, *sides = x.shape[1:]
    if not 1 <= window <= min(sides):
        raise SpecError("window", window, f"1 to {min(sides)} pixels")
    if not 1 <= stride <= window:
        raise SpecError("stride", stride, f"1 to {window} pixels, the window's side")
    places = math.prod(math.ceil((side - window) / stride) + 1 for side in sides)
    with in_mode(module, training=False):
        check_target(module, x, target)
        forward = Reporting(module, 1 + math.ceil(places / batch), report)
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
    return made("occlusion", values[0, 0], settings, started)


def neuron_gradient(
    network: Network, x: Tensor, block: int, neuron: tuple[int, ...]
) -> Attribution:
    """The gradient by the input of one unit of a block's output; `neuron` is (c, h, w) or (c,)."""
    started = time.perf_counter()
    x, _ = ends(network, x, None)

    def select(output: Tensor) -> Tensor:
        shape = output.shape[1:]
        inside = (0 <= at < size for at, size in zip(neuron, shape, strict=False))
        if len(neuron) != len(shape) or not all(inside):
            raise SpecError("neuron", neuron, f"a place in block {block}'s output {tuple(shape)}")
        place: tuple[slice | int, ...] = (slice(None), *neuron)
        return output[place]

    with in_mode(network, training=False):
        gradient = NeuronGradient(network, block_of(network, block))
        values = gradient.attribute(x.requires_grad_(), select)
    settings: Settings = {"block": block, "neuron": ", ".join(map(str, neuron))}
    return made("neuron_gradient", values[0], settings, started)
