"""Training: one arm at a time or several in lockstep, as a stream of readings. No files, no screen.

On the CPU an arm runs on one thread of its own: two arms on two cores are faster than one
arm on two, and a curve is the same bit for bit however many cores a machine has.
"""

import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.optim import SGD, Adam, AdamW, Optimizer

from explorer.data import Dataset, load
from explorer.data.augment import augment
from explorer.data.order import BatchOrder
from explorer.network import Network, build
from explorer.probes import PROBES, Cadence, Probe, Snapshot, Watch
from explorer.spec import Recipe, RunSpec, quote
from explorer.trace import Reading

TEST_BATCH = 1024
TINY = 1e-35  # a gradient with no entry above this counts as 0


def resolve_device(name: str = "auto") -> torch.device:
    """The device of that name; "auto" is CUDA, else Apple's GPU, else the CPU.

    ValueError, one line, for a device that is not there.
    """
    here = [f"cuda:{index}" for index in range(torch.cuda.device_count())]
    here = ["cuda", *here] if here else []
    here += ["mps"] if torch.backends.mps.is_available() else []
    here.append("cpu")
    if name != "auto" and name not in here:
        raise ValueError(f"device: {quote(name)} is not here; choose auto or {', '.join(here)}")
    return torch.device(here[0] if name == "auto" else name)


def one_thread() -> None:
    """Settle this thread's arithmetic: one thread, and numbers below 1e-38 are zero.

    A dead network trains 5-10 times slower while its numbers are denormal.
    """
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)


def learning_rate(recipe: Recipe, step: int) -> float:
    """The learning rate of optimiser step `step` (from 0)."""
    if step < recipe.warmup:
        return recipe.lr * (step + 1) / recipe.warmup
    if recipe.schedule == "step":
        drops = int(2 * step >= recipe.steps) + int(4 * step >= 3 * recipe.steps)
        return recipe.lr / 10.0**drops
    if recipe.schedule == "one_cycle":
        done = (step - recipe.warmup) / max(recipe.steps - recipe.warmup, 1)
        return recipe.lr * (1 + math.cos(math.pi * min(done, 1.0))) / 2
    return recipe.lr


def make_optimizer(recipe: Recipe, network: Network) -> Optimizer:
    """The recipe's optimiser over all parameters of `network`."""
    parameters = network.parameters()
    decay = recipe.weight_decay
    if recipe.optimizer == "sgd":
        momentum, nesterov = recipe.momentum, recipe.nesterov
        return SGD(parameters, recipe.lr, momentum, weight_decay=decay, nesterov=nesterov)
    kind = Adam if recipe.optimizer == "adam" else AdamW
    return kind(parameters, recipe.lr, betas=(recipe.momentum, 0.999), weight_decay=decay)


@torch.no_grad()
def normalize_gradients(network: Network) -> None:
    """Scale every gradient to its tensor's norm; one of one dimension to the norm of ones.

    Biases and the shifts of norms start at 0, and would never move by a share of themselves.
    A gradient of 0 stays 0; first each is brought to a greatest entry of 1, since the squares
    of small ones are below float32.
    """
    weights = [p for p in network.parameters() if p.grad is not None]
    gradients = [p.grad for p in weights if p.grad is not None]
    greatest = torch._foreach_norm(gradients, math.inf)
    torch._foreach_div_(gradients, [value.clamp_min(TINY) for value in greatest])
    sizes = [p.norm() if p.dim() > 1 else p.new_tensor(math.sqrt(p.numel())) for p in weights]
    norms = zip(sizes, torch._foreach_norm(gradients), strict=True)
    torch._foreach_mul_(gradients, [size / norm.clamp_min(TINY) for size, norm in norms])


class Trainer:
    """One arm: its network, optimiser and place in the data, advanced a step at a time.

    `step` counts finished optimiser steps. All that varies with it is in `network`,
    `optimizer`, `recipe` (whose rate may be changed) and `step`; the order of the data
    follows from the seed and the step.
    """

    def __init__(self, run: RunSpec, device: torch.device, watch: Watch | None = None) -> None:
        self.run = run
        self.recipe = run.recipe
        self.device = device
        self.watch = watch or Watch()
        self.data: Dataset = load(run.data, device)
        self.order = BatchOrder(len(self.data.y_train), run.recipe.batch, run.seed)
        network = build(run.network, run.seed)
        layout = torch.channels_last if run.recipe.channels_last else torch.preserve_format
        self.network: Network = network.to(device, memory_format=layout)  # type: ignore[call-overload]
        self.optimizer = make_optimizer(self.recipe, self.network)
        self.weights = [p for p in self.network.parameters() if p.dim() > 1]
        self.probes = {name: p for name, p in PROBES.items() if p.sites(self.network)}
        self.step = 0
        self.diverged_at: int | None = None

    @property
    def finished(self) -> bool:
        """Whether all steps are done, or none is left that could be."""
        return self.step >= self.recipe.steps or self.diverged_at is not None

    def sites(self, probe: Probe) -> tuple[str, ...]:
        """The names of the values that `probe` gives for this network."""
        return probe.sites(self.network)

    def set_lr(self, lr: float) -> None:
        """Change the peak learning rate from the next step on; the schedule stays."""
        self.recipe = self.recipe.replace(lr=lr)

    def advance(self, everything: bool = False) -> list[Reading]:
        """Do one optimiser step and return what was read at the weights before it.

        A loss that is no longer finite marks the arm as diverged, and the step is not taken.
        After the last step the test set is read once more.
        """
        due = self.watch.due(self.step, last=everything)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.recipe, self.step)
        snapshot = self._forward_backward(due)
        readings = self._read(snapshot, due - {"update"})
        if not all(np.isfinite(r.values).all() for r in readings if r.probe == "train_loss"):
            self.diverged_at = self.step
            return readings
        readings += self._update(snapshot, due)
        self.step += 1
        if self.step == self.recipe.steps:
            readings += self._read(self._tested(snapshot), frozenset({"test"}))
        return readings

    def _forward_backward(self, due: frozenset[Cadence]) -> Snapshot:
        x, y = self._batch()
        outputs: list[Tensor] = []
        branches: list[Tensor] = []
        self.optimizer.zero_grad()
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.recipe.bf16):
            if due & {"gradient", "activation"}:
                with _kept_branches(self.network, branches, keep="activation" in due):
                    outputs = [output for _, output in self.network.walk(x)]
                for output in outputs:
                    output.retain_grad()
                logits = self.network.logits(outputs[-1])
            else:
                logits = self.network(x)
            loss = F.cross_entropy(logits.float(), y, label_smoothing=self.recipe.label_smoothing)
        loss.backward()  # type: ignore[no-untyped-call]
        snapshot = Snapshot(self.network, loss, logits, y, outputs, branches)
        return self._tested(snapshot) if "test" in due else snapshot

    def _batch(self) -> tuple[Tensor, Tensor]:
        rows = self.order.indices(self.step).to(self.device)
        x, y = self.data.x_train[rows], self.data.y_train[rows]
        if self.run.data.augment:
            x = augment(x, self.run.seed, self.step, flip=self.data.info.flips)
        if self.recipe.channels_last:
            x = x.contiguous(memory_format=torch.channels_last)
        return x, y

    def _tested(self, snapshot: Snapshot) -> Snapshot:
        """`snapshot` with the logits of the whole test set at the present weights."""
        parts = [self.network.evaluate(x) for x in torch.split(self.data.x_test, TEST_BATCH)]
        return replace(snapshot, test_logits=torch.cat(parts), test_targets=self.data.y_test)

    def _update(self, snapshot: Snapshot, due: frozenset[Cadence]) -> list[Reading]:
        """Take the optimiser step; returns what is read from the change it made."""
        if self.recipe.normalized:
            normalize_gradients(self.network)
        if self.recipe.clip:
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.recipe.clip)
        before = [w.detach().clone() for w in self.weights] if "update" in due else []
        self.optimizer.step()
        if not before:
            return []
        updates = list(torch._foreach_sub([w.detach() for w in self.weights], before))
        return self._read(replace(snapshot, weights=before, updates=updates), frozenset({"update"}))

    @torch.no_grad()
    def _read(self, snapshot: Snapshot, due: frozenset[Cadence]) -> list[Reading]:
        """The readings of all probes due, fetched from the device in one copy."""
        names = [name for name, probe in self.probes.items() if probe.cadence in due]
        if not names:
            return []
        parts = [self.probes[name].measure(snapshot).float() for name in names]
        fetched = torch.cat(parts).cpu().numpy()
        ends = np.cumsum([len(part) for part in parts])
        values = np.split(fetched, ends[:-1])
        return [Reading(name, self.step, v) for name, v in zip(names, values, strict=True)]


@contextmanager
def _kept_branches(network: Network, branches: list[Tensor], keep: bool) -> Iterator[None]:
    """While open, every block's F(x), as it enters the sum, is appended to `branches`."""
    for block in network.all_blocks:
        block.kept = branches if keep else None
    try:
        yield
    finally:
        for block in network.all_blocks:
            block.kept = None


class Lockstep:
    """Several arms advanced together, one step each, on the CPU each in a thread of its own."""

    def __init__(self, trainers: Sequence[Trainer]) -> None:
        self.trainers = list(trainers)
        parallel = all(t.device.type == "cpu" for t in trainers) and len(self.trainers) > 1
        count = len(self.trainers) if parallel else 1
        self.threads = ThreadPoolExecutor(count, "arm", initializer=one_thread)

    @property
    def finished(self) -> bool:
        """Whether every arm is."""
        return all(trainer.finished for trainer in self.trainers)

    @property
    def step(self) -> int:
        """The step of the arm that is least far, of those that go on; else of the last to end."""
        going = [trainer.step for trainer in self.trainers if not trainer.finished]
        return min(going) if going else max(trainer.step for trainer in self.trainers)

    def advance(self, everything: bool = False) -> list[tuple[int, Reading]]:
        """One step of every arm that is least far; returns (arm, reading) pairs."""
        step = self.step
        arms = [i for i, t in enumerate(self.trainers) if t.step == step and not t.finished]
        futures = [self.threads.submit(self.trainers[i].advance, everything) for i in arms]
        pairs = zip(arms, futures, strict=True)
        return [(arm, reading) for arm, future in pairs for reading in future.result()]

    def close(self) -> None:
        """End the threads."""
        self.threads.shutdown()


def train(*runs: RunSpec, device: str = "auto") -> Iterator[tuple[int, Reading]]:
    """Train the arms in lockstep; yields (arm, reading) as they come.

    A reading at step k was taken at the weights after k optimiser steps.
    """
    place = resolve_device(device)
    lockstep = Lockstep([Trainer(run, place) for run in runs])
    try:
        while not lockstep.finished:
            yield from lockstep.advance()
    finally:
        lockstep.close()
