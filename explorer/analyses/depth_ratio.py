"""How much of the gradient reaches the first block at one depth, measured beside theory."""

import time

from explorer.analyses.base import Json, Subject, analysis, numbers, one, whole
from explorer.gradients.by_depth import by_depth
from explorer.inside.mode import Report
from explorer.spec import SpecError
from explorer.spec.network import DEEPEST, LARGEST


@analysis("depth_ratio", "depth", "seeds")
def depth_ratio(subjects: tuple[Subject, ...], options: Json, report: Report) -> Json:
    """g0/gL of the run's network at `depth` weighted layers, or the nearest below that it can have.

    `ratios` a seed each, `predicted` and `valid` as explorer.gradients.by_depth has them.
    """
    subject = one(subjects)
    depth = whole(options, "depth", subject.run.network.depth, DEEPEST)
    seeds = whole(options, "seeds", 2, 32)
    device = str(subject.network.head.weight.device)
    started = time.perf_counter()
    points = list(by_depth([subject.run], [depth], seeds, device, report))
    if not points:
        allowed = f"at that depth the network would have more than {LARGEST:,} parameters"
        raise SpecError("depth", depth, allowed)
    (point,) = points
    return {
        "depth": point.depth,
        "ratios": numbers(point.ratios),
        "predicted": point.predicted,
        "valid": point.valid,
        "region": point.region,
        "elapsed_s": time.perf_counter() - started,
    }
