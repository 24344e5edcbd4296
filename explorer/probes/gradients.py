"""How large the gradient is at every block and at every weight."""

import torch
from torch import Tensor

from explorer.probes import Snapshot, probe, walked, weighted
from explorer.probes.sizes import norms


@probe(
    sites=walked,
    unit="‖dL/dx‖",
    cadence="gradient",
    log=True,
    source="Yang et al. 2019, arXiv 1902.08129; He et al. 2015, arXiv 1502.01852",
)
def activation_gradient(snapshot: Snapshot) -> Tensor:
    """L2 norm over the batch of the mean loss's gradient at each site's output; (site,)."""
    return norms([_grad(output) for output in snapshot.outputs])


@probe(
    sites=weighted,
    unit="‖dL/dW‖",
    cadence="gradient",
    log=True,
    source="Glorot & Bengio 2010",
)
def weight_gradient(snapshot: Snapshot) -> Tensor:
    """L2 norm of the mean loss's gradient of each weight tensor; (weight,)."""
    parameters = [p for p in snapshot.network.parameters() if p.dim() > 1]
    return norms([_grad(parameter) for parameter in parameters])


@probe(
    sites=weighted,
    unit="‖ΔW‖ / ‖W‖",
    cadence="update",
    log=True,
    source="You et al. 2017, arXiv 1708.03888, on the ratio of update and weight by layer",
)
def update_ratio(snapshot: Snapshot) -> Tensor:
    """L2 norm of the step's change of each weight tensor over the tensor's own; (weight,)."""
    return norms(snapshot.updates) / norms(snapshot.weights)


def _grad(tensor: Tensor) -> Tensor:
    return torch.zeros_like(tensor) if tensor.grad is None else tensor.grad
