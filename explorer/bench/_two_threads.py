"""What sweeps are compared with: one process that trains its comparisons with two threads.

Comparison ids come line by line on standard input; each one that is trained is answered.
"""

import sys

import torch

from explorer import session, training

THREADS = 2


class NoCommands:
    """Nobody interferes."""

    def take(self, block: bool = False) -> None:
        """No command."""


def two_threads() -> None:
    """As `explorer.training.one_thread`, with two."""
    torch.set_num_threads(THREADS)
    torch.set_flush_denormal(True)


def main() -> None:
    """Train what is asked for until standard input closes."""
    for module in (training, session):
        vars(module)["one_thread"] = two_threads
    device = session.warm_up("cpu")
    print("ready", flush=True)
    for line in sys.stdin:
        session.run_session(line.strip(), device, NoCommands())
        print("done", flush=True)


if __name__ == "__main__":
    main()
