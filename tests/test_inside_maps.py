"""Inside the blocks: maps, early readings, responses and linear probes, and the stored network."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import RidgeClassifier
from sklearn.preprocessing import StandardScaler
from stored import add_pair
from torch import Tensor, nn

from explorer.blocks import BLOCKS
from explorer.checkpoint import save
from explorer.data import load
from explorer.inside import maps as maps_module
from explorer.inside.linear_probe import linear_probe
from explorer.inside.maps import logit_lens, maps
from explorer.inside.responses import effective_rank, responses
from explorer.inside_stored import initial_network, stored_network
from explorer.network import Network, build
from explorer.shortcuts import SHORTCUTS
from explorer.spec import DataSpec, NetworkSpec, SpecError, parse
from explorer.store import Store, StoreError
from explorer.training import Trainer

GATES = {"whole": (1.0, 1.0, 1.0), "cut": (0.0, 1.0, 1.0), "odd": (-0.3, 0.7, 0.5)}


def images(count: int, shape: tuple[int, ...] = (2, 8, 8), seed: int = 1) -> Tensor:
    return torch.randn(count, *shape, generator=torch.Generator().manual_seed(seed))


def network(block: str = "basic", shortcut: str = "zero_pad", **fields: Any) -> Network:
    """Two stages of two blocks (one in an MLP), with statistics and shifts that are not new."""
    widths = (8,) if fields.get("family") == "mlp" else (8, 16)
    spec = NetworkSpec(
        block=block,
        shortcut=shortcut,
        stages=tuple({"blocks": 2, "width": width} for width in widths),
        **{"inputs": (2, 8, 8), "classes": 5, **fields},
    )
    made = build(spec, seed=3)
    for seed in range(3):
        made(images(16, spec.inputs, seed))
    with torch.no_grad():
        for index, norm in enumerate(made.modules()):
            if isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d):
                norm.bias.copy_(images(1, norm.bias.shape, index)[0])
    return made


@contextmanager
def untouched(module: Network) -> Iterator[None]:
    """Fails if what happens inside changes anything of the network, or torch's random numbers."""
    module.blocks[0].train(not module.training)  # a mixture of modes
    module.head.weight.grad = torch.ones_like(module.head.weight)

    def state() -> list[Any]:
        tensors = [t.numpy().tobytes() for t in module.state_dict().values()]
        gradients = [None if p.grad is None else p.grad.sum().item() for p in module.parameters()]
        norms = [getattr(m, "momentum", None) for m in module.modules()]
        gates = [(b.skip, b.residual_gate, b.branch_scale, b.kept) for b in module.all_blocks]
        modes = [(m.training, len(m._forward_hooks)) for m in module.modules()]
        return [tensors, gradients, norms, gates, modes, torch.get_rng_state().tolist()]

    before = state()
    yield
    assert state() == before


@pytest.mark.parametrize("gates", GATES)
@pytest.mark.parametrize("family", ["resnet", "mlp"])
@pytest.mark.parametrize("shortcut", SHORTCUTS)
@pytest.mark.parametrize("block", BLOCKS)
def test_the_sum_is_the_output_and_the_walk_the_forward_pass_bit_for_bit(
    block: str, shortcut: str, family: str, gates: str
) -> None:
    net = network(block, shortcut, family=family)
    for part in net.all_blocks:
        part.skip, part.residual_gate, part.branch_scale = GATES[gates]
    image = images(1)
    with untouched(net):
        found = maps(net, image)
    assert np.array_equal(found.logits, net.evaluate(image)[0].numpy())
    net.eval()
    walked = [output[0].detach().numpy() for _, output in net.walk(image)]
    assert np.array_equal(found.stem, walked[0])
    for number, part in enumerate(found.blocks, 1):
        total = torch.from_numpy(part.residual)
        if shortcut != "none":
            total = torch.add(total, torch.from_numpy(part.x), alpha=part.skip)
        assert (part.x is None) == (shortcut == "none")
        total = total.relu() if part.act_after_sum else total
        assert part.name == f"block {number}"
        assert np.array_equal(part.output, total.numpy())
        assert np.array_equal(part.output, walked[number])
        assert part.output.dtype == np.float32


def test_what_an_identity_shortcut_adds_is_the_block_before() -> None:
    found = maps(network(), images(1))
    assert np.array_equal(found.blocks[0].x, found.stem)
    assert np.array_equal(found.blocks[3].x, found.blocks[2].output)


@pytest.mark.parametrize("shape", [(2, 2, 8, 8), (2, 8, 8), (1, 3, 8, 8), (1, 2, 8, 9)])
def test_an_image_of_another_shape_is_one_line(shape: tuple[int, ...]) -> None:
    with pytest.raises(SpecError, match=r"image: .* one of shape \(1, 2, 8, 8\)$"):
        maps(network(), torch.zeros(shape))


@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize("family", ["resnet", "mlp"])
def test_the_lens_is_the_head_on_pooled_outputs(
    block: str, family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(maps_module, "BATCH", 4)
    net = network(block, family=family)
    x = images(10)
    with untouched(net):
        found = logit_lens(net, x)
    net.eval()
    outputs = dict(net.walk(x))
    weight, bias = (p.detach().double().numpy() for p in (net.head.weight, net.head.bias))
    for site, output in outputs.items():
        if output.shape[1] != weight.shape[1]:
            assert found[site] is None
            continue
        output = net.last(output) if "preact" in block else output
        pooled = output.detach().double().numpy()
        pooled = pooled.mean((2, 3)) if family == "resnet" else pooled
        np.testing.assert_allclose(found[site], pooled @ weight.T + bias, rtol=1e-4, atol=1e-5)
    blocks = range(3 if family == "resnet" else 1, len(net.blocks) + 1)
    assert {f"block {n}" for n in blocks} <= {
        s for s, logits in found.items() if logits is not None
    }


def twin(net: Network, x: Tensor) -> list[dict[str, Any]]:
    """Per block, by hand in float64: response spreads, mean ratio and cosine, dead share, rank."""
    net.eval()
    _, x = next(iter(net.walk(x)))
    found = []
    for block in net.all_blocks:
        y, spreads, rectified = x, [], []
        steps = list(block.residual)
        for index, step in enumerate(steps):
            y = step(y)
            behind = steps[index + 1] if index + 1 < len(steps) else None
            before = steps[index - 1] if index else None
            normed = isinstance(behind, nn.BatchNorm2d)
            if (isinstance(step, nn.Conv2d) and not normed) or isinstance(before, nn.Conv2d):
                spreads.append(y)
            if isinstance(step, nn.ReLU):
                rectified.append(y)
        y = y * (block.residual_gate * block.branch_scale)
        output = block(x)
        added = x if block.shortcut is None else block.shortcut(x)
        ratio = cosine = np.nan
        if added.shape == y.shape:
            a, f = (v.detach().double().numpy().reshape(len(v), -1) for v in (added, y))
            sizes, norms = np.sqrt((a**2).sum(1)), np.sqrt((f**2).sum(1))
            ratio, cosine = (norms / sizes).mean(), ((a * f).sum(1) / sizes / norms).mean()
        rectified += [output] if block.act_after_sum else []
        dead = [(r.detach().numpy() <= 0).all(0).ravel() for r in rectified]
        matrix = output.detach().double().numpy().swapaxes(0, 1).reshape(output.shape[1], -1)
        values = np.linalg.svd(matrix - matrix.mean(1, keepdims=True), compute_uv=False)
        shares = values[values > 1e-9] / values.sum()
        found.append(
            {
                "std": [s.detach().double().numpy().std() for s in spreads],
                "ratio": ratio,
                "cosine": cosine,
                "dead_share": np.concatenate(dead).mean(),
                "effective_rank": np.exp(-(shares * np.log(shares)).sum()),
            }
        )
        x = output
    return found


@pytest.mark.parametrize("shortcut", ["none", "zero_pad", "projection"])
@pytest.mark.parametrize("block", ["basic", "preact", "bottleneck"])
def test_responses_agree_with_a_slow_twin(
    block: str, shortcut: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(maps_module, "BATCH", 7)
    net = network(block, shortcut)
    net.all_blocks[1].residual_gate = 0.5
    x = images(24)
    calls: list[tuple[int, int]] = []
    with untouched(net):
        found = responses(net, x, lambda done, total: calls.append((done, total)))
    expected = twin(net, x)
    assert calls == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert found.examples == 24
    std = np.concatenate([part["std"] for part in expected])
    np.testing.assert_allclose(found.std[1:], std, rtol=1e-5)
    for name in ("ratio", "cosine", "dead_share", "effective_rank"):
        values = [part[name] for part in expected]
        np.testing.assert_allclose(getattr(found, name), values, rtol=1e-4, atol=1e-6)
    assert found.layers[:3] == ("stem", "block 1 layer 1", "block 1 layer 2")


@pytest.mark.parametrize("factor", [0.5, -0.25])
def test_an_f_that_scales_x_has_that_ratio_and_turns_nothing(factor: float) -> None:
    """With F(x) = factor x for the positive x, the half of whose inner units is dead."""
    net = build(NetworkSpec(family="mlp", depth=6, width=4, norm="none", inputs=(4,)))
    with torch.no_grad():
        net.stem[0].weight.copy_(torch.eye(4))
        for block in net.all_blocks:
            block.residual.layer0.weight.copy_(torch.eye(4))
            block.residual[-1].weight.copy_(factor * torch.eye(4))
    found = responses(net, images(50, (4,)).abs() + 0.1)
    np.testing.assert_allclose(found.ratio, abs(factor), rtol=1e-6)
    np.testing.assert_allclose(found.cosine, np.sign(factor), rtol=1e-6)
    assert found.dead_share.tolist() == [0, 0]
    with torch.no_grad():
        net.all_blocks[0].residual.layer0.weight[:2] *= -1
    assert responses(net, images(50, (4,)).abs() + 0.1).dead_share.tolist() == [2 / 8, 0]


def test_effective_rank_in_closed_form() -> None:
    assert effective_rank(np.ones(6)) == pytest.approx(6)
    assert effective_rank(np.array([3.0, 0, 0])) == pytest.approx(1)
    assert effective_rank(np.zeros(3)) == 0
    assert effective_rank(np.array([1.0, 3.0])) == pytest.approx(4 / 3**0.75)


def test_a_constant_output_has_rank_0() -> None:
    net = build(NetworkSpec(family="mlp", depth=4, width=4, norm="none", inputs=(3,)))
    assert responses(net, torch.ones(9, 3)).effective_rank.tolist() == [0]


@pytest.mark.parametrize("shortcut", ["none", "zero_pad"])
def test_linear_probes_are_those_of_scikit_learn(shortcut: str) -> None:
    data = load(DataSpec())
    data = replace(data, x_train=data.x_train[:300], y_train=data.y_train[:300])
    net = network(shortcut=shortcut, inputs=(1, 8, 8), classes=10)
    with untouched(net):
        found = linear_probe(net, data, ridge=0.01)
    net.eval()
    pairs = zip(found.sites, net.walk(data.x_train), net.walk(data.x_test), strict=True)
    for index, (site, (name, train), (_, test)) in enumerate(pairs):
        x, read = (v.detach().double().numpy().mean((2, 3)) for v in (train, test))
        scaler = StandardScaler().fit(x)
        ridge = RidgeClassifier(alpha=0.01 * 300).fit(scaler.transform(x), data.y_train)
        assert site == name
        for values, y, share in (
            (x, data.y_train, found.train_accuracy),
            (read, data.y_test, found.test_accuracy),
        ):
            assert share[index] == ridge.score(scaler.transform(values), y)
    assert found.test_accuracy.max() > 0.3


@pytest.mark.parametrize("measure", [responses, logit_lens])
def test_a_report_may_cancel_and_nothing_is_left_behind(measure: Callable[..., object]) -> None:
    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    net = network()
    with untouched(net), pytest.raises(KeyboardInterrupt):
        measure(net, images(4), stop)
    for x in (images(0), images(3, (2, 8, 7))):
        with pytest.raises(SpecError, match=r"^x: .* examples of shape \(2, 8, 8\)"):
            measure(net, x)


def test_the_network_of_a_run_is_the_one_that_was_saved() -> None:
    store = Store()
    run_id, without = add_pair(store)
    run = store.run(run_id)
    assert run is not None
    trainer = Trainer(run.spec, torch.device("cpu"))
    for _ in range(3):
        trainer.advance()
    trainer.network.set_gates((1.0,) * 3, (1.0, 0.5, 1.0))
    save(trainer, run_id)
    net, spec, step = stored_network(store, run_id)
    assert (spec, step) == (run.spec, 3)
    assert [block.residual_gate for block in net.all_blocks] == [1.0, 0.5, 1.0]
    for name, values in trainer.network.state_dict().items():
        assert torch.equal(net.state_dict()[name], values)
    for wanted, words in ((without, "weights"), (999, "not in the store")):
        with pytest.raises(StoreError, match=rf"^run: .*{words}") as caught:
            stored_network(store, wanted)
        assert "\n" not in str(caught.value)
    store.close()


def test_the_initial_network_is_the_one_that_training_starts_from() -> None:
    run = parse("resnet-8,width=4,seed=5")
    ours, theirs = initial_network(run), Trainer(run, torch.device("cpu")).network
    pairs = zip(ours.state_dict().values(), theirs.state_dict().values(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
