"""Sweeps on a Ray cluster, or on a Ray of this machine: as `explorer.sweeping` has them here.

Runs are trained on the nodes, and what is read comes back into this program's store, so that
whoever looks at the store sees a sweep that trains elsewhere as one that trains here.
"""

import atexit
import math
import os
from collections.abc import Sequence

from explorer.raysweeps.cluster import APP_ENDED, Cluster
from explorer.raysweeps.connection import Connection
from explorer.spec import RunSpec, SpecError
from explorer.store import Store, Sweep
from explorer.sweeping import Sweeping

__all__ = ["RaySweeping"]

MOST_RUNS = 256  # at once, a thread here for each


class RaySweeping:
    """The sweeps of this process that train on Ray. Its methods may be called from any thread.

    `address` is "auto", "HOST:PORT" or "ray://HOST:PORT"; with None Ray is started here, and
    ends with `close`. A run takes `cpus_per_run` cores and `gpus_per_run` of a GPU of one node,
    and trains on the GPU if it takes any of one. RuntimeError, one line, if there is no Ray,
    SpecError if no node has what a run takes.
    """

    def __init__(
        self,
        store: Store,
        address: str | None = None,
        gpus_per_run: float = 0.0,
        cpus_per_run: float = 1.0,
        max_runs: int | None = None,
    ) -> None:
        given = {"gpus_per_run": ("GPU", gpus_per_run), "cpus_per_run": ("CPU", cpus_per_run)}
        for name, (kind, share) in given.items():
            _check_share(name, kind, share)
        needs = {kind: share for kind, share in given.values() if share > 0}
        # As on workers of this machine, more at once than there are cores is the asker's choice.
        cores = max(os.cpu_count() or 1, math.ceil((max_runs or 1) * cpus_per_run))
        connection = Connection(address, cores)
        try:
            for name, (kind, share) in given.items():
                connection.require(name, kind, share)
            room = connection.most(needs) if needs else MOST_RUNS
            most = max(1, min(room, max_runs or MOST_RUNS, MOST_RUNS))
            self.cluster = Cluster(store, connection, most, needs)
        except BaseException:
            connection.close()
            raise
        self.sweeping = Sweeping(store, self.cluster)
        self.cluster.behind = self.sweeping
        atexit.register(self.close)

    def start(self, name: str, specs: Sequence[RunSpec], reuse: bool = True) -> Sweep:
        """Train these specs, those not finished yet; with `reuse` false, all of them."""
        return self.sweeping.start(name, specs, reuse)

    def resume(self, sweep_id: str) -> None:
        """Train what a cancelled, interrupted or partly failed sweep has left.

        StoreError if it is not there, or if another program trains it.
        """
        self.sweeping.resume(sweep_id)

    def cancel(self, sweep_id: str) -> None:
        """Start no more of its members and stop those that train; what they did is kept."""
        self.sweeping.cancel(sweep_id)

    def close(self) -> None:
        """End what trains, kept to be resumed, and leave Ray, or end the one started here."""
        atexit.unregister(self.close)
        if not self.cluster.closed:
            self.sweeping.close(APP_ENDED)
            self.cluster.close()


def _check_share(name: str, kind: str, share: float) -> None:
    """SpecError for what Ray cannot give: it has parts of one, or whole ones."""
    if not (math.isfinite(share) and share >= 0 and (share <= 1 or share == int(share))):
        raise SpecError(name, share, f"0 to 1, or a whole number, of {kind}s")
