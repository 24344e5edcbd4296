"""What values by block say in words, one rule a quantity; every arm given has a known value."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from explorer.figures.block_series import BlockSeries, joined
from explorer.figures.race import in_percent
from explorer.wording import capital, number, percent, place, times

POINT = 0.01  # of accuracy: a smaller difference counts as none
SURE = 0.5  # probability of a class that all others together cannot reach
ROUNDING = 1e-9

Series = Sequence[BlockSeries]


@dataclass(frozen=True)
class Quantity:
    """How a quantity is drawn and told; shares are drawn in %.

    `rule` says by which rule the finding was made, where it is not plain from the words.
    """

    unit: str  # title of the y axis
    finding: Callable[[Series], str]
    log: bool = False
    share: bool = False
    range: tuple[float, float] | None = None
    rule: str = ""


def _medians(series: Series) -> list[float]:
    return [float(np.median(one.values[one.known])) for one in series]


def _response_std(series: Series) -> str:
    medians = _medians(series)
    least, most = int(np.argmin(medians)), int(np.argmax(medians))
    low, high = number(medians[least]), number(medians[most])
    if len(series) == 1:
        values = series[0].values[series[0].known]
        ends = f"{number(float(values.min()))} to {number(float(values.max()))}"
        name = series[0].arm.name
        return f"The median layer of {name} responds with a standard deviation of {low} ({ends})"
    if low == high:
        return f"Layers respond alike in all networks: median standard deviation {low}"
    names = f"{series[least].arm.name} and most in {series[most].arm.name}"
    return f"Layers respond least in {names}: median standard deviation {low} against {high}"


def _ratio(series: Series) -> str:
    pairs = zip(series, _medians(series), strict=True)
    said = [f"{times(median)} ‖x‖ in {one.arm.name}" for one, median in pairs]
    return f"At the median block ‖F(x)‖ is {joined(said)}"


def _cosine(series: Series) -> str:
    said = []
    for one in series:
        values = one.values[one.known]
        said.append(f"{int((values < 0).sum())} of {len(values)} blocks of {one.arm.name}")
    return f"F(x) points against x in {joined(said)}"


def _dead_share(series: Series) -> str:
    said = []
    for one in series:
        at = int(np.nanargmax(np.where(one.known, one.values, -1)))
        worst = float(one.values[at])
        where = f"up to {in_percent(worst)} in {one.arm.name} ({one.names[at]})"
        said.append(where if worst else f"none in {one.arm.name}")
    return f"Units that no example wakes: {joined(said)}"


def _effective_rank(series: Series) -> str:
    said = []
    for one in series:
        at = int(np.flatnonzero(one.known)[-1])
        of = f" of {number(float(one.most[at]))}" if one.most is not None else ""
        said.append(f"{number(float(one.values[at]))}{of} in {one.arm.name} ({one.names[at]})")
    return f"The last output's effective rank is {joined(said)}"


def _probe_accuracy(series: Series) -> str:
    """The first site within a point of the end; where the best is not the end, that is said."""
    return f"A linear probe gains {joined([_probed(one) for one in series])}"


def _probed(one: BlockSeries) -> str:
    values, name = one.values[one.known], one.arm.name
    end, best = float(values[-1]), int(values.argmax())
    if values[best] > end + POINT + ROUNDING:
        peak = f"{_where(one, best)} in {name} ({percent(float(values[best]))})"
        return f"up to {peak}, which ends at {percent(end)}"
    first = int((values >= end - POINT - ROUNDING).argmax())
    said = "up to" if first == len(values) - 1 else "nothing after"
    return f"{said} {_where(one, first)} in {name} ({percent(end)})"


def _lens_accuracy(series: Series) -> str:
    said = []
    for one in series:
        values, name = one.values[one.known], one.arm.name
        first = _from(values >= values[-1] - POINT - ROUNDING)
        where = _where(one, first)
        when = f"only at {where}" if first == len(values) - 1 else f"from {where} on"
        said.append(f"{when} in {name} ({percent(float(values[-1]))})")
    return f"Within 1 point of the end {joined(said)}"


def _lens_confidence(series: Series) -> str:
    said = []
    for one in series:
        values, name = one.values[one.known], one.arm.name
        if values[-1] <= SURE:
            said.append(f"{in_percent(float(values[-1]))} at the end in {name}")
        else:
            where = _where(one, _from(values > SURE))
            said.append(f"above {percent(SURE)} from {where} on in {name}")
    return f"The class's probability: {joined(said)}"


def _where(one: BlockSeries, index: int) -> str:
    """The place of the known value `index`: "the stem", "block 9 of 27"."""
    site = one.names[int(np.flatnonzero(one.known)[index])]
    return place(site) if site == "stem" else f"{site} of {one.numbers[-1]}"


def _from(holds: NDArray[np.bool_]) -> int:
    """The first index from which `holds` is true to the end; its end is true."""
    broken = np.flatnonzero(~holds)
    return int(broken[-1]) + 1 if len(broken) else 0


QUANTITIES = {
    "response_std": Quantity("standard deviation of the response", _response_std, log=True),
    "ratio": Quantity("‖F(x)‖ / ‖x‖", _ratio, log=True),
    "cosine": Quantity("cos(x, F(x))", _cosine, range=(-1.04, 1.04)),
    "dead_share": Quantity("dead units (%)", _dead_share, share=True),
    "effective_rank": Quantity("effective rank (of the channels)", _effective_rank),
    "probe_accuracy": Quantity(
        "test accuracy of a linear probe (%)",
        _probe_accuracy,
        share=True,
        range=(0.0, 103.0),
        rule="gains nothing: within 1 point of the end",
    ),
    "lens_accuracy": Quantity(
        "accuracy if it ended here (%)",
        _lens_accuracy,
        share=True,
        range=(0.0, 103.0),
    ),
    "lens_confidence": Quantity("probability if it ended here", _lens_confidence, range=(0, 1.03)),
}


def finding(quantity: str, series: Series) -> str:
    """The finding of those `series` that have a known value; the unit where none has."""
    told = [one for one in series if one.known.any()]
    if not told:
        return capital(QUANTITIES[quantity].unit)
    return capital(QUANTITIES[quantity].finding(told))
