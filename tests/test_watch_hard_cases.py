"""Watching where loops are unkind: wrapped, accumulated, reused, failing, or out of disk."""

import copy
import math
import pickle
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.nn.functional as F
from test_watch import Net, batches, only, sizes, train, twins
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from torch.utils.data import DataLoader, TensorDataset

from explorer import gradient_flow, watch
from explorer.store import Store


def linear(depth: int = 3) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(*[nn.Linear(4, 4) for _ in range(depth)])


def step_once(module: nn.Module, w: Any, x: Tensor | None = None) -> Tensor:
    x = torch.ones(5, 4) if x is None else x
    loss: Tensor = module(x).square().mean()
    module.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    w.step(loss)
    return loss


def test_layers_are_the_sites_of_a_module_without_blocks() -> None:
    """Every dL/dx of a linear chain has a closed form: the one after it, times W transposed."""
    module = linear()
    with watch(module) as w:
        step_once(module, w)
    _, traces = only()
    x = [torch.ones(5, 4)]
    for layer in module:
        x.append(layer(x[-1]).detach())
    gradients = [2 * x[-1] / x[-1].numel()]
    for layer in (module[2], module[1]):
        gradients.insert(0, gradients[0] @ layer.weight.detach())
    assert traces["activation_gradient"].sites == ("0", "1", "2") == w.sites
    assert traces["activation_gradient"].last == pytest.approx(sizes(gradients), rel=1e-5)


def test_it_agrees_with_gradient_flow() -> None:
    module = Net()
    x, y = batches(1)[0]
    module.eval()  # no dropout; one that trains so is read too
    flow = gradient_flow(module, x, y)
    with watch(module) as w:
        loss = F.cross_entropy(module(x), y)
        loss.backward()  # type: ignore[no-untyped-call]
        w.step(loss)
    _, traces = only()
    assert traces["activation_gradient"].sites == flow.sites
    assert traces["activation_gradient"].last == pytest.approx(flow.last, rel=1e-5)


def test_of_accumulated_batches_the_last_one_counts() -> None:
    module = linear()
    first, last = torch.ones(5, 4), torch.full((5, 4), 3.0)
    with watch(module, name="two") as w:
        module(first).square().mean().backward()
        loss = module(last).square().mean()
        loss.backward()  # type: ignore[no-untyped-call]
        w.step(loss)
        both = [p.grad.clone() for p in module.parameters() if p.dim() > 1 and p.grad is not None]
    with watch(module, name="one") as w:
        step_once(module, w, last)
    store = Store()
    one, two = store.table.rows()
    pair = [store.trace(row.id, "activation_gradient").last for row in (one, two)]
    assert np.array_equal(*pair)
    assert store.trace(two.id, "weight_gradient").last == pytest.approx(sizes(both), rel=1e-5)


class Reused(nn.Module):
    """One layer applied three times, called by a method that is not `forward`."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4, bias=False)

    def run(self, x: Tensor) -> Tensor:
        return self.layer(self.layer(self.layer(x)))


def test_a_layer_that_runs_again_is_a_site_again_and_passes_stay_apart() -> None:
    module = Reused()
    with watch(module, every=1) as w:
        for _ in range(2):
            for _ in range(2):  # accumulated: not six times, although `forward` is not called
                with torch.no_grad():
                    module.run(torch.ones(5, 4))
                loss = module.run(torch.ones(5, 4)).square().mean()
                loss.backward()  # type: ignore[no-untyped-call]
            w.step(loss)
    _, traces = only()
    trace = traces["activation_gradient"]
    assert trace.sites == ("layer", "layer (2)", "layer (3)")
    y = module.run(torch.ones(5, 4)).detach()
    end = 2 * y / y.numel()
    w_ = module.layer.weight.detach()
    expected = sizes([end @ w_ @ w_, end @ w_, end])
    assert trace.values == pytest.approx(np.array([expected, expected]), rel=1e-5)


def test_evaluation_between_steps_is_not_read() -> None:
    module = linear()
    far = torch.full((5, 4), 100.0)
    with watch(module, name="evaluated", every=1) as w:
        module.eval()
        with torch.no_grad():
            module(far)
        module(far)  # somebody forgot no_grad
        module.train()
        loss = module(torch.ones(5, 4)).square().mean()
        module(far)
        loss.backward()  # type: ignore[no-untyped-call]
        module(far)
        w.step(loss)
    with watch(module, name="bare", every=1) as w:
        step_once(module, w)
    store = Store()
    bare, evaluated = store.table.rows()
    for probe in ("activation_gradient", "activation_std", "activation_mean"):
        pair = [store.trace(row.id, probe) for row in (bare, evaluated)]
        assert np.array_equal(pair[0].values, pair[1].values)
        assert pair[0].sites == pair[1].sites


def test_of_two_passes_in_one_loss_the_later_one_counts() -> None:
    module = linear()
    first, last = torch.full((5, 4), 3.0), torch.ones(5, 4)
    with watch(module, name="both") as w:
        loss = module(first).square().mean() + module(last).square().mean()
        loss.backward()
        w.step(loss)
    with watch(module, name="later") as w:
        step_once(module, w, last)
    store = Store()
    for probe in ("activation_gradient", "activation_std"):
        pair = [store.trace(row.id, probe) for row in store.table.rows()]
        assert np.array_equal(pair[0].values, pair[1].values)
        assert pair[0].sites == pair[1].sites


@pytest.mark.parametrize("whole", [False, True])
def test_a_recomputed_block_is_one_site(whole: bool) -> None:
    class Saving(Net):
        def forward(self, x: Tensor) -> Tensor:
            if whole:
                return checkpoint(super().forward, x, use_reentrant=False)
            for block in self.blocks:
                x = F.relu(checkpoint(block, x, use_reentrant=False))
            return self.head(x)

    plain, _ = twins([])
    saving = Saving()
    saving.load_state_dict(plain.state_dict())
    for module in (plain, saving):
        with watch(module, every=1) as w:
            train(module, 1, lambda loss, _: w.step(loss))
    store = Store()
    pair = [store.trace(row.id, "activation_gradient") for row in store.table.rows()]
    assert pair[0].sites == pair[1].sites
    assert pair[0].values == pytest.approx(pair[1].values, rel=1e-5)


def test_a_view_changed_in_place_is_nan_and_not_zero() -> None:
    class Turned(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x).transpose(0, 1).transpose(0, 1)

    module = nn.Sequential(Turned(4, 4), nn.ReLU(inplace=True), nn.Linear(4, 4))
    with watch(module) as w:
        step_once(module, w)
    _, traces = only()
    first, last = traces["activation_gradient"].last
    assert math.isnan(first)
    assert last > 0


def test_blocks_that_come_and_go_keep_their_places() -> None:
    module = linear()
    with watch(module, every=1) as w:
        step_once(module, w)
        loss = module[2](module[0](torch.ones(5, 4))).square().mean()
        loss.backward()
        w.step(loss)
    row, traces = only()
    values = traces["activation_gradient"].values
    assert np.isnan(values).tolist() == [[False, False, False], [False, True, False]]
    assert "other blocks ran" in row.message


@pytest.fixture
def alone() -> Iterator[None]:
    """A process group of this process alone."""
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    yield
    dist.destroy_process_group()


@pytest.mark.usefixtures("alone")
def test_distributed_data_parallel_is_looked_into(monkeypatch: pytest.MonkeyPatch) -> None:
    plain, other = linear(), linear()
    wrapped = nn.parallel.DistributedDataParallel(other)
    for module in (plain, wrapped):
        with watch(module) as w:
            step_once(module, w)
    monkeypatch.setattr(dist, "get_rank", lambda: 1)
    with watch(linear(), name="second process") as w:
        step_once(w.module, w)
    store = Store()
    rows = store.table.rows()
    assert len(rows) == 2
    for probe in store.probes(rows[0].id):
        pair = [store.trace(row.id, probe) for row in rows]
        assert pair[0].sites == pair[1].sites
        assert np.array_equal(pair[0].values, pair[1].values)


@pytest.mark.parametrize("way", ["wrapper", "method", "unknown"])
def test_of_a_compiled_module_the_weights_are_watched(way: str) -> None:
    module = linear()
    compiled = torch.compile(module, backend="eager") if way != "method" else module
    if way == "method":
        module.compile(backend="eager")
    with watch(module if way == "unknown" else compiled, every=1) as w:
        for _ in range(3):
            step_once(compiled, w)
    row, traces = only()
    assert set(traces) == {"train_loss", "weight_gradient", "update_ratio"}
    assert traces["weight_gradient"].sites == ("0.weight", "1.weight", "2.weight")
    assert "\n" not in row.message
    assert "compiled" in row.message
    torch.compiler.reset()


def test_under_autocast_with_a_scaled_loss_readings_are_those_without() -> None:
    """To the precision of bfloat16: eight bits."""
    for scale in (1.0, 1024.0):
        module = linear()
        with watch(module) as w:
            with torch.autocast("cpu", torch.bfloat16, enabled=scale > 1):
                loss = module(torch.ones(5, 4)).square().mean()
            (scale * loss).backward()
            w.step(loss, scale=scale)
    store = Store()
    for probe in ("activation_gradient", "activation_std", "train_loss"):
        scaled, exact = (store.trace(row.id, probe).last for row in store.table.rows())
        assert scaled == pytest.approx(exact, rel=0.03, abs=1e-3)
        assert probe == "train_loss" or not np.array_equal(scaled, exact)


def test_a_copy_of_the_module_takes_no_hooks_along() -> None:
    module = linear()
    with watch(module, every=1) as w:
        step_once(module, w)
        for copied in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
            assert torch.equal(copied(torch.ones(5, 4)), module(torch.ones(5, 4)))
            copied(torch.full((5, 4), 9.0)).square().mean().backward()
        step_once(module, w)
    _, traces = only()
    for trace in (traces["activation_gradient"], traces["activation_std"]):
        assert np.array_equal(trace.values[0], trace.values[-1])


def test_workers_of_a_loader_may_fork_while_it_watches() -> None:
    data = TensorDataset(torch.ones(40, 4))
    module = linear()
    with watch(module, every=1) as w:
        for _ in range(2):
            for (x,) in DataLoader(
                data, batch_size=10, num_workers=1, multiprocessing_context="fork"
            ):
                step_once(module, w, x)
    row, traces = only()
    assert (row.state, row.step) == ("done", 7)
    assert len(traces["train_loss"]) == 8


@pytest.mark.gpu
def test_a_gpu_reads_what_a_cpu_reads() -> None:
    for device in ("cpu", "cuda"):
        module = linear().to(device)
        optimizer = torch.optim.SGD(module.parameters(), 0.1)
        with watch(module, name=device) as w:
            for _ in range(30):
                step_once(module, w, torch.ones(5, 4, device=device))
                optimizer.step()
    store = Store()
    rows = store.table.rows()
    assert {row.device for row in rows} == {"cpu", "cuda:0"}
    for probe in store.probes(rows[0].id):
        pair = [store.trace(row.id, probe) for row in rows]
        assert pair[0].steps.tolist() == pair[1].steps.tolist()
        assert pair[0].values == pytest.approx(pair[1].values, rel=1e-3, abs=1e-6)
