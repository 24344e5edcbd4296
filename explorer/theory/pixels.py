"""Where on the map the squared gradient lies: zero padding loses some at every border.

In the wide limit the squared gradient at a pixel, summed over channels, goes backwards
through a 3x3 convolution as the mean over its nine taps: by the matrix A along each axis,
A[p, q] = 1/3 where input pixel p is under the kernel of output pixel q. What the kernel
lays on the padding is lost. (Derived here; the largest eigenvalue of A is `border_rate`.)
"""

import math

import numpy as np
from numpy.typing import NDArray

from explorer.theory.layers import Size, Weighted

Map = NDArray[np.float64]  # (height, width)


def border_rate(side: int) -> float:
    """What a 3-tap mean with zero padding keeps along one axis of `side` pixels, in the long run.

    The largest eigenvalue of a tridiagonal Toeplitz matrix: (1 + 2 cos(pi/(side+1)))/3.
    """
    return (1 + 2 * math.cos(math.pi / (side + 1))) / 3


def uniform(size: Size) -> Map:
    """A map that sums to 1, as average pooling sends back."""
    return np.full(size, 1 / (size[0] * size[1]))


def through_layer(gradient: Map, layer: Weighted, centre_only: bool) -> Map:
    """The map at the input of `layer`, apart from its gain; `centre_only`: just one tap is used."""
    if layer.kernel == 1 or centre_only:
        return through_copy(gradient, layer.stride, layer.size)
    rows, columns = (_taps(side, layer.stride) for side in layer.size)
    spread: Map = rows @ gradient @ columns.T
    return spread


def through_copy(gradient: Map, stride: int, size: Size) -> Map:
    """The map at the input of a copy of every stride-th pixel."""
    if stride == 1:
        return gradient
    spread = np.zeros(size)
    spread[::stride, ::stride] = gradient
    return spread


def long_run_rate(layer: Weighted, centre_only: bool) -> float:
    """The factor of the border alone after many layers of this kind."""
    if layer.kernel == 1 or centre_only:
        return 1.0
    return border_rate(layer.size[0]) * border_rate(layer.size[1])


def _taps(side: int, stride: int) -> Map:
    """A of one axis; (side, output side)."""
    inputs, outputs = np.arange(side), np.arange(0, side, stride)
    return np.where(np.abs(inputs[:, None] - outputs) <= 1, 1 / 3, 0.0)
