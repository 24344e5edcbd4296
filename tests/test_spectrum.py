"""Singular values of Jacobians: against explicit matrices, closed forms, and the theory of G."""

import copy
import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from explorer.gradients.network_spectra import fixed, network_spectra
from explorer.gradients.spectrum import Spectrum, extremes, jacobian, of_matrix, spectrum
from explorer.init import initialise
from explorer.network import Network, build
from explorer.spec import SpecError, parse
from explorer.theory import predict

# torch says so of itself the first time it differentiates forward
pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit.script.*:FutureWarning")


def network(text: str, seed: int = 1) -> Network:
    return build(parse(text).network.replace(inputs=(3, 8, 8)), seed)


def images(count: int = 16) -> Tensor:
    return torch.randn(count, 3, 8, 8, generator=torch.Generator().manual_seed(2))


def linear(init: str, *widths: int) -> nn.Sequential:
    layers = [nn.Linear(a, b, bias=False) for a, b in pairwise(widths)]
    net = nn.Sequential(*layers).double()
    initialise(net, init, seed=0)
    return net


def svd(matrix: Tensor) -> np.ndarray:
    return np.linalg.svd(matrix.detach().numpy(), compute_uv=False)


def test_a_linear_network_has_the_singular_values_of_the_product_of_its_matrices() -> None:
    net = linear("he", 12, 20, 9)
    product = (net[1].weight @ net[0].weight).detach()
    found = spectrum(net, torch.randn(12, dtype=torch.float64), "net")
    np.testing.assert_allclose(found.values, svd(product), rtol=1e-10)
    assert (found.name, found.shape, found.complete, found.rank) == ("net", (9, 12), True, 9)
    assert found.condition == pytest.approx(np.linalg.cond(product.numpy()))
    assert found.mean_square == pytest.approx(float((product**2).sum()) / 12)
    assert found.mean_log == pytest.approx(float(np.log(svd(product)).mean()))


def test_orthogonal_layers_are_an_isometry_at_any_depth() -> None:
    net = linear("orthogonal", *[24] * 31)
    for layer in net:
        layer.weight.data /= math.sqrt(2)  # the init doubles the square, for a ReLU halves it
    found = spectrum(net, torch.randn(24, dtype=torch.float64))
    np.testing.assert_allclose(found.values, 1, rtol=1e-10)
    assert found.condition == pytest.approx(1)
    assert found.mean_log == pytest.approx(0, abs=1e-10)
    gaussian = spectrum(linear("lecun", *[24] * 31), torch.randn(24, dtype=torch.float64))
    assert gaussian.condition > 1e6


def test_delta_orthogonal_convolutions_stretch_every_image_alike() -> None:
    layers = [nn.Conv2d(6, 6, 3, padding=1, bias=False) for _ in range(4)]
    net = nn.Sequential(*layers).double()
    initialise(net, "delta_orthogonal", seed=3)
    found = spectrum(net, torch.randn(6, 5, 5, dtype=torch.float64))
    np.testing.assert_allclose(found.values, 4, rtol=1e-6)  # sqrt 2 a layer
    initialise(net, "he", seed=3)
    assert spectrum(net, torch.randn(6, 5, 5, dtype=torch.float64)).condition > 10


def test_a_relu_loses_the_directions_of_the_units_it_silences() -> None:
    layer = linear("he", 30, 30)
    x = torch.randn(30, dtype=torch.float64)
    alive = int((layer(x) > 0).sum())
    found = spectrum(nn.Sequential(layer, nn.ReLU()), x)
    assert found.rank == alive
    assert (found.smallest, found.condition) == (0, math.inf)
    assert found.mean_log == pytest.approx(float(np.log(found.values[:alive]).mean()))
    dead = of_matrix(torch.zeros(3, 3))
    assert dead.rank == 0
    assert math.isnan(dead.condition)
    assert math.isnan(dead.mean_log or 0.0)


def test_a_lesioned_block_hands_its_input_on_but_for_a_relu_after_the_sum() -> None:
    clean = network_spectra(network("mlp-8,width=12,block=preact,residual=1~0~1"), images())
    np.testing.assert_allclose(clean.blocks[1].values, 1, rtol=1e-12)
    net, x = network("resnet-8,width=4,residual=0~1~1"), images()
    found = network_spectra(net, x).blocks[0]
    alive = int((fixed(net, x, True).stem(x[:1].double()) > 0).sum())
    np.testing.assert_allclose(found.values, [1] * alive + [0] * (256 - alive), atol=1e-12)


def test_the_ends_of_a_large_spectrum_are_those_of_the_matrix() -> None:
    net = fixed(network("resnet-8,width=4,block=preact,branch_scale=0.5"), images(), True)
    x = torch.randn(4, 8, 8, dtype=torch.float64, generator=torch.manual_seed(0))
    block = net.all_blocks[0]
    whole = spectrum(lambda v: block(v.unsqueeze(0))[0], x)
    ends = extremes(lambda v: block(v.unsqueeze(0))[0], x, few=3)
    expected = [*whole.values[:3], *whole.values[-3:]]
    np.testing.assert_allclose(ends.values, expected, rtol=1e-6)
    assert ends.shape == whole.shape == (256, 256)
    assert ends.condition == pytest.approx(whole.condition, rel=1e-6)
    assert (ends.complete, ends.rank, ends.mean_log, ends.mean_square) == (False, None, None, None)


def test_what_does_not_converge_is_not_known() -> None:
    found = Spectrum("", np.array([3.0, 2.0, math.nan]), (9, 9), False, 1e-8)
    assert found.largest == 3
    assert math.isnan(found.smallest)
    assert math.isnan(found.condition)


def dense(net: Network, x: Tensor, training: bool) -> list[np.ndarray]:
    """d(block's output)/d(stem's output) by plain autograd, an output at a time."""
    twin = fixed(net, x, training)
    start = twin.stem(x[:1].double() if twin.convolves else x[:1].double().flatten(1))
    found = []
    for last in range(1, len(twin.blocks) + 1):
        start = start.detach().requires_grad_()
        value = start
        for block in twin.all_blocks[:last]:
            value = block(value)
        rows = [torch.autograd.grad(v, start, retain_graph=True)[0] for v in value.flatten()]
        found.append(torch.stack(rows).flatten(1).numpy())
    return found


@pytest.mark.parametrize("text", ["resnet-8,width=2", "mlp-8,width=12,shortcut=none"])
@pytest.mark.parametrize("training", [True, False])
def test_the_way_from_the_stem_is_the_product_of_its_blocks(text: str, training: bool) -> None:
    net = network(text)
    found = network_spectra(net, images(), training=training)
    for way, matrix in zip(found.from_stem, dense(net, images(), training), strict=True):
        np.testing.assert_allclose(way.values, svd(torch.from_numpy(matrix)), atol=1e-9)
    assert [one.name for one in found.blocks] == ["block 1", "block 2", "block 3"]
    assert found.whole.shape == (10, 192)
    assert np.array_equal(found.blocks[0].values, found.from_stem[0].values)


def test_fixed_statistics_are_those_of_the_batch() -> None:
    net, x = network("resnet-8,width=4"), images(32)
    batch = copy.deepcopy(net).double().train()(x.double())
    alone = torch.cat([fixed(net, x, True)(one[None].double()) for one in x])
    torch.testing.assert_close(alone, batch, rtol=2e-2, atol=2e-2)  # B - 1 under the variance
    running = copy.deepcopy(net).double().eval()(x.double())
    torch.testing.assert_close(fixed(net, x, False)(x.double()), running)
    assert not torch.allclose(batch, running, rtol=0.1)


@pytest.mark.parametrize(
    "text", ["mlp-4,width=512,shortcut=none,norm=none", "mlp-6,width=512,block=preact,norm=none"]
)
def test_the_mean_square_is_the_factor_on_g(text: str) -> None:
    spec = parse(text).network.replace(inputs=(64,))
    theory = predict(spec, 1)
    assert theory is not None
    assert theory.valid
    narrow = predict(spec.replace(width=8), 1)
    assert narrow is not None
    assert not narrow.valid
    x = torch.randn(1, 64, generator=torch.Generator().manual_seed(0))
    squares = [
        network_spectra(build(spec, seed), x).from_stem[-1].mean_square or 0 for seed in range(8)
    ]
    assert np.mean(squares) == pytest.approx(math.exp(theory.log_ratio[0]), rel=0.03)


def test_a_wide_gaussian_layer_ends_at_the_edge_of_marchenko_and_pastur() -> None:
    largest = []
    for seed in range(8):
        layer = nn.Linear(256, 256, bias=False).double()
        initialise(layer, "he", seed)
        largest.append(spectrum(layer, torch.zeros(256, dtype=torch.float64)).largest)
    assert np.mean(largest) == pytest.approx(2 * math.sqrt(2), rel=0.03)


def test_jacobians_of_any_shape() -> None:
    x = torch.randn(2, 3, dtype=torch.float64)
    matrix = jacobian(lambda v: torch.stack([v.T, 2 * v.T]) ** 2, x)
    twin = torch.autograd.functional.jacobian(lambda v: torch.stack([v.T, 2 * v.T]) ** 2, x)
    torch.testing.assert_close(matrix, twin.reshape(12, 6))


def test_nothing_changes_progress_is_told_and_bad_input_is_one_line() -> None:
    net, seen = network("resnet-8,width=2"), []
    net.blocks[1].eval()
    modes = [m.training for m in net.modules()]
    before = {name: value.clone() for name, value in net.state_dict().items()}
    random = torch.get_rng_state()
    network_spectra(net, images(), report=lambda *at: seen.append(at))
    assert seen == [(1, 3), (2, 3), (3, 3)]
    assert [m.training for m in net.modules()] == modes
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert all(p.requires_grad and p.grad is None for p in net.parameters())
    assert torch.equal(torch.get_rng_state(), random)
    with pytest.raises(SpecError, match=r"example: '16' .* 0 to 15"):
        network_spectra(net, images(), example=16)
    with pytest.raises(SpecError, match=r"x: .* \(N, \(3, 8, 8\)\)"):
        network_spectra(net, images()[:, :1])
    with pytest.raises(SpecError, match=r"few: '5' .* 1 to 4, for the Jacobian is 9 x 12"):
        extremes(linear("he", 12, 9), torch.zeros(12, dtype=torch.float64), few=5)
