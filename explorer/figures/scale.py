"""A logarithmic axis that hides nothing: zeros and values that are not finite have a place."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from explorer.figures.theme import Look
from explorer.trace import Array
from explorer.wording import number

ZERO_LABEL = "0 (below float32)"
BROKEN_LABEL = "NaN or infinite"
LEAST_SPAN = 1.0  # decades; less would make noise look like a trend
FEW_DECADES = 2.0  # so few that 2 and 5 are ticks, too
MOST_TICKS = 7


@dataclass(frozen=True)
class LogScale:
    """A range in decades; zeros are drawn at `floor` and what is not finite at `ceiling`."""

    low: float
    high: float
    floor: float | None
    ceiling: float | None

    @classmethod
    def over(cls, readings: Iterable[Array]) -> "LogScale":
        """The scale on which all of `readings` (none negative) can be drawn."""
        values = np.concatenate([np.asarray(r, np.float64).ravel() for r in readings])
        positive = values[np.isfinite(values) & (values > 0)]
        low, high = (np.log10([positive.min(), positive.max()])) if len(positive) else (-1.0, 0.0)
        low, high = math.floor(2 * low - 0.1) / 2, math.ceil(2 * high + 0.1) / 2
        missing = max(LEAST_SPAN - (high - low), 0)
        low, high = low - missing / 2, high + missing / 2
        margin = max(0.09 * (high - low), 0.25)
        has_zero, has_broken = bool((values == 0).any()), not np.isfinite(values).all()
        floor = low - margin if has_zero else None
        ceiling = high + margin if has_broken else None
        low = low if floor is None else floor - margin
        high = high if ceiling is None else ceiling + margin
        return cls(float(low), float(high), floor, ceiling)

    def drawn(self, values: Array) -> Array:
        """`values` with zeros at the floor; what is not finite is left to its own mark."""
        drawn = np.where(np.isfinite(values), values, np.nan)
        if self.floor is not None:
            drawn = np.where(drawn == 0, 10**self.floor, drawn)
        return drawn.astype(np.float64 if self.low < -37 or self.high > 38 else np.float32)

    def axis(self, title: str) -> dict[str, Any]:
        """The y axis: powers of ten, ticks only at whole decades where there are many."""
        span = self.high - self.low
        axis = {
            "title": {"text": title},
            "type": "log",
            "range": [self.low, self.high],
            "exponentformat": "power",
            "tickfont": {"size": 11},  # powers are written a quarter larger
            "showexponent": "all",
        }
        if span > FEW_DECADES:
            return {**axis, "dtick": max(1, math.ceil(span / MOST_TICKS))}
        decades = range(math.floor(self.low), math.ceil(self.high) + 1)
        ticks = [digit * 10.0**decade for decade in decades for digit in (1, 2, 5)]
        return {**axis, "tickvals": ticks, "ticktext": [number(tick) for tick in ticks]}

    def marks(self, look: Look) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """Shapes and annotations that name floor and ceiling on the first panel, where they are."""
        shapes, notes = [], []
        for level, label in ((self.floor, ZERO_LABEL), (self.ceiling, BROKEN_LABEL)):
            if level is None:
                continue
            line = {"color": look.mark, "width": 1, "dash": "dash"}
            ref = {"xref": "x domain", "yref": "y"}
            ends = {"x0": 0, "x1": 1, "y0": 10**level, "y1": 10**level}
            shapes.append({**ref, **ends, "type": "line", "line": line})
            corner = {"x": 1, "xanchor": "right", "yanchor": "bottom"}
            notes.append({**ref, **corner, "text": label, "y": level})
        return shapes, notes
