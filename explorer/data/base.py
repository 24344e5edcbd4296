"""What all data sets share: how one is read, what is wrong when it cannot be."""

import errno
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from explorer.registry import Registry


class DataError(ValueError):
    """Data that cannot be had: one line that says what is wrong and what to do."""


@dataclass(frozen=True)
class Examples:
    """A data set as it was read: images as uint8 levels (N, C, H, W) or points as float (N, F)."""

    x_train: Tensor
    y_train: Tensor
    x_test: Tensor
    y_test: Tensor
    class_names: tuple[str, ...]


@dataclass(frozen=True)
class Loader:
    """`read` reads a data set by name; `is_here` tells without reading whether it could."""

    read: Callable[[str], Examples]
    is_here: Callable[[str], bool] = lambda _: True


LOADERS: Registry[Loader] = Registry("data")


def disk_error(error: OSError, folder: Path) -> DataError:
    """`error`, met while writing into `folder`, as one line."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DataError(f"the disk is full: make room in {folder} and try again")
    return DataError(f"cannot write into {folder}: {error.strerror or error}")
