"""What all figures share: title, legend and margins that fit a phone; panels; the empty figure.

A figure carries its own height, so that the place of title and legend is known in pixels.
"""

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

from explorer.figures.theme import FONT_SIZE, LOOKS, TEMPLATES, Arm, Theme

Json = dict[str, Any]

WIDE, NARROW = 540, 340  # pixels that text may count on
TITLE_SIZE, NOTE_SIZE = 15, 12
LINE = 19  # pixels from one title line to the next
LEGEND_ROW = 21
ABOVE, HEADING, BELOW = 14, 24, 44  # pixels over the title, for a panel's heading, under the data
NO_READINGS = "No readings yet: press Play"
NO_RUNS = "Nothing is trained yet: press Train"


@dataclass(frozen=True)
class Frame:
    """The words around the data: what a figure says, and for whom it is drawn.

    `title` is a finding in words; `note` says seeds, steps and device; `narrow` is a phone.
    """

    title: str
    note: str = ""
    theme: Theme = "light"
    narrow: bool = False

    def wrapped(self, text: str, size: int) -> list[str]:
        """`text` in lines that fit the width at `size`."""
        width = NARROW if self.narrow else WIDE
        fixed = text.replace(" %", "\u00a0%")  # a number keeps its unit
        return textwrap.wrap(fixed, int(width / (0.51 * size)), break_on_hyphens=False)

    def top(self, legend: Sequence[str]) -> int:
        """Pixels taken by title, note and legend."""
        lines = len(self.wrapped(self.title, TITLE_SIZE)) + len(self.wrapped(self.note, NOTE_SIZE))
        return ABOVE + LINE * lines + LEGEND_ROW * self.legend_rows(legend)

    def legend_rows(self, names: Sequence[str]) -> int:
        """Rows that a horizontal legend of `names` takes; entries are as wide as the longest."""
        if not names:
            return 0
        entry = 40 + max(len(name) for name in names) * 0.47 * FONT_SIZE
        across = max(1, int((NARROW if self.narrow else WIDE) // entry))
        return -(-len(names) // across)

    def layout(
        self, height: int, legend: Sequence[str] = (), headings: bool = False, below: int = BELOW
    ) -> Json:
        """The layout but for axes: `height` pixels for the data, more for what stands above."""
        lines = [f"<b>{line}</b>" for line in self.wrapped(self.title, TITLE_SIZE)]
        quiet = LOOKS[self.theme].quiet
        for line in self.wrapped(self.note, NOTE_SIZE):
            lines.append(f'<span style="font-size:{NOTE_SIZE}px;color:{quiet}">{line}</span>')
        top = self.top(legend)
        margin = {"l": 8, "r": 12, "t": top + (HEADING if headings else 8), "b": below}
        total = height + margin["t"] + margin["b"]
        over_legend = top - LEGEND_ROW * self.legend_rows(legend)
        return {
            "template": TEMPLATES[self.theme],
            "title": {
                "text": "<br>".join(lines),
                "font": {"size": TITLE_SIZE},
                "x": 0,
                "xref": "container",
                "xanchor": "left",
                "y": 1,
                "yref": "container",
                "yanchor": "top",
                "pad": {"l": 4, "t": ABOVE + 5},  # a line stands 5 pixels higher than it says
            },
            "height": total,
            "margin": margin,
            "showlegend": bool(legend),
            "legend": {
                "orientation": "h",
                "x": 0,
                "xref": "container",
                "y": 1 - over_legend / total,
                "yref": "container",
                "yanchor": "top",
            },
            "uirevision": "explorer",
        }


def finish(data: list[Json], layout: Json, alt: str) -> go.Figure:
    """The figure, with one sentence for those who do not see it.

    Plotly's own check of every value is left out: it takes longer than all the rest, and the
    tests make it instead.
    """
    return go.Figure({"data": data, "layout": {**layout, "meta": {"alt": alt}}}, _validate=False)


def alt_text(figure: go.Figure) -> str:
    """One sentence that says what `figure` shows, for screen readers."""
    return str(figure.layout.meta["alt"])


def empty(
    frame: Frame,
    x_title: str,
    y_title: str,
    height: int,
    log: bool = False,
    why: str = NO_READINGS,
) -> go.Figure:
    """Axes with their units and a sentence on why there is no data in them."""
    layout = frame.layout(height)
    layout["xaxis"] = {"title": {"text": x_title}, "range": [0, 1], "showticklabels": False}
    layout["yaxis"] = {"title": {"text": y_title}, "range": [0, 1], "showticklabels": False}
    if log:
        layout["yaxis"]["type"] = "log"
    middle = {"x": 0.5, "y": 0.5, "xref": "paper", "yref": "paper", "text": why}
    layout["annotations"] = [middle]
    return finish([], layout, f"Empty chart of {y_title} against {x_title}. {why}.")


@dataclass(frozen=True)
class Panel:
    """One of several drawing areas: its number from 1 and the part of the figure it takes."""

    number: int
    x_domain: tuple[float, float]
    y_domain: tuple[float, float]
    bottom: bool

    @property
    def suffix(self) -> str:
        """What Plotly puts after x, y, xaxis and yaxis for this panel."""
        return "" if self.number == 1 else str(self.number)

    def axes(self, x: Json, y: Json) -> Json:
        """Layout entries of the panel's two axes."""
        place_x = {"domain": list(self.x_domain), "anchor": f"y{self.suffix}"}
        place_y = {"domain": list(self.y_domain), "anchor": f"x{self.suffix}"}
        return {f"xaxis{self.suffix}": {**x, **place_x}, f"yaxis{self.suffix}": {**y, **place_y}}

    @property
    def ref(self) -> Json:
        """A trace's axes."""
        return {"xaxis": f"x{self.suffix}", "yaxis": f"y{self.suffix}"}

    def heading(self, text: str) -> Json:
        """An annotation above the panel's left edge."""
        return {
            "text": text,
            "x": self.x_domain[0],
            "y": self.y_domain[1],
            "xref": "paper",
            "yref": "paper",
            "xanchor": "left",
            "yanchor": "bottom",
            "align": "left",
        }


def swatch(arm: Arm) -> str:
    """A square of the arm's colour and its name."""
    return f'<span style="color:{arm.color}">\u25a0</span> {arm.name}'


def panels(count: int, columns: int, gap_x: float, gap_y: float) -> Iterator[Panel]:
    """`count` equal panels in rows of `columns`, with gaps as shares of the whole."""
    columns = min(columns, count)
    rows = -(-count // columns)
    width = (1 - gap_x * (columns - 1)) / columns
    height = (1 - gap_y * (rows - 1)) / rows
    for index in range(count):
        row, column = divmod(index, columns)
        left = column * (width + gap_x)
        top = 1 - row * (height + gap_y)
        across, up = (left, min(left + width, 1)), (max(top - height, 0), top)
        yield Panel(index + 1, across, up, index + columns >= count)
