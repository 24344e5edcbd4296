"""The networks of runs: as a stored run left it, and as it was before the first step."""

import torch

from explorer.checkpoint import restore
from explorer.network import Network, build
from explorer.spec import RunSpec, quote
from explorer.store import Store, StoreError
from explorer.training import Trainer


def stored_network(store: Store, run_id: int) -> tuple[Network, RunSpec, int]:
    """The network of that run, its spec, and the step at which its checkpoint was taken.

    On the CPU, in training mode, with the gates it was last trained with. StoreError, one
    line, if there is no such run or no checkpoint of it to read; DataError if its data set
    is not here.
    """
    run = store.run(run_id)
    if run is None:
        raise StoreError(f"run: {quote(run_id)} is not in the store")
    trainer = Trainer(run.spec, torch.device("cpu"))
    if not restore(trainer, run_id):
        raise StoreError(
            f"run: the weights of {quote(run_id)} are not on this machine; train it here again"
        )
    return trainer.network, run.spec, trainer.step


def initial_network(run: RunSpec) -> Network:
    """The network that `run` starts from, on the CPU, in training mode."""
    return build(run.network, run.seed)
