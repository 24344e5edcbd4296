"""The default watch against a monitor of module hooks, as people write them, for like readings."""

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from explorer.bench import Rows, ratio, row
from explorer.data import Dataset, load
from explorer.data.order import BatchOrder
from explorer.network import Network, build
from explorer.probes import Watch
from explorer.spec import RunSpec, parse
from explorer.training import Trainer, make_optimizer, one_thread

STEPS = 25  # one full period of the default watch
PAIRS = 5
SPEC = "resnet-56,width=8,lr=0.01,steps=100000"
EVERY_STEP = Watch(gradient=1, activation=1)


class Monitor:
    """Logs numbers of every module that it is attached to, at every forward and backward pass."""

    def __init__(self, network: Network) -> None:
        self.log: dict[str, float] = {}
        for number, block in enumerate(network.all_blocks, 1):
            block.register_forward_hook(self._of_output(f"block {number}"))
            block.residual.register_forward_hook(self._of_residual(f"block {number}"))
        network.stem.register_forward_hook(self._of_output("stem"))

    def _of_output(self, name: str) -> Callable[..., None]:
        def hook(_module: nn.Module, _inputs: object, output: Tensor) -> None:
            if not output.requires_grad:  # the test set
                return
            self.log[f"{name}/mean"] = output.mean().item()
            self.log[f"{name}/std"] = output.std().item()
            self.log[f"{name}/dead"] = (output.amax(0) <= 0).float().mean().item()
            read = partial(self._of_gradient, name)
            output.register_hook(read)  # type: ignore[no-untyped-call]

        return hook

    def _of_residual(self, name: str) -> Callable[..., None]:
        def hook(_module: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
            if output.requires_grad:
                self.log[f"{name}/ratio"] = (output.norm() / inputs[0].norm()).item()

        return hook

    def _of_gradient(self, name: str, gradient: Tensor) -> None:
        self.log[f"{name}/gradient"] = gradient.norm().item()


def hooked_loop(run: RunSpec) -> Callable[[], None]:
    """STEPS steps of a plain loop that reads at every step all that the default watch ever does."""
    data = load(run.data)
    order = BatchOrder(len(data.y_train), run.recipe.batch, run.seed)
    network = build(run.network, run.seed)
    optimizer = make_optimizer(run.recipe, network)
    weights = {name: p for name, p in network.named_parameters() if p.dim() > 1}
    monitor = Monitor(network)
    step = 0

    def loop() -> None:
        nonlocal step
        for _ in range(STEPS):
            rows = order.indices(step)
            logits = network(data.x_train[rows])
            loss = F.cross_entropy(logits, data.y_train[rows])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            before = {name: p.detach().clone() for name, p in weights.items()}
            optimizer.step()
            monitor.log["loss"] = loss.item()
            monitor.log["accuracy"] = _share_correct(logits, data.y_train[rows])
            for name, p in weights.items():
                assert p.grad is not None
                monitor.log[f"{name}/gradient"] = p.grad.norm().item()
                update = (p.detach() - before[name]).norm() / before[name].norm()
                monitor.log[f"{name}/update"] = update.item()
            if step % STEPS == 0:
                monitor.log["test"] = _test_accuracy(network, data)
            step += 1

    return loop


def _share_correct(logits: Tensor, labels: Tensor) -> float:
    return (logits.argmax(1) == labels).float().mean().item()


def _test_accuracy(network: Network, data: Dataset) -> float:
    return _share_correct(network.evaluate(data.x_test), data.y_test)


def watched_loop(run: RunSpec, watch: Watch) -> Callable[[], None]:
    """STEPS steps of a Trainer with that watch."""
    trainer = Trainer(run, torch.device("cpu"), watch)

    def loop() -> None:
        for _ in range(STEPS):
            trainer.advance()

    return loop


def rows() -> Rows:
    """Time with hooks over time with ours, at depth 56 on digits, width 8, batch 128."""
    one_thread()
    run = parse(SPEC)
    hooked = hooked_loop(run)
    hooked()  # the first steps allocate
    for watch, what in ((Watch(), "default watch"), (EVERY_STEP, "all readings at every step")):
        watched = watched_loop(run, watch)
        watched()
        value = ratio(hooked, watched, PAIRS)
        yield row(f"module hooks at every step / {what}", value, "x", "more than", 1.0)
