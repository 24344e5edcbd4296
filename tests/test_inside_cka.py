"""Linear CKA against slow twins, its invariances, and what the debiased form is for."""

from itertools import permutations

import numpy as np
import pytest
import torch
from torch import Tensor

from explorer.inside.cka import STRIP, block_features, block_similarity, linear_cka
from explorer.network import Network, build
from explorer.spec import NetworkSpec, SpecError, parse


def features(count: int, width: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, width, generator=generator, dtype=torch.float64)


def network(text: str = "resnet-8,width=4", seed: int = 0) -> Network:
    return build(small(text), seed)


def small(text: str) -> NetworkSpec:
    return parse(text).network.replace(inputs=(3, 8, 8))


def images(count: int) -> Tensor:
    return torch.randn(count, 3, 8, 8, generator=torch.Generator().manual_seed(5))


def slow_unbiased_hsic(x: Tensor, y: Tensor) -> float:
    """The U-statistic by its definition: a mean over all ordered quadruples of examples."""
    k, l = (x @ x.T).numpy(), (y @ y.T).numpy()  # noqa: E741
    terms = [
        k[i, j] * l[i, j] + k[i, j] * l[q, r] - 2 * k[i, j] * l[i, q]
        for i, j, q, r in permutations(range(len(x)), 4)
    ]
    return float(np.mean(terms))


def song_hsic(x: Tensor, y: Tensor) -> float:
    """HSIC_1 as Song et al. 2012 and Nguyen et al. 2021 (equation 3) print it."""
    n = len(x)
    k, l = ((f @ f.T).double().numpy() for f in (x, y))  # noqa: E741
    np.fill_diagonal(k, 0)
    np.fill_diagonal(l, 0)
    one = np.ones(n)
    middle = (one @ k @ one) * (one @ l @ one) / ((n - 1) * (n - 2))
    last = 2 / (n - 2) * (one @ k @ l @ one)
    return float((np.trace(k @ l) + middle - last) / (n * (n - 3)))


def test_debiased_cka_is_the_ratio_of_unbiased_hsics() -> None:
    x, y = features(7, 3), features(7, 5, 1)
    y[:, :3] += x
    within = slow_unbiased_hsic(x, x) * slow_unbiased_hsic(y, y)
    assert linear_cka(x, y) == pytest.approx(slow_unbiased_hsic(x, y) / within**0.5, rel=1e-10)


def test_biased_cka_is_kornblith_s_ratio_in_feature_space() -> None:
    x, y = features(9, 3), features(9, 5, 1)
    x_c, y_c = x - x.mean(0), y - y.mean(0)
    norm = torch.linalg.matrix_norm
    ratio = norm(y_c.T @ x_c) ** 2 / (norm(x_c.T @ x_c) * norm(y_c.T @ y_c))
    assert linear_cka(x, y, debiased=False) == pytest.approx(float(ratio), rel=1e-12)


@pytest.mark.parametrize("debiased", [True, False])
def test_rotating_scaling_and_shifting_change_nothing_and_other_maps_do(debiased: bool) -> None:
    x, y = features(40, 6), features(40, 6, 1)
    y += 0.7 * x
    rotation = torch.linalg.qr(features(6, 6, 2)).Q
    plain = linear_cka(x, y, debiased)
    assert linear_cka(x @ rotation * 3e-3 + 1, y, debiased) == pytest.approx(plain, rel=1e-9)
    assert linear_cka(y, x, debiased) == pytest.approx(plain, rel=1e-12)
    assert abs(linear_cka(x @ features(6, 6, 3), y, debiased) - plain) > 1e-3


@pytest.mark.parametrize("debiased", [True, False])
def test_features_are_wholly_like_themselves(debiased: bool) -> None:
    x = features(30, 100)
    assert linear_cka(x, x, debiased) == pytest.approx(1, abs=1e-12)


def test_independent_features_look_alike_only_to_the_biased_form() -> None:
    pairs = [(features(32, 512, 2 * s), features(32, 512, 2 * s + 1)) for s in range(12)]
    debiased = np.array([linear_cka(x, y) for x, y in pairs])
    assert abs(debiased.mean()) < 4 * debiased.std() / len(pairs) ** 0.5 + 1e-3
    assert np.abs(debiased).max() < 0.2
    assert min(linear_cka(x, y, debiased=False) for x, y in pairs) > 0.8


@pytest.mark.parametrize("pooled", [True, False])
def test_block_features_are_the_blocks_outputs_in_evaluation_mode(pooled: bool) -> None:
    net, x = network(), images(300)
    outputs: list[Tensor] = []
    for block in net.blocks:
        block.register_forward_hook(lambda *a: outputs.append(a[2].detach()))
    net.evaluate(x)
    wanted = [o.mean((2, 3)) if pooled else o.flatten(1) for o in outputs]
    net.blocks[0].eval()
    modes = [part.training for part in net.modules()]
    before = {name: value.clone() for name, value in net.state_dict().items()}
    found = block_features(net, x, pooled)[: len(wanted)]
    for ours, theirs in zip(found, wanted, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)
    assert [part.training for part in net.modules()] == modes
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


@pytest.mark.parametrize("debiased", [True, False])
def test_the_matrix_is_cka_of_every_pair_of_blocks(debiased: bool) -> None:
    a, b, x = network(), network("plain-14,width=4"), images(STRIP + 22)
    found = block_similarity(a, x, b, debiased=debiased, pooled=False)
    of_a, of_b = block_features(a, x, pooled=False), block_features(b, x, pooled=False)
    wanted = [[linear_cka(f, g, debiased) for g in of_b] for f in of_a]
    assert found.matrix.shape == (3, 6)
    assert found.matrix.dtype == np.float64
    np.testing.assert_allclose(found.matrix, wanted, rtol=1e-9)
    alone = block_similarity(a, x, debiased=debiased).matrix
    np.testing.assert_allclose(alone, alone.T, rtol=1e-12)
    np.testing.assert_allclose(np.diag(alone), 1, rtol=1e-12)


def test_minibatches_average_the_unbiased_hsic_before_the_ratio() -> None:
    net, x = network(), images(35)
    found = block_similarity(net, x, batch=10)
    parts = [block_features(net, part) for part in torch.tensor_split(x, 3)]

    def mean(i: int, j: int) -> float:
        return float(np.mean([song_hsic(f[i], f[j]) for f in parts]))

    wanted = [[mean(i, j) / (mean(i, i) * mean(j, j)) ** 0.5 for j in range(3)] for i in range(3)]
    np.testing.assert_allclose(found.matrix, wanted, rtol=1e-5)
    assert (found.batch, found.examples) == (12, 35)


def test_a_dead_block_has_no_similarity() -> None:
    net = network("resnet-8,width=4,block=preact")
    net.set_gates((1, 0, 1), (1, 0, 1))
    matrix = block_similarity(net, images(20)).matrix
    assert np.isnan(matrix[1]).all()
    assert np.isfinite(matrix[0, 0])


def test_it_reports_and_can_be_cancelled() -> None:
    seen: list[tuple[int, int]] = []
    block_similarity(network(), images(40), batch=10, report=lambda *at: seen.append(at))
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]

    def cancel(done: int, total: int) -> None:
        raise KeyboardInterrupt

    net = network()
    with pytest.raises(KeyboardInterrupt):
        block_similarity(net, images(40), report=cancel)
    assert net.training


def test_too_few_examples_and_unequal_ones_are_one_line() -> None:
    with pytest.raises(SpecError, match="x: '3 examples' is not allowed; 4 or more"):
        linear_cka(features(3, 2), features(3, 2))
    with pytest.raises(SpecError, match="y: '5 examples' is not allowed; as many as x has: 6"):
        linear_cka(features(6, 2), features(5, 2))
    with pytest.raises(SpecError, match="batch: '2 examples'"):
        block_similarity(network(), images(8), batch=2)
