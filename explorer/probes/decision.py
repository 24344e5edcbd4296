"""Where a network on 2-D points draws its boundary."""

import torch
from torch import Tensor

from explorer.network import Network
from explorer.probes import Snapshot, probe

GRID = 48  # cells a side
EXTENT = 2.5  # the grid spans [-EXTENT, EXTENT] in units of the data's standard deviation


def cells(network: Network) -> tuple[str, ...]:
    """Grid cells, row by row from the lowest y; none for a network that reads no 2-D points."""
    if network.inputs != (2,):
        return ()
    return tuple(f"{row},{column}" for row in range(GRID) for column in range(GRID))


@probe(
    sites=cells,
    unit="probability of class 1",
    cadence="test",
    source="Smilkov et al. 2017, arXiv 1708.03788, for the picture",
)
def decision(snapshot: Snapshot) -> Tensor:
    """The softmax probability of class 1 at each cell's centre, in evaluation mode; (cell,)."""
    parameter = next(snapshot.network.parameters())
    axis = torch.linspace(-EXTENT, EXTENT, GRID, device=parameter.device)
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    points = torch.stack([x.reshape(-1), y.reshape(-1)], dim=1)
    logits = snapshot.network.evaluate(points)
    return logits.softmax(1)[:, 1]
