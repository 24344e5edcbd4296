"""Norms and spreads of tensors whose squares may leave float32: the vanished still has a size."""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

SMALLEST, LARGEST = torch.finfo(torch.float32).tiny, torch.finfo(torch.float32).max
SMALL, LARGE = 1e-12, 1e18  # between them squares of float32 neither vanish nor overflow


def norms(tensors: Sequence[Tensor]) -> Tensor:
    """The L2 norm of each tensor, in float32; (tensor,)."""
    return _checked(tensors, torch.stack(torch._foreach_norm([t.detach() for t in tensors])), _norm)


def spreads(tensors: Sequence[Tensor]) -> Tensor:
    """The standard deviation over all entries of each tensor, in float32; (tensor,)."""
    values = torch.stack([_spread(tensor.detach()) for tensor in tensors])
    return _checked(tensors, values, _spread)


def _norm(tensor: Tensor) -> Tensor:
    norm: Tensor = torch.linalg.vector_norm(tensor)
    return norm


def _spread(tensor: Tensor) -> Tensor:
    """torch.std(tensor, correction=0), which takes twice as long on a CPU."""
    return _norm(tensor - tensor.mean()) / math.sqrt(tensor.numel())


def _checked(tensors: Sequence[Tensor], values: Tensor, size: Callable[[Tensor], Tensor]) -> Tensor:
    """`values` in float32, read again wherever squares may have left its range."""
    values = values.float()
    doubtful = torch.nonzero(~((values > SMALL) & (values < LARGE)))[:, 0].tolist()
    for index in doubtful:
        values[index] = _scaled(tensors[index].detach().float(), size)
    return values


def _scaled(tensor: Tensor, size: Callable[[Tensor], Tensor]) -> Tensor:
    """`size` of the tensor, measured on the tensor over its largest entry."""
    scale = tensor.abs().max().clamp(SMALLEST, LARGEST)
    return size(tensor / scale) * scale
