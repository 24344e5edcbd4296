"""Residual Explorer: networks with and without skip connections, trained and measured.

In reading order: `spec` (what is built and trained), `blocks`, `shortcuts`, `init`, `network`,
`data`; `theory` (what is expected); `probes` (what is measured), `training`; `store`, `session`,
`worker`, `executors` (where runs live), `watching` (your own loop); `inside`, `analyses` (trained
networks looked into); `experiments`, `comparison`, `diagnosis`; `figures`; `ui` and pages/ (the
app); `cli`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from explorer.analysing import analyse
    from explorer.network import build
    from explorer.probes.flow import gradient_flow
    from explorer.spec import NetworkSpec, RunSpec, parse
    from explorer.training import train
    from explorer.watching import watch

__all__ = ["NetworkSpec", "RunSpec", "analyse", "build", "gradient_flow", "parse", "train", "watch"]

_HOMES = {
    "NetworkSpec": "explorer.spec",
    "RunSpec": "explorer.spec",
    "analyse": "explorer.analysing",
    "build": "explorer.network",
    "gradient_flow": "explorer.probes.flow",
    "parse": "explorer.spec",
    "train": "explorer.training",
    "watch": "explorer.watching",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for: specs do without torch."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
