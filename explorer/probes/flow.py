"""How the gradient flows through any module, in one forward and one backward pass.

Measuring changes nothing: buffers (BatchNorm's running statistics), random numbers, hooks,
modes and `.grad` are afterwards as they were before.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from explorer.network import Network
from explorer.probes import weighted
from explorer.probes.places import places
from explorer.probes.sizes import norms, spreads
from explorer.trace import Array, Trace


def gradient_flow(module: nn.Module, x: Tensor, y: Tensor) -> Trace:
    """L2 norm of dL/dx at the output of every site, L the mean cross entropy; one reading.

    The sites are the stem and the blocks of a Network, for other modules those that `places`
    finds, in the order in which they run; one that runs again is "name (2)". A site that
    does not reach the loss has gradient 0. The module is measured in the mode it is in.
    ValueError if it has no sites, or if its output is not logits for the labels `y`.
    """
    sites = _network_sites(module) if isinstance(module, Network) else places(module)
    with unchanged(module), torch.enable_grad():
        with recorded(sites) as outputs:
            result = module(x)
        loss = F.cross_entropy(_logits(result, y), y)
        gradients = torch.autograd.grad(loss, list(outputs.values()), allow_unused=True)
    reached = zip(gradients, outputs.values(), strict=True)
    filled = [torch.zeros_like(o) if g is None else g for g, o in reached]
    values = norms(filled).cpu().numpy()[None]
    return Trace("activation_gradient", np.zeros(1, np.int64), values, (*outputs,), "‖dL/dx‖", True)


def profile(network: Network, x: Tensor, y: Tensor) -> dict[str, Array]:
    """`activation_gradient` and `activation_std` per site, `weight_gradient` per weight tensor.

    Sites are as the network walks, weights as `explorer.probes.weighted` names them.
    """
    named = dict(network.named_parameters())
    weights = [named[name] for name in weighted(network)]
    with unchanged(network), torch.enable_grad():
        outputs = [output for _, output in network.walk(x)]
        loss = F.cross_entropy(network.logits(outputs[-1]), y)
        gradients = torch.autograd.grad(loss, [*outputs, *weights])
    count = len(outputs)
    return {
        "activation_gradient": norms(gradients[:count]).cpu().numpy(),
        "weight_gradient": norms(gradients[count:]).cpu().numpy(),
        "activation_std": spreads(outputs).cpu().numpy(),
    }


@contextmanager
def unchanged(module: nn.Module) -> Iterator[None]:
    """Inside, the module may run; afterwards its buffers and torch's random state are as before."""
    before = [
        (owner, name, buffer, buffer.clone())
        for owner in module.modules()
        for name, buffer in owner.named_buffers(recurse=False)
    ]
    cards = {p.device.index for p in module.parameters() if p.device.type == "cuda"}
    with torch.random.fork_rng(devices=sorted(cards)):
        try:
            yield
        finally:
            with torch.no_grad():
                for owner, name, buffer, value in before:
                    owner._buffers[name] = buffer.copy_(value)


@contextmanager
def recorded(sites: dict[str, nn.Module]) -> Iterator[dict[str, Tensor]]:
    """Inside, the outputs of `sites` gather in the dict, by name and in the order they come."""
    outputs: dict[str, Tensor] = {}
    with ExitStack() as hooks:
        for name, site in sites.items():
            hooks.enter_context(site.register_forward_hook(_recorder(name, outputs)))
        yield outputs


def _recorder(
    name: str, outputs: dict[str, Tensor]
) -> Callable[[nn.Module, object, object], object]:
    def record(_module: nn.Module, _inputs: object, output: object) -> object:
        """Keep the output and hand on a copy, so that an in-place ReLU after it spares it."""
        first = output[0] if isinstance(output, tuple) and output else output
        if not isinstance(first, Tensor) or not first.is_floating_point():
            return output
        kept = first if first.requires_grad else first.detach().requires_grad_()
        key, times = name, 1
        while key in outputs:
            times += 1
            key = f"{name} ({times})"
        outputs[key] = kept
        copy = kept.clone()
        return (copy, *output[1:]) if type(output) is tuple else copy

    return record


def _network_sites(network: Network) -> dict[str, nn.Module]:
    blocks = {f"block {number}": block for number, block in enumerate(network.blocks, 1)}
    return {"stem": network.stem, **blocks}


def _logits(result: object, y: Tensor) -> Tensor:
    """The logits in what a module returned: a tensor, the first of a tuple, or `.logits`."""
    first = result[0] if isinstance(result, tuple | list) and result else result
    logits = getattr(first, "logits", first)
    if not isinstance(logits, Tensor) or logits.dim() < 2:
        raise ValueError(f"module: it returns {type(result).__name__}, not logits (N, classes)")
    if y.is_floating_point() or not len(y) or int(y.max()) >= logits.shape[1]:
        raise ValueError(f"y: not labels from 0 to {logits.shape[1] - 1}, as the module's logits")
    return logits
