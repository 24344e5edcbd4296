"""Lesions: what is left without a block, in another order, with damage; all put back afterwards."""

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from itertools import combinations
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import kendalltau
from torch import Tensor, nn

from explorer.blocks import BLOCKS
from explorer.data import Dataset, load
from explorer.inside.lesions import (
    damage_each,
    delete_each,
    delete_random,
    kendall_tau,
    swap_random,
)
from explorer.inside.routes import (
    damaged,
    logits_along,
    reestimated,
    reordered,
    score,
    without,
)
from explorer.network import Network, build
from explorer.shortcuts import SHORTCUTS
from explorer.spec import DataSpec, NetworkSpec, SpecError, Stage, parse
from explorer.training import Trainer


@cache
def digits() -> Dataset:
    data = load(DataSpec())
    train, test = slice(300), slice(200)
    return replace(
        data,
        x_train=data.x_train[train],
        y_train=data.y_train[train],
        x_test=data.x_test[test],
        y_test=data.y_test[test],
    )


def network(
    block: str = "basic",
    shortcut: str = "zero_pad",
    blocks: tuple[int, ...] = (3, 2),
    **fields: Any,
) -> Network:
    """A small network in evaluation mode, whose BatchNorm statistics are not new."""
    stages = tuple(Stage(blocks=n, width=4 * 2**i) for i, n in enumerate(blocks))
    spec = NetworkSpec(block=block, shortcut=shortcut, stages=stages, inputs=(1, 8, 8), **fields)
    made = build(spec, seed=3)
    for start in (0, 100, 200):
        made(digits().x_train[start : start + 100])
    return made.eval()


def shortened(whole: Network, gone: int, **fields: Any) -> Network:
    """A network built without block `gone` (in the first stage), with the others' weights."""
    made = network(blocks=(2, 2), **fields)
    weights = {}
    for name, values in whole.state_dict().items():
        parts = name.split(".")
        if parts[0] == "blocks":
            number = int(parts[1]) + 1
            if number == gone:
                continue
            parts[1] = str(number - 1 - (number > gone))
        weights[".".join(parts)] = values
    made.load_state_dict(weights)
    return made


@contextmanager
def untouched(module: Network) -> Iterator[None]:
    module.blocks[0].train(not module.training)

    def state() -> list[Any]:
        tensors = [t.numpy().tobytes() for t in module.state_dict().values()]
        norms = [getattr(m, "momentum", None) for m in module.modules()]
        gates = [(b.skip, b.residual_gate, b.branch_scale, b.kept) for b in module.all_blocks]
        modes = [m.training for m in module.modules()]
        gradients = [p.grad for p in module.parameters()]
        return [tensors, norms, gates, modes, gradients, torch.get_rng_state().tolist()]

    before = state()
    yield
    assert state() == before
    module.eval()


def accuracy(net: Network) -> float:
    data = digits()
    return float((net.evaluate(data.x_test).argmax(1) == data.y_test).double().mean())


@pytest.mark.parametrize("shortcut", SHORTCUTS)
@pytest.mark.parametrize("block", BLOCKS)
def test_without_none_is_the_network_and_without_one_its_gate_at_0(
    block: str, shortcut: str
) -> None:
    net, x = network(block, shortcut), digits().x_test
    assert torch.equal(logits_along(net, without(net, ()), x), net(x))
    if shortcut == "none":
        return
    for gone in ({1}, {2}, {4}, {2, 5}, {1, 2, 3, 4, 5}):
        left = logits_along(net, without(net, gone), x)
        gates = tuple(float(number not in gone) for number in range(1, 6))
        net.set_gates((1.0,) * 5, gates)
        assert torch.equal(left, net(x))
        net.set_gates((1.0,) * 5, (1.0,) * 5)


@pytest.mark.parametrize("shortcut", ["none", "zero_pad", "projection"])
@pytest.mark.parametrize("block", ["basic", "preact"])
def test_without_a_block_is_a_network_built_without_it(block: str, shortcut: str) -> None:
    net, x = network(block, shortcut), digits().x_test
    for gone in (2, 3):
        built = shortened(net, gone, block=block, shortcut=shortcut)
        assert torch.equal(logits_along(net, without(net, (gone,)), x), built(x))


@pytest.mark.parametrize("shortcut", ["none", "zero_pad"])
def test_a_plain_block_that_changes_the_shape_gives_way_to_option_a(shortcut: str) -> None:
    """Also where it is plain because its skip is 0."""
    net, x = network(shortcut=shortcut), digits().x_test
    for block in net.all_blocks if shortcut == "zero_pad" else ():
        block.skip = 0.0
    outputs = dict(net.walk(x))
    wider = torch.zeros(len(x), 8, 4, 4)
    wider[:, 2:6] = outputs["block 3"][:, :, ::2, ::2]
    expected = net.logits(net.blocks[4](wider))
    assert torch.equal(logits_along(net, without(net, (4,)), x), expected)


def test_a_skip_other_than_1_keeps_its_strength() -> None:
    net, x = network("preact"), digits().x_test
    net.set_gates((0.3,) * 5, (1.0, 0.0, 1.0, 1.0, 1.0))
    assert torch.equal(logits_along(net, without(net, (2,)), x), net(x))


def means_by_hand(net: Network, gone: int) -> dict[str, tuple[Tensor, Tensor]]:
    """BatchNorm's statistics over batches of 128, in float64, with a gate at 0."""
    net = copy.deepcopy(net).train()
    net.all_blocks[gone - 1].residual_gate = 0.0
    seen: dict[str, list[Tensor]] = {}
    for name, part in net.named_modules():
        if isinstance(part, nn.BatchNorm2d):
            seen[name] = []
            part.register_forward_pre_hook(lambda _, x, to=seen[name]: to.append(x[0].detach()))
    for start in (0, 128):  # 300 examples: the last 44 fill no batch
        net(digits().x_train[start : start + 128])
    found = {}
    for name, inputs in seen.items():
        rows = [x.double().movedim(1, -1).flatten(0, -2) for x in inputs]
        means, variances = (torch.stack([f(r) for r in rows]) for f in (_mean, _variance))
        found[name] = (means.mean(0), variances.mean(0))
    return found


def _mean(rows: Tensor) -> Tensor:
    return rows.mean(0)


def _variance(rows: Tensor) -> Tensor:
    return rows.var(0, correction=1)


@pytest.mark.parametrize("shortcut", ["zero_pad", "projection"])
def test_statistics_estimated_anew_are_those_of_a_pass_by_hand(shortcut: str) -> None:
    net, data = network(shortcut=shortcut), digits()
    expected, route = means_by_hand(net, 2), without(net, (2,))
    intact = {name: values.clone() for name, values in net.state_dict().items()}
    with untouched(net), reestimated(net, route, data.x_train):
        for name, part in net.named_modules():
            if name in expected and not name.startswith("blocks.1.residual"):
                mean, variance = expected[name]
                torch.testing.assert_close(part.running_mean.double(), mean, rtol=1e-4, atol=1e-5)
                torch.testing.assert_close(
                    part.running_var.double(), variance, rtol=1e-4, atol=1e-5
                )
                assert not torch.equal(part.running_mean, intact[f"{name}.running_mean"])
        there = float((net_along(net, route).argmax(1) == data.y_test).double().mean())
    assert score(net, route, data, reestimate=True).accuracy == there
    plain = network(norm="none")
    again = score(plain, plain.all_blocks, data, reestimate=True)
    assert again == score(plain, plain.all_blocks, data)


def net_along(net: Network, route: Any) -> Tensor:
    with torch.no_grad():
        return logits_along(net, route, digits().x_test)


@pytest.fixture(scope="module")
def trained() -> Network:
    trainer = Trainer(parse("resnet-20,width=4,steps=60,batch=64,lr=0.05"), torch.device("cpu"))
    readings = [reading for _ in range(60) for reading in trainer.advance()]
    last = [r.values[0] for r in readings if r.probe == "test_accuracy"][-1]
    net = trainer.network.eval()
    assert score(net, net.all_blocks, trainer.data).accuracy == pytest.approx(last, abs=1e-7)
    return net


def test_every_block_deleted_in_turn(trained: Network) -> None:
    calls: list[tuple[int, int]] = []
    with untouched(trained):
        found = delete_each(trained, digits(), report=lambda *call: calls.append(call))
    assert calls == [(done, 10) for done in range(1, 11)]
    assert found.blocks == tuple(f"block {n}" for n in range(1, 10))
    assert [n for n, marked in enumerate(found.changes_shape, 1) if marked] == [4, 7]
    expected = []
    for number in range(9):
        cut = copy.deepcopy(trained)
        cut.all_blocks[number].residual_gate = 0.0
        expected.append(accuracy(cut))
    assert found.accuracy.tolist() == expected
    assert found.intact.accuracy == accuracy(trained)
    keys = [(found.accuracy[n - 1], -found.loss[n - 1]) for n in found.ranked]
    assert keys == sorted(keys)
    assert sorted(found.ranked) == list(range(1, 10))


def test_blocks_deleted_at_random_are_one_of_all_sets(trained: Network) -> None:
    net = network()
    with untouched(net):
        found = delete_random(net, digits(), draws=4, seed=1)
    assert found.counts == (0, 1, 2, 3, 4, 5)
    assert found.accuracy.shape == (6, 4)
    for count, orders, row in zip(found.counts, found.orders, found.accuracy, strict=True):
        sets = {frozenset(range(1, 6)) - set(gone) for gone in combinations(range(1, 6), count)}
        assert {frozenset(order) for order in orders} <= sets
        for order, value in zip(orders, row, strict=True):
            gates = tuple(float(number in order) for number in range(1, 6))
            net.set_gates((1.0,) * 5, gates)
            assert value == accuracy(net)
            net.set_gates((1.0,) * 5, (1.0,) * 5)
    assert len(set(found.orders[2])) > 1
    assert (found.tau == 1).all()
    again = delete_random(net, digits(), counts=(3,), draws=6, seed=1)
    assert again.orders[0][:4] == found.orders[3]
    assert delete_random(net, digits(), draws=4, seed=2).orders != found.orders
    low, high = found.interval
    np.testing.assert_allclose(found.error, 1 - found.accuracy.mean(1))
    assert (low <= high).all()
    assert low[0] == high[0] == 1 - accuracy(net)


def test_swaps_stay_inside_stages_and_move_the_weights(trained: Network) -> None:
    with untouched(trained):
        found = swap_random(trained, digits(), counts=(0, 1, 4), draws=3, seed=5)
    assert (found.tau[0] == 1).all()
    for orders, values, taus in zip(found.orders, found.accuracy, found.tau, strict=True):
        for order, value, tau in zip(orders, values, taus, strict=True):
            assert tau == pytest.approx(kendalltau(range(9), order).statistic)
            assert [sorted(order[i:j]) for i, j in ((0, 3), (3, 6), (6, 9))] == [
                [1, 2, 3],
                [4, 5, 6],
                [7, 8, 9],
            ]
            assert (order[3], order[6]) == (4, 7)
            moved = copy.deepcopy(trained)
            moved.blocks = nn.ModuleList(moved.blocks[number - 1] for number in order)
            assert value == accuracy(moved)
    assert all(order != tuple(range(1, 10)) for order in found.orders[1])


def test_kendall_tau_of_the_order_turned_round() -> None:
    assert kendall_tau((3, 2, 1)) == -1
    assert kendall_tau((1,)) == 1
    for order in [(2, 1, 3, 4), (4, 1, 3, 2, 5), (10, 3, 7)]:
        assert kendall_tau(order) == pytest.approx(kendalltau(range(len(order)), order).statistic)


@pytest.mark.parametrize("reestimate", [False, True])
def test_a_zeroed_residual_is_a_deleted_block(trained: Network, reestimate: bool) -> None:
    with untouched(trained):
        zeroed = damage_each(trained, digits(), "zero", reestimate=reestimate)
        gone = delete_each(trained, digits(), reestimate=reestimate)
    assert np.array_equal(zeroed.accuracy, gone.accuracy)
    assert np.array_equal(zeroed.loss, gone.loss)
    assert zeroed.reestimated is gone.reestimated is reestimate


def test_a_zero_that_nothing_passes_by_leaves_the_same_answer_for_all() -> None:
    for net, place in ((network(shortcut="none"), "residual"), (network(), "output")):
        for number in range(1, 6):
            logits = net_along(net, damaged(net, number, "zero", place))
            assert torch.equal(logits, logits[:1].expand_as(logits))


@pytest.mark.parametrize("place", ["residual", "output"])
def test_noise_is_as_loud_as_what_it_spoils_and_the_same_again(place: Any) -> None:
    net = network("preact", "zero_pad")
    x = net.stem(digits().x_test).detach()
    with torch.no_grad():
        whole = net.blocks[0](x)
        (first, second), other = (
            [damaged(net, 1, "noise", place, seed=s)[0](x) for _ in range(n)]
            for s, n in ((0, 2), (1, 1))
        )
        spoilt = net.blocks[0].branch(x) if place == "residual" else whole
    assert torch.equal(first, second)
    assert not torch.equal(first, other[0])
    noise = first - whole
    assert noise.std().item() == pytest.approx(spoilt.std().item(), rel=0.02)
    assert abs(noise.mean().item()) < 0.02 * noise.std().item()


@pytest.mark.parametrize("lesion", [delete_each, delete_random, swap_random])
def test_a_cancelled_lesion_leaves_nothing_behind(lesion: Callable[..., object]) -> None:
    def stop(done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    def broken(x: Tensor) -> Tensor:
        raise KeyboardInterrupt

    net = network()
    with untouched(net), pytest.raises(KeyboardInterrupt):
        lesion(net, digits(), reestimate=True, report=stop)
    with untouched(net), pytest.raises(KeyboardInterrupt):
        score(net, [*net.all_blocks[:4], broken], digits(), reestimate=True)


def test_what_cannot_be_is_one_line() -> None:
    net, lone = network(), network(blocks=(1, 1), block="bottleneck")
    for line, call in (
        ("block: '6' is not allowed; 1 to 5", lambda: without(net, (6,))),
        ("block: '0' is not allowed; 1 to 5", lambda: damaged(net, 0, "zero")),
        ("harm: 'x0' is not allowed; choose one of zero, noise", lambda: damaged(net, 1, "x0")),
        ("place: 'F' is not allowed", lambda: damaged(net, 1, "zero", "F")),
        ("order: '(1, 1)' is not allowed; the numbers 1 to 5", lambda: reordered(net, (1, 1))),
        ("counts: '(6,)' is not allowed", lambda: delete_random(net, digits(), counts=(6,))),
        ("draws: '0' is not allowed; 1 or more", lambda: swap_random(net, digits(), draws=0)),
        ("blocks: '2' is not allowed; two of one shape", lambda: swap_random(lone, digits())),
    ):
        with pytest.raises(SpecError) as caught:
            call()
        assert str(caught.value).startswith(line)
