"""How alike the gradients at two inputs are, by depth: shattering in the wide limit.

The network is h <- skip h + beta W relu(BN(h)), one layer a block, He weights, the inputs
orthogonal; skip 0 and beta 1 make it plain, and without BatchNorm BN(h) = h. With c the
correlation of the two signals before a ReLU and J, J' as below, a block multiplies the
correlation of the gradients by

    (skip^2 + a J'(c)) / (skip^2 + a),

a being what the branch sends back of the squared gradient. Without BatchNorm a = beta^2, and
c <- (skip^2 c + beta^2 J(c)) / (skip^2 + beta^2). With it c = -1/(B-1) at every depth and
a = beta^2 B / ((B-3) v), v the variance on the sum, which begins at 1 and grows by
beta^2 (1 - J(c)) a block; B/(B-3) is the mean of 1/(sample variance) of B Gaussians. Plain
networks with BatchNorm have v = 1 - J(c) at every depth, which cancels. The statistics of
BatchNorm are held fixed in the derivative.

J and J': Cho & Saul 2009, "Kernel Methods for Deep Learning"; the argument: Balduzzi et al.
2017, arXiv 1702.08591; the products, with c and v followed block by block: derived here.
"""

import math
from dataclasses import dataclass

import numpy as np

from explorer.spec import SpecError
from explorer.theory.prediction import Curve

NARROWEST = 256
NARROWEST_WITH_NORM = 128
WIDTH_A_BLOCK = 64  # without norm, what width every block needs for 3 %: errors add up as L/width
FEWEST = 4  # examples in a batch: the mean of 1/(sample variance) of fewer is infinite


@dataclass(frozen=True)
class CorrelationCurve:
    """Expected correlation of dL/dx at two orthogonal inputs after 1, 2, …, L blocks.

    `rule` is the short law of the case and `rule_text` its words; None for networks that have
    none. It stands for J'(0) = 1/2 in every block, and for v = L where the sum grows.
    `holds_to` is the last depth at which networks of the width follow within a few per cent.
    """

    depths: tuple[int, ...]
    correlation: Curve  # (L,)
    rule: Curve | None  # (L,)
    rule_text: str | None
    source: str
    region: str
    holds_to: int

    @property
    def valid(self) -> bool:
        """Whether the width is wide enough for any depth at all."""
        return self.holds_to > 0


def overlap(c: float) -> float:
    """J(c): correlation after a ReLU of two Gaussians with correlation c (uncentred)."""
    c = min(1.0, max(-1.0, c))
    return (math.sqrt(1 - c * c) + (math.pi - math.acos(c)) * c) / math.pi


def both_active(c: float) -> float:
    """J'(c): the chance that a ReLU passes the second Gaussian if it passes the first."""
    return (math.pi - math.acos(min(1.0, max(-1.0, c)))) / math.pi


def gradient_correlation(
    depth: int,
    *,
    skip: float = 0.0,
    beta: float = 1.0,
    norm: bool = False,
    width: int = 1024,
    batch: float = math.inf,
) -> CorrelationCurve:
    """The curve over `depth` blocks; `batch` matters with `norm` alone.

    SpecError for values that cannot be.
    """
    if depth < 1:
        raise SpecError("depth", depth, "1 or more")
    if skip == 0 and beta == 0:
        raise SpecError("beta", beta, "not 0 where skip is 0, for nothing would be passed on")
    if norm and batch < FEWEST:
        raise SpecError("batch", batch, f"{FEWEST} or more with BatchNorm")
    factors = _with_norm(depth, skip, beta, batch) if norm else _without(depth, skip, beta)
    rule, words = _rule(depth, skip, beta, norm)
    narrowest = NARROWEST_WITH_NORM if norm else NARROWEST
    limit = depth if norm else min(depth, width // WIDTH_A_BLOCK)
    deep = "" if norm else f", and {WIDTH_A_BLOCK} of width a block"
    return CorrelationCurve(
        depths=tuple(range(1, depth + 1)),
        correlation=np.cumprod(np.array(factors)),
        rule=rule,
        rule_text=words,
        source="Balduzzi et al. 2017, arXiv 1702.08591; the product over blocks derived here",
        region=f"wide limit, at initialisation: width >= {narrowest}{deep}",
        holds_to=limit if width >= narrowest else 0,
    )


def _without(depth: int, skip: float, beta: float) -> list[float]:
    """The factor of every block where nothing is normalised."""
    c, factors = 0.0, []
    whole = skip**2 + beta**2
    for _ in range(depth):
        factors.append((skip**2 + beta**2 * both_active(c)) / whole)
        c = (skip**2 * c + beta**2 * overlap(c)) / whole
    return factors


def _with_norm(depth: int, skip: float, beta: float, batch: float) -> list[float]:
    """The factor of every block with BatchNorm over `batch` examples."""
    apart = 0.0 if math.isinf(batch) else -1 / (batch - 1)
    inverse = 1.0 if math.isinf(batch) else batch / (batch - 3)
    variance, factors = 1.0, []
    for _ in range(depth):
        sent = beta**2 * inverse / variance
        factors.append((skip**2 + sent * both_active(apart)) / (skip**2 + sent))
        variance = skip**2 * variance + beta**2 * (1 - overlap(apart))
    return factors


def _rule(depth: int, skip: float, beta: float, norm: bool) -> tuple[Curve | None, str | None]:
    """The short law where there is one: for skip 0, and for skip 1 and beta 1."""
    blocks = np.arange(1, depth + 1, dtype=float)
    if skip == 0 and norm:
        return 2.0**-blocks, "2^-L"
    if skip == 1 and beta == 1:
        return (blocks**-0.5, "L^-1/2") if norm else (0.75**blocks, "(3/4)^L")
    return None, None
