"""A ratio of gradients by depth as it is drawn, and what several of them say in words."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from explorer.figures.block_series import Numbers, joined
from explorer.figures.theme import Arm
from explorer.figures.theory_lines import theory_note
from explorer.wording import capital, number

LOW, HIGH = 1e-3, 1e3  # between them a gradient counts as healthy
RATIO = "ratio: ‖dL/dx‖ at the stem over that at the last block"


@dataclass(frozen=True)
class RatioSeries:
    """One arm's ratio of gradient norms, stem over last block, at each of `depths` (point,).

    `ratios` is (point, seed): 0 below float32, inf or NaN above. `predicted` is (point,), NaN
    where theory knows none, and `valid` whether the network lies in its `region`. `leaves` is
    the depth at which the ratio leaves 1e-3 to 1e3, `bound` the one to which theory lets the arm
    train, `bound_said` its formula and source.
    """

    arm: Arm
    depths: Sequence[int]
    ratios: Numbers
    predicted: Numbers | None = None
    valid: bool = True
    leaves: float | None = None
    bound: float | None = None
    bound_said: str = ""
    region: str = ""

    @property
    def mean(self) -> Numbers:
        """The geometric mean over the seeds, (point,): 0 if one is 0, NaN if one is NaN."""
        with np.errstate(divide="ignore", invalid="ignore"):
            mean: Numbers = np.exp(np.log(self.ratios.astype(np.float64)).mean(1))
        return mean

    @property
    def foretold(self) -> Numbers | None:
        """`predicted` where it can be on a log axis; None if nowhere."""
        if self.predicted is None:
            return None
        known = np.isfinite(self.predicted) & (self.predicted > 0)
        return np.where(known, self.predicted, np.nan) if known.any() else None


Setting = tuple[str, Sequence[RatioSeries]]


def finding(settings: Sequence[Setting]) -> str:
    """Where each arm leaves the zone, by setting where there are several."""
    arms = dict.fromkeys(one.arm.name for _, mine in settings for one in mine)
    said = [_of_arm(name, settings) for name in arms]
    return capital(f"gradient ratio from {number(LOW)} to {number(HIGH)}: {joined(said)}")


def _of_arm(name: str, settings: Sequence[Setting]) -> str:
    """ "plain leaves it at depth 14 (small init) and 95 (BatchNorm) of 4 settings"."""
    mine = [(heading, one) for heading, all_ in settings for one in all_ if one.arm.name == name]
    deepest = max(max(one.depths) for _, one in mine)
    left = [(heading, one.leaves) for heading, one in mine if one.leaves is not None]
    several = len(settings) > 1
    if not left:
        where = f" in all {len(mine)} settings" if len(mine) > 1 else ""
        return f"{name} stays inside{where} up to depth {deepest}"
    places = [number(depth) + (f" ({heading})" if several else "") for heading, depth in left]
    text = f"{name} leaves at depth {', '.join(places[:-1])}{' and ' if places[1:] else ''}"
    kept = len(mine) - len(left)
    return f"{text}{places[-1]}{f', in {kept} of {len(mine)} not at all' if kept else ''}"


def keys(series: Sequence[RatioSeries]) -> list[str]:
    """What shades, marks and strokes mean, of those that are drawn."""
    said = [RATIO, f"shaded: {number(LOW)} to {number(HIGH)}"]
    if any(one.leaves is not None for one in series):
        said.append("diamond: where it leaves")
    if any(one.ratios.shape[1] > 1 for one in series):
        said.append("dots: seeds, line: their geometric mean")
    theory = [(one.valid, one.region) for one in series if one.foretold is not None]
    if any(one.bound is not None for one in series):
        said.append("dashed upright: to this depth theory lets it train")
    return [*said, *filter(None, [theory_note(theory)])]
