"""Training: each curve is, bit for bit, that of a loop written out here by hand."""

import itertools
from collections.abc import Callable, Iterable, Sequence
from copy import deepcopy
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.optim import SGD, Adam, AdamW, Optimizer

from explorer.data import load
from explorer.data.augment import augment
from explorer.data.order import BatchOrder
from explorer.network import build
from explorer.probes import EVERYTHING, PROBES, Watch
from explorer.spec import Recipe, RunSpec, SpecError, parse
from explorer.trace import Reading
from explorer.training import Lockstep, Trainer, learning_rate, resolve_device, train

SMALL = "resnet-8,width=4,batch=16,lr=0.05,warmup=0,steps=6"
PLAIN = SMALL.replace("resnet", "plain")
SHORTER = PLAIN.replace("steps=6", "steps=4")
RARELY = Watch(10**9, 10**9, 10**9)
Make = Callable[[Iterable[Tensor]], Optimizer]


def trainer_of(text: str, watch: Watch = EVERYTHING) -> Trainer:
    return Trainer(parse(text), torch.device("cpu"), watch)


def finish(trainer: Trainer) -> list[Reading]:
    readings: list[Reading] = []
    while not trainer.finished:
        readings += trainer.advance()
    return readings


def losses(readings: Iterable[Reading]) -> list[float]:
    return [float(r.values[0]) for r in readings if r.probe == "train_loss"]


def bits(readings: Iterable[Reading]) -> list[tuple[str, int, bytes]]:
    return [(reading.probe, reading.step, reading.values.tobytes()) for reading in readings]


def state(trainer: Trainer) -> dict[str, bytes]:
    return {name: t.numpy().tobytes() for name, t in trainer.network.state_dict().items()}


def sgd(parameters: Iterable[Tensor]) -> Optimizer:
    return SGD(parameters, lr=0.05, momentum=0.9)


def bare_loop(run: RunSpec, make: Make = sgd, rates: Sequence[float] = ()) -> list[float]:
    """The losses of the loop that every tutorial shows; `rates` by step, or the optimiser's own."""
    recipe, data = run.recipe, load(run.data)
    order = BatchOrder(len(data.y_train), recipe.batch, run.seed)
    layout = torch.channels_last if recipe.channels_last else torch.contiguous_format
    network = build(run.network, run.seed).to(memory_format=layout)
    optimizer = make(network.parameters())
    found = []
    for step in range(recipe.steps):
        rows = order.indices(step)
        x, y = data.x_train[rows], data.y_train[rows]
        if run.data.augment:
            x = augment(x, run.seed, step, flip=False)
        logits = network(x.to(memory_format=layout))
        loss = F.cross_entropy(logits, y, label_smoothing=recipe.label_smoothing)
        optimizer.zero_grad()
        loss.backward()
        if recipe.clip:
            torch.nn.utils.clip_grad_norm_(network.parameters(), recipe.clip)
        if rates:
            optimizer.param_groups[0]["lr"] = rates[step]
        optimizer.step()
        found.append(loss.item())
    return found


BY_HAND: dict[str, Make] = {
    "momentum=0": lambda p: SGD(p, lr=0.05),
    "momentum=0.8,weight_decay=0.01": lambda p: SGD(p, lr=0.05, momentum=0.8, weight_decay=0.01),
    "nesterov=true": lambda p: SGD(p, lr=0.05, momentum=0.9, nesterov=True),
    "optimizer=adam": lambda p: Adam(p, lr=0.05),
    "optimizer=adam,weight_decay=0.1": lambda p: Adam(p, lr=0.05, weight_decay=0.1),
    "optimizer=adamw,momentum=0.8,weight_decay=0.1": lambda p: AdamW(
        p, lr=0.05, betas=(0.8, 0.999), weight_decay=0.1
    ),
    "label_smoothing=0.1": sgd,
    "clip=0.5": sgd,
    "channels_last=true": sgd,
    "augment=true": sgd,
    "norm=none,init=lecun,seed=3": sgd,
    "shortcut=projection,block=preact,norm=group": sgd,
}


@pytest.mark.parametrize("fields", BY_HAND)
def test_losses_are_those_of_a_bare_loop(fields: str) -> None:
    run = parse(f"{SMALL},{fields}")
    assert losses(finish(trainer_of(f"{SMALL},{fields}"))) == bare_loop(run, BY_HAND[fields])


POINTS = "mlp-6,width=4,data=spirals,batch=16,lr=0.05,warmup=0,steps=5"


@pytest.mark.parametrize("text", [PLAIN, POINTS, f"{PLAIN},skip=1,residual=0.5"])
def test_the_bare_loop_agrees_for_plain_networks_and_points(text: str) -> None:
    assert losses(finish(trainer_of(text))) == bare_loop(parse(text))


@pytest.mark.parametrize("fields", ["", "bf16=true", "optimizer=adam,channels_last=true,clip=1"])
def test_watching_changes_no_bit(fields: str) -> None:
    text = f"{SMALL},{fields}".rstrip(",")
    watched, alone = trainer_of(text, EVERYTHING), trainer_of(text, RARELY)
    assert losses(finish(watched)) == losses(finish(alone))
    assert state(watched) == state(alone)


def test_arms_in_lockstep_give_the_curves_they_give_alone() -> None:
    texts = (SMALL, PLAIN, f"{SMALL},norm=none,optimizer=adam", SHORTER)
    runs = [parse(text) for text in texts]
    alone = [bits(reading for _, reading in train(run, device="cpu")) for run in runs]
    for count in (2, 4):
        together: list[list[Reading]] = [[] for _ in range(count)]
        for arm, reading in train(*runs[:count], device="cpu"):
            together[arm].append(reading)
        assert [bits(readings) for readings in together] == alone[:count]


def test_readings_come_in_the_order_of_the_steps() -> None:
    readings = list(train(parse(SMALL), parse(SHORTER), device="cpu"))
    for arm, steps in ((0, 6), (1, 4)):
        own = [(reading.step, reading.probe) for found, reading in readings if found == arm]
        assert [step for step, _ in own] == sorted(step for step, _ in own)
        assert len(own) == len(set(own))
        assert own[-1] == (steps, "test_accuracy")
        assert [step for step, probe in own if probe == "train_loss"] == list(range(steps))
    furthest = itertools.accumulate((reading.step for _, reading in readings), max)
    behind = [far - r.step for far, (_, r) in zip(furthest, readings, strict=True)]
    assert max(behind) <= 1


def test_an_arm_that_is_behind_catches_up() -> None:
    ahead, behind = trainer_of(SMALL), trainer_of(SMALL)
    ahead.advance()
    ahead.advance()
    lockstep = Lockstep([ahead, behind])
    assert lockstep.step == 0
    arms = [{arm for arm, _ in lockstep.advance()} for _ in range(3)]
    lockstep.close()
    assert arms == [{1}, {1}, {0, 1}]


HALF, HIGH, LOW = 0.5, (1 + 0.5**0.5) / 2, (1 - 0.5**0.5) / 2


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"schedule": "constant", "warmup": 4}, [0.25, 0.5, 0.75, 1, 1, 1]),
        ({"schedule": "constant", "warmup": 0}, [1, 1, 1, 1, 1, 1]),
        ({"schedule": "step", "warmup": 0, "steps": 8}, [1, 1, 1, 1, 0.1, 0.1, 0.01, 0.01]),
        ({"schedule": "step", "warmup": 2, "steps": 5}, [0.5, 1, 1, 0.1, 0.01]),
        ({"schedule": "step", "warmup": 0, "steps": 1}, [1]),
        ({"schedule": "one_cycle", "warmup": 2, "steps": 6}, [0.5, 1, 1, HIGH, HALF, LOW]),
        ({"schedule": "one_cycle", "warmup": 9, "steps": 6}, [k / 9 for k in range(1, 7)]),
    ],
)
def test_learning_rates_in_closed_form(fields: dict[str, Any], expected: list[float]) -> None:
    recipe = Recipe(**{"lr": 0.4, "steps": 6, **fields})
    rates = [learning_rate(recipe, step) for step in range(recipe.steps)]
    assert rates == pytest.approx([0.4 * share for share in expected], rel=1e-12)


@pytest.mark.parametrize("schedule", ["step", "one_cycle"])
def test_the_schedule_reaches_the_optimiser(schedule: str) -> None:
    text = f"{SMALL},schedule={schedule}".replace("warmup=0", "warmup=2")
    run = parse(text)
    rates = [learning_rate(run.recipe, step) for step in range(run.recipe.steps)]
    assert losses(finish(trainer_of(text))) == bare_loop(run, rates=rates)


def test_a_rate_changed_live_applies_from_the_next_step() -> None:
    trainer = trainer_of(SMALL)
    readings = [reading for _ in range(3) for reading in trainer.advance()]
    trainer.set_lr(0.002)
    readings += finish(trainer)
    assert losses(readings) == bare_loop(parse(SMALL), rates=[0.05] * 3 + [0.002] * 3)
    assert trainer.run.recipe.lr == 0.05


def test_a_rate_that_cannot_be_is_refused_in_one_line() -> None:
    trainer = trainer_of(SMALL)
    for rate in (-1.0, 0.0, float("nan"), float("inf"), 1e9):
        with pytest.raises(SpecError, match=r"^lr: [^\n]*$"):
            trainer.set_lr(rate)
    assert trainer.recipe.lr == 0.05


def test_all_skips_cut_from_the_start_is_the_plain_twin() -> None:
    cut, plain = trainer_of(SMALL), trainer_of(PLAIN)
    cut.network.set_gates((0.0,) * 3, (1.0,) * 3)
    assert bits(finish(cut)) == bits(finish(plain))


def test_skips_cut_midway_go_on_as_a_plain_network_would() -> None:
    cut, plain = trainer_of(SMALL), trainer_of(PLAIN)
    for _ in range(3):
        cut.advance()
    cut.network.set_gates((0.0,) * 3, (1.0,) * 3)
    plain.network.load_state_dict(cut.network.state_dict())
    plain.optimizer.load_state_dict(deepcopy(cut.optimizer.state_dict()))
    plain.step = 3
    assert bits(finish(cut)) == bits(finish(plain))


DIVERGES = {
    "raw skips without a norm": "resnet-56,width=4,norm=none,batch=16,warmup=0,steps=8",
    "a huge rate": "plain-8,width=4,norm=none,batch=16,lr=100,warmup=0,steps=50,weight_decay=1",
}


@pytest.mark.parametrize("text", DIVERGES.values(), ids=DIVERGES)
def test_divergence_is_marked_and_its_step_not_taken(text: str) -> None:
    trainer = trainer_of(text, RARELY)
    while not trainer.finished:
        before = {name: p.detach().clone() for name, p in trainer.network.named_parameters()}
        readings = trainer.advance()
    assert trainer.diverged_at == trainer.step == readings[-1].step
    assert trainer.step < trainer.recipe.steps
    assert not np.isfinite(losses(readings)).any()
    assert not any(reading.probe == "update_ratio" for reading in readings)
    for name, parameter in trainer.network.named_parameters():
        assert parameter.isfinite().all()
        assert torch.equal(parameter, before[name])


def test_the_other_arm_goes_on_when_one_diverges() -> None:
    runs = [parse(text) for text in (DIVERGES["raw skips without a norm"], PLAIN)]
    readings = list(train(*runs, device="cpu"))
    fallen, other = ([r for arm, r in readings if arm == index] for index in (0, 1))
    assert not np.isfinite(losses(fallen)[-1])
    assert np.isfinite(losses(fallen)[:-1]).all()
    assert len(losses(fallen)) < 6
    assert bits(other) == bits(r for _, r in train(runs[1], device="cpu"))


def test_the_trained_network_is_tested_once_more() -> None:
    trainer = trainer_of(SMALL, RARELY)
    last = finish(trainer)[-1]
    data = load(trainer.run.data)
    chosen = trainer.network.eval()(data.x_test).argmax(1)
    assert (last.probe, last.step) == ("test_accuracy", 6)
    assert last.values == pytest.approx([(chosen == data.y_test).double().mean().item()])


def test_readings_come_at_their_cadence_and_all_of_them_on_request() -> None:
    trainer = trainer_of(SMALL, Watch(2, 3, 4))
    read = [{reading.probe for reading in trainer.advance()} for _ in range(4)]
    read.append({reading.probe for reading in trainer.advance(everything=True)})
    expected = [
        {name for name in trainer.probes if PROBES[name].cadence in Watch(2, 3, 4).due(step)}
        for step in range(4)
    ]
    assert read == [*expected, set(trainer.probes)]
    assert set(PROBES) - set(trainer.probes) == {"decision"}


def test_bf16_trains_near_float32_and_keeps_float32_weights() -> None:
    exact, rough = trainer_of(SMALL), trainer_of(f"{SMALL},bf16=true")
    full, readings = finish(exact), finish(rough)
    assert all(np.isfinite(reading.values).all() for reading in readings)
    assert losses(readings) != losses(full)
    assert losses(readings)[0] == pytest.approx(losses(full)[0], rel=0.02)
    assert {p.dtype for p in rough.network.parameters()} == {torch.float32}


def test_augmentation_follows_from_seed_and_step() -> None:
    first, again, without = (
        losses(finish(trainer_of(text)))
        for text in (f"{SMALL},augment=true", f"{SMALL},augment=true", SMALL)
    )
    assert first == again
    assert not set(first) & set(without)


def test_twins_see_the_same_batches() -> None:
    seen: list[list[Tensor]] = [[], []]
    for batches, text in zip(seen, (SMALL, PLAIN), strict=True):
        trainer = trainer_of(f"{text},augment=true", RARELY)
        keep = batches.append
        trainer.network.stem.register_forward_pre_hook(
            lambda stem, inputs, keep=keep: keep(inputs[0]) if stem.training else None
        )
        finish(trainer)
    assert len(seen[0]) == 6
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(*seen, strict=True))
    assert not torch.equal(seen[0][0], seen[0][1])


@pytest.mark.parametrize("name", ["banana", "", "cuda:99", "cpu:x", "meta", "cuda\nx", "x" * 999])
def test_a_device_that_is_not_here_is_an_error_of_one_line(name: str) -> None:
    with pytest.raises(ValueError, match=r"^device: [^\n]* choose auto or [^\n]*cpu$") as error:
        resolve_device(name)
    assert len(str(error.value)) < 300


def test_devices_that_are_here() -> None:
    assert resolve_device("cpu") == torch.device("cpu")
    best = "cuda" if torch.cuda.is_available() else "cpu"
    assert resolve_device().type in (best, "mps")
