"""What is added to F(x): nothing, x itself with zero channels (A), or a projection of x (B, C).

He et al. 2015, arXiv 1512.03385, sections 3.2 and 4.1.
"""

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor, nn

from explorer.registry import Registry

Projection = Callable[[int, int, int], nn.Module]  # (c_in, c_out, stride) -> 1x1 layer and norm
Maker = Callable[[int, int, int, Projection], nn.Module | None]

SHORTCUTS: Registry[Maker] = Registry("shortcut")


class ZeroPad(nn.Module):
    """Option A: every stride-th pixel, new channels zero on both sides; no parameters."""

    def __init__(self, c_in: int, c_out: int, stride: int) -> None:
        super().__init__()
        front = (c_out - c_in) // 2
        self.channels = (front, c_out - c_in - front)
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:  # (N, c_in, H, W) -> (N, c_out, H/stride, W/stride)
        rows = x[:, :, :: self.stride, :: self.stride] if self.stride > 1 else x
        return F.pad(rows, (*(0, 0) * (x.dim() - 2), *self.channels))


def _none(c_in: int, c_out: int, stride: int, projection: Projection) -> None:
    """The plain network: F(x) stands alone."""
    return None


def _zero_pad(c_in: int, c_out: int, stride: int, projection: Projection) -> nn.Module:
    same_shape = c_in == c_out and stride == 1
    return nn.Identity() if same_shape else ZeroPad(c_in, c_out, stride)


def _projection(c_in: int, c_out: int, stride: int, projection: Projection) -> nn.Module:
    """Option B: a projection only where the shape changes."""
    same_shape = c_in == c_out and stride == 1
    return nn.Identity() if same_shape else projection(c_in, c_out, stride)


def _projection_all(c_in: int, c_out: int, stride: int, projection: Projection) -> nn.Module:
    """Option C: a projection in every block."""
    return projection(c_in, c_out, stride)


SHORTCUTS.add("none", _none)
SHORTCUTS.add("zero_pad", _zero_pad)
SHORTCUTS.add("projection", _projection)
SHORTCUTS.add("projection_all", _projection_all)
