"""Watching a loop of one's own: readings against autograd by hand, and nothing else changed."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from explorer import build, parse, watch
from explorer.probes import EVERYTHING, PROBES, Watch
from explorer.probes.places import places
from explorer.spec import SpecError
from explorer.store import Row, Store
from explorer.trace import Trace
from explorer.training import Trainer
from explorer.watching.tape import norm, scaled_norm, scaled_spread, spread


class Block(nn.Module):
    """A block as people write them: both its sum and its ReLU are in place."""

    def __init__(self, width: int, keep: list[Tensor] | None = None) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(width, width), nn.BatchNorm1d(width), nn.Dropout(0.2))
        self.keep = keep

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.layers(x)
        out += x
        if self.keep is not None:  # the twin: a copy, taken by hand, that nothing overwrites
            self.keep.append(out)
            out = out.clone()
        return out


class Net(nn.Module):
    """Three blocks, each followed by an in-place ReLU."""

    def __init__(self, keep: list[Tensor] | None = None) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([Block(8, keep) for _ in range(3)])
        self.head = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = F.relu_(block(x))
        return self.head(x)


def twins(keep: list[Tensor]) -> tuple[Net, Net]:
    torch.manual_seed(1)
    watched, by_hand = Net(), Net(keep)
    by_hand.load_state_dict(watched.state_dict())
    return watched, by_hand


def batches(count: int) -> list[tuple[Tensor, Tensor]]:
    source = torch.Generator().manual_seed(2)
    make = lambda: (  # noqa: E731
        torch.randn(16, 8, generator=source),
        torch.randint(4, (16,), generator=source),
    )
    return [make() for _ in range(count)]


def sizes(tensors: list[Tensor]) -> list[float]:
    return [math.sqrt(float((t.detach().double().numpy() ** 2).sum())) for t in tensors]


def only() -> tuple[Row, dict[str, Trace]]:
    """The one run of the store and its traces."""
    store = Store()
    (row,) = store.table.rows()
    traces = {probe: store.trace(row.id, probe) for probe in store.probes(row.id)}
    store.close()
    return row, traces


def train(module: nn.Module, count: int, after: Callable[[Tensor, Any], None]) -> None:
    optimizer = torch.optim.SGD(module.parameters(), 0.1, momentum=0.9)
    torch.manual_seed(3)  # dropout
    for x, y in batches(count):
        optimizer.zero_grad()
        loss = F.cross_entropy(module(x), y)
        loss.backward()  # type: ignore[no-untyped-call]
        after(loss, optimizer)
        optimizer.step()


def test_readings_are_those_of_a_loop_by_hand() -> None:
    kept: list[Tensor] = []
    watched, by_hand = twins(kept)
    expected: dict[str, list[list[float]]] = {}

    def note(probe: str, values: list[float]) -> None:
        expected.setdefault(probe, []).append(values)

    with watch(watched, name="mine", every=1) as w:
        train(watched, 6, lambda loss, _: w.step(loss, accuracy=0.25))
    matrices = [p for p in by_hand.parameters() if p.dim() > 1]
    before: list[Tensor] = []

    def measure(loss: Tensor, _: Any) -> None:
        if before:
            moved = [p.detach() - b for p, b in zip(matrices, before, strict=True)]
            pairs = zip(sizes(moved), sizes(before), strict=True)
            note("update_ratio", [change / own for change, own in pairs])
        before[:] = [p.detach().clone() for p in matrices]
        note("activation_gradient", sizes([k.grad for k in kept if k.grad is not None]))
        note("weight_gradient", sizes([p.grad for p in matrices if p.grad is not None]))
        note("activation_std", [float(k.detach().numpy().std()) for k in kept])
        note("activation_mean", [float(k.detach().numpy().mean()) for k in kept])
        dead = [1 - float((k.detach().numpy() > 0).any(axis=0).mean()) for k in kept]
        note("dead_share", dead)
        note("train_loss", [loss.item()])
        note("train_accuracy", [0.25])
        kept.clear()

    hook = lambda m, i, o: kept[-1].retain_grad()  # noqa: E731
    for block in by_hand.blocks:
        block.register_forward_hook(hook)
    train(by_hand, 6, measure)

    row, traces = only()
    assert set(traces) == set(expected)
    cadence = {"gradient": 1, "step": 1, "activation": 5, "update": 5}
    for probe, trace in traces.items():
        assert (trace.unit, trace.log) == (PROBES[probe].unit, PROBES[probe].log)
        every = cadence[PROBES[probe].cadence]
        assert trace.steps.tolist() == list(range(0, 6, every))[: len(trace)]
        for step, values in zip(trace.steps, trace.values, strict=True):
            if step < len(expected[probe]):
                wanted = expected[probe][step]
                assert values == pytest.approx(wanted, rel=1e-4, abs=1e-7), probe
    assert traces["update_ratio"].steps.tolist() == [0, 5]  # the last one on leaving
    assert traces["activation_gradient"].sites == tuple(places(watched)) == w.sites
    assert traces["weight_gradient"].sites == tuple(
        name for name, p in watched.named_parameters() if p.dim() > 1
    )
    assert (row.arm, row.state, row.step, row.watched) == ("mine", "done", 5, True)
    assert row.versions["module"] == "Net"
    assert row.versions["parameters"] == f"{sum(p.numel() for p in watched.parameters()):,}"


def test_watching_changes_no_bit() -> None:
    """Weights, buffers, momentum, random numbers, hooks and modes are as without it."""
    watched, bare = twins([])
    for block in bare.blocks:
        block.keep = None
    optimizers: list[Any] = []
    states = []
    with watch(watched, every=2) as w:

        def step(loss: Tensor, optimizer: Any) -> None:
            w.step(loss)
            optimizers.append(optimizer)

        train(watched, 12, step)
        states.append(torch.get_rng_state())
    train(bare, 12, lambda loss, optimizer: optimizers.append(optimizer))
    states.append(torch.get_rng_state())
    assert torch.equal(*states)
    pairs = zip(watched.state_dict().values(), bare.state_dict().values(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    momenta = [
        [s["momentum_buffer"] for s in o.state.values()] for o in (optimizers[0], optimizers[-1])
    ]
    assert all(torch.equal(a, b) for a, b in zip(*momenta, strict=True))
    assert watched.training
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in watched.modules())


def test_a_network_of_ours_reads_as_its_trainer_does() -> None:
    run = parse("resnet-14,width=4,batch=16,warmup=0,lr=0.05,steps=4")
    trainer = Trainer(run, torch.device("cpu"), EVERYTHING)
    expected: dict[tuple[str, int], Any] = {}
    for _ in range(4):
        expected |= {(r.probe, r.step): r.values for r in trainer.advance()}
    own = Trainer(run, torch.device("cpu"))
    network = build(run.network, run.seed)
    optimizer = torch.optim.SGD(network.parameters(), 0.05, momentum=0.9, weight_decay=5e-4)
    for group in optimizer.param_groups:
        group.update(own.optimizer.param_groups[0] | {"params": group["params"], "lr": 0.05})
    with watch(network, every=EVERYTHING) as w:
        for step in range(4):
            rows = own.order.indices(step)
            optimizer.param_groups[0]["lr"] = trainer_lr(own, step)
            loss = F.cross_entropy(network(own.data.x_train[rows]), own.data.y_train[rows])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            w.step(loss)
            optimizer.step()
    _, traces = only()
    for probe, trace in traces.items():
        assert trace.sites == PROBES[probe].sites(network)
        for step, values in zip(trace.steps.tolist(), trace.values, strict=True):
            assert values == pytest.approx(expected[probe, step], rel=1e-4), probe


def trainer_lr(trainer: Trainer, step: int) -> float:
    from explorer.training import learning_rate

    return learning_rate(trainer.recipe, step)


def test_hooks_are_on_only_while_a_step_is_due() -> None:
    module, _ = twins([])
    on = []
    with watch(module, every=Watch(gradient=3, activation=4)) as w:
        for x, y in batches(9):
            on.append(bool(module.blocks[0]._forward_hooks))
            loss = F.cross_entropy(module(x), y)
            loss.backward()  # type: ignore[no-untyped-call]
            w.step(loss)
    assert on == [step % 3 == 0 or step % 4 == 0 for step in range(9)]
    _, traces = only()
    assert traces["activation_gradient"].steps.tolist() == [0, 3, 6]
    assert traces["activation_std"].steps.tolist() == [0, 4, 8]


def test_a_store_may_be_a_folder_or_a_store(tmp_path: Path) -> None:
    module, _ = twins([])
    folder = tmp_path / "runs"
    with watch(module, name="folder", store=folder, start=7) as w:
        train(module, 2, lambda loss, _: w.step(loss))
    with watch(module, store=str(folder)):
        pass
    store = Store(folder / "runs.sqlite")
    with watch(module, name="store", store=store) as w:
        train(module, 2, lambda loss, _: w.step(loss))
    rows = store.table.rows()
    assert [row.arm for row in rows] == ["store", "watched", "folder"]
    assert [row.step for row in rows] == [1, -1, 8]
    assert Store().table.rows() == []


@pytest.mark.parametrize("size", [1e-30, 1e-3, 1e25])
@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_sizes_survive_underflow_and_overflow(size: float, kind: torch.dtype) -> None:
    """Both ways to measure, that of CPUs and that of GPUs, against float64."""
    x = (torch.randn(50, 20, generator=torch.Generator().manual_seed(0)) * size + size).to(kind)
    exact = x.double()
    precision = 1e-5 if kind == torch.float32 else 2e-3
    for measure in (norm, scaled_norm):
        assert float(measure(x)) == pytest.approx(float(exact.norm()), rel=precision)
    for measure in (spread, scaled_spread):
        assert float(measure(x)) == pytest.approx(float(exact.std(correction=0)), rel=precision)
    assert float(scaled_norm(torch.zeros(3))) == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"module": 3}, "module: 'int' is not allowed"),
        ({"module": nn.Sequential(nn.ReLU())}, "module: Sequential has no layers"),
        ({"name": ""}, "name: '' is not allowed"),
        ({"name": "x" * 81}, "name: "),
        ({"every": 0}, "every: '0' is not allowed"),
        ({"every": "often"}, "every: 'often' is not allowed"),
        ({"every": Watch(gradient=0)}, "every: "),
    ],
)
def test_what_cannot_be_watched_is_said_in_one_line(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=f"^{said}") as caught:
        watch(**{"module": nn.Linear(2, 2), **arguments})
    assert "\n" not in str(caught.value)


def test_a_loss_is_one_number_of_a_step_inside_the_block() -> None:
    module = nn.Linear(2, 2)
    w = watch(module)
    with pytest.raises(ValueError, match="inside the block"):
        w.step(1.0)
    with w:
        with pytest.raises(SpecError, match="loss: "):
            w.step(torch.zeros(3))
        for loss in (0.5, torch.tensor(1.5), torch.tensor([2.5]), np.float64(3.5)):
            w.step(loss)
            if isinstance(loss, torch.Tensor):
                loss.zero_()  # as loops do that average in place
    row, traces = only()
    assert traces["train_loss"].values[:, 0].tolist() == [0.5, 1.5, 2.5, 3.5]
    assert row.message.startswith("step 0: no block's gradient was seen")
