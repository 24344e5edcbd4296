"""The Gradient by depth page: how much reaches the first block as networks get deeper."""

import re
from collections.abc import Mapping, Sequence

import numpy as np

from explorer import figures
from explorer.comparison import names
from explorer.figures import RatioSeries, make_arms
from explorer.inquiry import inquiry
from explorer.spec import NetworkSpec, RunSpec, SpecError, short_form
from explorer.spec.network import LARGEST
from explorer.theory.crossing import leaves
from explorer.theory.trainable import trainable_depth
from explorer.ui.inside.route import PAGES, Ask, Json, Page, Scene
from explorer.ui.inside.state import InsideChoice
from explorer.ui.lab import lab
from explorer.ui.sweep_progress import duration
from explorer.weights import Weights, find

FIGURES = ("ratio",)
DEPTHS = (2, 8, 14, 20, 32, 44, 56, 80, 110, 160, 230, 330, 470, 700, 1000)
SEEDS = 2
SHALLOW = 20  # layers, of which many are measured within a second
GRIDS = {
    "shown": "nothing",
    "inits": "the initialisation",
    "norms": "the normalisation",
}
VALUES = {"inits": ("init", ("he", "xavier", "torch_default", "orthogonal")),
          "norms": ("norm", ("none", "batch", "group", "layer"))}  # fmt: skip


def panels(choice: InsideChoice, weights: tuple[Weights, ...]) -> list[tuple[str, list[Weights]]]:
    """The small multiples: a heading, and the networks that it holds at step 0."""
    grid = choice.word("grid")
    if grid == "shown":
        return [("", [_start(one.spec) for one in weights])]
    field, values = VALUES[grid]
    return [
        (f"{field} {value}", [_start(_with(one.spec, field, value)) for one in weights])
        for value in values
    ]


def _with(run: RunSpec, field: str, value: str) -> RunSpec:
    return run.replace(network=run.network.replace(**{field: value}))


def _start(run: RunSpec) -> Weights:
    return find(lab().store, f"{short_form(run)}@0")


def depths_of(network: NetworkSpec) -> tuple[int, ...]:
    """The depths nearest below DEPTHS that it can have, or its least; none that is too large.

    As explorer.gradients.by_depth.depths_of, which the server cannot load.
    """
    stages = network.all_stages
    per_block = network.form.layers * len(stages)
    shallowest = network.replace(stages=[{"blocks": 1, "width": stage.width} for stage in stages])
    counts = dict.fromkeys(max(1, (depth - 2) // per_block) for depth in DEPTHS)
    return tuple(
        2 + count * per_block for count in counts if count * shallowest.rough_size <= LARGEST
    )


def questions(choice: InsideChoice, weights: tuple[Weights, ...]) -> Mapping[str, Ask]:
    """A question a depth and network, shallow ones first, so that points come one by one.

    The first few are answered by the worker that is always warm, so that they come at once.
    """
    shown = panels(choice, weights)
    for one in weights:
        for gate in ("skip", "residual"):
            if len(set(getattr(one.spec.network, gate))) > 1:
                raise SpecError(gate, "several gates", "one gate for all blocks, as depth changes")
    asked = [
        (depth, number, index, one)
        for number, (_, networks) in enumerate(shown, 1)
        for index, one in enumerate(networks, 1)
        for depth in depths_of(one.spec.network)
    ]
    return {
        f"depth {depth}, panel {number}, network {index}": Ask(
            inquiry("depth_ratio", one, depth=depth, seeds=SEEDS), slow=depth > SHALLOW
        )
        for depth, number, index, one in sorted(asked, key=lambda entry: entry[:3])
    }


def arm_names(specs: Sequence[RunSpec]) -> list[str]:
    """The networks' names without their depth, which changes here, where that tells them apart."""
    full = names(specs)
    short = [re.sub(r"-\d+", "", name, count=1) for name in full]
    return short if len(set(short)) == len(short) else full


def view(scene: Scene) -> Json:
    """The ratio by depth as far as it is known, a panel a setting."""
    arms = make_arms(
        arm_names([one.spec for one in scene.weights]),
        [one.spec.network.shortcut == "none" for one in scene.weights],
    )
    drawn = []
    for number, (heading, networks) in enumerate(panels(scene.choice, scene.weights), 1):
        series = []
        for index, one in enumerate(networks):
            name = f"panel {number}, network {index + 1}"
            depths = depths_of(one.spec.network)
            found = [scene.answer(f"depth {depth}, {name}") for depth in depths]
            points = {answer["depth"]: answer for answer in found if answer is not None}
            if points:
                series.append(_series(arms[index], one, list(points.values())))
        drawn.append((heading, series))
    note = f"at initialisation, {SEEDS} seeds, first batch"
    figure = figures.depth_ratio(drawn, note=note, deepest=DEPTHS[-1], **scene.screen.look)
    return {"figures": {"ratio": figure}, **_progress(scene)}


def _progress(scene: Scene) -> Json:
    """How many networks are measured, and how long the rest takes at the pace so far.

    A network's time is about in proportion to its depth.
    """
    waiting = [name for name, found in scene.found.items() if found.busy]
    if not waiting:
        return {}
    known = [found.answer for found in scene.found.values() if found.answer is not None]
    said = f"{len(known)} of {len(scene.found)} networks measured"
    measured = sum(answer["depth"] for answer in known)
    if not measured:
        return {"progress": said}
    pace = sum(answer["elapsed_s"] for answer in known) / measured
    left = pace * sum(int(name.split()[1].rstrip(",")) for name in waiting)
    return {"progress": f"{said}, about {duration(left)} left"}


def _series(arm: figures.Arm, one: Weights, points: list[Json]) -> RatioSeries:
    depths = [point["depth"] for point in points]
    ratios = np.array([point["ratios"] for point in points], np.float64)
    predicted = np.array([point["predicted"] for point in points], np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):  # what float32 has lost
        means = np.exp(np.log(ratios).mean(1))
    bound = trainable_depth(one.spec.network, one.spec.recipe.batch)
    return RatioSeries(
        arm,
        depths,
        ratios,
        predicted if np.isfinite(predicted).any() else None,
        bool(points[-1]["valid"]),
        leaves(depths, means.tolist()),
        None if bound is None else bound.depth,
        "" if bound is None else f"{bound.formula} ({bound.source})",
        points[-1]["region"] or "",
    )


PAGES.add("gradient_by_depth", Page(questions, view))
