"""A network in the mode a measurement needs, and afterwards in the one it was in."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from torch import nn

Report = Callable[[int, int], object]  # (done, total); it may raise to cancel


@contextmanager
def in_mode(module: nn.Module, training: bool) -> Iterator[None]:
    """Inside, `module` is in training or evaluation mode; then every part is as it was."""
    before = [part for part in module.modules() if part.training != training]
    if not before:  # telling every part what it is already takes as long as a layer or two
        yield
        return
    module.train(training)
    try:
        yield
    finally:
        for part in before:
            part.training = not training
