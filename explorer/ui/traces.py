"""Traces of runs that go on: only what is new is read from the store."""

import threading
from collections import OrderedDict

import numpy as np

from explorer.store import Store
from explorer.trace import Trace

MOST = 400  # traces kept


class Traces:
    """A bounded cache of the store's traces; a repeated reading keeps its first value.

    That is sound because a resumed run reads the same values again, unless somebody changed
    a rate or a gate meanwhile: then a trace is read anew.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self.kept: OrderedDict[tuple[int, str], tuple[int, Trace]] = OrderedDict()
        self.lock = threading.Lock()

    def get(self, run: int, probe: str, changes: int = 0) -> Trace:
        """All readings of `probe` in `run` so far; length 0 if there are none.

        `changes` counts the changes made to the run while it trained.
        """
        with self.lock:
            before, known = self.kept.get((run, probe), (changes, None))
        if known is None or not len(known) or before != changes:
            whole = self.store.trace(run, probe)
        else:
            whole = _joined(known, self.store.trace(run, probe, int(known.steps[-1])))
        with self.lock:
            self.kept[run, probe] = (changes, whole)
            self.kept.move_to_end((run, probe))
            while len(self.kept) > MOST:
                self.kept.popitem(last=False)
        return whole


def _joined(known: Trace, fresh: Trace) -> Trace:
    if not len(fresh):
        return known
    steps = np.concatenate([known.steps, fresh.steps])
    values = np.concatenate([known.values, fresh.values])
    return Trace(known.probe, steps, values, known.sites, known.unit, known.log)
