"""The race of depths: error or loss of networks of several depths while they train.

He et al. 2015 (fig. 6). Every seed is drawn as it was read; over it lies the mean of the seeds.
"""

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from explorer.figures.curves import LOG_FROM
from explorer.figures.frame import NO_RUNS, Frame, Json, empty, finish
from explorer.figures.scale import LogScale
from explorer.figures.theme import LOOKS, PLAIN, RESIDUAL, Theme, faint
from explorer.figures.thin import thin
from explorer.race_finding import KINDS, Kind, RaceRun, test_error, train_error
from explorer.trace import Array, Trace
from explorer.wording import number, percent

Metric = Literal["train_error", "test_error", "loss"]
X = Literal["steps", "epochs", "seconds", "flops"]
Steps = NDArray[np.int64]

HEIGHT = 320
MOST_POINTS = 300  # a line; there are many of them
MOST_NAMED = 2  # depths of a kind that the title names
COLORS: dict[Kind, str] = {"plain": PLAIN, "residual": RESIDUAL}
DASHES: dict[Kind, str] = {"plain": "6px,3px", "residual": "solid"}
CONTRAST: dict[Theme, tuple[float, float]] = {"light": (3.1, 10), "dark": (3.1, 12)}
NAMES = {"train_error": "training error", "test_error": "test error", "loss": "training loss"}
X_TITLES = {
    "steps": "step",
    "epochs": "epoch",
    "seconds": "seconds of training (mean per step)",
    "flops": "floating-point operations of training",
}


@dataclass(frozen=True)
class Line:
    """Runs of one kind, depth and variant as they are drawn, from the step `start` on."""

    runs: tuple[RaceRun, ...]
    metric: Metric
    color: str
    dash: str
    start: int = 0

    @property
    def name(self) -> str:
        return self.runs[0].name

    @functools.cached_property
    def counted(self) -> tuple[RaceRun, ...]:
        """The seeds in the mean: as far as the furthest, within an epoch, or diverged.

        A seed that is behind would bend the mean where it ends. Of a loss, a diverged one has
        no value to go on with and is left out.
        """
        furthest = max(int(readings(run, self.metric)[0][-1]) for run in self.runs)
        return tuple(run for run in self.runs if self._counts(run, furthest))

    def _counts(self, run: RaceRun, furthest: int) -> bool:
        if run.diverged:
            return self.metric != "loss"
        return int(readings(run, self.metric)[0][-1]) >= furthest - run.epoch

    @functools.cached_property
    def mean(self) -> tuple[Steps, Array]:
        """The mean over the counted seeds at the steps that all have read."""
        if not self.counted:
            return np.zeros(0, np.int64), np.zeros(0, np.float32)
        read = [readings(run, self.metric) for run in self.counted]
        grid = max((steps for steps, _ in read), key=lambda steps: int(steps[-1]))
        pairs = zip(self.counted, read, strict=True)
        held = [_at_chance(run, one, grid) if run.diverged else one for run, one in pairs]
        common = functools.reduce(np.intersect1d, [steps for steps, _ in held])
        rows = [values[np.searchsorted(steps, common)] for steps, values in held]
        return common, np.asarray(np.mean(rows, axis=0, dtype=np.float64), np.float32)


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
    lines = _lines(runs, metric, theme, variant)
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


def readings(run: RaceRun, metric: Metric) -> tuple[Steps, Array]:
    """Steps and what is drawn at them: errors in %, losses in nats (NaN where not finite)."""
    trace = _trace(run, metric)
    values = trace.values[:, 0]
    if metric == "loss":
        return trace.steps, np.where(np.isfinite(values), values, np.nan)
    return trace.steps, 100 * (1 - values)


def _trace(run: RaceRun, metric: Metric) -> Trace:
    if metric == "loss":
        return run.loss
    return run.train_accuracy if metric == "train_error" else run.test_accuracy


def _at_chance(run: RaceRun, read: tuple[Steps, Array], grid: Steps) -> tuple[Steps, Array]:
    """A diverged run's readings, and a guess's error at the steps of `grid` after them."""
    steps, values = read
    after = grid[grid > steps[-1]]
    chance = np.full(len(after), 100 * run.chance, np.float32)
    return np.concatenate([steps, after]), np.concatenate([values, chance])


def running_mean(steps: Steps, values: Array, window: int) -> Array:
    """At every step the mean of what was read in the last `window` steps, its own among them.

    After a run's last step this is its training error.
    """
    total = np.concatenate([[0.0], np.cumsum(values, dtype=np.float64)])
    first = np.searchsorted(steps, steps - window, side="right")
    last = np.arange(1, len(steps) + 1)
    return np.asarray((total[last] - total[first]) / (last - first), np.float32)


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


def _lines(runs: Sequence[RaceRun], metric: Metric, theme: Theme, variant: str) -> list[Line]:
    """A line for every kind and depth with a reading, and tails of those with 3x the steps."""
    started = [run for run in runs if len(_trace(run, metric))]
    lines = []
    for kind in KINDS:
        mine = [r for r in started if r.kind == kind and r.variant in (variant, "longer")]
        depths = sorted({run.depth for run in mine if run.variant == variant})
        colors = depth_colors(COLORS[kind], len(depths), theme)
        for depth, color in zip(depths, colors, strict=True):
            here = [run for run in mine if run.depth == depth]
            base = tuple(run for run in here if run.variant == variant)
            lines.append(Line(base, metric, color, DASHES[kind]))
            longer = tuple(run for run in here if run.variant != variant)
            start = max(run.steps for run in base)
            longer = tuple(run for run in longer if _trace(run, metric).steps[-1] > start)
            if longer and not variant:
                lines.append(Line(longer, metric, color, "dot", start))
    return lines


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
