"""Fewer points than were measured, without losing a spike: extremes are kept, never averaged."""

import numpy as np
from numpy.typing import NDArray

from explorer.trace import Array

MOST_POINTS = 2000
MOST_CELLS = 300  # a side

Steps = NDArray[np.int64]


def thin(x: Steps, y: Array, most: int = MOST_POINTS) -> tuple[Steps, Array]:
    """At most `most` (from 8) of the points, in order.

    Of each bucket the least, the greatest and the first value that is not finite stay, and
    the first and the last point of all.
    """
    if len(y) <= most:
        return x, y
    buckets = (most - 2) // 3
    size = -(-len(y) // buckets)
    finite = np.isfinite(y)
    kept = [np.array([0, len(y) - 1])]
    starts = np.arange(0, len(y), size)
    for fill, choose in ((np.inf, np.argmin), (-np.inf, np.argmax)):
        kept.append(starts + choose(_cut(np.where(finite, y, fill), size, fill), axis=1))
    broken = _cut(~finite, size, False)
    kept.append((starts + broken.argmax(axis=1))[broken.any(axis=1)])
    chosen = np.unique(np.concatenate(kept))
    return x[chosen], y[chosen]


def _cut(values: NDArray[np.generic], size: int, fill: object) -> NDArray[np.generic]:
    """`values` as rows of `size`, the last one filled up; (bucket, size)."""
    rows = -(-len(values) // size)
    full = np.full(rows * size, fill, values.dtype)
    full[: len(values)] = values
    return full.reshape(rows, size)


def thin_cells(values: Array, axis: int, most: int = MOST_CELLS) -> tuple[Array, int]:
    """`values` with groups of neighbours along `axis` replaced by the greatest, and the group size.

    A value that is not finite counts as greater than all others.
    """
    size = -(-values.shape[axis] // most) or 1
    if size == 1:
        return values, 1
    starts = np.arange(0, values.shape[axis], size)
    cells: Array = np.maximum.reduceat(values, starts, axis=axis)  # NaN wins over every number
    return cells, size
