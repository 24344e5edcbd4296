"""A predicted curve, with the region in which it holds."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Curve = NDArray[np.float64]


@dataclass(frozen=True)
class Prediction:
    """What is expected of the mean over many wide networks.

    `log_ratio` is ln(G at the site / G at the last site), -inf where no gradient arrives.
    `log_second_moment` is ln(mean of x^2 at the site / at the stem), None where it is unknown.
    `rate` and `rate_per_block` are the factors deep inside, None where they change on the way.
    `valid` says whether the spec lies in `region`; narrower networks fall short of the formula.
    """

    sites: tuple[str, ...]
    log_ratio: Curve  # (site,)
    log_second_moment: Curve | None  # (site,)
    rate: float | None
    rate_per_block: float | None
    formula: str
    source: str
    region: str
    valid: bool


def per_layer(rate_per_block: float | None, layers: int) -> float | None:
    """The factor of one weighted layer where `layers` of them make a block."""
    return None if rate_per_block is None else float(rate_per_block ** (1 / layers))
