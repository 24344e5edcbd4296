"""What all analyses share: the network they are about, and how numbers become JSON."""

import base64
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from explorer.data import Dataset
from explorer.inside.mode import Report
from explorer.network import Network
from explorer.registry import Registry
from explorer.spec import RunSpec, SpecError

Json = dict[str, Any]


@dataclass(frozen=True)
class Subject:
    """A network with the weights asked for, the run and its step they are of, and its data."""

    network: Network
    run: RunSpec
    data: Dataset
    step: int = 0


Analysis = Callable[[tuple[Subject, ...], Json, Report], Json]
ANALYSES: Registry[Analysis] = Registry("analysis")


def analysis(name: str, *options: str) -> Callable[[Analysis], Analysis]:
    """Add the function that follows to ANALYSES; SpecError for other options than these."""

    def add(run: Analysis) -> Analysis:
        def checked(subjects: tuple[Subject, ...], said: Json, report: Report) -> Json:
            unknown = [option for option in said if option not in options]
            if unknown:
                allowed = f"{name} has {', '.join(options)}" if options else f"{name} has none"
                raise SpecError("option", unknown[0], allowed)
            return run(subjects, said, report)

        ANALYSES.add(name, checked)
        return run

    return add


LEVELS = 127  # of a map's values on either side of 0


def numbers(values: NDArray[Any]) -> Any:
    """Nested lists of floats; what is not finite becomes None, which JSON has a word for."""
    if values.ndim > 1:
        return [numbers(row) for row in values]
    return [float(value) if math.isfinite(value) else None for value in values.tolist()]


def finite(value: float | None) -> float | None:
    """The number, or None where JSON has no word for it."""
    return value if value is not None and math.isfinite(value) else None


def packed(values: NDArray[np.float32]) -> Json:
    """A map for the screen: its shape, its largest size, and values in 127 steps either way.

    `q` is base 64 of int8; a value is q / 127 x peak, to within peak / 254, but that only 0
    becomes 0: smaller values than that are rounded away from it. If any is not finite, all are
    0, and `peak` is null.
    """
    finite = bool(np.isfinite(values).all())
    peak = float(np.abs(values).max()) if finite and values.size else 0.0
    # In float64: the share of a small value in a large peak may leave the range of float32.
    scaled = values.astype(np.float64) / peak * LEVELS if peak > 0 else np.zeros(values.shape)
    steps = np.where(np.abs(scaled) < 1, np.sign(scaled), np.rint(scaled))
    q = base64.b64encode(steps.astype(np.int8).tobytes()).decode()
    return {"shape": list(values.shape), "peak": peak if finite else None, "q": q}


def whole(options: Json, field: str, usual: int, most: int, least: int = 1) -> int:
    """A whole number out of the options; SpecError if it is none or out of bounds."""
    value = options.get(field, usual)
    if type(value) is not int or not least <= value <= most:
        raise SpecError(field, value, f"a whole number from {least} to {most}")
    return value


def one(subjects: tuple[Subject, ...]) -> Subject:
    """The only subject; SpecError for another number of them."""
    if len(subjects) != 1:
        raise SpecError("networks", len(subjects), "this is asked of one network")
    return subjects[0]


def none(subjects: tuple[Subject, ...]) -> None:
    """SpecError if there is a subject: the analysis is of networks of its own."""
    if subjects:
        raise SpecError("networks", len(subjects), "this is asked without a network")
