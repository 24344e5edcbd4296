"""Final error against depth: a dot a seed, the mean, and the 95 % interval over the seeds."""

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import plotly.graph_objects as go

from explorer.figures.frame import NO_RUNS, Frame, Json, empty, finish
from explorer.figures.race import NAMES, in_percent
from explorer.figures.race_lines import COLORS, DASHES
from explorer.figures.theme import LOOKS, Theme, faint
from explorer.race_finding import reach
from explorer.race_rule import Compared, compare, mean_interval
from explorer.race_runs import (
    KINDS,
    Group,
    Kind,
    Metric,
    RaceRun,
    finished_groups,
    test_error,
    train_error,
)
from explorer.wording import capital

HEIGHT = 300
LOG_FROM = 8  # deepest over shallowest; a linear axis would push the shallow ones together
DODGE = 0.022  # of the axis, between the lines at one depth
ASIDE = 0.009  # of the axis, from a mean and its bar to the dots of its seeds
VARIANTS = {"": "", "longer": ", 3x the steps", "normalized": ", normalised steps"}
SYMBOLS = {"": "circle", "longer": "diamond-open", "normalized": "square-open"}
X_TITLE = "depth (weighted layers)"
Errors = Callable[[RaceRun], float]


def by_depth(
    runs: Sequence[RaceRun],
    metric: Metric = "train_error",
    theme: Theme = "light",
    *,
    narrow: bool = False,
    note: str = "",
) -> go.Figure:
    """Final error of the finished runs against depth, one line a kind; variants are open marks.

    The title is the finding (of the training error, which it is about) or the newest errors.
    """
    groups = finished_groups(runs)
    y_title = f"final {NAMES[metric]} (%)"
    notes = "; ".join(filter(None, (note, *_notes(runs, groups))))
    if not groups:
        frame = Frame("No run of the race has finished yet", notes, theme, narrow)
        return empty(frame, X_TITLE, y_title, HEIGHT, why=NO_RUNS)
    error = train_error if metric == "train_error" else test_error
    title = _finding(runs, groups) if metric == "train_error" else _listed(groups, error)
    frame = Frame(title, notes, theme, narrow)
    place, axis = _depth_axis(sorted({depth for _, _, depth in groups}))
    keys = sorted({group[:2] for group in groups}, key=lambda key: (KINDS.index(key[0]), key[1]))
    data = []
    for number, (kind, variant) in enumerate(keys):
        mine = {d: runs for (k, v, d), runs in groups.items() if (k, v) == (kind, variant)}
        shift = DODGE * (number - (len(keys) - 1) / 2)
        x = {depth: place[depth] + shift for depth in mine}
        data += _traces(kind, variant, mine, x, error)
    layout = frame.layout(HEIGHT, [t["name"] for t in data if t["showlegend"]])
    layout["xaxis"] = axis
    layout |= _y_axis(runs, data, y_title, theme)
    alt = f"Line chart of {y_title} against {X_TITLE}, {len(keys)} lines. {frame.title}."
    return finish(data, layout, alt)


def _traces(
    kind: Kind,
    variant: str,
    groups: Mapping[int, Sequence[RaceRun]],
    x: Mapping[int, float],
    error: Errors,
) -> list[Json]:
    """The seeds' dots (a cross where one diverged), and the means with their intervals."""
    name = kind + VARIANTS.get(variant, f", {variant}")
    runs = [run for group in groups.values() for run in group]
    errors = {depth: [error(run) for run in group] for depth, group in groups.items()}
    shared = {"type": "scatter", "legendgroup": name, "name": name}
    dots = {
        **shared,
        "x": [x[run.depth] - ASIDE for run in runs],
        "y": [100 * error(run) for run in runs],
        "mode": "markers",
        "marker": {
            "size": [7 if run.diverged else 5 for run in runs],
            "symbol": ["x" if run.diverged else "circle" for run in runs],
            "color": faint(COLORS[kind], 0.75),
            "line": {"width": 0},
            "opacity": 1,
        },
        "text": [_told(run, error) for run in runs],
        "hovertemplate": "%{text}<extra></extra>",
        "showlegend": False,
    }
    means = {depth: float(np.mean(values)) for depth, values in errors.items()}
    return [
        dots,
        {
            **shared,
            "x": [x[depth] for depth in groups],
            "y": [100 * mean for mean in means.values()],
            "mode": "lines+markers" if not variant else "markers",
            "line": {"color": COLORS[kind], "width": 2.2, "dash": DASHES[kind]},
            "marker": {"size": 9, "symbol": SYMBOLS.get(variant, "star-open"), "opacity": 1},
            "error_y": _bars(errors.values(), COLORS[kind]),
            "text": [
                f"{kind}-{depth}{VARIANTS.get(variant, '')}: {in_percent(means[depth])}, "
                f"{len(group)} seed{'s' if len(group) > 1 else ''}"
                for depth, group in groups.items()
            ],
            "hovertemplate": "%{text}<extra></extra>",
            "showlegend": True,
        },
    ]


def _bars(errors: Iterable[Sequence[float]], color: str) -> Json:
    """The 95 % t intervals of the means; none over a single seed."""
    ends = [(np.mean(values), *mean_interval(values)) for values in errors]
    return {
        "type": "data",
        "symmetric": False,
        "array": [100 * (high - mean) for mean, _, high in ends],
        "arrayminus": [100 * (mean - low) for mean, low, _ in ends],
        "color": color,
        "thickness": 1.4,
        "width": 5,
    }


def _told(run: RaceRun, error: Errors) -> str:
    end = "diverged, counts at chance" if run.diverged else in_percent(error(run))
    return f"{run.name}{VARIANTS.get(run.variant, '')}, seed {run.seed}: {end}"


def _depth_axis(depths: Sequence[int]) -> tuple[dict[int, float], Json]:
    """Where each depth stands between 0 and 1, and the axis with the depths as its ticks."""
    log = depths[-1] > LOG_FROM * depths[0]
    at = np.log(depths) if log else np.array(depths, float)
    share = (at - at[0]) / (at[-1] - at[0]) if len(depths) > 1 else np.full(1, 0.5)
    place = dict(zip(depths, share.tolist(), strict=True))
    ticks = {"tickvals": list(place.values()), "ticktext": [str(depth) for depth in depths]}
    title = X_TITLE + (", log axis" if log else "")
    return place, {"title": {"text": title}, "range": [-0.06, 1.06], **ticks}


def _y_axis(runs: Sequence[RaceRun], data: Sequence[Json], title: str, theme: Theme) -> Json:
    """The y axis from 0 to all dots and bars, but no further than 100, and chance if in sight."""
    chance, look = 100 * runs[0].chance, LOOKS[theme]
    highest = [np.max(t["y"]) for t in data]
    bars = [np.add(t["y"], t["error_y"]["array"]) for t in data if "error_y" in t]
    highest += [np.nanmax(bar, initial=0) for bar in bars]
    top = max(min(1.08 * float(max(highest)), 100.0), 1.0)
    axis = {"yaxis": {"title": {"text": title}, "range": [-0.02 * top, top]}}
    if chance > top:
        return axis
    where = {"xref": "x domain", "yref": "y"}
    stroke = {"color": look.mark, "width": 1, "dash": "dash"}
    line = {**where, "type": "line", "x0": 0, "x1": 1, "y0": chance, "y1": chance, "line": stroke}
    label = {"text": f"chance {in_percent(chance / 100)}", "y": chance, "yanchor": "bottom"}
    left = {**where, **label, "x": 0, "xanchor": "left"}
    return {**axis, "shapes": [line], "annotations": [left]}


def _notes(runs: Sequence[RaceRun], groups: Mapping[Group, Sequence[RaceRun]]) -> list[str]:
    """What dots and bars are, and which runs are not drawn."""
    notes = []
    if groups:
        notes = ["dots: seeds, bars: 95 % t interval of their mean, cut off at 0 and 100 %"]
    if any(run.diverged for run in runs):
        notes.append("x: diverged, counts at chance")
    open_ones = sum(not run.finished for run in runs)
    if open_ones:
        notes.append(f"{open_ones} of {len(runs)} runs are not finished and left out")
    return notes


def _finding(runs: Sequence[RaceRun], groups: Mapping[Group, Sequence[RaceRun]]) -> str:
    """The short form of the race's finding; the errors alone where nothing can be compared."""
    rows = [row for row in compare(runs) if not row.variant]
    if not rows:
        return _listed(groups, train_error)
    asked = [run for run in runs if not run.variant]
    parts = []
    for kind in KINDS:
        deepest = max((run.depth for run in asked if run.kind == kind), default=0)
        parts += _of_kind(kind, [row for row in rows if row.kind == kind], deepest)
    so_far = "so far, " if not all(run.finished for run in asked) else ""
    return capital(so_far + "; ".join(parts))


def _of_kind(kind: Kind, rows: Sequence[Compared], deepest: int) -> list[str]:
    """One clause for each word of the rule, with the greatest difference behind it."""
    if rows and all(row.word == "no worse" for row in rows):
        return [f"{kind} networks do not train worse {reach(rows[-1].depth, deepest)}"]
    parts = []
    for word in ("trains worse", "inconclusive", "not tested"):
        found = [row for row in rows if row.word == word]
        if not found:
            continue
        most = max(found, key=lambda row: row.difference)
        names = " and ".join(f"{kind}-{row.depth}" for row in found)
        said = f"is {word}" if word != "trains worse" else word
        if len(found) > 1:
            said = f"are {word}" if word != "trains worse" else "train worse"
        numbers = f"{in_percent(most.error)} against {in_percent(most.best_error)}"
        start = "up to " if len(found) > 1 else ""
        parts.append(f"{names} {said} ({start}{numbers} of {kind}-{most.best})")
    return parts


def _listed(groups: Mapping[Group, Sequence[RaceRun]], error: Errors) -> str:
    """Every depth's mean error, of the runs as asked if there are any."""
    asked = {group: runs for group, runs in groups.items() if not group[1]} or groups
    parts = []
    for kind in KINDS:
        mine = [runs for group, runs in asked.items() if group[0] == kind]
        said = [
            f"{runs[0].name}\u00a0{in_percent(float(np.mean([*map(error, runs)])))}"
            for runs in mine
        ]
        parts.append(", ".join(said))
    what = "Training error" if error is train_error else "Test error"
    return f"{what}: {'; '.join(filter(None, parts))}"
