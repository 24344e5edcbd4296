"""The Jacobians inside a network: of every block, of the way from the stem, and of the whole.

Each is that of one example, in float64 on the CPU. BatchNorm is an affine map in it, with fixed
statistics: those of the batch when `training`, else its running ones. (A running variance
divides by B - 1, so the batch's is read a little large.)
"""

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from explorer.gradients.spectrum import (
    LARGEST,
    Function,
    Spectrum,
    jacobian,
    of_matrix,
    spectrum,
)
from explorer.inside.mode import Report
from explorer.network import Network
from explorer.spec import SpecError


@dataclass(frozen=True)
class NetworkSpectra:
    """Spectra of one example's Jacobians in a network of n blocks.

    `blocks`: d(output)/d(input) of every block; `from_stem`: d(its output)/d(stem's output);
    both (n,), named "block 1" and so on. `whole`: d(logits)/d(input of the network).
    """

    blocks: tuple[Spectrum, ...]
    from_stem: tuple[Spectrum, ...]
    whole: Spectrum


def network_spectra(
    network: Network,
    x: Tensor,
    example: int = 0,
    training: bool = True,
    report: Report | None = None,
) -> NetworkSpectra:
    """Every block's Jacobian at one example of the batch `x`, and those of the way from the stem.

    Where all can be written out, the way's Jacobian is the product of its blocks'.
    """
    if x.shape[1:] != network.inputs:
        raise SpecError("x", tuple(x.shape), f"(N, {network.inputs})")
    if not 0 <= example < len(x):
        raise SpecError("example", example, f"0 to {len(x) - 1}")
    twin = fixed(network, x, training)
    x = x[example].cpu().double()
    with torch.no_grad():
        values = [value[0] for _, value in twin.walk(x.unsqueeze(0))]
    blocks, ways, total = [], [], len(twin.blocks)
    product: Tensor | None = torch.eye(values[0].numel(), dtype=torch.float64)
    for number in range(1, total + 1):
        name, start = f"block {number}", values[number - 1]
        if product is None or values[number].numel() * start.numel() > LARGEST**2:
            product = None
            blocks.append(spectrum(_through(twin, number - 1, number), start, name))
            way = _through(twin, 0, number)
            ways.append(spectrum(way, values[0], name) if number > 1 else blocks[0])
        else:
            matrix = jacobian(_through(twin, number - 1, number), start)
            product = matrix @ product
            blocks.append(of_matrix(matrix, name))
            ways.append(of_matrix(product, name))
        if report is not None:
            report(number, total)
    whole = spectrum(lambda value: twin(value.unsqueeze(0))[0], x, "network")
    return NetworkSpectra(tuple(blocks), tuple(ways), whole)


def fixed(network: Network, x: Tensor, training: bool) -> Network:
    """A copy in float64 on the CPU, in evaluation mode; if `training` with the statistics of x."""
    twin = copy.deepcopy(network).to("cpu", torch.float64).requires_grad_(False)
    norms = [m for m in twin.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)]
    if training and norms:
        for norm in norms:
            norm.momentum = 1.0  # what it reads now replaces what it has read before
        twin.train()(x.cpu().double())
    return twin.eval()


def _through(network: Network, first: int, last: int) -> Function:
    """The blocks after block `first` up to `last`, for one example."""

    def run(value: Tensor) -> Tensor:
        value = value.unsqueeze(0)
        for block in network.all_blocks[first:last]:
            value = block(value)
        return value[0]

    return run
