"""How much of the gradient arrives as networks get deeper: one arm's ratio over its depths.

The ratio is that of the L2 norms of dL/dx at the output of the stem and of the last block, in
training mode at initialisation, as the gradient profile shows it for one depth; it is the root
of g0/gL, the ratio of their squares. Points come one by one, the shallowest of every arm first.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from explorer.cost import seconds_per_step
from explorer.data import load
from explorer.flow import Flow, flow
from explorer.inside.mode import Report
from explorer.spec import NetworkSpec, RunSpec, SpecError, short_form
from explorer.spec.network import DEEPEST
from explorer.theory import crossing
from explorer.theory.crossing import HIGH, LOW
from explorer.training import resolve_device

Numbers = NDArray[np.float64]

DEPTHS = (2, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1000)


@dataclass(frozen=True)
class Point:
    """One arm at one depth: `ratios` of every seed (seed,).

    A ratio too small for float32 is 0, one too large inf or NaN. `predicted` is the first
    seed's, 0 below 1e-308, None where theory knows none; `valid` says whether the network lies
    in its `region`. `left_s` estimates the seconds until the last point of all arms, from the
    operations done and to be done.
    """

    arm: int  # which of the runs that were asked for, from 0
    spec: str
    depth: int
    ratios: Numbers
    predicted: float | None
    valid: bool | None
    region: str | None
    left_s: float

    @property
    def ratio(self) -> float:
        """The geometric mean over the seeds; 0 if one is, NaN if one is."""
        with np.errstate(divide="ignore"):
            return float(np.exp(np.log(self.ratios).mean()))


def by_depth(
    arms: Sequence[RunSpec],
    depths: Sequence[int] = DEPTHS,
    seeds: int = 1,
    device: str = "cpu",
    report: Report | None = None,
) -> Iterator[Point]:
    """Yield a Point for every arm and depth, by depth; seeds are arm.seed, arm.seed + 1, …

    Depths count weighted layers; `depths_of` says which an arm has. `report` counts networks.
    SpecError, before the first point, for a bad value.
    """
    if seeds < 1:
        raise SpecError("seeds", seeds, "1 or more")
    if not arms:
        raise SpecError("arms", (), "one or more runs")
    plan = [
        (spec.network.depth, arm, spec)
        for arm, run in enumerate(arms)
        for spec in depths_of(run, depths)
    ]
    return _points(sorted(plan, key=lambda entry: entry[:2]), seeds, device, report)


def depths_of(run: RunSpec, depths: Sequence[int] = DEPTHS) -> list[RunSpec]:
    """`run` at the depths nearest below those named, or its least, by depth and each once.

    Stages that the spec lists get equally many blocks each; gates must be one for all blocks.
    Depths whose network would be larger than a spec may be are left out.
    """
    network = run.network
    for gate in ("skip", "residual"):
        if len(set(getattr(network, gate))) > 1:
            raise SpecError(gate, getattr(network, gate), "one gate for all blocks")
    for depth in depths:
        if not 1 <= depth <= DEEPEST:
            raise SpecError("depths", depth, f"numbers from 1 to {DEEPEST}")
    per_block = network.form.layers * len(network.all_stages)
    found = {}
    for depth in sorted(depths):
        count = max(1, (depth - 2) // per_block)
        try:
            found[count] = run.replace(network=_with_blocks(network, count))
        except SpecError:  # too large, or too many blocks for one stage
            continue
    return list(found.values())


def leaves(points: Sequence[Point], low: float = LOW, high: float = HIGH) -> float | None:
    """The depth at which one arm's ratio first leaves [low, high]; see theory.crossing."""
    ordered = sorted(points, key=lambda point: point.depth)
    depths, ratios = [p.depth for p in ordered], [p.ratio for p in ordered]
    return crossing.leaves(depths, ratios, low, high)


def _points(
    plan: list[tuple[int, int, RunSpec]], seeds: int, device: str, report: Report | None
) -> Iterator[Point]:
    costs = [seconds_per_step(spec) for _, _, spec in plan]
    for _, _, spec in plan:
        load(spec.data, resolve_device(device))  # so that the pace is that of the networks
    started, done = time.perf_counter(), 0
    for number, (depth, arm, spec) in enumerate(plan, 1):
        flows = []
        for seed in range(spec.seed, spec.seed + seeds):
            with np.errstate(invalid="ignore"):  # what has left float32
                flows.append(flow(spec.replace(seed=seed), device=device))
            done += 1
            if report is not None:
                report(done, len(plan) * seeds)
        pace = (time.perf_counter() - started) / sum(costs[:number])
        first = flows[0]
        yield Point(
            arm=arm,
            spec=short_form(spec),
            depth=depth,
            ratios=np.array([_ratio(found.activation_gradient) for found in flows]),
            predicted=_predicted(flows),
            valid=first.valid,
            region=first.region,
            left_s=pace * sum(costs[number:]),
        )


def _ratio(norms: Numbers) -> float:
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(norms[0] / norms[-1])


def _predicted(flows: list[Flow]) -> float | None:
    """The first seed's that has one: a gradient of 0 at the last site leaves none to compare."""
    known = (found.predicted for found in flows if found.predicted is not None)
    return next(map(_ratio, known), None)


def _with_blocks(network: NetworkSpec, count: int) -> NetworkSpec:
    """The network with `count` blocks in every stage."""
    gates = {gate: getattr(network, gate)[:1] for gate in ("skip", "residual")}
    if network.stages:
        stages = [{"blocks": count, "width": stage.width} for stage in network.stages]
        return network.replace(stages=stages, **gates)
    depth = 2 + count * network.form.layers * len(network.all_stages)
    return network.replace(depth=depth, **gates)
