"""Networks with BatchNorm: a plain one multiplies G by chi > 1 per layer whatever its init;
a residual one divides each branch's share by the variance that has piled up on the sum.
"""

import math

import numpy as np

from explorer.spec import NetworkSpec
from explorer.theory.layers import Block, Size, constant, gain, stem_of
from explorer.theory.prediction import Prediction, per_layer

NARROWEST = 128
PLAIN = "G x chi(B) per weighted layer; chi = pi/(pi-1) for large batches"
PLAIN_SOURCE = "Yang et al. 2019, arXiv 1902.08129, theorem 8"
RESIDUAL = "G x (skip^2 + scale^2 (s/2) chi/v) per block; v = batch variance of the block's input"
RESIDUAL_SOURCE = (
    "derived here from Yang et al. 2019, arXiv 1902.08129; De & Smith 2020, 2002.10444"
)


def chi(batch: float) -> float:
    """Factor on G of a linear layer, BatchNorm over `batch` examples and ReLU.

    pi/(pi-1) for infinite batches; ValueError for a batch of 3 or fewer, where it diverges.
    """
    if batch <= 3:
        raise ValueError(f"batch: {batch} is not allowed; more than 3")
    if math.isinf(batch):
        return math.pi / (math.pi - 1)
    c = -1 / (batch - 1)
    slope = (math.pi - math.acos(c)) / math.pi
    return (slope + batch - 1) / ((batch - 3) * (1 - _overlap(c))) - 1 / (batch - 3)


def _overlap(c: float) -> float:
    """J(c): correlation of two unit Gaussians of correlation c after a ReLU (uncentred)."""
    return (math.sqrt(1 - c * c) + (math.pi - math.acos(c)) * c) / math.pi


def predict_plain(spec: NetworkSpec, blocks: tuple[Block, ...], batch: int) -> Prediction | None:
    """Blocks that end in BatchNorm and ReLU; None if a skip reaches into the sum.

    A factor on the residual enters G at its block and leaves it through the next BatchNorm.
    """
    if not spec.plain or not all(block.scale for block in blocks):
        return None
    growth = [
        sum(
            math.log(chi(batch * _pixels(_output(layer.size, layer.stride))))
            for layer in block.layers
        )
        for block in blocks
    ]
    scales = np.log([1.0, *(block.scale**2 for block in blocks)])
    log_ratio = np.append(np.cumsum(growth[::-1])[::-1], 0.0) + scales[-1] - scales
    rate_per_block = math.exp(growth[-1]) if constant(spec, blocks) else None
    return _prediction(spec, log_ratio, scales, rate_per_block, PLAIN, PLAIN_SOURCE)


def predict_residual(
    spec: NetworkSpec, blocks: tuple[Block, ...], batch: int, input_variance: float
) -> Prediction | None:
    """Pre-activation blocks of one shape, with or without skips; None if the shape changes.

    The batch variance on the sum starts at v = s x input variance and grows by
    scale^2 (s/2)(1 - 1/B)(1 - J) a block, J the correlation of two examples after the ReLU;
    a branch sends back chi^layers of what enters it, were its input of that variance.
    """
    if not all(block.keeps_shape for block in blocks):
        return None
    examples = batch * _pixels(blocks[0].size)
    spread = (1 - 1 / examples) * (1 - _overlap(-1 / (examples - 1)))
    variance = gain(spec.init, stem_of(spec)) * input_variance
    growth = []
    for block in blocks:
        added = gain(spec.init, block.layers[-1]) / 2 * spread
        passed = block.skip**2
        if variance > 0:
            passed += block.scale**2 * chi(examples) ** len(block.layers) * added / variance
        growth.append(math.log(passed) if passed else -math.inf)
        variance = block.skip**2 * variance + block.scale**2 * added
    log_ratio = np.append(np.cumsum(growth[::-1])[::-1], 0.0)
    settled = constant(spec, blocks) and spec.plain
    rate_per_block = chi(examples) ** spec.form.layers if settled else None
    return _prediction(spec, log_ratio, None, rate_per_block, RESIDUAL, RESIDUAL_SOURCE)


def _prediction(
    spec: NetworkSpec,
    log_ratio: np.ndarray,
    log_second_moment: np.ndarray | None,
    rate_per_block: float | None,
    formula: str,
    source: str,
) -> Prediction:
    pixels = "; pixels of an image count as independent examples, which they are not quite"
    return Prediction(
        sites=spec.sites,
        log_ratio=log_ratio,
        log_second_moment=log_second_moment,
        rate=per_layer(rate_per_block, spec.form.layers),
        rate_per_block=rate_per_block,
        formula=formula,
        source=source,
        region=f"wide limit: width >= {NARROWEST}{pixels if spec.family == 'resnet' else ''}",
        valid=min(stage.width for stage in spec.all_stages) >= NARROWEST,
    )


def _output(size: Size, stride: int) -> Size:
    return -(-size[0] // stride), -(-size[1] // stride)


def _pixels(size: Size) -> int:
    return size[0] * size[1]
