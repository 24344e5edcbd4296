"""Attributions: Captum's promises kept on our networks, and what they were asked for."""

import copy
import math
from collections.abc import Iterator

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import torchvision
from captum.attr import DeepLift, IntegratedGradients, LayerConductance
from torch import Tensor, nn

from explorer.inside.attribution import (
    conductance,
    grad_cam,
    integrated_gradients,
    neuron_gradient,
    occlusion,
)
from explorer.inside.caveats import METHODS, REWRITING, caveats
from explorer.network import Network, build
from explorer.spec import SpecError, parse


def trained(text: str) -> Network:
    """A network after a few steps on random images, so that BatchNorm's statistics are set."""
    net = build(parse(text).network.replace(inputs=(3, 8, 8)))
    x, y = images(32), torch.arange(32) % 10
    optimiser = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
    for _ in range(12):
        optimiser.zero_grad()
        F.cross_entropy(net(x), y).backward()
        optimiser.step()
    optimiser.zero_grad()
    return net


def images(count: int = 1) -> Tensor:
    return torch.randn(count, 3, 8, 8, generator=torch.Generator().manual_seed(3))


@pytest.fixture(scope="module", params=["resnet-8,width=4", "resnet-8,width=4,block=preact"])
def net(request: pytest.FixtureRequest) -> Network:
    return trained(request.param)


@pytest.fixture(autouse=True)
def _left_as_it_was(net: Network) -> Iterator[None]:
    """After every test the network's modes, tensors and gradients are as before it."""
    net.blocks[1].eval()
    modes = [part.training for part in net.modules()]
    before = {name: value.clone() for name, value in net.state_dict().items()}
    yield
    assert [part.training for part in net.modules()] == modes
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert all(p.grad is None and p.requires_grad for p in net.parameters())
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in net.modules())


def twin(net: Network) -> Network:
    """A copy in evaluation mode that a test may do with as it likes."""
    return copy.deepcopy(net).eval()


def logit(net: nn.Module, x: Tensor, target: int) -> float:
    return twin(net)(x)[0, target].item()


def captum_delta(net: Network, method: object, x: Tensor, **settings: object) -> float:
    """The convergence delta as Captum computes it itself."""
    net = twin(net)
    made = method(net, net.blocks[0]) if method is LayerConductance else method(net)
    return float(made.attribute(x, return_convergence_delta=True, **settings)[1])


def test_integrated_gradients_are_complete_within_the_error_they_state(net: Network) -> None:
    x, baseline = images(), 0.3 * images(2)[1:]
    found = integrated_gradients(net, x, 4, baseline=baseline, steps=200)
    change = logit(net, x, 4) - logit(net, baseline, 4)
    assert found.change == pytest.approx(change, rel=1e-4)
    assert found.error == pytest.approx(abs(found.values.sum(dtype=float) - change), abs=1e-4)
    assert found.error < 0.02 * abs(change) + 0.02
    assert found.values.shape == (3, 8, 8)
    assert found.values.dtype == np.float32


def test_the_errors_are_captum_s_own_convergence_deltas(net: Network) -> None:
    x = images()
    found = integrated_gradients(net, x, 1, steps=20)
    theirs = captum_delta(net, IntegratedGradients, x, target=1, n_steps=20)
    assert found.error == pytest.approx(abs(theirs), abs=1e-4)
    ours = conductance(net, x, 1, steps=20, blocks=[1])[0]
    theirs = captum_delta(net, LayerConductance, x, target=1, n_steps=20)
    assert ours.error == pytest.approx(abs(theirs), abs=1e-4)


def test_on_a_linear_network_integrated_gradients_are_the_weights_times_the_way() -> None:
    linear = nn.Sequential(nn.Flatten(), nn.Linear(192, 10))
    x, baseline = images(), images(2)[1:]
    found = integrated_gradients(linear, x, 7, baseline=baseline, steps=5, batch=2)
    exact = linear[1].weight[7].detach().view(3, 8, 8) * (x - baseline)[0]
    np.testing.assert_allclose(found.values, exact, rtol=1e-5, atol=1e-7)
    assert found.error < 1e-5


def test_conductance_of_every_block_is_complete(net: Network) -> None:
    x = images()
    change = logit(net, x, 2) - logit(net, torch.zeros_like(x), 2)
    coarse, fine = (conductance(net, x, 2, steps=steps) for steps in (25, 400))
    with torch.no_grad():
        shapes = [tuple(out.shape[1:]) for _, out in twin(net).walk(x)][1:]
    assert [found.values.shape for found in fine] == shapes
    for found in fine:
        assert found.change == pytest.approx(change, rel=1e-4)
        assert found.error == pytest.approx(abs(found.values.sum(dtype=float) - change), abs=1e-3)
        assert found.error < 0.05 * abs(change) + 0.05
    assert sum(f.error for f in fine) < sum(f.error for f in coarse)


def test_grad_cam_is_maps_times_mean_gradients(net: Network) -> None:
    x, by_hand = images(), twin(net)
    for block in (1, 2, 3):
        value = dict(by_hand.walk(x))[f"block {block}"].detach().requires_grad_()
        end = value
        for later in by_hand.blocks[block:]:
            end = later(end)
        (gradient,) = torch.autograd.grad(by_hand.logits(end)[0, 6], value)
        cam = (gradient.mean((2, 3), keepdim=True) * value).sum(1)[0].detach().numpy()
        signed = grad_cam(net, x, 6, block, positive=False).values
        np.testing.assert_allclose(signed, cam, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(grad_cam(net, x, 6, block).values, np.maximum(signed, 0))


def test_occlusion_is_the_mean_fall_over_the_squares_that_cover_a_pixel(net: Network) -> None:
    x, window, stride = images(), 3, 2
    falls, covers = np.zeros((8, 8)), np.zeros((8, 8))
    for top in range(0, 7, stride):
        for left in range(0, 7, stride):
            square = np.s_[top : top + window, left : left + window]
            covered = x.clone()
            covered[:, :, square[0], square[1]] = 0
            falls[square] += logit(net, x, 5) - logit(net, covered, 5)
            covers[square] += 1
    found = occlusion(net, x, 5, window=window, stride=stride, batch=5)
    np.testing.assert_allclose(found.values, falls / covers, rtol=1e-3, atol=1e-4)
    assert (found.error, found.change) == (None, None)


def test_a_neuron_s_gradient_is_its_finite_difference(net: Network) -> None:
    x, place = images(), (3, 1, 2)
    found = neuron_gradient(net, x, 2, place)
    double = twin(net).double()
    direction = torch.randn(x.shape, generator=torch.Generator().manual_seed(1)).double()
    ends = [x.double() + step * direction for step in (1e-6, -1e-6)]
    up, down = (dict(double.walk(end))["block 2"][0][place].item() for end in ends)
    slope = float((torch.from_numpy(found.values).double() * direction[0]).sum())
    assert slope == pytest.approx((up - down) / 2e-6, rel=1e-3)


def test_progress_is_reported_and_may_cancel(net: Network) -> None:
    x, random = images(), torch.get_rng_state()
    for call, total in (
        (lambda report: integrated_gradients(net, x, 1, steps=20, batch=8, report=report), 3),
        (lambda report: conductance(net, x, 1, steps=5, report=report), 3),
        (lambda report: occlusion(net, x, 1, batch=7, report=report), 1 + math.ceil(36 / 7)),
    ):
        seen: list[tuple[int, int]] = []
        call(lambda *at, seen=seen: seen.append(at))
        assert seen == [(done, total) for done in range(total + 1)]

        def cancel(done: int, total: int) -> None:
            if done == 2:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            call(cancel)
    assert torch.equal(torch.get_rng_state(), random)


def test_bad_input_is_one_line(net: Network) -> None:
    x = images()
    mlp = build(parse("mlp-6,width=8").network.replace(inputs=(2,)))
    for call, message in (
        (lambda: integrated_gradients(net, x, 10), "target: '10' .* 0 to 9"),
        (lambda: integrated_gradients(net, images(2), 1), "x: .* one example"),
        (lambda: integrated_gradients(net, x, 1, steps=0), "steps: '0' .* 1 or more"),
        (lambda: conductance(net, x[:, :, :4], 1), r"x: .* reads \(1, 3, 8, 8\)"),
        (lambda: grad_cam(net, x, 1, 4), "block: '4' .* 1 to 3"),
        (lambda: grad_cam(mlp, torch.zeros(1, 2), 1, 1), "network: 'mlp'"),
        (lambda: occlusion(net, x, 1, window=9), "window: '9' .* 1 to 8 pixels"),
        (lambda: occlusion(net, x, 1, window=2, stride=3), "stride: '3' .* 1 to 2 pixels"),
        (lambda: neuron_gradient(net, x, 1, (0, 8, 0)), "neuron: .* block 1's output"),
        (lambda: caveats(net, "saliency"), "method: 'saliency' .* choose one of"),
    ):
        with pytest.raises(SpecError, match=message):
            call()


@pytest.mark.filterwarnings("ignore:Setting forward, backward hooks")
def test_deep_lift_breaks_its_promise_exactly_where_the_caveat_says(net: Network) -> None:
    x = images().requires_grad_()
    _, delta = DeepLift(twin(net)).attribute(x, target=1, return_convergence_delta=True)
    change = logit(net, x, 1) - logit(net, torch.zeros_like(x), 1)
    broken = abs(float(delta)) > 1e-3 * abs(change)
    assert broken == bool(caveats(net, "deep_lift", x)) == net.all_blocks[0].act_after_sum


@pytest.mark.filterwarnings("ignore:Setting forward, backward hooks")
def test_ours_are_safe_for_what_is_offered_and_reused_modules_are_found(net: Network) -> None:
    assert [caveats(net, method, images()) for method in METHODS] == [()] * len(METHODS)
    warned = {bool(caveats(net, method)) for method in REWRITING}
    assert warned == {net.all_blocks[0].act_after_sum}
    foreign = torchvision.models.resnet18(weights=None)
    x = torch.randn(1, 3, 32, 32).requires_grad_()
    found = caveats(foreign, "deep_lift", x)
    assert any("layer1.0.relu runs 2 times" in line for line in found)
    with pytest.raises(RuntimeError, match="more than once"):
        DeepLift(foreign.eval()).attribute(x, target=1)
    assert any("layer1.0.relu" in line for line in caveats(foreign, "grad_cam", x))
    assert caveats(foreign, "integrated_gradients", x) == ()
