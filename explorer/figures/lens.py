"""What the network would say if it ended at a site: every class's probability, block by block."""

import html
from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from explorer.figures.block_series import (
    NONE_KNOWN,
    NOT_MEASURED,
    Numbers,
    block_axis,
    block_spans,
    cased,
    linked,
    site_numbers,
    upright,
)
from explorer.figures.frame import NOTE_SIZE, Frame, Json, empty, finish
from explorer.figures.race import in_percent
from explorer.figures.theme import FONT_SIZE, LOOKS, Theme
from explorer.wording import capital, place

HEIGHT, ROW, TALLEST = 170, 21, 420  # pixels: at least, of a class, at most
UNKNOWN_COLOR = "#9aa0a8"  # does not lie on cividis
MOST_CLASSES = 20  # named on the axis
LONGEST_NAME = {False: 16, True: 9}  # characters, by whether the screen is narrow
UNFIT = "too few channels for the head"


def lens(
    probabilities: Numbers,
    sites: Sequence[str],
    class_names: Sequence[str],
    theme: Theme = "light",
    *,
    narrow: bool = False,
    note: str = "",
    chosen: int | None = None,
) -> go.Figure:
    """Softmax probabilities (site, class) as colour, classes upwards, a dot on the likeliest.

    Rows of NaN, of sites that the head cannot read, are hatched. `chosen` is a marked block.
    """
    known = np.array([bool(np.isfinite(row).all()) for row in probabilities], np.bool_)
    numbers = site_numbers(sites)
    if not known.any():
        frame = Frame("What the network would say if it ended here", note, theme, narrow)
        why = NONE_KNOWN if len(sites) else NOT_MEASURED
        return empty(frame, "block", "class", HEIGHT, why=why)
    notes = [note, "dots: the likeliest class"]
    if not known.all():
        where = block_spans(numbers[~known].tolist())
        notes.append(f"hatched: {where}, which {_have(numbers[~known])} {UNFIT}")
    title = _finding(probabilities, sites, known, class_names)
    frame = Frame(title, "; ".join(filter(None, notes)), theme, narrow)
    layout = frame.layout(min(max(HEIGHT, ROW * len(class_names)), TALLEST))
    layout["xaxis"] = block_axis(int(numbers[0]), int(numbers[-1]), narrow)
    layout["xaxis"] |= {"range": [numbers[0] - 0.5, numbers[-1] + 0.5], "showgrid": False}
    layout["yaxis"] = _class_axis(class_names, narrow)
    layout["coloraxis"] = probability_colors("probability")
    if chosen is not None:
        layout["shapes"] = cased([upright(chosen, LOOKS[theme].text)], theme)
    data = [_colors(probabilities, numbers, known, class_names)]
    if not known.all():
        data += _hatched(numbers[~known], len(class_names), theme)
    data.append(_likeliest(probabilities, numbers, known))
    alt = f"Heat map of the probability of every class by block. {frame.title}."
    return linked(finish(data, layout, alt))


def probability_colors(title: str) -> Json:
    """A colour axis from 0 to 1."""
    bar: Json = {"tickvals": [0, 0.25, 0.5, 0.75, 1], "tickfont": {"size": NOTE_SIZE}}
    bar["title"] = {"text": title, "side": "right", "font": {"size": FONT_SIZE}}
    bar |= {"thickness": 12, "outlinewidth": 0}
    return {"colorscale": "Cividis", "cmin": 0, "cmax": 1, "colorbar": bar}


def _have(numbers: NDArray[np.int64]) -> str:
    return "have" if len(numbers) > 1 else "has"


def _finding(
    probabilities: Numbers,
    sites: Sequence[str],
    known: NDArray[np.bool_],
    class_names: Sequence[str],
) -> str:
    """From which site on the likeliest class is the one that the network ends with."""
    rows = np.flatnonzero(known)
    said = probabilities[rows].argmax(axis=1)
    names = [html.escape(class_names[index]) for index in said]
    sure = in_percent(float(probabilities[rows[-1], said[-1]]))
    others = np.flatnonzero(said != said[-1])
    if not len(others):
        where = place(sites[rows[0]])
        start = "the network says" if len(rows) == 1 else f"from {where} on the network says"
        return capital(f"{start} {names[-1]} ({sure} at the end)")
    first = int(others[-1]) + 1
    where = place(sites[rows[first]])
    if first == len(rows) - 1:
        before = place(sites[rows[first - 1]])
        return f"Only at {where} does it say {names[-1]} ({sure}); ended at {before}, {names[-2]}"
    already = f"If the network ended at {where} it would already say {names[-1]}"
    return f"{already} ({sure} at the end)"


def _class_axis(names: Sequence[str], narrow: bool) -> Json:
    every = -(-len(names) // MOST_CLASSES)
    most = LONGEST_NAME[narrow]
    cut = [name if len(name) <= most else f"{name[: most - 1]}…" for name in names[::every]]
    return {
        "title": {"text": "class"},
        "range": [-0.5, len(names) - 0.5],
        "tickvals": list(range(0, len(names), every)),
        "ticktext": [html.escape(name) for name in cut],
        "showgrid": False,
    }


def _colors(
    probabilities: Numbers,
    numbers: NDArray[np.int64],
    known: NDArray[np.bool_],
    class_names: Sequence[str],
) -> Json:
    names = np.array([html.escape(name) for name in class_names], object)
    return {
        "type": "heatmap",
        "x": numbers,
        "y": np.arange(len(class_names)),
        "z": np.where(known[:, None], probabilities, np.nan).T.astype(np.float32),
        "text": np.repeat(names[:, None], len(numbers), axis=1).tolist(),
        "coloraxis": "coloraxis",
        "hovertemplate": "%{text}: %{z:.3~g} at block %{x}<extra></extra>",
        "showlegend": False,
    }


def _hatched(numbers: NDArray[np.int64], classes: int, theme: Theme) -> list[Json]:
    """Grey cells that can be hovered, and a hatched rectangle over each run of them."""
    cells = {
        "type": "heatmap",
        "x": numbers,
        "y": np.arange(classes),
        "z": np.ones((classes, len(numbers)), np.float32),
        "colorscale": [[0, UNKNOWN_COLOR], [1, UNKNOWN_COLOR]],
        "opacity": 0.35,
        "showscale": False,
        "hovertemplate": f"block %{{x}}: {UNFIT}<extra></extra>",
        "showlegend": False,
    }
    runs = np.split(numbers, np.flatnonzero(np.diff(numbers) > 1) + 1)
    rectangles = [
        {
            "type": "scatter",
            "mode": "lines",
            "x": [run[0] - 0.5, run[-1] + 0.5, run[-1] + 0.5, run[0] - 0.5],
            "y": [-0.5, -0.5, classes - 0.5, classes - 0.5],
            "line": {"width": 0},
            "fill": "toself",
            "fillpattern": {"shape": "/", "size": 7, "solidity": 0.2, "bgcolor": "rgba(0,0,0,0)"},
            "fillcolor": LOOKS[theme].mark,
            "hoverinfo": "skip",
            "showlegend": False,
        }
        for run in runs
    ]
    return [cells, *rectangles]


def _likeliest(
    probabilities: Numbers, numbers: NDArray[np.int64], known: NDArray[np.bool_]
) -> Json:
    line = {"color": "#14181f", "width": 1}
    return {
        "type": "scatter",
        "mode": "markers",
        "x": numbers[known],
        "y": probabilities[known].argmax(axis=1),
        "marker": {"size": 6, "color": "#ffffff", "line": line, "opacity": 1},
        "hoverinfo": "skip",
        "showlegend": False,
    }
