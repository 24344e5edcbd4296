"""The product of n factors: what an MLP of one setting does to signal and gradient, by layer."""

from typing import get_args

import numpy as np

from explorer.analyses.base import Json, Subject, analysis, finite, none, numbers, whole
from explorer.gradients.factors import factors
from explorer.inside.mode import Report
from explorer.spec import SpecError
from explorer.theory.mean_field import Activation, fixed_point

LARGEST_VARIANCE = 100.0


@analysis("factors", "activation", "variance", "depth", "width", "seeds")
def product_of_factors(subjects: tuple[Subject, ...], options: Json, report: Report) -> Json:
    """Of an MLP with weights of variance s/width: the logarithms of what is left, and the factors.

    `gradient` and `signal` are log10 of the size (not its square), (seed, layer + 1), from input to
    output; `factor` the squared factor of every layer, (seed, layer). `predicted_*` are the wide
    limit, `fixed` its fixed point. See explorer.gradients.factors and explorer.theory.mean_field.
    """
    none(subjects)
    activation = options.get("activation", "relu")
    if activation not in get_args(Activation):
        raise SpecError("activation", activation, f"one of {', '.join(get_args(Activation))}")
    variance = options.get("variance", 2.0)
    if type(variance) not in (int, float) or not 0 < variance <= LARGEST_VARIANCE:
        raise SpecError("variance", variance, f"a number above 0, at most {LARGEST_VARIANCE:g}")
    depth = whole(options, "depth", 50, 1000)
    width = whole(options, "width", 256, 1024)
    seeds = whole(options, "seeds", 3, 16)
    found = factors(activation, float(variance), depth, width, seeds=seeds, report=report)
    chain, fixed = found.chain(), fixed_point(activation, float(variance))
    predicted = found.predicted
    half_log10 = 0.5 / np.log(10)
    return {
        "gradient": numbers(found.log_gradient * half_log10),
        "signal": numbers(found.log_second_moment * half_log10),
        "factor": numbers(found.factor),
        "predicted_gradient": numbers(predicted.log_ratio * half_log10),
        "predicted_signal": numbers(predicted.log_second_moment * half_log10),
        "predicted_factor": numbers(predicted.factor),
        "lost": chain.lost,
        "fixed": {name: finite(float(value)) for name, value in vars(fixed).items()},
        "formula": predicted.formula,
        "source": predicted.source,
        "region": predicted.region,
        "valid": predicted.valid,
    }
