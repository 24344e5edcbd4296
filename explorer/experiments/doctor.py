"""What this installation has to work with."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from explorer.catalog import BUILT_IN, own_datasets
from explorer.home import home

PACKAGES = ("torch", "torchvision", "streamlit", "plotly", "captum", "scikit-learn", "pydantic")


def installed(package: str) -> str:
    """Its version; a package may also run from its sources."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def report() -> dict[str, Any]:
    """Versions, device, cores, store and data sets, by name."""
    import torch

    from explorer.data import is_here
    from explorer.store import Store
    from explorer.training import resolve_device

    device = resolve_device()
    store = Store()
    cores = os.cpu_count() or 1
    return {
        "residual-explorer": installed("residual-explorer"),
        "python": platform.python_version(),
        **{package: installed(package) for package in PACKAGES},
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "cores": cores,
        "workers": max(1, cores // 2),
        "data folder": str(home()),
        "store": f"{len(store.runs())} runs, {store.size() / 1e6:.1f} MB {store.notice}".strip(),
        "data here": [n for n in (*BUILT_IN, *own_datasets()) if is_here(n)],
        "data to download": [name for name in BUILT_IN if not is_here(name)],
    }
