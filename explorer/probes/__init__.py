"""Probes: what is measured on a network while it trains. One probe is one file here.

A probe is a function from a Snapshot to one float per site; it reads and never writes.
What a probe needs decides what it costs, and so how often it runs (see `Watch`).
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from torch import Tensor

from explorer.network import Network
from explorer.registry import Registry, discover

Cadence = Literal["step", "gradient", "activation", "update", "test"]


@dataclass(frozen=True)
class Snapshot:
    """One training step laid open: after the backward pass, at the weights it was taken at.

    Which parts are filled follows the cadences due: `outputs` (with `.grad`) for "gradient";
    `branches` too for "activation"; `weights` and `updates` for "update", read once the step
    is taken; the test set's logits for "test".
    """

    network: Network
    loss: Tensor  # ()
    logits: Tensor  # (N, classes)
    targets: Tensor  # (N,)
    outputs: list[Tensor] = field(default_factory=list)  # per site, as the network walks
    branches: list[Tensor] = field(default_factory=list)  # per block: F(x) as it enters the sum
    weights: list[Tensor] = field(default_factory=list)  # per weight tensor, before the step
    updates: list[Tensor] = field(default_factory=list)  # per weight tensor: what the step added
    test_logits: Tensor | None = None
    test_targets: Tensor | None = None


@dataclass(frozen=True)
class Probe:
    """A measurement: its function, the places it reads, unit, cadence and source."""

    name: str
    measure: Callable[[Snapshot], Tensor]  # -> (site,)
    sites: Callable[[Network], tuple[str, ...]]
    unit: str
    cadence: Cadence
    log: bool
    source: str


PROBES: Registry[Probe] = Registry("probe")


def probe(
    *,
    sites: Callable[[Network], tuple[str, ...]],
    unit: str,
    cadence: Cadence,
    source: str,
    log: bool = False,
) -> Callable[[Callable[[Snapshot], Tensor]], Callable[[Snapshot], Tensor]]:
    """Register the decorated function under its own name; it returns one value per site."""

    def register(measure: Callable[[Snapshot], Tensor]) -> Callable[[Snapshot], Tensor]:
        name = measure.__name__
        PROBES.add(name, Probe(name, measure, sites, unit, cadence, log, source))
        return measure

    return register


def whole(network: Network) -> tuple[str, ...]:
    """One site: the network as a whole."""
    return ("network",)


def walked(network: Network) -> tuple[str, ...]:
    """The outputs of the stem and of every block."""
    return ("stem", *blocks(network))


def blocks(network: Network) -> tuple[str, ...]:
    """Every block, from input to output."""
    return tuple(f"block {number}" for number in range(1, len(network.blocks) + 1))


def weighted(network: Network) -> tuple[str, ...]:
    """Every weight tensor of a convolution or linear layer (norms and biases left out)."""
    return tuple(n for n, p in network.named_parameters() if p.dim() > 1)


@dataclass(frozen=True)
class Watch:
    """How often each cadence is due, in steps; chosen so that watching costs about 5 %.

    Scalars come every step for nothing; a reading of every block costs a share of a step.
    """

    gradient: int = 5
    activation: int = 25
    test: int = 25

    def due(self, step: int, last: bool = False) -> frozenset[Cadence]:
        """The cadences due at `step`; all of them at the `last` one."""
        periods: dict[Cadence, int] = {
            "step": 1,
            "gradient": self.gradient,
            "activation": self.activation,
            "update": self.activation,
            "test": self.test,
        }
        return frozenset(name for name, period in periods.items() if last or step % period == 0)


EVERYTHING = Watch(1, 1, 1)

# Registry first, discovery last: the files imported here use what is defined above.
discover(sys.modules[__name__])
