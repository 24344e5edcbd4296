"""Every probe against a slow twin in float64 that knows nothing of probes, hooks or cadences."""

import copy
import functools
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from explorer.data import load
from explorer.data.order import BatchOrder
from explorer.network import Network, build
from explorer.probes import EVERYTHING, PROBES, Probe, Snapshot, Watch
from explorer.probes.sizes import norms, spreads
from explorer.spec import parse
from explorer.trace import Array
from explorer.training import Trainer

RUNS = {
    "residual": "resnet-14,width=4,batch=16,warmup=0,lr=0.05",
    "plain, no norm": "plain-14,width=4,batch=16,norm=none,bias=true,init=torch_default",
    "gated": "resnet-8,width=4,batch=16,residual=0.5,branch_scale=0.5,skip=0.5~1~0",
    "bottleneck": "resnet-11,width=4,batch=16,block=preact_bottleneck,shortcut=projection",
    "clipped": "resnet-8,width=4,batch=16,norm=group,clip=0.01,label_smoothing=0.1",
    "points": "mlp-8,width=6,batch=16,data=spirals,optimizer=adam,lr=0.05",
}
WARM = 2  # steps trained before the one that is looked at
every_probe = pytest.mark.parametrize("name", PROBES)
every_run = pytest.mark.parametrize("run", RUNS)


def everything(snapshot: Snapshot) -> list[Tensor]:
    """All that a probe could change: weights, buffers, gradients, outputs, random numbers."""
    network = snapshot.network
    grads = [p.grad for p in network.parameters()]
    outputs = [*snapshot.outputs, *snapshot.branches, *snapshot.weights, *snapshot.updates]
    grads += [output.grad for output in snapshot.outputs]
    given = [snapshot.loss, snapshot.logits, snapshot.targets, torch.get_rng_state()]
    tested = [snapshot.test_logits, snapshot.test_targets]
    found = [*network.state_dict().values(), *grads, *outputs, *given, *tested]
    return [tensor.detach().clone() for tensor in found if tensor is not None]


def guarded(probe: Probe) -> Probe:
    """`probe`, with a look before and after at all that it could have changed."""

    def measure(snapshot: Snapshot) -> Tensor:
        before = everything(snapshot)
        values = probe.measure(snapshot)
        after = everything(snapshot)
        assert len(before) == len(after)
        assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True)), probe.name
        assert snapshot.network.training
        assert not any(m._forward_hooks for m in snapshot.network.modules())
        assert torch.equal(values, probe.measure(snapshot)), "a second look differs"
        return values

    return replace(probe, measure=measure)


@dataclass(frozen=True)
class Step:
    """One training step: its readings by probe, and what a twin needs to repeat it."""

    trainer: Trainer
    readings: dict[str, Array]
    before: Network  # the network as it was before the step, never run
    x: Tensor
    y: Tensor


@functools.cache
def step_of(run: str) -> Step:
    """The step after WARM others, watched by every probe, each under guard."""
    trainer = Trainer(parse(RUNS[run]), torch.device("cpu"), EVERYTHING)
    for _ in range(WARM):
        trainer.advance()
    trainer.probes = {name: guarded(probe) for name, probe in trainer.probes.items()}
    before = copy.deepcopy(trainer.network)
    readings = {reading.probe: reading.values for reading in trainer.advance()}
    data = load(trainer.run.data)
    order = BatchOrder(len(data.y_train), trainer.recipe.batch, trainer.run.seed)
    rows = order.indices(WARM)
    return Step(trainer, readings, before, data.x_train[rows], data.y_train[rows])


@dataclass(frozen=True)
class Twin:
    """The same step by hand: what enters and leaves the stem and every block, and the loss."""

    network: Network
    outputs: list[Tensor]
    logits: Tensor
    loss: Tensor
    weights: list[Tensor]


@functools.cache
def twin_of(run: str, dtype: torch.dtype = torch.float64) -> Twin:
    """The step's network in `dtype`, run once in training mode, its outputs caught by hooks."""
    step = step_of(run)
    network = copy.deepcopy(step.before).to(dtype)
    outputs: list[Tensor] = []
    for module in (network.stem, *network.blocks):
        module.register_forward_hook(lambda module, inputs, output: outputs.append(output))
    logits = network(step.x.to(dtype))
    smoothing = step.trainer.recipe.label_smoothing
    loss = F.cross_entropy(logits, step.y, label_smoothing=smoothing)
    layers = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    order = {id(p): place for place, p in enumerate(network.parameters())}
    weights = sorted((layer.weight for layer in layers), key=lambda weight: order[id(weight)])
    return Twin(network, outputs, logits, loss, weights)


def sizes(tensors: Any) -> list[float]:
    return [math.sqrt(float((t.detach().double().numpy() ** 2).sum())) for t in tensors]


def activation_gradient(run: str) -> list[float]:
    twin = twin_of(run)
    return sizes(torch.autograd.grad(twin.loss, twin.outputs, retain_graph=True))


def weight_gradient(run: str) -> list[float]:
    twin = twin_of(run)
    return sizes(torch.autograd.grad(twin.loss, twin.weights, retain_graph=True))


def update_ratio(run: str) -> list[float]:
    """Explicit copies of all weights before and after."""
    step = step_of(run)
    after = dict(step.trainer.network.named_parameters())
    pairs = [(p, after[n]) for n, p in step.before.named_parameters() if p.dim() > 1]
    changes = [new.detach().double() - old.detach().double() for old, new in pairs]
    own = sizes(old for old, _ in pairs)
    return [change / size for change, size in zip(sizes(changes), own, strict=True)]


def activation_mean(run: str) -> list[float]:
    return [float(np.mean(output.detach().numpy())) for output in twin_of(run).outputs]


def activation_std(run: str) -> list[float]:
    return [float(np.std(output.detach().numpy())) for output in twin_of(run).outputs]


def dead_share(run: str) -> list[float]:
    """A unit is dead if no example of the batch lifts it above 0; in float32, unit by unit."""
    outputs = [output.detach().numpy() for output in twin_of(run, torch.float32).outputs]
    return [1 - float((output > 0).any(axis=0).mean()) for output in outputs]


def residual_ratio(run: str) -> list[float]:
    """Each block's residual run by hand on the output of the block before it."""
    twin = twin_of(run)
    ratios = []
    for block, x in zip(copy.deepcopy(twin.network.blocks), twin.outputs[:-1], strict=True):
        added = block.residual(x.detach()) * block.residual_gate * block.branch_scale
        ratios.append(sizes([added])[0] / sizes([x])[0])
    return ratios


def train_loss(run: str) -> list[float]:
    return [twin_of(run).loss.item()]


def right(logits: Tensor, y: Tensor) -> list[float]:
    pairs = zip(logits.tolist(), y.tolist(), strict=True)
    return [sum(row.index(max(row)) == label for row, label in pairs) / len(y)]


def train_accuracy(run: str) -> list[float]:
    return right(twin_of(run, torch.float32).logits, step_of(run).y)


def evaluated(run: str, x: Tensor) -> Tensor:
    """Logits in evaluation mode, after the batch has passed through BatchNorm's statistics."""
    network = copy.deepcopy(twin_of(run, torch.float32).network).eval()
    return network(x).detach()


def test_accuracy(run: str) -> list[float]:
    data = load(step_of(run).trainer.run.data)
    return right(evaluated(run, data.x_test), data.y_test)


test_accuracy.__test__ = False  # type: ignore[attr-defined]


def decision(run: str) -> list[float]:
    """Cell by cell: row 0 is the lowest y, column 0 the lowest x; 48 cells from -2.5 to 2.5."""
    place = [-2.5 + 5 * cell / 47 for cell in range(48)]
    points = torch.tensor([[x, y] for y in place for x in place])
    pairs = evaluated(run, points).double().tolist()
    return [1 / (1 + math.exp(low - high)) for low, high in pairs]


TWINS: dict[str, Callable[[str], list[float]]] = {
    "activation_gradient": activation_gradient,
    "weight_gradient": weight_gradient,
    "update_ratio": update_ratio,
    "activation_mean": activation_mean,
    "activation_std": activation_std,
    "dead_share": dead_share,
    "residual_ratio": residual_ratio,
    "train_loss": train_loss,
    "train_accuracy": train_accuracy,
    "test_accuracy": test_accuracy,
    "decision": decision,
}


@every_run
@every_probe
def test_a_reading_is_what_the_slow_twin_finds(name: str, run: str) -> None:
    readings = step_of(run).readings
    if name not in readings:
        assert (name, run != "points") == ("decision", True)
        return
    assert name in TWINS, "a new probe needs a slow twin here"
    expected = TWINS[name](run)
    assert readings[name] == pytest.approx(expected, rel=2e-4, abs=1e-6)


@every_run
@every_probe
def test_a_probe_has_one_finite_value_a_site(name: str, run: str) -> None:
    step = step_of(run)
    sites = PROBES[name].sites(step.trainer.network)
    values = step.readings.get(name, np.zeros(0, np.float32))
    assert values.shape == (len(sites),)
    assert values.dtype == np.float32
    assert np.isfinite(values).all()
    assert len(set(sites)) == len(sites)


@every_probe
def test_a_probe_says_what_it_measures(name: str) -> None:
    probe = PROBES[name]
    assert probe.name == name
    assert probe.unit.strip()
    assert any(character.isdigit() for character in probe.source), "a source has a year"
    assert probe.cadence in ("step", "gradient", "activation", "update", "test")
    assert (probe.measure.__doc__ or "").strip()


def test_sites_follow_the_walk_and_the_weights() -> None:
    network = step_of("gated").trainer.network
    walk = ("stem", "block 1", "block 2", "block 3")
    assert PROBES["activation_gradient"].sites(network) == walk
    assert PROBES["residual_ratio"].sites(network) == walk[1:]
    assert PROBES["train_loss"].sites(network) == ("network",)
    layers = [f"blocks.{n}.residual.layer{k}.weight" for n in range(3) for k in (0, 3)]
    weights = ("stem.0.weight", *layers, "head.weight")
    assert PROBES["weight_gradient"].sites(network) == weights
    assert PROBES["update_ratio"].sites(network) == weights


def test_the_first_sgd_step_has_a_closed_form() -> None:
    """Without momentum the change of W is lr times its gradient."""
    run = parse("resnet-8,width=4,batch=16,momentum=0,warmup=0,lr=0.3")
    trainer = Trainer(run, torch.device("cpu"), EVERYTHING)
    own = sizes(p for p in trainer.network.parameters() if p.dim() > 1)
    readings = {reading.probe: reading.values for reading in trainer.advance()}
    expected = 0.3 * readings["weight_gradient"] / np.array(own)
    assert readings["update_ratio"] == pytest.approx(expected, rel=1e-4)


def test_a_vanishing_gradient_is_read_down_to_its_last_block() -> None:
    """torch_default keeps a sixth of the squared gradient a layer: its squares leave float32."""
    run = parse("plain-56,width=4,batch=8,norm=none,init=torch_default")
    trainer = Trainer(run, torch.device("cpu"))
    network = copy.deepcopy(trainer.network).double()
    readings = {reading.probe: reading.values for reading in trainer.advance(everything=True)}
    data = load(trainer.run.data)
    rows = BatchOrder(len(data.y_train), 8, 0).indices(0)
    outputs = [output for _, output in network.walk(data.x_train[rows].double())]
    loss = F.cross_entropy(network.logits(outputs[-1]), data.y_train[rows])
    expected = np.array(sizes(torch.autograd.grad(loss, outputs)))
    assert 0 < expected.min() < 1e-25
    assert readings["activation_gradient"] == pytest.approx(expected, rel=1e-3, abs=0)


def snapshot_of(size: float) -> Snapshot:
    """A step at which every gradient and update is `size` throughout, every weight 1."""
    network = build(parse("mlp-4,width=2,data=xor").network)
    output, zero = torch.ones(1, requires_grad=True), torch.zeros(())
    for part in (output, *network.parameters()):
        part.grad = torch.full_like(part, size)
    updates = [torch.full((1,), size)]
    return Snapshot(network, zero, zero, zero, [output], [], [torch.ones(1)], updates)


@pytest.mark.parametrize("size", [1e-36, 1e-25, 1e-19, 1e-6, 1.0, 1e19, 1e25, 1e37])
def test_sizes_whose_squares_leave_float32_are_still_read(size: float) -> None:
    snapshot = snapshot_of(size)
    entries = [p.numel() for p in snapshot.network.parameters() if p.dim() > 1]
    expected = {
        "activation_gradient": [size],
        "update_ratio": [size],
        "weight_gradient": [size * math.sqrt(count) for count in entries],
    }
    for name, values in expected.items():
        measured = PROBES[name].measure(snapshot).tolist()
        assert measured == pytest.approx(values, rel=1e-5, abs=0), name
    wide = torch.tensor([-size, size, size, -size])
    assert norms([wide]).tolist() == pytest.approx([2 * size], rel=1e-5, abs=0)
    assert spreads([wide]).tolist() == pytest.approx([size], rel=1e-5, abs=0)


def test_what_is_not_finite_is_said_and_what_is_zero_is_zero() -> None:
    nan, inf = math.nan, math.inf
    tensors = [torch.tensor(v) for v in ([0.0, 0.0], [1.0, nan], [1.0, inf], [3e38, 3e38])]
    assert norms(tensors).tolist() == pytest.approx([0, nan, inf, inf], nan_ok=True)


def test_a_gradient_that_never_came_is_zero() -> None:
    snapshot = snapshot_of(1.0)
    for part in (*snapshot.outputs, *snapshot.network.parameters()):
        part.grad = None
    for name in ("activation_gradient", "weight_gradient"):
        assert not PROBES[name].measure(snapshot).any()


ALL = {"step", "gradient", "activation", "update", "test"}


@pytest.mark.parametrize(
    ("step", "due"),
    [
        (0, ALL),
        (1, {"step"}),
        (5, {"step", "gradient"}),
        (25, ALL),
        (30, {"step", "gradient"}),
        (50, ALL),
    ],
)
def test_the_default_cadences(step: int, due: set[str]) -> None:
    assert Watch().due(step) == due
    assert Watch().due(step, last=True) == ALL
    assert EVERYTHING.due(step) == ALL


def test_each_cadence_has_its_own_period() -> None:
    watch = Watch(gradient=3, activation=4, test=5)
    found = {cadence: [s for s in range(61) if cadence in watch.due(s)] for cadence in ALL}
    periods = {"step": 1, "gradient": 3, "activation": 4, "update": 4, "test": 5}
    assert found == {name: list(range(0, 61, period)) for name, period in periods.items()}
