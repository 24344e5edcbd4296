"""An axis of logarithms, for products too small or large for any floating-point number."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from explorer.figures.frame import Json
from explorer.figures.scale import BROKEN_LABEL, FEW_DECADES, LEAST_SPAN, MOST_TICKS
from explorer.figures.theme import Look, faint
from explorer.wording import number

Numbers = NDArray[np.floating]

NORMAL = np.finfo(np.float32)
SMALLEST, LARGEST = (math.log10(float(end)) for end in (NORMAL.tiny, NORMAL.max))
NICE = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
HELD = 300.0  # decades that float64 holds with room to spare


def power(log10: float) -> str:
    """10^log10 as it stands in a sentence: "3e-9", "0.37", "1e-612"."""
    if math.isfinite(log10) and abs(log10) > HELD:
        return f"1e{round(log10)}"
    return number(10**log10)


@dataclass(frozen=True)
class PowerScale:
    """A range in decades on a linear axis; -inf is drawn at `floor`, inf and NaN at `ceiling`."""

    low: float
    high: float
    floor: float | None
    ceiling: float | None

    @classmethod
    def over(cls, logs: Iterable[Numbers]) -> "PowerScale":
        """The scale on which all of `logs`, base 10, can be drawn."""
        values = np.concatenate([np.asarray(one, np.float64).ravel() for one in logs])
        finite = values[np.isfinite(values)]
        low, high = (finite.min(), finite.max()) if len(finite) else (-1.0, 0.0)
        missing = max(LEAST_SPAN - (high - low), 0)
        margin = 0.04 * (high - low + missing)
        low, high = low - missing / 2 - margin, high + missing / 2 + margin
        step = max(0.09 * (high - low), 0.15)
        floor = low - step if np.isneginf(values).any() else None
        ceiling = high + step if (np.isposinf(values) | np.isnan(values)).any() else None
        low = low if floor is None else floor - step
        high = high if ceiling is None else ceiling + step
        # What float32 does not hold is shaded; where that begins, there is room for its label.
        low = min(low, SMALLEST - step) if low < SMALLEST else low
        high = max(high, LARGEST + step) if high > LARGEST else high
        return cls(float(low), float(high), floor, ceiling)

    def drawn(self, logs: Numbers) -> NDArray[np.float32]:
        """`logs` with zeros at the floor; what is not finite is left to its own mark."""
        floor = np.nan if self.floor is None else self.floor
        held = np.where(np.isneginf(logs), floor, logs)
        return np.where(np.isfinite(held), held, np.nan).astype(np.float32)

    def axis(self, title: str) -> Json:
        """The y axis, its ticks written as powers of ten, or as numbers where there are few."""
        span = self.high - self.low
        axis = {"title": {"text": title}, "range": [self.low, self.high]}
        if span <= FEW_DECADES:
            decades = range(math.floor(self.low), math.ceil(self.high) + 1)
            pairs = [(digit, decade) for decade in decades for digit in (1, 2, 5)]
            logs = [decade + math.log10(digit) for digit, decade in pairs]
            return {**axis, "tickvals": logs, "ticktext": [_number(*pair) for pair in pairs]}
        step = next((s for s in NICE if span / s <= MOST_TICKS), NICE[-1])
        ticks = [step * k for k in range(math.ceil(self.low / step), int(self.high // step) + 1)]
        return {**axis, "tickvals": ticks, "ticktext": [_written(tick) for tick in ticks]}

    def marks(self, look: Look, nothing: str, side: str) -> tuple[list[Json], list[Json]]:
        """What float32 does not hold, and floor and ceiling named at `side`: shapes and words."""
        shapes, notes = [], []
        for end, edge, label in (
            (self.low, SMALLEST, f"0 in float32: below {power(SMALLEST)}"),
            (self.high, LARGEST, f"infinite in float32: above {power(LARGEST)}"),
        ):
            if (end < edge) == (edge < 0):
                ends = {"xref": "x domain", "yref": "y", "x0": 0, "x1": 1, "y0": end, "y1": edge}
                fill = {"fillcolor": faint(look.mark, 0.16), "line": {"width": 0}}
                shapes.append({"type": "rect", **ends, **fill, "layer": "below"})
                notes.append(_label(label, edge, "top" if edge < 0 else "bottom", "left"))
        for level, label in ((self.floor, nothing), (self.ceiling, BROKEN_LABEL)):
            if level is not None:
                line = {"color": look.mark, "width": 1, "dash": "dash"}
                ends = {"xref": "x domain", "yref": "y", "x0": 0, "x1": 1, "y0": level, "y1": level}
                shapes.append({"type": "line", **ends, "line": line})
                notes.append(_label(label, level, "bottom", side))
        return shapes, notes


def _number(digit: int, decade: int) -> str:
    return number(digit * 10.0**decade) if abs(decade) < HELD else f"{digit}e{decade}"


def _written(decade: int) -> str:
    """10 to the `decade`, as Plotly writes it."""
    return "1" if decade == 0 else f"10<sup>{decade}</sup>".replace("-", "\u2212")


def _label(text: str, y: float, anchor: str, side: str) -> Json:
    where = {"xref": "x domain", "yref": "y", "x": 0 if side == "left" else 1, "y": y}
    return {**where, "xanchor": side, "yanchor": anchor, "text": text}
