"""Arms and their colours, and the two looks, light and dark, that every figure has."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

Theme = Literal["light", "dark"]

PLAIN, RESIDUAL = "#D55E00", "#0072B2"
# Okabe-Ito; its orange and sky blue darkened until they stand out 3:1 on white, too.
FURTHER = ("#009E73", "#CC79A7", "#BF8400", "#4A9BC9")
DASHES = ("solid", "dash", "dashdot", "longdash")
FONT = '"Source Sans", "Source Sans 3", "Source Sans Pro", sans-serif'
FONT_SIZE = 13


@dataclass(frozen=True)
class Arm:
    """One side of a comparison as it is drawn, on every page alike."""

    name: str
    color: str
    dash: str = "solid"


@dataclass(frozen=True)
class Look:
    """Colours of what is not data: text and quieter text, grid, lone marks, the page behind."""

    text: str
    quiet: str
    grid: str
    mark: str
    paper: str


LOOKS: dict[Theme, Look] = {
    "light": Look("#1f2430", "#5a6270", "#e4e7ec", "#7a7f87", "#ffffff"),
    "dark": Look("#e6e9ef", "#a3abb8", "#2a303b", "#8a8f98", "#0e1117"),
}


def arm_colors(plain: Sequence[bool]) -> list[str]:
    """A colour an arm: the first plain one vermilion, the first residual one blue, then others."""
    first_of = {kind: list(plain).index(kind) for kind in set(plain)}
    further = 0
    colors = []
    for index, kind in enumerate(plain):
        if first_of[kind] == index:
            colors.append(PLAIN if kind else RESIDUAL)
        else:
            colors.append(FURTHER[further % len(FURTHER)])
            further += 1
    return colors


def make_arms(names: Sequence[str], plain: Sequence[bool]) -> list[Arm]:
    """An Arm for each name; where colours run out they come again with another dash."""
    colors = arm_colors(plain)
    return [
        Arm(name, color, DASHES[colors[:index].count(color) % len(DASHES)])
        for index, (name, color) in enumerate(zip(names, colors, strict=True))
    ]


def faint(color: str, opacity: float) -> str:
    """`color`, given as #rrggbb, at `opacity`."""
    red, green, blue = (int(color[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity:g})"


def _template(look: Look) -> dict[str, Any]:
    axis = {
        "gridcolor": look.grid,
        "gridwidth": 1,
        "linecolor": look.mark,
        "tickfont": {"color": look.quiet},
        "title": {"font": {"color": look.quiet, "size": FONT_SIZE}, "standoff": 6},
        "zeroline": False,
        "automargin": True,
        "ticklabeloverflow": "allow",  # else every label is measured at every live update
    }
    clear = "rgba(0,0,0,0)"
    return {
        "layout": {
            "font": {"family": FONT, "size": FONT_SIZE, "color": look.text},
            "paper_bgcolor": clear,
            "plot_bgcolor": clear,
            "modebar": {"bgcolor": clear, "color": look.mark, "activecolor": look.text},
            "hoverlabel": {
                "bgcolor": look.paper,
                "bordercolor": look.mark,
                "font": {"color": look.text, "family": FONT, "size": FONT_SIZE},
            },
            "annotationdefaults": {"showarrow": False, "font": {"color": look.quiet, "size": 12}},
            "xaxis": axis,
            "yaxis": axis,
        }
    }


TEMPLATES: dict[Theme, dict[str, Any]] = {name: _template(look) for name, look in LOOKS.items()}
