"""Networks without normalisation: plain ones, and residual ones whose sum is left alone.

A ReLU halves G, a weighted layer multiplies it by s; the shortcut adds skip^2 of it, for
the two ways back are uncorrelated. With an activation after the sum that is not so: None.
"""

import math

import numpy as np

from explorer.spec import NetworkSpec
from explorer.theory.layers import Block, constant, gain
from explorer.theory.pixels import Map, long_run_rate, through_copy, through_layer, uniform
from explorer.theory.prediction import Curve, Prediction, per_layer

NARROWEST = {"mlp": 256, "resnet": 64}
PLAIN = "G x s/2 per weighted layer, s = fan_in Var W"
RESIDUAL = "G x (skip^2 + scale^2 (s/2)^layers) per block, s = fan_in Var W"
BORDER = "; zero padding keeps ((1 + 2 cos(pi/(H+1)))/3)^2 per 3x3 layer in the long run"
PLAIN_SOURCE = "He et al. 2015, arXiv 1502.01852"
RESIDUAL_SOURCE = "derived here; Hanin & Rolnick 2018, arXiv 1803.01719, for scaled residuals"


def predict_no_norm(spec: NetworkSpec, blocks: tuple[Block, ...]) -> Prediction | None:
    """The curve without norm, None for a ReLU after a sum that has a skip in it."""
    if spec.form.act_after_sum and not spec.plain:
        return None
    rate_per_block = _long_run(spec.init, blocks[-1]) if constant(spec, blocks) else None
    narrowest = NARROWEST[spec.family]
    padded = spec.family == "resnet" and spec.init != "delta_orthogonal"
    return Prediction(
        sites=spec.sites,
        log_ratio=_backward(spec.init, blocks),
        log_second_moment=_forward(spec, blocks),
        rate=per_layer(rate_per_block, spec.form.layers),
        rate_per_block=rate_per_block,
        formula=(PLAIN if spec.plain else RESIDUAL) + (BORDER if padded else ""),
        source=PLAIN_SOURCE if spec.plain else RESIDUAL_SOURCE,
        region=f"wide limit: width >= {narrowest}",
        valid=min(stage.width for stage in spec.all_stages) >= narrowest,
    )


def _backward(init: str, blocks: tuple[Block, ...]) -> Curve:
    """ln(G / G at the last site) at every site; (site,)."""
    last = blocks[-1].layers[-1]
    shares = uniform((-(-last.size[0] // last.stride), -(-last.size[1] // last.stride)))
    logs = [0.0]
    for block in reversed(blocks):
        shares = _through_block(shares, init, block)
        kept = float(shares.sum())
        logs.append(logs[-1] + math.log(kept) if kept else -math.inf)
        shares = shares / (kept or 1.0)
    return np.array(logs[::-1])


def _through_block(gradient: Map, init: str, block: Block) -> Map:
    centre_only = init == "delta_orthogonal"
    branch = gradient * block.scale**2
    for layer in reversed(block.layers):
        branch = through_layer(branch, layer, centre_only) * gain(init, layer) / 2
    # Channels that the shortcut pads with zeros send nothing back through it.
    kept = block.skip**2 * block.c_in / block.c_out
    return branch + kept * through_copy(gradient, block.stride, block.size) if kept else branch


def _long_run(init: str, block: Block) -> float:
    """The factor of one block among many of its kind."""
    factor = block.scale**2
    for layer in block.layers:
        factor *= gain(init, layer) / 2 * long_run_rate(layer, init == "delta_orthogonal")
    return block.skip**2 + factor


def _forward(spec: NetworkSpec, blocks: tuple[Block, ...]) -> Curve | None:
    """ln(mean of x^2 / at the stem); None for images (it depends on them) and drawn biases."""
    if spec.family == "resnet" or (spec.bias and spec.init == "torch_default"):
        return None
    factors = [
        block.skip**2 + block.scale**2 * math.prod(gain(spec.init, w) / 2 for w in block.layers)
        for block in blocks
    ]
    with np.errstate(divide="ignore"):
        return np.concatenate([[0.0], np.cumsum(np.log(factors))])
