"""A network in the mode a measurement needs, and afterwards in the one it was in."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from torch import nn

Report = Callable[[int, int], object]  # (done, total); it may raise to cancel


@contextmanager
def in_mode(module: nn.Module, training: bool) -> Iterator[None]:
    """Inside, `module` is in training or evaluation mode; then every part is as it was."""
    before = [(part, part.training) for part in module.modules()]
    module.train(training)
    try:
        yield
    finally:
        for part, mode in before:
            part.training = mode
