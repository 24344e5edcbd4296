"""How deep a plain network can train, as far as theory says."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from explorer.spec import NetworkSpec
from explorer.theory.batch_norm import chi
from explorer.theory.layers import Block, blocks_of, gain, knows
from explorer.theory.mean_field import TRAINABLE

BATCH_NORM_TRAINABLE = 16  # times xi = 1/ln chi: Yang et al. 2019, arXiv 1902.08129


@dataclass(frozen=True)
class Bound:
    """The depth in weighted layers to which theory lets an arm train, and why."""

    depth: float
    formula: str
    source: str


def trainable_depth(network: NetworkSpec, batch: int) -> Bound | None:
    """How deep a plain `network` can train in batches of `batch`; None where no bound is known.

    With BatchNorm 16/ln chi; without a norm 6 xi_c = 6/-ln chi where chi < 1, chi = s/2 being
    also the factor on the covariance of two inputs (their correlation tends to 1). At He's
    s = 2 both are 1 and this theory sets no bound, though correlations still tend to 1, as a
    power of depth; beyond it, and with skips, none is known.
    """
    if not (network.plain and knows(network.init)):
        return None
    blocks = blocks_of(network)
    if network.norm == "none":
        growth = _mean_log(blocks, lambda block: _log_gain(network, block))
        if not -math.inf < growth < -1e-9:
            return None
        formula = f"{TRAINABLE} xi_c, xi_c = -1/ln chi, chi = s/2"
        return Bound(-TRAINABLE / growth, formula, "Schoenholz et al. 2017, arXiv 1611.01232")
    if network.norm == "batch" and batch > 3:
        growth = _mean_log(blocks, lambda block: _log_chi(block, batch))
        formula = f"{BATCH_NORM_TRAINABLE} xi, xi = 1/ln chi(B)"
        return Bound(BATCH_NORM_TRAINABLE / growth, formula, "Yang et al. 2019, arXiv 1902.08129")
    return None


def _mean_log(blocks: tuple[Block, ...], growth: Callable[[Block], float]) -> float:
    """The mean over all weighted layers of ln of their factor on G."""
    return sum(map(growth, blocks)) / sum(len(block.layers) for block in blocks)


def _log_gain(network: NetworkSpec, block: Block) -> float:
    if not block.scale:
        return -math.inf
    gains = (gain(network.init, layer) / 2 for layer in block.layers)
    return 2 * math.log(abs(block.scale)) + sum(map(math.log, gains))


def _log_chi(block: Block, batch: int) -> float:
    logs = []
    for layer in block.layers:
        height, width = (-(-side // layer.stride) for side in layer.size)
        logs.append(math.log(chi(batch * height * width)))
    return sum(logs)
