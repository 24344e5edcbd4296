"""The race of depths: error or loss of networks of several depths while they train.

He et al. 2015 (fig. 6). Every seed is drawn as it was read; over it lies the mean of the seeds.
"""

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
import plotly.graph_objects as go

from explorer.figures.curves import LOG_FROM
from explorer.figures.frame import NO_RUNS, Frame, Json, empty, finish
from explorer.figures.race_lines import Line, Metric, race_lines, readings, running_mean
from explorer.figures.scale import LogScale
from explorer.figures.theme import LOOKS, Theme, faint
from explorer.figures.thin import thin
from explorer.race_runs import KINDS, RaceRun, test_error, train_error
from explorer.trace import Array
from explorer.wording import number, percent

X = Literal["steps", "epochs", "seconds", "flops"]
HEIGHT = 320
MOST_POINTS = 300  # a line; there are many of them
MOST_NAMED = 2  # depths of a kind that the title names
NAMES = {"train_error": "training error", "test_error": "test error", "loss": "training loss"}
X_TITLES = {
    "steps": "step",
    "epochs": "epoch",
    "seconds": "seconds of training (mean per step)",
    "flops": "floating-point operations of training",
}


def race(
    runs: Sequence[RaceRun],
    metric: Metric = "train_error",
    x: X = "steps",
    theme: Theme = "light",
    *,
    narrow: bool = False,
    note: str = "",
    smooth: bool = True,
    variant: str = "",
) -> go.Figure:
    """Error or loss while the runs of `variant` train, deeper networks in stronger colours.

    `smooth` draws the mean as a running mean over one epoch (but not the test error, whose
    every reading is of the whole test set). Beside runs as asked, runs with 3x the steps are
    dotted from where those end.
    """
    lines = race_lines(runs, metric, theme, variant)
    y_title = f"{NAMES[metric]} ({'nats' if metric == 'loss' else '%'})"
    if not lines:
        frame = Frame("No run of the race has a reading yet", note, theme, narrow)
        return empty(frame, X_TITLES[x], y_title, HEIGHT, why=NO_RUNS)
    unfinished = any(run.variant == variant and not run.finished for run in runs)
    notes = filter(None, (note, _key(lines, smooth)))
    frame = Frame(_title(lines, unfinished), "; ".join(notes), theme, narrow)
    scale = _loss_scale(lines) if metric == "loss" else None
    data = [trace for line in lines for trace in _seeds(line, x, scale)]
    data += [_thick(line, x, smooth, scale) for line in lines]
    data += [mark for line in lines for mark in _diverged(line, x, scale)]
    layout = frame.layout(HEIGHT, [line.name for line in lines if not line.start])
    layout["hovermode"] = "x unified" if x in ("steps", "epochs") else "closest"
    end = max(float(np.max(t["x"], initial=0)) for t in data)
    layout["xaxis"] = {"title": {"text": X_TITLES[x]}, "range": [0, 1.02 * end or 1]}
    layout["xaxis"] |= {"exponentformat": "power"} if x == "flops" else {}
    layout |= _y_axis(lines, scale, y_title, theme)
    count = sum(not line.start for line in lines)
    alt = f"Line chart of {y_title} against {X_TITLES[x]} for {count} networks. {frame.title}."
    return finish(data, layout, alt)


def _key(lines: Sequence[Line], smooth: bool) -> str:
    """What the strokes mean, of those that are drawn."""
    several = any(len(line.runs) > 1 for line in lines)
    running = smooth and lines[0].metric != "test_error"
    thin_ones, thick_ones = ("every seed", "mean of the seeds") if several else ("as read", "mean")
    thick_ones += " over the last epoch" if running else ""
    parts = [f"thin: {thin_ones}, thick: {thick_ones}"] if several or running else []
    if any(line.start for line in lines):
        parts.append("dotted: 3x the steps")
    if any(run.diverged for line in lines for run in line.runs):
        end = "left out of the mean" if lines[0].metric == "loss" else "chance from there on"
        parts.append(f"x: diverged, {end}")
    return "; ".join(parts)


def _title(lines: Sequence[Line], unfinished: bool) -> str:
    """The newest value of each kind's shallowest and deepest network."""
    base = [line for line in lines if not line.start]
    steps = max(_step(line) for line in base)
    kinds = []
    for kind in KINDS:
        mine = [line for line in base if line.runs[0].kind == kind]
        named = mine if len(mine) <= MOST_NAMED else [mine[0], mine[-1]]
        kinds.append(", ".join(_reached(line, steps) for line in named))
    so_far = " so far," if unfinished else ""
    what = NAMES[base[0].metric].capitalize()
    return f"{what}{so_far} after {steps} steps: {'; '.join(filter(None, kinds))}"


def _step(line: Line) -> int:
    """Finished steps of the run that is furthest; every step reads its batch before it is taken."""
    return max(int(run.loss.steps[-1]) + 1 if len(run.loss) else 0 for run in line.runs)


def _reached(line: Line, steps: int) -> str:
    """ "plain-56 73 %", with the step if it is not `steps`, and how many diverged."""
    gone = sum(run.diverged for run in line.runs)
    asides = [f"step {_step(line)}"] if _step(line) != steps and gone < len(line.runs) else []
    asides += [f"{gone} of {len(line.runs)} diverged"] if gone else []
    aside = f" ({', '.join(asides)})" if asides else ""
    if not len(line.mean[0]):
        return f"{line.name}{aside}"
    if line.metric == "loss":
        newest = running_mean(*line.mean, line.runs[0].epoch)[-1]
        return f"{line.name}\u00a0{number(float(newest))}{aside}"
    error = train_error if line.metric == "train_error" else test_error
    mean = float(np.mean([error(run) for run in line.counted]))
    return f"{line.name}\u00a0{in_percent(mean)}{aside}"  # a name keeps its number


def in_percent(error: float) -> str:
    """An error in two digits: "1.1 %", "73 %"; only 0 itself is "0 %"."""
    return percent(error) if error > 0.1 else f"{number(float(f'{100 * error:.2g}'))} %"


def _scaled(run: RaceRun, x: X) -> float:
    """What a step of `run` is on the x axis."""
    if x == "seconds":
        return run.elapsed_s / (int(run.loss.steps[-1]) + 1) if len(run.loss) else 0.0
    per_step = {"steps": 1.0, "epochs": run.batch / run.train_size, "flops": run.flops_per_step}
    return per_step[x]


def _scatter(of: Line, x: Array, y: Array, scale: LogScale | None, **more: object) -> Json:
    """One Plotly trace of `of`, with `more` of its attributes."""
    return {
        "type": "scatter",
        "mode": "lines",
        "name": of.name + (", 3x the steps" if of.start else ""),
        "legendgroup": of.name,
        "showlegend": False,
        "x": x.astype(np.float32),
        "y": scale.drawn(y) if scale else y,
        **more,
    }


def _seeds(line: Line, x: X, scale: LogScale | None) -> list[Json]:
    """Every run as it was read, thin and faint."""
    look = {"color": faint(line.color, 0.3), "width": 0.8}
    traces = []
    for run in line.runs:
        steps, values = readings(run, line.metric)
        steps, values = thin(steps[steps >= line.start], values[steps >= line.start], MOST_POINTS)
        traces.append(_scatter(line, steps * _scaled(run, x), values, scale, line=look))
        traces[-1]["hoverinfo"] = "skip"
    return traces


def _thick(line: Line, x: X, smooth: bool, scale: LogScale | None) -> Json:
    """The mean over the seeds; a line without any is still named in the legend."""
    steps, values = line.mean
    if smooth and line.metric != "test_error":
        values = running_mean(steps, values, line.runs[0].epoch)
    after = steps >= line.start
    steps, values = thin(steps[after], values[after], MOST_POINTS)
    if not len(steps):
        steps, values = np.zeros(1, np.int64), np.full(1, np.nan, np.float32)
    per_step = float(np.mean([_scaled(run, x) for run in line.counted or line.runs]))
    look = {"color": line.color, "width": 2.2, "dash": line.dash}
    unit = "%{y:.3~g}" if line.metric == "loss" else "%{y:.1f} %"
    drawn = _scatter(line, steps * per_step, values, scale, line=look, hovertemplate=unit)
    return {**drawn, "showlegend": not line.start}


def _diverged(line: Line, x: X, scale: LogScale | None) -> list[Json]:
    """A cross at the last finite reading of every run that diverged."""
    marks = []
    for run in line.runs:
        steps, values = readings(run, line.metric)
        known = np.flatnonzero(np.isfinite(values) & (steps >= line.start))
        if not run.diverged or not len(known):
            continue
        end = known[-1:]
        told = f"{run.name}, seed {run.seed}: diverged after step {int(steps[end[0]])}"
        look = {"symbol": "x", "size": 9, "color": line.color}
        mark = _scatter(line, steps[end] * _scaled(run, x), values[end], scale, mode="markers")
        marks.append({**mark, "marker": look, "hovertemplate": told + "<extra></extra>"})
    return marks


def _loss_scale(lines: Sequence[Line]) -> LogScale | None:
    """A log scale once a loss is far above chance, else none."""
    losses = [readings(run, "loss")[1] for line in lines for run in line.runs]
    finite = [values[np.isfinite(values)] for values in losses]
    greatest = max((float(values.max()) for values in finite if len(values)), default=0.0)
    return LogScale.over(finite) if greatest > LOG_FROM * _chance(lines) else None


def _chance(lines: Sequence[Line]) -> float:
    """What a guess scores, in the axis' unit."""
    run = lines[0].runs[0]
    return math.log(run.classes) if lines[0].metric == "loss" else 100 * run.chance


def _y_axis(lines: Sequence[Line], scale: LogScale | None, title: str, theme: Theme) -> Json:
    """The y axis from 0 (or logarithmic) and the labelled line of chance."""
    chance, look = _chance(lines), LOOKS[theme]
    runs = [run for line in lines for run in line.runs]
    most = max(float(np.nanmax(readings(run, lines[0].metric)[1], initial=chance)) for run in runs)
    axis: Json = {"title": {"text": title}}
    axis["range"] = [0, max(1.08 * chance, 1.02 * most)]
    if scale:
        axis = scale.axis(f"{title}, log axis")
    where = {"xref": "x domain", "yref": "y"}
    stroke = {"color": look.mark, "width": 1, "dash": "dash"}
    shape = {**where, "type": "line", "x0": 0, "x1": 1, "y0": chance, "y1": chance, "line": stroke}
    exact = lines[0].metric == "loss"
    name = f"ln {runs[0].classes} = {number(chance)}" if exact else f"{number(chance)} %"
    label = {
        "text": f"chance {name}",
        "x": 1,
        "xanchor": "right",
        "y": math.log10(chance) if scale else chance,
        "yanchor": "bottom",
        "bgcolor": faint(look.paper, 0.7),
        "borderpad": 1,
    }
    return {"yaxis": axis, "shapes": [shape], "annotations": [{**where, **label}]}
