"""What a full profile of the deepest network costs: ResNet-1202 against its bare two passes."""

import torch
import torch.nn.functional as F

from explorer.bench import Rows, ratio, row
from explorer.network import build
from explorer.probes.flow import profile
from explorer.spec import NetworkSpec
from explorer.training import one_thread

SPEC = NetworkSpec(depth=1202, inputs=(3, 32, 32))
BATCH = 16
PAIRS = 3


def rows() -> Rows:
    """Profile time over bare forward and backward time, 32x32, batch 16, one thread."""
    one_thread()
    network = build(SPEC)
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(BATCH, *SPEC.inputs, generator=generator)
    y = torch.randint(SPEC.classes, (BATCH,), generator=generator)

    def bare() -> None:
        network.zero_grad()
        F.cross_entropy(network(x), y).backward()  # type: ignore[no-untyped-call]

    bare()  # the first pass allocates
    value = ratio(lambda: profile(network, x, y), bare, PAIRS)
    what = f"full profile of ResNet-{SPEC.depth} / bare forward and backward"
    yield row(what, value, "x", "at most", 1.25)
