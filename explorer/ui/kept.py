"""Results that are made anew only so often, whoever asks."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")


class Kept(Generic[T]):
    """The newest `most` results by key, each for `seconds`; any thread may ask."""

    def __init__(self, seconds: float, most: int) -> None:
        self.seconds = seconds
        self.most = most
        self.made: OrderedDict[Hashable, tuple[float, T]] = OrderedDict()
        self.lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """The result kept under `key`; what `make` returns if there is none, or an old one."""
        with self.lock:
            kept = self.made.get(key)
        if kept is not None and time.monotonic() - kept[0] < self.seconds:
            return kept[1]
        result = make()
        with self.lock:
            self.made[key] = (time.monotonic(), result)
            self.made.move_to_end(key)
            while len(self.made) > self.most:
                self.made.popitem(last=False)
        return result
