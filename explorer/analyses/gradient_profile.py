"""The gradient that reaches every block, at initialisation over seeds, or at a stored step."""

import numpy as np
from torch import Tensor

from explorer.analyses.base import Json, Subject, analysis, numbers, one, whole
from explorer.data.order import BatchOrder
from explorer.flow import FLOOR, fitted_rate, flow
from explorer.inside.mode import Report
from explorer.probes import weighted
from explorer.probes.flow import profile

MOST_SEEDS = 32


@analysis("profile", "seeds")
def gradient_profile(subjects: tuple[Subject, ...], options: Json, report: Report) -> Json:
    """‖dL/dx‖ and the standard deviation of every site, on the run's first batch, in training.

    At step 0 as `explorer.flow.flow` measures and predicts it, over `seeds` networks; later of
    the one network, with no prediction, for theory is about initialisation.
    """
    subject = one(subjects)
    seeds = whole(options, "seeds", 1, MOST_SEEDS)
    device = str(subject.network.head.weight.device)
    report(0, seeds)  # it is under way, and can be cancelled until it begins
    if subject.step == 0:
        return {**flow(subject.run, seeds, device).to_json(), "step": 0}
    x, y = first_batch(subject)
    measured = profile(subject.network, x, y)
    gradient = measured["activation_gradient"].astype(np.float64)
    usable = np.isfinite(gradient) & (gradient > FLOOR)
    layers = subject.run.network.form.layers
    logs = 2 * np.log(np.where(usable, gradient, 1.0))
    return {
        "sites": list(subject.run.network.sites),
        "weight_sites": list(weighted(subject.network)),
        **{probe: numbers(values.astype(np.float64)) for probe, values in measured.items()},
        "rate": fitted_rate(logs, layers, usable),
        "seeds": 1,
        "step": subject.step,
        "device": device,
    }


def first_batch(subject: Subject) -> tuple[Tensor, Tensor]:
    """The first batch of the run's training order: x (N, *inputs), y (N,)."""
    data, run = subject.data, subject.run
    order = BatchOrder(len(data.x_train), run.recipe.batch, run.seed).indices(0)
    order = order.to(data.x_train.device)
    return data.x_train[order], data.y_train[order]
