"""Measured gradient profiles: against theory over eight seeds, and against slower readings."""

import json
import math
from dataclasses import fields

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor, nn

from explorer.flow import Flow, fitted_rate, flow
from explorer.network import build
from explorer.probes import weighted
from explorer.probes.flow import gradient_flow, profile
from explorer.probes.places import places
from explorer.spec import NetworkSpec, SpecError, parse
from explorer.theory import chi

SEEDS = 8


def measured(text: str) -> Flow:
    return flow(parse(text), SEEDS)


def images(count: int = 8, side: int = 8, channels: int = 3) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(count, channels, side, side, generator=generator)
    return x, torch.randint(0, 10, (count,), generator=generator)


@pytest.mark.parametrize(
    ("init", "rate"), [("he", 1), ("lecun", 0.5), ("xavier", 0.5), ("torch_default", 1 / 6)]
)
def test_plain_mlps_follow_theory_within_3_percent(init: str, rate: float) -> None:
    found = measured(f"mlp-30,shortcut=none,norm=none,width=256,init={init}")
    assert found.valid
    assert found.predicted_rate == pytest.approx(rate)
    assert found.rate == pytest.approx(rate, rel=0.03)


@pytest.mark.parametrize(
    "text",
    [
        "plain-20,stages=9x64,norm=none,batch=64",
        "plain-20,stages=9x64,norm=none,batch=64,init=torch_default",
        "plain-20,stages=9x64,norm=none,batch=64,init=delta_orthogonal",
        "plain-20,width=64,norm=none,batch=16",
        "resnet-14,width=64,norm=none,batch=16,block=preact",
    ],
)
def test_convolutions_follow_theory_with_their_borders_within_10_percent(text: str) -> None:
    found = measured(text)
    assert found.valid
    assert found.rate == pytest.approx(found.predicted_rate, rel=0.1)


@pytest.mark.parametrize("batch", [32, 128])
def test_plain_mlps_with_batch_norm_grow_by_chi_within_10_percent(batch: int) -> None:
    found = measured(f"mlp-30,shortcut=none,width=128,batch={batch}")
    assert found.valid
    assert found.predicted_rate == pytest.approx(chi(batch))
    assert found.rate == pytest.approx(chi(batch), rel=0.1)


def test_plain_convolutions_with_batch_norm_grow_by_chi_within_10_percent() -> None:
    found = measured("plain-14,stages=6x128,batch=16")
    assert found.rate == pytest.approx(chi(math.inf), rel=0.1)


@pytest.mark.parametrize(
    ("init", "factor"), [("he", 2), ("torch_default", 1 + 1 / 36), ("xavier", 1.25)]
)
def test_residual_mlps_without_norm_grow_by_1_plus_r(init: str, factor: float) -> None:
    found = measured(f"mlp-42,norm=none,block=preact,width=384,init={init}")
    assert found.rate_per_block == pytest.approx(factor, rel=0.03)


def test_branches_scaled_by_one_over_root_n_grow_by_e_in_all() -> None:
    found = measured("mlp-50,norm=none,block=preact,width=384,branch_scale=0.20412414523193154")
    gain = (found.activation_gradient[0] / found.activation_gradient[-1]) ** 2
    assert gain == pytest.approx(math.e, rel=0.05)


def test_residual_mlps_with_batch_norm_follow_theory_within_3_percent() -> None:
    found = measured("mlp-66,block=preact,width=256")
    assert found.rate_per_block == pytest.approx(found.predicted_rate_per_block, rel=0.03)


def test_the_forward_signal_follows_the_same_factor() -> None:
    found = measured("mlp-22,norm=none,shortcut=none,width=384,init=lecun")
    fall = (found.activation_std[-1] / found.activation_std[0]) ** (2 / 20)
    assert fall == pytest.approx(0.5, rel=0.03)


def test_narrow_networks_are_measured_and_theory_says_it_does_not_hold() -> None:
    found = flow(parse("mlp-30,shortcut=none,norm=none,width=8"))
    assert found.valid is False
    assert found.region == "wide limit: width >= 256"


def test_flow_as_json() -> None:
    found = flow(parse("plain-8,width=4,norm=none,seed=3,batch=16"), 2).to_json()
    read = json.loads(json.dumps(found, allow_nan=False))
    assert set(read) == {field.name for field in fields(Flow)}
    assert read["spec"] == "plain-8,norm=none,width=4,batch=16,seed=3"
    assert read["sites"] == ["stem", "block 1", "block 2", "block 3"]
    assert read["predicted"][-1] == read["activation_gradient"][-1]
    assert len(read["weight_gradient"]) == len(read["weight_sites"]) == 8
    assert read["rate_per_block"] == pytest.approx(read["rate"] ** 2)
    assert (read["seeds"], read["device"]) == (2, "cpu")


def test_seeds_are_averaged_in_logarithms() -> None:
    text = "mlp-8,width=16,seed={},batch=32"
    both, first, second = (
        flow(parse(text.format(seed)), seeds) for seed, seeds in ((4, 2), (4, 1), (5, 1))
    )
    product = first.activation_gradient * second.activation_gradient
    np.testing.assert_allclose(both.activation_gradient, np.sqrt(product))
    assert first.rate is not None
    assert second.rate is not None
    assert both.rate == pytest.approx(math.sqrt(first.rate * second.rate))
    assert (both.low <= both.activation_gradient).all()
    assert (both.activation_gradient <= both.high).all()


def test_a_dead_network_reads_zero_and_has_no_rate() -> None:
    found = flow(parse("mlp-8,width=16,norm=none,shortcut=none,residual=0")).to_json()
    assert found["activation_gradient"][:-1] == [0.0] * 3  # type: ignore[index]
    assert found["rate"] is None
    assert found["predicted_rate"] is None


def test_where_no_theory_is_known_nothing_is_predicted() -> None:
    found = flow(parse("resnet-8,width=4,batch=16"))
    assert found.rate is not None
    for field in ("predicted", "predicted_rate", "prediction", "source", "region", "valid"):
        assert getattr(found, field) is None


def test_no_seeds_are_refused() -> None:
    with pytest.raises(SpecError, match="seeds: '0' is not allowed"):
        flow(parse("mlp-8"), 0)


def test_fit_is_exact_on_a_line_and_skips_its_ends_and_gaps() -> None:
    log_g = -0.3 * np.arange(0, 32, 2.0)
    log_g[0], log_g[-1], log_g[7] = 50, -50, np.nan
    assert fitted_rate(log_g, 2) == pytest.approx(math.exp(0.3))
    assert fitted_rate(np.array([1.0, np.nan]), 2) is None


def by_retained_gradients(module: nn.Module, x: Tensor, y: Tensor) -> list[float]:
    """The slow twin: outputs kept as they are (no in-place operation may follow), and backward."""
    kept: list[Tensor] = []

    def keep(_module: nn.Module, _inputs: object, output: Tensor) -> None:
        output.retain_grad()
        kept.append(output)

    hooks = [site.register_forward_hook(keep) for site in places(module).values()]
    F.cross_entropy(module(x), y).backward()
    for hook in hooks:
        hook.remove()
    return [output.grad.norm().item() for output in kept if output.grad is not None]


def no_in_place(module: nn.Module) -> nn.Module:
    for part in module.modules():
        if hasattr(part, "inplace"):
            part.inplace = False
    return module


def test_own_networks_are_read_where_they_walk() -> None:
    spec = NetworkSpec(depth=8, width=8, inputs=(3, 8, 8))
    x, y = images()
    trace = gradient_flow(build(spec, 1), x, y)
    full = profile(build(spec, 1), x, y)
    assert trace.sites == spec.sites
    assert (trace.probe, trace.steps.tolist(), trace.log) == ("activation_gradient", [0], True)
    np.testing.assert_allclose(trace.last, full["activation_gradient"], rtol=1e-5)
    network = build(spec, 1)
    outputs = [output for _, output in network.walk(x)]
    for output in outputs:
        output.retain_grad()
    F.cross_entropy(network.logits(outputs[-1]), y).backward()
    named = dict(network.named_parameters())
    weights = [named[name].grad.norm().item() for name in weighted(network)]  # type: ignore[union-attr]
    np.testing.assert_allclose(
        trace.last, [output.grad.norm().item() for output in outputs], rtol=1e-5
    )
    np.testing.assert_allclose(full["weight_gradient"], weights, rtol=1e-5)
    spreads = [output.std(correction=0).item() for output in outputs]
    np.testing.assert_allclose(full["activation_std"], spreads, rtol=1e-5)


@pytest.mark.parametrize("maker", [torchvision.models.resnet18, torchvision.models.vgg11])
def test_in_place_activations_of_foreign_networks_do_not_spoil_the_reading(maker) -> None:  # type: ignore[no-untyped-def]
    torch.manual_seed(0)
    module = maker(weights=None, num_classes=10).eval()
    x, y = images(2, 64)
    trace = gradient_flow(module, x, y)
    assert trace.sites == tuple(places(module))
    slow = by_retained_gradients(no_in_place(module), x, y)
    np.testing.assert_allclose(trace.last, slow, rtol=1e-4)


@pytest.mark.parametrize(
    ("name", "count", "first"),
    [
        ("resnet18", 8, "layer1.0"),
        ("resnet50", 16, "layer1.0"),
        ("vgg11", 11, "features.0"),
        ("densenet121", 58, "features.denseblock1.denselayer1"),
        ("efficientnet_b0", 16, "features.1.0"),
        ("vit_b_16", 12, "encoder.layers.encoder_layer_0"),
    ],
)
def test_blocks_of_known_architectures_are_found(name: str, count: int, first: str) -> None:
    with torch.device("meta"):
        module = torchvision.models.get_model(name)
    sites = list(places(module))
    assert (len(sites), sites[0]) == (count, first)


class Looped(nn.Module):
    """One layer that runs three times, another that never reaches the loss."""

    def __init__(self) -> None:
        super().__init__()
        self.shared = nn.Linear(4, 4)
        self.unheard = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        self.unheard(x)
        for _ in range(3):
            x = self.shared(x).relu_()
        return x


def test_a_layer_that_runs_again_is_numbered_and_one_that_is_unheard_reads_zero() -> None:
    trace = gradient_flow(Looped(), torch.rand(5, 4), torch.arange(5) % 4)
    assert trace.sites == ("unheard", "shared", "shared (2)", "shared (3)")
    assert trace.last[0] == 0
    assert trace.last[-1] > 0


def test_measuring_leaves_no_mark() -> None:
    module = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.Dropout(0.5),
        nn.Flatten(), nn.Linear(144, 10),
    )  # fmt: skip
    x, y = images()
    F.cross_entropy(module(x), y).backward()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    gradients = [parameter.grad.clone() for parameter in module.parameters()]  # type: ignore[union-attr]
    random = torch.get_rng_state()
    with torch.no_grad():
        gradient_flow(module, x, y)
    assert torch.equal(torch.get_rng_state(), random)
    assert module.training
    for name, value in module.state_dict().items():
        assert torch.equal(value, before[name]), name
    for parameter, gradient in zip(module.parameters(), gradients, strict=True):
        assert parameter.grad is not None
        assert torch.equal(parameter.grad, gradient)
    assert not any(part._forward_hooks for part in module.modules())
    assert x.grad is None
    assert not x.requires_grad


def test_frozen_networks_are_measured_too() -> None:
    module = build(NetworkSpec(depth=8, width=4), 0)
    x, y = images(4, 32)
    trained = gradient_flow(module, x, y)
    frozen = gradient_flow(module.requires_grad_(False), x, y)
    np.testing.assert_allclose(frozen.last, trained.last, rtol=1e-6)


def test_gradients_whose_squares_leave_float32_are_read() -> None:
    spec = parse("mlp-62,shortcut=none,norm=none,width=64,init=torch_default").network
    x, y = images(8, 8, 1)
    single = profile(build(spec, 0), x, y)["activation_gradient"]
    double = profile(build(spec, 0).double(), x.double(), y)["activation_gradient"]
    assert 0 < single[0] < 1e-20
    np.testing.assert_allclose(single, double, rtol=1e-3)


def test_wrong_labels_and_empty_modules_are_refused() -> None:
    module = nn.Sequential(nn.Flatten(), nn.Linear(192, 3))
    x, y = images()
    with pytest.raises(ValueError, match="y: not labels from 0 to 2"):
        gradient_flow(module, x, y)
    with pytest.raises(ValueError, match="module: Flatten has no layers"):
        gradient_flow(nn.Flatten(), x, y)
