"""The networks of runs: as a stored run left them, and as they were before the first step."""

from pathlib import Path

from explorer.checkpoint import load_weights
from explorer.network import Network, build
from explorer.spec import RunSpec, quote
from explorer.store import Store, StoreError, checkpoints

NOT_HERE = "run: the weights of {run} are not on this machine; train it here again"


def stored_network(
    store: Store, run_id: int, step: int | None = None
) -> tuple[Network, RunSpec, int]:
    """The network of that run at one of its stored steps, by default the last; its spec and step.

    On the CPU, in training mode, with the gates it was trained with then. StoreError, one line,
    if there is no such run, or no weights of that step to read.
    """
    run = store.run(run_id)
    if run is None:
        raise StoreError(f"run: {quote(run_id)} is not in the store")
    paths = checkpoints.snapshots(run_id)
    if step == 0:
        return initial_network(run.spec), run.spec, 0
    if not paths:
        raise StoreError(NOT_HERE.format(run=quote(run_id)))
    if step is not None and step not in paths:
        steps = ", ".join(map(str, (0, *paths)))
        raise StoreError(f"step: {quote(step)} is not stored of run {run_id}; there are {steps}")
    path = paths[step or max(paths)]
    return read_network(run.spec, str(path)), run.spec, step or max(paths)


def read_network(run: RunSpec, path: str) -> Network:
    """The network of `run` with the weights in that file, or without one as it is at step 0.

    StoreError, one line, if the file cannot be read, or is another network's.
    """
    network = initial_network(run)
    if path and load_weights(network, run.key, Path(path)) is None:
        raise StoreError(NOT_HERE.format(run=Path(path).name))
    return network


def initial_network(run: RunSpec) -> Network:
    """The network that `run` starts from, on the CPU, in training mode."""
    return build(run.network, run.seed)
