"""How large F's responses are, how much they turn x, and what the outputs still tell apart.

All in evaluation mode, over whole data sets in parts; sums are kept in float64.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from explorer.inside.maps import Sum, batches, reading, sums
from explorer.inside.mode import Report
from explorer.network import Block, Network
from explorer.probes import blocks

Numbers = NDArray[np.float64]
Heard = tuple[nn.Module, Callable[[Tensor], None]]  # a module, and who hears its outputs


@dataclass(frozen=True)
class Responses:
    """What F adds to x, by weighted layer and by block.

    `std` is the standard deviation over examples, channels and pixels of every weighted layer's
    response, stem first, after the norm that follows it and before ReLU or addition (He et al.
    2015, arXiv 1512.03385, fig. 7); a layer without a norm right behind it, such as the last of
    a pre-activation block, is read as it is.
    `ratio` and `cosine` are means over examples of ‖F(x)‖/‖x‖ and cos(x, F(x)), with F(x) as it
    enters the sum and x what the shortcut adds; in a plain network x is the block's input.
    NaN where the shapes differ, or x or F(x) is 0 for every example.
    `dead_share` is the share of the block's rectified units (a channel at a pixel, of each ReLU
    inside F and of the one after the sum) that no example lifts above 0 (Lu et al. 2019, arXiv
    1903.06733). NaN where there is none.
    `effective_rank` of the block's output, see there: 1 to its channels, 0 if it is constant.
    """

    layers: tuple[str, ...]
    std: Numbers  # (layer,)
    blocks: tuple[str, ...]
    ratio: Numbers  # (block,)
    cosine: Numbers  # (block,)
    dead_share: Numbers  # (block,)
    effective_rank: Numbers  # (block,)
    examples: int


def responses(network: Network, x: Tensor, report: Report | None = None) -> Responses:
    """The responses to the examples `x`, (N, *network.inputs); SpecError for another shape."""
    found = _responding(network)
    spreads = {name: _Spread() for name in found}
    tallies = [_Tally(block) for block in network.all_blocks]
    heard: list[Heard] = [(module, spreads[name].add) for name, module in found.items()]
    heard += [pair for tally in tallies for pair in tally.listeners()]
    with reading(network), _listening(heard):
        for part in batches(network, x, report):
            for tally, laid_open in zip(tallies, sums(network, part), strict=True):
                tally.add(laid_open)
    return Responses(
        layers=tuple(found),
        std=np.array([spread.std for spread in spreads.values()]),
        blocks=blocks(network),
        ratio=np.array([_mean(tally.ratios) for tally in tallies]),
        cosine=np.array([_mean(tally.cosines) for tally in tallies]),
        dead_share=np.array([tally.dead_share for tally in tallies]),
        effective_rank=np.array([tally.outputs.rank for tally in tallies]),
        examples=len(x),
    )


def effective_rank(singular: Numbers) -> float:
    """exp of the entropy of singular values (k,) over their sum; 0 if all are 0.

    k equal values give k, one alone gives 1 (Roy & Vetterli 2007, "The effective rank", EUSIPCO,
    definition 1). Of a block's output they are those of the matrix channels x (examples and
    pixels), each channel's mean taken off, so that a constant shift counts for nothing.
    """
    shares = singular[singular > 0] / max(float(singular.sum()), np.finfo(float).tiny)
    return float(np.exp(-(shares * np.log(shares)).sum())) if len(shares) else 0.0


class _Spread:
    """The standard deviation of all numbers that pass by."""

    def __init__(self) -> None:
        self.count, self.total, self.squares = 0, 0.0, 0.0

    def add(self, values: Tensor) -> None:
        values = values.cpu().double()
        self.count += values.numel()
        self.total += float(values.sum())
        self.squares += float(values.square().sum())

    @property
    def std(self) -> float:
        mean = self.total / self.count
        return float(np.sqrt(np.maximum(self.squares / self.count - mean**2, 0.0)))


class _Covariance:
    """The sums that give the singular values of channels x (examples and pixels)."""

    def __init__(self) -> None:
        self.count, self.total, self.gram = 0, np.zeros(()), np.zeros(())

    def add(self, output: Tensor) -> None:
        """`output` is (N, channels, ...)."""
        rows = output.cpu().double().movedim(1, -1).flatten(0, -2)
        self.count += len(rows)
        self.total = self.total + rows.sum(0).numpy()
        self.gram = self.gram + (rows.T @ rows).numpy()

    @property
    def rank(self) -> float:
        if not np.isfinite(self.gram).all():
            return float("nan")
        centred = self.gram - np.outer(self.total, self.total) / self.count
        squares = np.linalg.eigvalsh(centred)
        rounding = len(squares) * np.finfo(float).eps * np.trace(self.gram)
        return effective_rank(np.sqrt(np.where(squares > rounding, squares, 0.0)))


class _Tally:
    """What one block's sums and ReLUs have shown so far."""

    def __init__(self, block: Block) -> None:
        self.block = block
        self.ratios: list[Numbers] = []
        self.cosines: list[Numbers] = []
        self.peaks: dict[str, Tensor] = {}  # of every rectified unit, by its ReLU
        self.outputs = _Covariance()

    def add(self, part: Sum) -> None:
        x = part.input if part.x is None else part.x
        self.outputs.add(part.output)
        if part.block.act_after_sum:
            self.rectify("sum", part.output)
        if x.shape != part.residual.shape:
            return
        x, f = (values.flatten(1).cpu().double() for values in (x, part.residual))
        sizes, added = x.norm(dim=1), f.norm(dim=1)
        self.ratios.append((added / sizes).numpy())
        self.cosines.append(((x * f).sum(1) / (sizes * added)).numpy())

    def rectify(self, name: str, output: Tensor) -> None:
        peak = output.amax(0)
        earlier = self.peaks.get(name)
        self.peaks[name] = peak if earlier is None else torch.maximum(earlier, peak)

    def listeners(self) -> list[Heard]:
        """Every ReLU inside F, and what shows its output to this tally."""
        steps = self.block.residual.named_children()
        return [(m, partial(self.rectify, name)) for name, m in steps if isinstance(m, nn.ReLU)]

    @property
    def dead_share(self) -> float:
        units = [(peak <= 0).flatten().cpu() for peak in self.peaks.values()]
        return float(torch.cat(units).double().mean()) if units else float("nan")


def _mean(parts: list[Numbers]) -> float:
    """Mean of the finite numbers; NaN if there is none."""
    values = np.concatenate(parts) if parts else np.zeros(0)
    values = values[np.isfinite(values)]
    return float(values.mean()) if len(values) else float("nan")


def _responding(network: Network) -> dict[str, nn.Module]:
    """The modules whose outputs are the weighted layers' responses, by the layer's name."""
    found = {"stem": _behind_layers(network.stem)[0]}
    for name, block in zip(blocks(network), network.all_blocks, strict=True):
        for number, module in enumerate(_behind_layers(block.residual), 1):
            found[f"{name} layer {number}"] = module
    return found


def _behind_layers(steps: nn.Sequential) -> list[nn.Module]:
    """Of each weighted layer the norm right behind it, else the layer itself."""
    pairs = zip(steps, [*list(steps)[1:], None], strict=True)
    norms = (nn.BatchNorm1d, nn.BatchNorm2d, nn.GroupNorm)
    layers = (nn.Conv2d, nn.Linear)
    return [b if isinstance(b, norms) else a for a, b in pairs if isinstance(a, layers)]


@contextmanager
def _listening(pairs: list[Heard]) -> Iterator[None]:
    """While open, every output of a module goes to its listener too."""
    handles = [
        module.register_forward_hook(lambda _, __, output, listener=listener: listener(output))
        for module, listener in pairs
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
