"""Balduzzi et al.'s toy: how df/dx changes along a line, and across two inputs by depth."""

from typing import Any

from explorer.analyses.base import Json, Subject, analysis, none, numbers, whole
from explorer.gradients.correlation import correlations
from explorer.gradients.shattering import ARMS, Shattering, noise, shattering
from explorer.inside.mode import Report
from explorer.spec import SpecError

NOISES = ("white", "brown")


@analysis("shattering", "arm", "depth", "seeds")
def shattered(subjects: tuple[Subject, ...], options: Json, report: Report) -> Json:
    """df/dx of a network f: R -> R at 256 points, and its autocorrelation over `seeds` networks.

    `arm` is one of explorer.gradients.shattering.ARMS, or white or brown noise.
    """
    none(subjects)
    arm = options.get("arm", "plain_batch")
    seeds = whole(options, "seeds", 16, 256)
    if arm in NOISES:
        return _answer(noise(arm, seeds=seeds))
    depth = whole(options, "depth", 24, 200)
    return _answer(shattering(_arm(arm), depth, seeds=seeds, report=report))


def _arm(name: Any) -> Any:
    if name not in ARMS:
        raise SpecError("arm", name, f"choose one of {', '.join((*ARMS, *NOISES))}")
    return ARMS[name]


def _answer(found: Shattering) -> Json:
    return {
        "x": numbers(found.x),
        "gradient": numbers(found.gradient),
        "lags": found.lags.tolist(),
        "mean": numbers(found.mean),
        "std": numbers(found.std),
        "seeds": found.seeds,
    }


@analysis("correlations", "arm", "seeds")
def gradient_correlations(subjects: tuple[Subject, ...], options: Json, report: Report) -> Json:
    """Correlation of df/dx at two orthogonal inputs at `depths`, (depth,), beside theory.

    `predicted` is for every depth from 1 to the last measured one.
    """
    none(subjects)
    seeds = whole(options, "seeds", 8, 64)
    found = correlations(_arm(options.get("arm", "plain_batch")), seeds=seeds, report=report)
    theory = found.theory
    return {
        "depths": list(found.depths),
        "mean": numbers(found.mean),
        "error": numbers(found.error),
        "predicted": numbers(theory.correlation),
        "rule": theory.rule_text,
        "source": theory.source,
        "region": theory.region,
        "holds_to": theory.holds_to,
        "seeds": found.seeds,
    }
