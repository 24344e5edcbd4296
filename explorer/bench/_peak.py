"""Peak memory of a process that does one thing: `python -m explorer.bench._peak bare|profile`.

Prints the bytes that it takes beyond those of the network and its data.
"""

import resource
import sys

import torch
import torch.nn.functional as F

from explorer.bench.deep_profile import BATCH, SPEC
from explorer.network import build
from explorer.probes.flow import profile
from explorer.training import one_thread


def peak(what: str) -> int:
    """Bytes at the peak of one profile, or of one forward and backward pass, of the deepest net."""
    one_thread()
    network = build(SPEC)
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(BATCH, *SPEC.inputs, generator=generator)
    y = torch.randint(SPEC.classes, (BATCH,), generator=generator)
    before = _resident()
    if what == "profile":
        profile(network, x, y)
    else:
        F.cross_entropy(network(x), y).backward()  # type: ignore[no-untyped-call]
    return _resident() - before


def _resident() -> int:
    """The most bytes that this process has held so far; Linux counts in kibibytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    print(peak(sys.argv[1]))
