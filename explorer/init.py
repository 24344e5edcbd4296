"""Initial weights, each drawn from a generator of its own: (seed, parameter name).

So twins that differ in a shortcut start from identical weights wherever they share a layer.
With s = fan_in x Var W, a ReLU layer passes s/2 of the squared gradient on (science of the
`theory` module); the schemes differ in s.
"""

import hashlib
import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from explorer.registry import Registry

Fill = Callable[[Tensor, torch.Generator], object]
INITS: Registry[Fill] = Registry("init")


def _fans(weight: Tensor) -> tuple[int, int]:
    receptive = weight[0][0].numel()
    return weight.shape[1] * receptive, weight.shape[0] * receptive


def _he(weight: Tensor, generator: torch.Generator) -> None:
    """Var W = 2/fan_in, normal (He et al. 2015, arXiv 1502.01852): s = 2."""
    weight.normal_(0, math.sqrt(2 / _fans(weight)[0]), generator=generator)


def _xavier(weight: Tensor, generator: torch.Generator) -> None:
    """Var W = 2/(fan_in + fan_out), normal (Glorot & Bengio 2010): s = 1 where fans are equal."""
    weight.normal_(0, math.sqrt(2 / sum(_fans(weight))), generator=generator)


def _lecun(weight: Tensor, generator: torch.Generator) -> None:
    """Var W = 1/fan_in, normal (LeCun et al. 1998): s = 1."""
    weight.normal_(0, math.sqrt(1 / _fans(weight)[0]), generator=generator)


def _torch_default(weight: Tensor, generator: torch.Generator) -> None:
    """U(-1/sqrt(fan_in), 1/sqrt(fan_in)), as nn.Linear and nn.Conv2d begin: s = 1/3."""
    bound = 1 / math.sqrt(_fans(weight)[0])
    weight.uniform_(-bound, bound, generator=generator)


def _orthogonal(weight: Tensor, generator: torch.Generator) -> None:
    """Orthogonal rows or columns of the flattened weight (Saxe et al. 2013), times sqrt 2."""
    nn.init.orthogonal_(weight, gain=math.sqrt(2), generator=generator)


def _delta_orthogonal(weight: Tensor, generator: torch.Generator) -> None:
    """Orthogonal at the centre tap, zero elsewhere (Xiao et al. 2018, 1806.05393), times sqrt 2."""
    if weight.dim() == 2:
        _orthogonal(weight, generator)
        return
    weight.zero_()
    centre = torch.empty(weight.shape[:2])
    _orthogonal(centre, generator)
    weight[:, :, weight.shape[2] // 2, weight.shape[3] // 2] = centre


for scheme in (_he, _xavier, _lecun, _torch_default, _orthogonal, _delta_orthogonal):
    INITS.add(scheme.__name__.removeprefix("_"), scheme)


def generator_for(seed: int, name: str) -> torch.Generator:
    """A CPU generator that depends on (seed, name) alone."""
    digest = hashlib.sha256(f"{seed}:{name}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)


@torch.no_grad()
def initialise(module: nn.Module, scheme: str, seed: int) -> None:
    """Fill every weight of `module` by `scheme`; norms start at scale 1 and shift 0.

    Biases are 0, but for `torch_default`, whose biases are U(-1/sqrt(fan_in), 1/sqrt(fan_in)).
    """
    for prefix, layer in module.named_modules():
        if not isinstance(layer, nn.Linear | nn.Conv2d):
            continue
        INITS[scheme](layer.weight, generator_for(seed, f"{prefix}.weight"))
        if layer.bias is None:
            continue
        layer.bias.zero_()
        if scheme == "torch_default":
            bound = 1 / math.sqrt(_fans(layer.weight)[0])
            generator = generator_for(seed, f"{prefix}.bias")
            layer.bias.uniform_(-bound, bound, generator=generator)
