"""What mean-field theory says about the gradient of a network at initialisation, from its spec.

G at a site is the sum of the squares of dL/dx over the batch, and log_ratio[site] is
ln(G at the site / G at the last block's output). A rate is the factor on G of one weighted
layer, or of one block, on the way towards the input. Where no formula is known, `predict`
gives None and nothing is drawn.
"""

from explorer.spec import NetworkSpec
from explorer.theory.batch_norm import chi, predict_plain, predict_residual
from explorer.theory.layers import Block, blocks_of, knows
from explorer.theory.no_norm import predict_no_norm
from explorer.theory.pixels import border_rate
from explorer.theory.prediction import Prediction

__all__ = ["Prediction", "border_rate", "chi", "predict"]


def predict(network: NetworkSpec, batch: int, input_variance: float = 1.0) -> Prediction | None:
    """The curve for `network` on batches of `batch` examples; None where there is no formula.

    `input_variance` is the variance of an input value over the batch (and over the pixels of
    an image), averaged over channels or features; only residual networks with BatchNorm ask.
    """
    blocks = blocks_of(network)
    if not knows(network.init) or not _shortcuts_are_copies(network, blocks):
        return None
    if network.norm == "none":
        return predict_no_norm(network, blocks)
    if network.norm == "batch" and batch > 3:
        if network.form.act_after_sum:
            return predict_plain(network, blocks, batch)
        return predict_residual(network, blocks, batch, input_variance)
    return None


def _shortcuts_are_copies(network: NetworkSpec, blocks: tuple[Block, ...]) -> bool:
    """Whether what the skips let through is a copy of the block's input, without weights."""
    if network.plain or network.shortcut == "zero_pad":
        return True
    return network.shortcut == "projection" and all(block.keeps_shape for block in blocks)
