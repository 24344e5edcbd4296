"""Paths: the expansion in full, and the gradient that comes back along paths of each length."""

import math
from itertools import chain, combinations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from explorer.inside.expansion import (
    Function,
    Vector,
    nested_text,
    path_values,
    paths,
    product,
    unravelled,
    unrolled,
    unrolled_text,
)
from explorer.inside.paths import (
    binomial,
    effective_lengths,
    length_gradients,
    path_gradient,
    path_gradients,
    shares,
)
from explorer.network import Network, build
from explorer.spec import SpecError, parse

SPECS = (
    "resnet-14,width=4",
    "resnet-14,width=4,shortcut=projection",
    "resnet-14,width=4,block=preact,norm=none",
    "resnet-14,width=4,block=preact,skip=0.5~1~0~1~2~1,residual=1~0.3~1~1~0~1",
    "mlp-12,width=6,shortcut=none",
)


def tanh_blocks(n: int, width: int = 4) -> list[Function]:
    random = np.random.default_rng(n)
    weights = random.normal(size=(n, width, width))
    return [lambda x, w=weight: np.tanh(w @ x) for weight in weights]


def run(functions: list[Function], x: Vector) -> Vector:
    for function in functions:
        x = x + function(x)
    return x


@pytest.mark.parametrize("n", range(1, 7))
def test_all_paths_of_linear_blocks_add_up_to_the_product(n: int) -> None:
    random = np.random.default_rng(n)
    matrices, x = list(random.normal(size=(n, 5, 5))), random.normal(size=5)
    values = path_values(matrices, x)
    assert values.shape == (2**n, 5)
    size = np.abs(values).sum()
    np.testing.assert_allclose(values.sum(0), product(matrices, x), atol=1e-10 * size, rtol=0)
    forward = run([lambda v, m=m: m @ v for m in matrices], x)
    np.testing.assert_allclose(product(matrices, x), forward, atol=1e-10 * size, rtol=0)


@pytest.mark.parametrize("n", range(1, 7))
def test_terms_say_what_their_values_are_and_are_as_many_as_the_binomial(n: int) -> None:
    random = np.random.default_rng(n)
    matrices, x = list(random.normal(size=(n, 3, 3))), random.normal(size=3)
    names = {f"F{i}": lambda v, m=m: m @ v for i, m in enumerate(matrices, 1)} | {"x": x}
    read = [eval(path.term, names) for path in paths(n)]
    np.testing.assert_allclose(path_values(matrices, x), read, rtol=1e-12)
    lengths = [len(path.blocks) for path in paths(n)]
    assert np.bincount(lengths).tolist() == [math.comb(n, k) for k in range(n + 1)]
    assert len({path.term for path in paths(n)}) == 2**n


def test_three_blocks_read_as_in_the_papers() -> None:
    assert [path.term for path in paths(2)] == ["x", "F1(x)", "F2(x)", "F2(F1(x))"]
    assert paths(3)[-1].term == "F3(F2(F1(x)))"
    assert nested_text(2) == "x + F1(x) + F2(x + F1(x))"
    assert unrolled_text(3) == "x3 = x0 + F1(x0) + F2(x1) + F3(x2)"


@pytest.mark.parametrize("n", range(1, 7))
def test_the_unrolled_sum_and_the_nested_text_are_the_output_for_any_f(n: int) -> None:
    functions, x = tanh_blocks(n), np.linspace(-1, 1, 4)
    terms = unrolled(functions, x)
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    assert np.array_equal(total, run(functions, x))
    names = {f"F{i}": function for i, function in enumerate(functions, 1)} | {"x": x}
    assert np.allclose(eval(nested_text(n), names), run(functions, x), rtol=1e-12)
    by_name = {f"x{i}": run(functions[:i], x) for i in range(n)} | names
    right = unrolled_text(n).partition(" = ")[2]
    assert np.allclose(eval(right, by_name), run(functions, x), rtol=1e-12)


@pytest.mark.parametrize("n", range(1, 7))
def test_the_unravelled_graph_computes_the_output(n: int) -> None:
    functions, x = tanh_blocks(n), np.linspace(-1, 1, 4)
    graph = unravelled(n)
    values: list[Vector] = []
    for index, node in enumerate(graph.nodes):
        sources = [source for source, to in graph.edges if to == index]
        assert all(source < index for source in sources)
        assert all(graph.nodes[source].column < node.column for source in sources)
        inputs = [values[source] for source in sources]
        if node.kind == "F":
            (read,) = inputs
            values.append(functions[int(node.label[1:]) - 1](read))
        else:
            values.append(sum(inputs) if inputs else x)
    assert np.allclose(values[-1], run(functions, x), rtol=1e-12)
    labels = [node.label for node in graph.nodes]
    assert labels.count("x") == 2**n
    assert [labels.count(f"F{i}") for i in range(1, n + 1)] == [
        2 ** (n - i) for i in range(1, n + 1)
    ]
    assert len({(node.column, node.row) for node in graph.nodes}) == len(graph.nodes)


def test_lengths_are_binomial_and_veit_s_effective_paths_are_few() -> None:
    exact = binomial(54)
    assert exact.sum() == pytest.approx(1, rel=1e-12)
    assert exact @ np.arange(55) == pytest.approx(27, rel=1e-12)
    assert exact[19:36].sum() > 0.95
    assert 100 * exact[5:18].sum() == pytest.approx(0.45, abs=0.005)  # their section 5
    assert binomial(600).sum() == pytest.approx(1, rel=1e-12)


@pytest.mark.parametrize("n", [3, 54, 600])
def test_a_gradient_that_falls_geometrically_leaves_a_binomial_of_its_own(n: int) -> None:
    """C(n, k) r^k over (1 + r)^n is Binomial(n, r/(1 + r)), here with r = 1/4."""
    share, mean = shares(np.ldexp(1.0, -2 * np.arange(n + 1)))
    assert mean == pytest.approx(n / 5, rel=1e-9)
    assert share[0] == pytest.approx(0.8**n, rel=1e-9)
    assert share.sum() == pytest.approx(1, rel=1e-12)


def test_no_gradient_has_no_share_and_effective_lengths_are_the_narrowest() -> None:
    share, mean = shares(np.zeros(4))
    assert np.isnan(share).all()
    assert math.isnan(mean)
    assert effective_lengths(np.array([0.1, 0.5, 0.3, 0.1]), 0.75) == (1, 2)
    assert effective_lengths(np.array([0.25, 0.25, 0.25, 0.25]), 1.0) == (0, 3)


def batch(network: Network) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(2)
    x = torch.randn(6, *network.inputs, generator=generator, dtype=torch.float64)
    return x, torch.arange(6) % 10


def network(text: str) -> Network:
    spec = parse(text).network
    return build(spec.replace(inputs=(3, 8, 8) if spec.family == "resnet" else (5,))).double()


def autograd(net: Network, x: Tensor, y: Tensor) -> Tensor:
    x = x.clone().requires_grad_()
    return torch.autograd.grad(F.cross_entropy(net(x), y), x)[0]


def subsets(n: int) -> chain[tuple[int, ...]]:
    return chain.from_iterable(combinations(range(1, n + 1), k) for k in range(n + 1))


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("text", SPECS)
def test_the_gradients_of_all_paths_add_up_to_the_network_s(text: str, training: bool) -> None:
    net = network(text)
    x, y = batch(net)
    n = len(net.blocks)
    found = {taken: path_gradient(net, x, y, taken, training) for taken in subsets(n)}
    exact = autograd(network(text).train(training), x, y)
    torch.testing.assert_close(sum(found.values()), exact, rtol=1e-8, atol=1e-14)
    by_length = length_gradients(net, x, y, training)
    for k in range(n + 1):
        summed = sum(g for taken, g in found.items() if len(taken) == k)
        torch.testing.assert_close(by_length[k], summed, rtol=1e-8, atol=1e-14)


def test_every_path_goes_through_f_or_the_shortcut_alone() -> None:
    """Against a network in which the other way is detached, block by block."""
    net = network("resnet-14,width=4")
    x, y = batch(net)

    def detached(taken: tuple[int, ...]) -> Tensor:
        start = x.clone().requires_grad_()
        value = net.stem(start)
        for number, block in enumerate(net.all_blocks, 1):
            ways = [block.branch(value), block.shortcut(value)]
            ways[number in taken] = ways[number in taken].detach()
            value = F.relu(ways[0] + ways[1])
        return torch.autograd.grad(F.cross_entropy(net.logits(value), y), start)[0]

    for taken in [(), (2,), (1, 4, 5), (1, 2, 3, 4, 5, 6)]:
        gradient = path_gradient(net, x, y, taken)
        torch.testing.assert_close(gradient, detached(taken), rtol=1e-10, atol=1e-15)


def linear_network(gains: list[float]) -> Network:
    """x -> x + gain x in every block, without activations: its paths have a closed form."""
    net = network(f"mlp-{2 * len(gains) + 2},width=4,block=preact,norm=none")
    for block, gain in zip(net.all_blocks, gains, strict=True):
        block.residual = nn.Sequential(nn.Linear(4, 4, bias=False)).double()
        block.residual[0].weight = nn.Parameter(gain * torch.eye(4, dtype=torch.float64))
    return net


def test_a_linear_network_has_the_closed_form() -> None:
    gains = [0.5, -0.2, 0.8, 0.3]
    net = linear_network(gains)
    x, y = batch(net)
    found = path_gradients(net, x, y, draws=6)
    products = [[math.prod(c) for c in combinations(gains, k)] for k in range(5)]
    relative = [np.mean(np.abs(values)) for values in products]
    np.testing.assert_allclose(found.norm / found.norm[0], relative, rtol=1e-10)
    assert found.draws.tolist() == [1, 4, 6, 4, 1]
    assert (found.error == 0).all()
    np.testing.assert_allclose(found.paths, np.array([1, 4, 6, 4, 1]) / 16)
    weight = np.array([sum(map(abs, values)) for values in products])
    np.testing.assert_allclose(found.share, weight / weight.sum(), rtol=1e-10)
    assert found.effective == pytest.approx(weight @ np.arange(5) / weight.sum())
    summed = [float(g.norm()) for g in length_gradients(net, x, y)]
    signed = [abs(sum(values)) for values in products]
    np.testing.assert_allclose(np.array(summed) / summed[0], signed, rtol=1e-10)


def test_a_drawn_path_takes_as_many_blocks_as_its_length_any_of_them() -> None:
    gains = [0.5, 0.2, 0.8, 0.3]
    net = linear_network(gains)
    x, y = batch(net)
    norms = [path_gradients(net, x, y, draws=1, seed=seed).norm for seed in range(60)]
    for k in (1, 2, 3):
        possible = np.array(sorted(math.prod(c) for c in combinations(gains, k)))
        drawn = np.array(sorted({round(norm[k] / norm[0], 9) for norm in norms}))
        np.testing.assert_allclose(drawn, possible, rtol=1e-6)


def test_norms_whose_squares_leave_float32_are_still_read() -> None:
    net = linear_network([1e-7] * 4).float()
    x, y = batch(net)
    norm = path_gradients(net, x.float(), y).norm
    np.testing.assert_allclose(norm / norm[0], 1e-7 ** np.arange(5), rtol=1e-4)


def test_drawn_paths_are_a_sample_of_all_and_come_again_with_the_seed() -> None:
    net = network("resnet-14,width=4")
    x, y = batch(net)
    every = path_gradients(net, x, y, draws=20)
    some = path_gradients(net, x, y, draws=12, seed=1)
    again = path_gradients(net, x, y, draws=12, seed=1)
    assert np.array_equal(some.norm, again.norm)
    assert some.draws.tolist() == [1, 6, 12, 12, 12, 6, 1]
    assert (np.abs(some.norm - every.norm) <= 4 * some.error + 1e-15).all()
    assert (some.norm != every.norm)[2:5].all()


def test_the_network_is_left_as_it_was_also_when_cancelled() -> None:
    net = network("resnet-14,width=4")
    x, y = batch(net)
    net.blocks[2].eval()
    modes = [part.training for part in net.modules()]
    before = {name: value.clone() for name, value in net.state_dict().items()}
    random = torch.get_rng_state()

    def cancel(done: int, total: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        path_gradients(net, x, y, draws=2, report=cancel)
    with pytest.raises(KeyboardInterrupt):
        length_gradients(net, x, y, report=cancel)
    seen: list[tuple[int, int]] = []
    path_gradients(net, x, y, draws=1, report=lambda *at: seen.append(at))
    assert seen == [(done, 7) for done in range(1, 8)]
    assert [part.training for part in net.modules()] == modes
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert all(p.grad is None for p in net.parameters())
    assert torch.equal(torch.get_rng_state(), random)


def test_bad_input_is_one_line() -> None:
    net = network("resnet-8,width=4")
    with pytest.raises(SpecError, match="blocks: '7' is not allowed; 1 to 6"):
        paths(7)
    with pytest.raises(SpecError, match="draws: '0' is not allowed; 1 or more"):
        path_gradients(net, *batch(net), draws=0)
