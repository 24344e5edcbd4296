"""What a full profile of the deepest network needs in memory, against its bare two passes."""

import subprocess
import sys

from explorer.bench import Rows, leave_out, row
from explorer.bench.deep_profile import SPEC

BOUND = 1.25
WHAT = f"peak memory of a full profile of ResNet-{SPEC.depth} / of bare forward and backward"


def rows() -> Rows:
    """Each in a process of its own, beyond what network and data take."""
    if sys.platform == "win32":
        leave_out(WHAT, "Windows does not say how much memory a process took at most")
        return
    yield row(WHAT, taken("profile") / taken("bare"), "x", "at most", BOUND)


def taken(what: str) -> int:
    """Bytes at the peak of one of the two."""
    command = [sys.executable, "-m", "explorer.bench._peak", what]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
