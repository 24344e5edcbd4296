"""Depth as the strength of an arm's colour: shades that stand out from the page in equal steps."""

import numpy as np

from explorer.figures.theme import LOOKS, Theme

CONTRAST: dict[Theme, tuple[float, float]] = {"light": (3.1, 10), "dark": (3.1, 12)}


def depth_colors(color: str, count: int, theme: Theme) -> list[str]:
    """Shades of `color` for `count` depths, from the weakest to the strongest on the page."""
    if count == 1:
        return [color]
    return [_shade(color, contrast, theme) for contrast in np.geomspace(*CONTRAST[theme], count)]


def _shade(color: str, wanted: float, theme: Theme) -> str:
    """`color` mixed with black or white until its contrast with the page is `wanted`."""
    paper = LOOKS[theme].paper
    stronger = _contrast(color, paper) < wanted
    toward = 255 if stronger == (theme == "dark") else 0
    low, high = 0.0, 1.0
    for _ in range(12):
        middle = (low + high) / 2
        reached = _contrast(_mixed(color, toward, middle), paper) >= wanted
        low, high = (low, middle) if reached == stronger else (middle, high)
    return _mixed(color, toward, high if stronger else low)


def _mixed(color: str, toward: int, part: float) -> str:
    channels = (int(color[i : i + 2], 16) for i in (1, 3, 5))
    return "#" + "".join(f"{round(c + part * (toward - c)):02x}" for c in channels)


def _contrast(one: str, other: str) -> float:
    """WCAG 2.2's contrast ratio of two colours, 1 to 21."""
    low, high = sorted(_luminance(color) for color in (one, other))
    return (high + 0.05) / (low + 0.05)


def _luminance(color: str) -> float:
    shares = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [s / 12.92 if s <= 0.04045 else ((s + 0.055) / 1.055) ** 2.4 for s in shares]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
