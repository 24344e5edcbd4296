"""The honest story, as the presets tell it: what each regime must show on the digits.

Thresholds stand here before the run: 60 % and 95 % test accuracy after 200 steps, a gradient
ratio of 100 for vanishing and exploding.
"""

from collections.abc import Sequence

import numpy as np
import pytest

from explorer.diagnosis import gradient_flow_verdict
from explorer.experiments.arms import PRESETS
from explorer.flow import flow
from explorer.spec import RunSpec, parse
from explorer.training import train

SMALL_INIT, HE_INIT, BATCH_NORM, SKIPS = PRESETS


def ends(specs: Sequence[RunSpec]) -> list[dict[str, float]]:
    """The last reading of every scalar probe, an arm each."""
    last: list[dict[str, float]] = [{} for _ in specs]
    for arm, reading in train(*specs, device="cpu"):
        if len(reading.values) == 1:
            last[arm][reading.probe] = float(reading.values[0])
    return last


def verdicts(specs: Sequence[RunSpec]) -> list[str]:
    """How the gradient flows at initialisation, an arm each."""
    profiles = [flow(spec).activation_gradient.astype(np.float32) for spec in specs]
    pairs = zip(profiles, specs, strict=True)
    return [gradient_flow_verdict(values, spec.network.sites).word for values, spec in pairs]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_plain_network_with_batchnorm_fails_where_its_residual_twin_learns(seed: int) -> None:
    recipe = f"width=8,batch=128,lr=0.1,warmup=20,momentum=0.9,steps=200,seed={seed}"
    plain, residual = ends([parse(f"plain-56,{recipe}"), parse(f"resnet-56,{recipe}")])
    assert plain["test_accuracy"] < 0.60
    assert residual["test_accuracy"] > 0.95


def test_small_init_without_norm_is_the_popular_tale() -> None:
    assert verdicts(SMALL_INIT.specs) == ["vanishing", "healthy"]
    plain, residual = ends(SMALL_INIT.specs)
    assert plain["test_accuracy"] < 0.15
    assert residual["test_accuracy"] > 0.90


def test_he_init_keeps_the_norms_and_training_still_fails() -> None:
    assert verdicts(HE_INIT.specs) == ["healthy", "exploding"]
    plain, residual = ends(HE_INIT.specs)
    assert plain["test_accuracy"] < 0.15
    assert not np.isfinite(residual["train_loss"])


def test_batchnorm_gradients_explode_and_training_degrades_with_depth() -> None:
    shallow, deep = BATCH_NORM.specs
    assert verdicts([deep]) == ["exploding"]
    ended = ends([shallow, deep])
    assert ended[0]["train_accuracy"] - ended[1]["train_accuracy"] > 0.2


def test_skips_keep_the_gradient_within_bounds_at_initialisation() -> None:
    assert verdicts(SKIPS.specs) == ["exploding", "healthy"]
