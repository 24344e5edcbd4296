"""Attributions against the same call of Captum by hand, with the error that both state."""

from collections.abc import Callable, Iterator
from functools import partial

import torch
from captum.attr import IntegratedGradients, LayerConductance, LayerGradCam, Occlusion
from torch import Tensor

from explorer.bench import Rows, ratio, row
from explorer.data import load
from explorer.inside.attribution import conductance, grad_cam, integrated_gradients, occlusion
from explorer.network import Network, build
from explorer.spec import parse
from explorer.training import one_thread

SPEC = "resnet-56,width=8"
PAIRS = 15
BOUND = 1.1
STEPS, BATCH, WINDOW = 50, 25, 3


def rows() -> Rows:
    """One row a method; both sides in evaluation mode, one thread, for one image."""
    one_thread()
    run = parse(SPEC)
    network = build(run.network)
    network.eval()
    x = load(run.data).x_test[:1]
    for name, ours, by_hand in calls(network, x):
        what = f"{name}, against Captum by hand, residual-56"
        yield row(what, ratio(ours, by_hand, PAIRS), "x", "at most", BOUND)


Call = Callable[[], object]


def calls(network: Network, x: Tensor) -> Iterator[tuple[str, Call, Call]]:
    """Every method's name, our call, and the same one by hand."""
    zero, last = torch.zeros_like(x), network.blocks[-1]
    delta = {"baselines": zero, "target": 0, "n_steps": STEPS, "return_convergence_delta": True}
    yield (
        "integrated gradients",
        partial(integrated_gradients, network, x, 0, steps=STEPS, batch=BATCH),
        lambda: IntegratedGradients(network).attribute(x, **delta, internal_batch_size=BATCH),
    )
    yield (
        "layer conductance",
        partial(conductance, network, x, 0, blocks=(len(network.blocks),), steps=STEPS),
        lambda: LayerConductance(network, last).attribute(x, **delta),
    )
    yield (
        "Grad-CAM",
        partial(grad_cam, network, x, 0, len(network.blocks)),
        lambda: LayerGradCam(network, last).attribute(x, target=0, relu_attributions=True),
    )
    shapes = {"sliding_window_shapes": (1, WINDOW, WINDOW), "strides": (1, 1, 1)}
    yield (
        "occlusion",
        partial(occlusion, network, x, 0, window=WINDOW, batch=BATCH),
        lambda: Occlusion(network).attribute(
            x, **shapes, baselines=zero, target=0, perturbations_per_eval=BATCH
        ),
    )
