"""What the default watch costs: a Trainer against a bare PyTorch loop over the same network."""

from collections.abc import Callable

import torch
import torch.nn.functional as F

from explorer.bench import Row, Rows, ratio
from explorer.data import load
from explorer.data.order import BatchOrder
from explorer.network import build
from explorer.spec import RunSpec, parse
from explorer.training import Trainer, one_thread

STEPS = 25  # one full period of the default watch
PAIRS = 9
DEPTHS = (20, 56, 110)


def bare_loop(run: RunSpec) -> Callable[[], None]:
    """STEPS steps of the loop that every tutorial shows, on the run's network and data."""
    data = load(run.data)
    order = BatchOrder(len(data.y_train), run.recipe.batch, run.seed)
    network = build(run.network, run.seed)
    optimizer = torch.optim.SGD(network.parameters(), 0.01, momentum=0.9)
    step = 0

    def loop() -> None:
        nonlocal step
        for _ in range(STEPS):
            rows = order.indices(step)
            loss = F.cross_entropy(network(data.x_train[rows]), data.y_train[rows])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            step += 1

    return loop


def watched_loop(run: RunSpec) -> Callable[[], None]:
    """STEPS steps of a Trainer with the default watch, readings fetched."""
    trainer = Trainer(run, torch.device("cpu"))

    def loop() -> None:
        for _ in range(STEPS):
            trainer.advance()

    return loop


def rows() -> Rows:
    """One row a depth: watched time over bare time, digits, width 8, batch 128, one thread."""
    one_thread()
    for depth in DEPTHS:
        run = parse(f"resnet-{depth},width=8,lr=0.01,steps=100000")
        bare, watched = bare_loop(run), watched_loop(run)
        bare(), watched()  # the first steps allocate
        value = ratio(watched, bare, PAIRS)
        what = f"training with the default watch / bare loop, depth {depth}"
        yield Row(what, value, "x", "at most 1.05", value <= 1.05)
