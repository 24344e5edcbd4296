"""How alike two sets of features are: linear CKA, between the blocks of one network or of two.

CKA(X, Y) = HSIC(K, L) / sqrt(HSIC(K, K) HSIC(L, L)) with the Gram matrices K = XX', L = YY'.

biased: HSIC = tr(KHLH)/(n-1)^2, H the centring matrix (Kornblith et al. 2019, arXiv
1905.00414, section 3). With more features than examples it is near 1 for anything at all
(Murphy et al. 2024, arXiv 2405.01012).
debiased: the unbiased HSIC_1 of Song et al. 2012 (JMLR 13), averaged over minibatches before
the ratio is taken (Nguyen et al. 2021, arXiv 2010.15327). It is computed as the
inner product of U-centred Gram matrices over n(n-3), the same number (Székely & Rizzo 2014,
Annals of Statistics 42). The ratio may leave [0, 1] by chance.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from explorer.inside.mode import Report, in_mode
from explorer.network import Network
from explorer.spec import SpecError

FEWEST = 4  # examples: HSIC_1 divides by n(n-3)
STRIP = 128  # rows of all blocks' Gram matrices in memory at a time
FORWARD = 256  # examples in one forward pass
NEGLIGIBLE = 1e-12  # a spread below this share of the features' size is rounding


@dataclass(frozen=True)
class Similarity:
    """Linear CKA of the outputs of every block of one network with every block of another.

    `matrix` is (blocks of a, blocks of b), float64, from input to output; NaN for a block
    whose features do not vary. `pooled`: features are channel means over the pixels, else all
    pixels of all channels. `batch` examples at a time in each HSIC, `examples` in all.
    """

    matrix: NDArray[np.float64]
    debiased: bool
    pooled: bool
    batch: int
    examples: int


def linear_cka(x: Tensor, y: Tensor, debiased: bool = True) -> float:
    """CKA of two sets of features of the same examples; each (examples, features)."""
    _check_examples("x", len(x))
    if len(x) != len(y):
        raise SpecError("y", f"{len(y)} examples", f"as many as x has: {len(x)}")
    sums = _Sums(1, 1)
    sums.add([_centred(x)], [_centred(y)], debiased, lambda: None)
    return float(sums.ratio()[0, 0])


def block_similarity(
    a: Network,
    x: Tensor,
    b: Network | None = None,
    *,
    debiased: bool = True,
    pooled: bool = True,
    batch: int | None = None,
    report: Report | None = None,
) -> Similarity:
    """CKA between all blocks of `a` and of `b` (without it: of `a` again) on the examples `x`.

    `batch` None takes all examples at once: memory is then examples x features of all blocks,
    so not-pooled features of large images want minibatches. These hold `batch` examples or a
    few more, and are equal but for one example. Networks are read in evaluation mode.
    SpecError for fewer than 4 examples.
    """
    size = len(x) if batch is None else batch
    _check_examples("x", len(x))
    _check_examples("batch", size)
    parts = torch.tensor_split(x, max(1, min(len(x) // size, len(x) // FEWEST)))
    total = sum(-(-len(part) // STRIP) for part in parts)
    done = 0

    def strip_done() -> None:
        nonlocal done
        done += 1
        if report is not None:
            report(done, total)

    sums = _Sums(len(a.blocks), len((b or a).blocks))
    for part in parts:
        of_a = [_centred(f) for f in block_features(a, part, pooled)]
        of_b = None if b is None else [_centred(f) for f in block_features(b, part, pooled)]
        sums.add(of_a, of_b, debiased, strip_done)
    return Similarity(sums.ratio(), debiased, pooled, len(parts[0]), len(x))


@torch.no_grad()
def block_features(network: Network, x: Tensor, pooled: bool = True) -> list[Tensor]:
    """Every block's output in evaluation mode, on the CPU; each (examples, features).

    `pooled`: the mean over the pixels, a feature a channel, as the head reads it; else each
    pixel of each channel is a feature. An MLP's features are the same either way.
    """
    device = network.head.weight.device
    gathered: list[list[Tensor]] = [[] for _ in network.blocks]
    with in_mode(network, training=False):
        for some in torch.split(x, FORWARD):
            outputs = list(network.walk(some.to(device)))[1:]
            for kept, (_, output) in zip(gathered, outputs, strict=True):
                mean = pooled and output.dim() > 2
                kept.append((output.mean((2, 3)) if mean else output.flatten(1)).cpu())
    return [torch.cat(kept) for kept in gathered]


class _Sums:
    """HSICs summed over minibatches: between the blocks, and of each block with itself."""

    def __init__(self, blocks_a: int, blocks_b: int) -> None:
        self.between = torch.zeros(blocks_a, blocks_b, dtype=torch.float64)
        self.of_a = torch.zeros(blocks_a, dtype=torch.float64)
        self.of_b = torch.zeros(blocks_b, dtype=torch.float64)

    def add(
        self,
        xs: Sequence[Tensor],
        ys: Sequence[Tensor] | None,
        debiased: bool,
        strip_done: Callable[[], None],
    ) -> None:
        """Add one minibatch; each Gram matrix is computed once, a strip of rows at a time."""
        n = len(xs[0])
        scale = 1 / (n * (n - 3)) if debiased else 1 / (n - 1) ** 2
        for rows in _strips(n):
            a = torch.stack([_gram_rows(x, rows, debiased) for x in xs])
            b = a if ys is None else torch.stack([_gram_rows(y, rows, debiased) for y in ys])
            self.between += scale * (a @ b.T)
            self.of_a += scale * a.square().sum(1)
            self.of_b += scale * b.square().sum(1)
            strip_done()

    def ratio(self) -> NDArray[np.float64]:
        """CKA; NaN where a block has no HSIC with itself."""
        own = torch.sqrt(self.of_a)[:, None] * torch.sqrt(self.of_b)
        matrix: NDArray[np.float64] = (self.between / own).numpy()
        return matrix


def _strips(n: int) -> Iterator[slice]:
    for start in range(0, n, STRIP):
        yield slice(start, min(start + STRIP, n))


def _centred(features: Tensor) -> Tensor:
    """The features in float64 less their means; all zero if only rounding makes them vary."""
    x = features.detach().cpu().flatten(1).double()
    centred = x - x.mean(0)
    varies = not torch.linalg.vector_norm(centred) <= NEGLIGIBLE * torch.linalg.vector_norm(x)
    return centred if varies else torch.zeros_like(x)


def _gram_rows(x: Tensor, rows: slice, debiased: bool) -> Tensor:
    """Some rows of the Gram matrix of centred features, one after the other, centred.

    U-centred if `debiased`: with the diagonal taken as zero, row sums r and their sum s, an
    entry off the diagonal loses (r_i + r_j)/(n-2) and gains s/((n-1)(n-2)).
    """
    gram = x[rows] @ x.T
    if debiased:
        n = len(x)
        sums = x @ x.sum(0) - x.square().sum(1)
        gram = gram - (sums[rows, None] + sums) / (n - 2) + sums.sum() / ((n - 1) * (n - 2))
        gram.diagonal(rows.start).zero_()
    return gram.flatten()


def _check_examples(field: str, count: int) -> None:
    if count < FEWEST:
        raise SpecError(field, f"{count} examples", f"{FEWEST} or more")
