"""Where a ratio that changes with depth leaves the range in which a gradient counts as arriving."""

import math
from collections.abc import Sequence

from explorer.spec import SpecError

LOW, HIGH = 1e-3, 1e3
LOST = 1e-38  # what a ratio of 0 counts as: float32 holds nothing smaller


def leaves(
    depths: Sequence[int], ratios: Sequence[float], low: float = LOW, high: float = HIGH
) -> float | None:
    """The depth at which `ratios`, one for each of the rising `depths`, first leave [low, high].

    None if they stay inside. Between two depths ln ratio is a straight line over ln depth; if the
    first is outside already, that depth. NaN counts as infinite. SpecError for other bounds.
    """
    if not 0 < low < 1 < high:
        raise SpecError("low", (low, high), "a number below 1, then one above")
    before: tuple[float, float] | None = None
    for depth, ratio in zip(depths, ratios, strict=True):
        known = math.inf if math.isnan(ratio) else ratio
        here = math.log(depth), math.log(min(max(known, LOST), 1 / LOST))
        if not math.log(low) <= here[1] <= math.log(high):
            edge = math.log(low if here[1] < 0 else high)
            if before is None:
                return float(depth)
            share = (edge - before[1]) / (here[1] - before[1])
            return math.exp(before[0] + share * (here[0] - before[0]))
        before = here
    return None
