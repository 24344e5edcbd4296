"""Data sets as tensors that lie whole on the device: normalised, in a fixed order, no loader.

A new data set is a file here that adds itself to LOADERS, and its facts in the catalog.
"""

import sys
import threading
from dataclasses import dataclass, fields
from pathlib import Path

import torch
from torch import Tensor

from explorer.catalog import DatasetInfo, dataset_info
from explorer.data.base import LOADERS, DataError, Examples, Loader
from explorer.data.downloads import download
from explorer.home import home
from explorer.registry import discover
from explorer.spec import DataSpec

__all__ = ["LOADERS", "DataError", "Dataset", "download", "is_here", "load"]

MOST_CACHED_BYTES = 2 * 10**9


@dataclass(frozen=True)
class Dataset:
    """A data set ready to train on, all tensors on one device.

    x is float32, normalised by the training split's mean and standard deviation of each
    channel (of each feature for points), `mean` and `std`, shaped (1, channel, 1, 1) or
    (1, feature); y is int64. Shared between runs: never write to it.
    """

    info: DatasetInfo
    x_train: Tensor
    y_train: Tensor
    x_test: Tensor
    y_test: Tensor
    class_names: tuple[str, ...]
    mean: Tensor
    std: Tensor

    @property
    def bytes(self) -> int:
        """Memory of all tensors."""
        values = (getattr(self, field.name) for field in fields(self))
        return sum(value.nbytes for value in values if isinstance(value, Tensor))


_cache: dict[tuple[str, str, Path], Dataset] = {}  # oldest use first
_lock = threading.Lock()


def load(spec: DataSpec, device: str | torch.device = "cpu") -> Dataset:
    """The data of `spec` on `device`, kept for the next call; DataError if it is not here.

    Nothing is ever downloaded by this.
    """
    key = (spec.name, str(torch.device(device)), home())
    with _lock:
        dataset = _cache.pop(key, None) or _read(spec.name, torch.device(device))
        _cache[key] = dataset
        while len(_cache) > 1 and sum(kept.bytes for kept in _cache.values()) > MOST_CACHED_BYTES:
            del _cache[next(iter(_cache))]
        return dataset


def is_here(name: str) -> bool:
    """Whether `load` could read the data set `name` now; DataError for an unknown name."""
    return _loader(name).is_here(name)


def _loader(name: str) -> Loader:
    kind = "own" if name.startswith("own:") else name
    if kind not in LOADERS:
        raise DataError(f"data: no {name!r}; there are {', '.join(LOADERS)}")
    return LOADERS[kind]


def _read(name: str, device: torch.device) -> Dataset:
    info, examples = dataset_info(name), _loader(name).read(name)
    _check(info, examples)
    mean, std = _statistics(examples.x_train)
    per_channel = (1, -1, *[1] * (len(info.shape) - 1))
    mean, std = mean.view(per_channel).to(device), std.view(per_channel).to(device)
    x_train, x_test = (
        x.to(device).float().sub_(mean).div_(std) for x in (examples.x_train, examples.x_test)
    )
    y_train, y_test = (y.to(device, torch.int64) for y in (examples.y_train, examples.y_test))
    return Dataset(info, x_train, y_train, x_test, y_test, examples.class_names, mean, std)


def _check(info: DatasetInfo, examples: Examples) -> None:
    """DataError unless shapes, counts and labels are those of the catalog."""
    for split, count, x, y in (
        ("training", info.train, examples.x_train, examples.y_train),
        ("test", info.test, examples.x_test, examples.y_test),
    ):
        labels_fit = bool(((y >= 0) & (y < info.classes)).all())
        if x.shape != (count, *info.shape) or y.shape != (count,) or not labels_fit:
            raise DataError(
                f"{info.name}: the {split} files do not hold {count} examples of shape "
                f"{info.shape} in {info.classes} classes; delete them and get the data again"
            )


def _statistics(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each channel or feature; shape (channel,), float32.

    Levels are counted, so the sums are exact and do not depend on the number of threads.
    A constant channel gets the deviation 1.
    """
    if x.dtype == torch.uint8:
        counts = [torch.bincount(channel.flatten(), minlength=256) for channel in x.unbind(1)]
        share = torch.stack(counts).double() / counts[0].sum()
        levels = torch.arange(256, dtype=torch.float64)
        mean = (share * levels).sum(1)
        variance = (share * (levels - mean[:, None]) ** 2).sum(1)
    else:
        mean, variance = x.double().mean(0), x.double().var(0, correction=0)
    std = variance.sqrt()
    return mean.float(), torch.where(std > 0, std, 1.0).float()


discover(sys.modules[__name__])
