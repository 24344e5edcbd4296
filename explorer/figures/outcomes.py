"""What a grid of runs ended with: a dot a run, the mean of each combination, and the extremes."""

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from explorer.figures.frame import Frame, Json, empty, finish
from explorer.figures.race import NAMES, in_percent
from explorer.figures.race_lines import Metric
from explorer.figures.scale import LogScale
from explorer.figures.theme import LOOKS, Theme, make_arms
from explorer.wording import capital, number

HEIGHT = 320
NOTHING_YET = "Each run's dot appears here when the run ends"
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "triangle-down", "star", "hexagon")
MOST_NAMED = 12  # combinations in the legend
MOST_TICKS = {False: 12, True: 5}  # values named on the axis, by whether the screen is narrow
LONGEST_TICK = 16  # characters
SPREAD = 0.7  # of the room of one value that its combinations share


@dataclass(frozen=True)
class Ending:
    """Where one run ended: `value` is an error as a share or a loss in nats, at chance if diverged.

    `column` is its value on the x axis, `row` the values of all other fields ("norm none", "" if
    nothing else differs).
    """

    column: str
    row: str
    seed: int
    value: float
    diverged: bool = False


@dataclass(frozen=True)
class Group:
    """The runs of one combination, a run a seed."""

    column: str
    row: str
    runs: tuple[Ending, ...]

    @property
    def mean(self) -> float:
        return float(np.mean([run.value for run in self.runs]))

    @property
    def counted(self) -> str:
        """How many seeds are behind the mean, and how many of them diverged."""
        gone = sum(run.diverged for run in self.runs)
        if len(self.runs) == 1:
            return "1 seed, diverged" if gone else "1 seed"
        seeds = f"mean of {len(self.runs)} seeds"
        return f"{seeds}, {gone} diverged" if gone else seeds


def outcomes(
    found: Sequence[Ending],
    columns: Sequence[str],
    field: str,
    metric: Metric = "train_error",
    theme: Theme = "light",
    *,
    plain: Sequence[bool] = (),
    rows: Sequence[str] = ("",),
    asked: int = 0,
    chance: float = math.nan,
    narrow: bool = False,
    note: str = "",
) -> go.Figure:
    """Final error or loss of the finished runs `found`, by the values of `field`.

    `columns` and `rows` are all values in their order, whether anything of them has finished
    or not; `plain` says of each row whether it is of plain networks, for its colour. `asked`
    counts the runs of the whole grid; `chance` is the value of a guess, where it is the same for
    all of them.
    """
    unit = "nats" if metric == "loss" else "%"
    y_title = f"final {NAMES[metric]} ({unit})"
    groups = _groups(found, columns, rows)
    unnamed = max(len(rows) - MOST_NAMED, 0)
    notes = "; ".join(filter(None, (note, *_notes(found, asked, unnamed))))
    if not groups:
        frame = Frame("No run of this grid has finished yet", notes, theme, narrow)
        return empty(frame, field, y_title, HEIGHT, why=NOTHING_YET)
    frame = Frame(_title(groups, field, metric, len(found) < asked), notes, theme, narrow)
    scale = 1.0 if metric == "loss" else 100.0
    arms = make_arms(list(rows), list(plain) or [False] * len(rows))
    data: list[Json] = []
    for index, arm in enumerate(arms):
        mine = [group for group in groups if group.row == arm.name]
        shift = SPREAD * ((index + 0.5) / len(rows) - 0.5)
        place = {column: at + shift for at, column in enumerate(columns)}
        width = min(0.42 * SPREAD / len(rows), 0.12)
        symbol = SYMBOLS[index % len(SYMBOLS)]
        look = (arm.color, symbol, len(rows) > 1 and index < MOST_NAMED)
        data += _traces(mine, place, width, look, field, metric)
    layout = frame.layout(HEIGHT, [t["name"] for t in data if t["showlegend"]])
    layout["xaxis"] = _x_axis(columns, field, narrow)
    layout |= _y_axis([scale * run.value for run in found], y_title, metric, theme)
    if min(layout["yaxis"]["range"]) <= (level := _drawn_at(chance, metric)):
        _mark_chance(layout, level, chance, metric, theme)
    for trace in data if metric == "loss" else ():
        trace["y"] = _on_log(trace["y"], found)
    alt = f"Dot chart of {y_title} by {field}, {len(groups)} combinations. {frame.title}."
    return finish(data, layout, alt)


def _groups(found: Sequence[Ending], columns: Sequence[str], rows: Sequence[str]) -> list[Group]:
    """The combinations of which something has finished, row by row."""
    runs: dict[tuple[str, str], list[Ending]] = {}
    for run in found:
        runs.setdefault((run.row, run.column), []).append(run)
    pairs = [(row, column) for row in rows for column in columns]
    return [Group(pair[1], pair[0], tuple(runs[pair])) for pair in pairs if pair in runs]


def _traces(
    groups: Sequence[Group],
    place: dict[str, float],
    width: float,
    look: tuple[str, str, bool],
    field: str,
    metric: Metric,
) -> list[Json]:
    """The runs as dots, diverged ones as crosses, and a short bar at each mean."""
    if not groups:
        return []
    color, symbol, named = look
    name = html.escape(groups[0].row)
    scale = 1.0 if metric == "loss" else 100.0
    runs = [run for group in groups for run in group.runs]
    shared = {"type": "scatter", "legendgroup": name, "name": name}
    ends = [(place[group.column], scale * group.mean) for group in groups]
    bars: list[tuple[float | None, float | None]] = []
    for x, y in ends:
        bars += [(x - width, y), (x + width, y), (None, None)]
    return [
        {
            **shared,
            "x": [x for x, _ in bars],
            "y": [y for _, y in bars],
            "mode": "lines",
            "line": {"color": color, "width": 2.5},
            "hoverinfo": "skip",
            "showlegend": False,
        },
        {
            **shared,
            "x": [place[run.column] for run in runs],
            "y": [scale * run.value for run in runs],
            "mode": "markers",
            "marker": {
                "size": 8,
                "symbol": ["x" if run.diverged else symbol for run in runs],
                "color": color,
                "line": {"width": 0},
                "opacity": 0.8,
            },
            "text": [_told(run, field, metric) for run in runs],
            "hovertemplate": "%{text}<extra></extra>",
            "showlegend": named,
        },
    ]


def _told(run: Ending, field: str, metric: Metric) -> str:
    end = "diverged, counts at chance" if run.diverged else said(run.value, metric)
    return html.escape(f"{combination(run.column, run.row, field)}, seed {run.seed}: {end}")


def combination(column: str, row: str, field: str) -> str:
    """One combination in words: "norm batch, lr 0.1"."""
    return ", ".join(filter(None, (row, f"{field} {column}")))


def said(value: float, metric: Metric) -> str:
    """A final error in percent, or a loss, in two digits."""
    return number(value) if metric == "loss" else in_percent(value)


def _x_axis(columns: Sequence[str], field: str, narrow: bool) -> Json:
    """The values in their order, of which as many are named as fit."""
    every = -(-len(columns) // MOST_TICKS[narrow])
    ticks = range(0, len(columns), every)
    return {
        "title": {"text": html.escape(field)},
        "tickvals": list(ticks),
        "ticktext": [_short(columns[tick]) for tick in ticks],
        "range": [-0.6, len(columns) - 0.4],
        "showgrid": False,
    }


def _short(text: str) -> str:
    return html.escape(text if len(text) <= LONGEST_TICK else f"{text[: LONGEST_TICK - 1]}…")


def _y_axis(values: Sequence[float], title: str, metric: Metric, theme: Theme) -> Json:
    """From 0 to the highest dot for an error; a log axis for a loss."""
    if metric == "loss":
        scale = LogScale.over([np.array(values)])
        shapes, labels = scale.marks(LOOKS[theme])
        return {"yaxis": scale.axis(title), "shapes": shapes, "annotations": labels}
    top = max(min(1.08 * max(values), 103.0), 1.0)
    return {"yaxis": {"title": {"text": title}, "range": [-0.03 * top, top]}}


def _drawn_at(chance: float, metric: Metric) -> float:
    """Where a guess stands on the y axis, in its own units: decades of a loss."""
    return math.log10(chance) if metric == "loss" else 100 * chance


def _mark_chance(layout: Json, level: float, chance: float, metric: Metric, theme: Theme) -> None:
    """A dashed line with its name at the level of a guess, if it is in sight."""
    if level > max(layout["yaxis"]["range"]):
        return
    y = chance if metric == "loss" else level
    where = {"xref": "x domain", "yref": "y"}
    stroke = {"color": LOOKS[theme].mark, "width": 1, "dash": "dash"}
    line = {**where, "type": "line", "x0": 0, "x1": 1, "y0": y, "y1": y, "line": stroke}
    text = {"text": f"chance {said(chance, metric)}", "x": 0, "xanchor": "left"}
    # Annotations are placed in decades on a log axis, lines in its values.
    label = {**where, **text, "y": level, "yanchor": "bottom"}
    layout["shapes"] = [*layout.get("shapes", []), line]
    layout["annotations"] = [*layout.get("annotations", []), label]


def _on_log(values: Sequence[float | None], found: Sequence[Ending]) -> list[float | None]:
    """Losses at their place on the log axis, whose floor holds zeros."""
    scale = LogScale.over([np.array([run.value for run in found])])
    drawn = scale.drawn(np.array([math.nan if v is None else v for v in values]))
    return [None if math.isnan(value) else float(value) for value in drawn]


def _notes(found: Sequence[Ending], asked: int, unnamed: int) -> list[str]:
    """What the marks are, and what is not drawn or not named."""
    notes = ["dots: seeds, bars: their mean"] if found else []
    if any(run.diverged for run in found):
        notes.append("x: diverged, counts at chance")
    if found and len(found) < asked:
        notes.append(f"{asked - len(found)} of {asked} runs are not finished and left out")
    if found and unnamed:
        notes.append(f"the legend names {MOST_NAMED} of {MOST_NAMED + unnamed} combinations")
    return notes


def _title(groups: Sequence[Group], field: str, metric: Metric, unfinished: bool) -> str:
    """The best and the worst combination with their numbers; those that tie are counted."""
    low, high = (end(group.mean for group in groups) for end in (min, max))
    name = NAMES[metric]
    what = f"so far, {name}" if unfinished else name
    if low == high:
        every = "" if len(groups) == 1 else f"all {len(groups)} combinations "
        told = _extreme(groups, low, field, metric) if len(groups) == 1 else said(low, metric)
        return capital(f"{what}: {every}{told}")
    so_far = "so far, lowest" if unfinished else "lowest"
    best, worst = (_extreme(groups, end, field, metric) for end in (low, high))
    return capital(f"{so_far} {name}: {best}; highest: {worst}")


def _extreme(groups: Sequence[Group], end: float, field: str, metric: Metric) -> str:
    first, *more = [group for group in groups if group.mean == end]
    others = f" and {len(more)} more" if more else ""
    name = html.escape(combination(first.column, first.row, field))
    return f"{name}{others}: {said(end, metric)} ({first.counted})"
