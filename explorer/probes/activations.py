"""What every block puts out: its mean, its spread, its dead units, and how much F adds to x."""

import torch
from torch import Tensor

from explorer.probes import Snapshot, blocks, probe, walked
from explorer.probes.sizes import norms, spreads

HE_2015 = "He et al. 2015, arXiv 1512.03385, fig. 7 for the size of the responses"


@probe(sites=walked, unit="mean of x", cadence="activation", source=HE_2015)
def activation_mean(snapshot: Snapshot) -> Tensor:
    """Mean over batch, channels and pixels of each site's output; (site,)."""
    return torch.stack([output.detach().mean() for output in snapshot.outputs])


@probe(sites=walked, unit="std of x", cadence="activation", log=True, source=HE_2015)
def activation_std(snapshot: Snapshot) -> Tensor:
    """Standard deviation over batch, channels and pixels of each site's output; (site,)."""
    return spreads(snapshot.outputs)


@probe(
    sites=walked,
    unit="share of units never above 0",
    cadence="activation",
    source="Lu et al. 2019, arXiv 1903.06733, on dying ReLU",
)
def dead_share(snapshot: Snapshot) -> Tensor:
    """Share of units (a channel at a pixel) that no example of the batch lifts above 0; (site,)."""
    shares = [(o.detach().amax(0) <= 0).to(torch.float32).mean() for o in snapshot.outputs]
    return torch.stack(shares)


@probe(sites=blocks, unit="‖F(x)‖ / ‖x‖", cadence="activation", log=True, source=HE_2015)
def residual_ratio(snapshot: Snapshot) -> Tensor:
    """L2 norm of what the residual adds over that of the block's input; (block,)."""
    inputs = [output.detach() for output in snapshot.outputs[:-1]]
    return norms([branch.detach() for branch in snapshot.branches]) / norms(inputs)
