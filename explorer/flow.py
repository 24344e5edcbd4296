"""The gradient of a network at initialisation, measured over seeds and beside its theory.

How a rate is fitted: ln G (G the sum of the squares of dL/dx at a site) is fitted by least
squares against the number of weighted layers passed, over the sites left when an eighth of
them is dropped at either end, where stem and loss still show. Sites below FLOOR are left out.
The predicted curve goes through the same fit over the same sites, so the two rates compare,
also where resolutions change. Seeds are averaged in logarithms.
"""

import math
import time
from dataclasses import dataclass, fields

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from explorer.data import Dataset, load
from explorer.data.order import BatchOrder
from explorer.network import build
from explorer.probes import weighted
from explorer.probes.flow import profile
from explorer.spec import RunSpec, SpecError, short_form
from explorer.theory import Prediction, predict
from explorer.training import resolve_device

FLOOR = 1e-34  # below it some entries of a gradient are under float32's 1e-38 and count as 0
Numbers = NDArray[np.float64]
Profiles = dict[str, Numbers]  # by probe: (seed, site)


@dataclass(frozen=True)
class Flow:
    """A gradient and signal profile at initialisation, in training mode on the first batch.

    Profiles are geometric means over the seeds; `low` and `high` hold 80 % of the seeds'
    activation gradients between them. `predicted` is the theory's L2 norm per site, set equal
    to the measured one at the last. Rates are factors on G towards the input, per weighted
    layer or per block. What is unknown is None; what float32 cannot hold is 0, NaN or inf.
    """

    spec: str
    key: str
    sites: tuple[str, ...]
    activation_gradient: Numbers  # (site,)
    low: Numbers  # (site,)
    high: Numbers  # (site,)
    activation_std: Numbers  # (site,)
    weight_gradient: Numbers  # (weight,)
    weight_sites: tuple[str, ...]
    predicted: Numbers | None  # (site,)
    rate: float | None
    rate_per_block: float | None
    predicted_rate: float | None
    predicted_rate_per_block: float | None
    prediction: str | None
    source: str | None
    region: str | None
    valid: bool | None
    seeds: int
    device: str
    elapsed_s: float

    def to_json(self) -> dict[str, object]:
        """The fields as JSON values; numbers that are not finite become null."""
        return {field.name: _plain(getattr(self, field.name)) for field in fields(self)}


def flow(run: RunSpec, seeds: int = 1, device: str = "cpu") -> Flow:
    """Measure `run`'s network at initialisation with seeds run.seed, run.seed + 1, …

    Each seed draws weights and the first batch of its training order, without augmentation.
    This thread treats numbers below 1e-38 as 0 from then on. SpecError if `seeds` < 1.
    """
    if seeds < 1:
        raise SpecError("seeds", seeds, "1 or more")
    started = time.perf_counter()
    torch.set_flush_denormal(True)
    where = resolve_device(device)
    dataset = load(run.data, where)
    profiles, weight_sites = _measure(run, seeds, dataset, where)
    prediction = predict(run.network, run.recipe.batch, _input_variance(run, dataset))
    gradient = _geometric_mean(profiles["activation_gradient"])
    low, high = np.quantile(profiles["activation_gradient"], (0.1, 0.9), axis=0)
    layers = run.network.form.layers
    rate, predicted_rate = _rates(profiles["activation_gradient"], prediction, layers)
    return Flow(
        spec=short_form(run),
        key=run.key,
        sites=run.network.sites,
        activation_gradient=gradient,
        low=low,
        high=high,
        activation_std=_geometric_mean(profiles["activation_std"]),
        weight_gradient=_geometric_mean(profiles["weight_gradient"]),
        weight_sites=weight_sites,
        predicted=_predicted(prediction, gradient[-1]),
        rate=rate,
        rate_per_block=None if rate is None else rate**layers,
        predicted_rate=predicted_rate,
        predicted_rate_per_block=None if predicted_rate is None else predicted_rate**layers,
        prediction=prediction.formula if prediction else None,
        source=prediction.source if prediction else None,
        region=prediction.region if prediction else None,
        valid=prediction.valid if prediction else None,
        seeds=seeds,
        device=str(where),
        elapsed_s=time.perf_counter() - started,
    )


def fitted_rate(
    log_g: Numbers, layers: int, usable: NDArray[np.bool_] | None = None
) -> float | None:
    """exp(minus the slope of `log_g` per weighted layer), `layers` of them between two sites.

    `usable` marks the sites that may count; None if fewer than two of them are inside.
    """
    inside = np.ones(len(log_g), dtype=bool) if usable is None else usable.copy()
    edge = len(log_g) // 8
    inside[:edge] = inside[len(log_g) - edge :] = False
    inside &= np.isfinite(log_g)
    if inside.sum() < 2:
        return None
    passed = layers * np.flatnonzero(inside)
    centred = passed - passed.mean()
    return math.exp(-float(centred @ log_g[inside] / (centred @ centred)))


def _measure(
    run: RunSpec, seeds: int, dataset: Dataset, device: torch.device
) -> tuple[Profiles, tuple[str, ...]]:
    """Profiles by probe, one row a seed, and the names of the weights."""
    rows: dict[str, list[Numbers]] = {}
    for seed in range(run.seed, run.seed + seeds):
        network = build(run.network, seed).to(device)
        order = BatchOrder(len(dataset.x_train), run.recipe.batch, seed).indices(0).to(device)
        measured = profile(network, dataset.x_train[order], dataset.y_train[order])
        for probe, values in measured.items():
            rows.setdefault(probe, []).append(values.astype(np.float64))
    return {probe: np.stack(values) for probe, values in rows.items()}, weighted(network)


def _rates(
    gradients: Numbers, prediction: Prediction | None, layers: int
) -> tuple[float | None, float | None]:
    """The measured and the predicted rate, each the geometric mean over the seeds' fits."""
    measured, expected = [], []
    for gradient in gradients:
        usable = np.isfinite(gradient) & (gradient > FLOOR)
        measured.append(fitted_rate(2 * np.log(np.where(usable, gradient, 1.0)), layers, usable))
        if prediction is not None:
            expected.append(fitted_rate(prediction.log_ratio, layers, usable))
    return _mean_rate(measured), _mean_rate(expected)


def _mean_rate(rates: list[float | None]) -> float | None:
    known = [math.log(rate) for rate in rates if rate is not None]
    return math.exp(sum(known) / len(known)) if known else None


def _geometric_mean(values: Numbers) -> Numbers:
    """Over seeds; a site that is 0 for any seed is 0."""
    with np.errstate(divide="ignore"):
        mean: Numbers = np.exp(np.log(values).mean(axis=0))
    return mean


def _predicted(prediction: Prediction | None, last: float) -> Numbers | None:
    if prediction is None or not (math.isfinite(last) and last > 0):
        return None
    with np.errstate(over="ignore"):
        norms: Numbers = last * np.exp(prediction.log_ratio / 2)
    return norms


def _input_variance(run: RunSpec, dataset: Dataset) -> float:
    """Variance of an input value over the examples, and over the pixels a convolution shares."""
    x: Tensor = dataset.x_train
    values = x.flatten(1) if run.network.family == "mlp" else x.movedim(1, -1).flatten(0, -2)
    return float(values.var(0).mean())


def _plain(value: object) -> object:
    if isinstance(value, np.ndarray):
        return [_plain(number) for number in value.tolist()]
    if isinstance(value, tuple):
        return list(value)
    return None if isinstance(value, float) and not math.isfinite(value) else value
