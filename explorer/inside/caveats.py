"""Which attribution methods would be wrong on a network, said in words.

Integrated gradients and occlusion need the output and its gradient alone and are safe on any
network. Others hook modules, and see neither a functional ReLU nor a module's earlier runs.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack

import torch
from torch import Tensor, nn

from explorer.inside.mode import in_mode
from explorer.network import Block, Network
from explorer.probes.flow import unchanged
from explorer.spec import SpecError

OF_A_LAYER = ("grad_cam", "conductance", "neuron_gradient")
METHODS = ("integrated_gradients", *OF_A_LAYER, "occlusion")
REWRITING = ("deep_lift", "guided_backprop", "deconvolution", "guided_grad_cam")  # not offered


def caveats(module: nn.Module, method: str, x: Tensor | None = None) -> tuple[str, ...]:
    """Why `method` would be wrong on `module`, a sentence each; none where it is safe.

    Besides METHODS it knows those of Captum that rewrite how ReLU passes gradients back. With
    an example `x` the network runs once, and modules that run more than once are found too.
    Sources: Captum 0.9's warnings at GuidedBackprop, Deconvolution and GuidedGradCam, the error
    that DeepLift raises, and the hooks of its layer methods.
    """
    if method not in (*METHODS, *REWRITING):
        raise SpecError("method", method, f"choose one of {', '.join((*METHODS, *REWRITING))}")
    found: list[str] = []
    if method in REWRITING:
        found.extend(_functional(module, method))
    if method in ("deep_lift", *OF_A_LAYER) and x is not None:
        found.extend(_reused(module, method, x))
    return tuple(found)


def _functional(module: nn.Module, method: str) -> Iterator[str]:
    rule = f"{method} changes how nn.ReLU modules pass gradients back, and no other ReLU"
    count = sum(isinstance(part, Block) and part.act_after_sum for part in module.modules())
    if count:
        yield f"{rule}: the ReLU after the sum of {count} blocks is a function, so its map is wrong"
    elif not isinstance(module, Network):
        yield f"{rule}: if this network applies ReLU as a function, its map is wrong"


def _reused(module: nn.Module, method: str, x: Tensor) -> Iterator[str]:
    runs = _runs(module, x)
    for name, part in module.named_modules():
        is_layer = next(part.children(), None) is None and not _linear(part)
        if runs[part] < 2 or (method == "deep_lift" and not is_layer):
            continue
        if method == "deep_lift":
            yield f"deep_lift needs each activation to run once: {name} runs {runs[part]} times"
        else:
            yield f"{method} of {name} would read the last of its {runs[part]} runs only"


def _linear(part: nn.Module) -> bool:
    """Whether the layer passes gradients as they are; DeepLift leaves such layers alone."""
    return isinstance(part, nn.Linear | nn.Conv2d | nn.BatchNorm1d | nn.BatchNorm2d | nn.Identity)


@torch.no_grad()
def _runs(module: nn.Module, x: Tensor) -> Counter[nn.Module]:
    """How often each part runs in one forward pass."""
    runs: Counter[nn.Module] = Counter()

    def count(part: nn.Module, _inputs: object) -> None:
        runs[part] += 1

    with in_mode(module, training=False), unchanged(module), ExitStack() as hooks:
        for part in module.modules():
            hooks.enter_context(part.register_forward_pre_hook(count))
        module(x)
    return runs
