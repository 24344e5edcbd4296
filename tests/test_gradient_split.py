"""How the gradient divides: by block against autograd, by length against every single path."""

import math
from itertools import combinations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from explorer.gradients.lengths import by_length, in_double, sampled_lengths
from explorer.gradients.split import split
from explorer.gradients.sum_node import sum_node
from explorer.inside.paths import path_gradient
from explorer.network import Network, build
from explorer.probes.flow import gradient_flow
from explorer.spec import SpecError, parse

SPECS = (
    "resnet-14,width=4",
    "resnet-14,width=4,block=preact,shortcut=projection",
    "resnet-14,width=4,block=preact,skip=0.5~1~0~1~2~1,residual=1~0.3~1~1~0~1",
    "mlp-14,width=6,shortcut=none,norm=none",
)


def network(text: str, seed: int = 1) -> Network:
    return build(parse(text).network.replace(inputs=(3, 8, 8)), seed)


def batch(count: int = 10) -> tuple[Tensor, Tensor]:
    x = torch.randn(count, 3, 8, 8, generator=torch.Generator().manual_seed(2))
    return x, torch.arange(count) % 10


@pytest.mark.parametrize("text", SPECS)
def test_the_two_parts_are_the_edges_of_the_block_and_add_up(text: str) -> None:
    net = network(text)
    found = split(net, *batch())
    whole = gradient_flow(net.train(), *batch()).values[0]
    np.testing.assert_allclose(found.total, whole[:-1], rtol=1e-4)
    np.testing.assert_allclose(found.residual_share + found.shortcut_share, 1, atol=1e-9)
    for index in range(len(net.blocks)):
        opened = sum_node(net, index + 1, *batch())
        expected = opened.edge("x to F").gradient_norm
        assert found.residual[index] == pytest.approx(expected, rel=1e-4, abs=1e-12)
        if opened.into_shortcut is not None:
            expected = opened.edge("x to shortcut").gradient_norm
            assert found.shortcut[index] == pytest.approx(expected, rel=1e-4, abs=1e-12)
    by_sides = found.residual**2 + found.shortcut**2
    by_sides += 2 * found.residual * found.shortcut * np.nan_to_num(found.cosine)
    np.testing.assert_allclose(by_sides, found.total**2, rtol=1e-6)  # the law of cosines


def test_where_one_part_is_missing_the_other_is_all() -> None:
    plain = split(network("resnet-8,width=4,shortcut=none"), *batch())
    assert plain.shortcut.tolist() == [0, 0, 0]
    assert np.isnan(plain.cosine).all()
    np.testing.assert_allclose(plain.residual_share, 1)
    lesioned = split(network("resnet-8,width=4,block=preact,residual=0"), *batch())
    np.testing.assert_allclose(lesioned.shortcut_share, 1)
    assert lesioned.total[0] == pytest.approx(lesioned.shortcut[0])


def test_wide_branches_without_norm_give_the_halves_theory_says() -> None:
    """Each way back carries G, (s/2)^2 = 1 of it through F, and the two are uncorrelated."""
    text = "mlp-6,width=256,block=preact,norm=none"
    found = [split(network(text, seed), *batch(16)) for seed in range(8)]
    share = np.mean([one.residual_share for one in found])
    assert share == pytest.approx(0.5, rel=0.03)
    assert abs(np.mean([one.cosine for one in found])) < 0.03
    assert np.mean([one.residual**2 / one.shortcut**2 for one in found]) == pytest.approx(
        1, rel=0.1
    )


@pytest.mark.parametrize("text", SPECS)
def test_lengths_add_up_to_the_gradient_of_autograd(text: str) -> None:
    net = network(text)
    found = by_length(net, *batch())
    twin, (x, y) = in_double(net).train(), batch()
    x = x.double().requires_grad_()
    (gradient,) = torch.autograd.grad(F.cross_entropy(twin(x), y), x)
    assert found.total == pytest.approx(gradient.norm().item(), rel=1e-5)
    assert found.share.sum() == pytest.approx(1, abs=1e-5)
    assert found.lengths == tuple(range(len(net.blocks) + 1))
    assert all(p.dtype == torch.float32 for p in net.parameters())


def test_each_length_is_the_sum_of_its_paths_one_by_one() -> None:
    net = network("resnet-8,width=4,skip=1~0.6~1")
    double, (x, y) = in_double(net), batch()
    found, lengths = by_length(net, x, y), range(4)
    sums = [
        sum(path_gradient(double, x.double(), y, taken) for taken in combinations((1, 2, 3), k))
        for k in lengths
    ]
    vectors = torch.stack(sums).flatten(1)
    total = vectors.sum(0)
    square = float(total @ total)
    np.testing.assert_allclose(found.share, (vectors @ total) / square, atol=1e-9)
    np.testing.assert_allclose(found.power, (vectors**2).sum(1) / square, rtol=1e-9)
    assert found.paths.tolist() == [1, 3, 3, 1]


def test_a_plain_network_has_paths_of_full_length_alone() -> None:
    found = by_length(network("resnet-14,width=4,skip=0"), *batch())
    np.testing.assert_allclose(found.share, [0] * 6 + [1], atol=1e-12)
    np.testing.assert_allclose(found.power, [0] * 6 + [1], atol=1e-12)


def test_sampled_lengths_have_no_bias_and_know_their_error() -> None:
    net, (x, y) = network("mlp-14,width=6,block=preact"), batch(6)
    exact, length, runs = by_length(net, x, y), 3, 80
    found = [sampled_lengths(net, x, y, [length], draws=12, seed=seed) for seed in range(runs)]
    for name in ("share", "power"):
        values = np.array([getattr(one, name)[0] for one in found])
        errors = np.array([getattr(one, f"{name}_error")[0] for one in found])
        spread = values.std(ddof=1)
        assert abs(values.mean() - getattr(exact, name)[length]) < 4 * spread / math.sqrt(runs)
        ratio = math.sqrt((errors**2).mean()) / spread
        assert 0.75 < ratio < (1.3 if name == "share" else 1.3 * math.sqrt(2))


def test_lengths_of_one_path_are_exact_and_draws_follow_the_seed() -> None:
    net, (x, y) = network("resnet-14,width=4"), batch()
    exact = by_length(net, x, y)
    found = sampled_lengths(net, x, y, (0, 6, 2), draws=5, seed=3)
    for index, length in ((0, 0), (1, 6)):
        assert found.share[index] == pytest.approx(exact.share[length], rel=1e-9)
        assert found.power[index] == pytest.approx(exact.power[length], rel=1e-9)
        assert (found.share_error[index], found.power_error[index]) == (0, 0)
    assert found.share_error[2] > 0
    assert found.paths.tolist() == [1, 1, 5]
    assert found.total == pytest.approx(exact.total, rel=1e-9)
    again = sampled_lengths(net, x, y, (2,), draws=5, seed=3)
    assert again.share[0] == found.share[2]
    assert sampled_lengths(net, x, y, (2,), draws=5, seed=4).share[0] != again.share[0]


def test_progress_may_cancel_and_nothing_changes() -> None:
    net, (x, y) = network("resnet-8,width=4"), batch()
    net.blocks[0].eval()
    modes, before = [m.training for m in net.modules()], net.state_dict()
    before = {name: value.clone() for name, value in before.items()}
    random = torch.get_rng_state()
    for call, total in (
        (lambda report: split(net, x, y, report=report), 3),
        (lambda report: by_length(net, x, y, report=report), 3),
        (lambda report: sampled_lengths(net, x, y, (1, 3), draws=4, report=report), 5),
    ):
        seen: list[tuple[int, int]] = []
        call(lambda *at, seen=seen: seen.append(at))
        assert seen == [(done, total) for done in range(1, total + 1)]

        def cancel(done: int, _total: int) -> None:
            if done == 2:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            call(cancel)
    assert [m.training for m in net.modules()] == modes
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert torch.equal(torch.get_rng_state(), random)


def test_bad_input_is_one_line() -> None:
    net, (x, y) = network("resnet-8,width=4"), batch()
    with pytest.raises(SpecError, match=r"draws: '2' .* 3 or more"):
        sampled_lengths(net, x, y, (1,), draws=2)
    for lengths in ((), (4,), (-1, 2)):
        with pytest.raises(SpecError, match=r"lengths: .* one or more from 0 to 3"):
            sampled_lengths(net, x, y, lengths)
