"""Five published image sets, read from files in the folder layout of torchvision."""

import io
import math
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from explorer.catalog import BUILT_IN
from explorer.data.base import LOADERS, DataError, Examples, Loader
from explorer.home import home

DIGITS = tuple("0123456789")
CLOTHES = (
    *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
    *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
)
IDX = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
BATCHES = tuple(f"data_batch_{number}" for number in range(1, 6))
PICKLED = {"_reconstruct", "_frombuffer", "ndarray", "dtype", "encode"}  # what an array needs
PIXELS = 3 * 32 * 32  # bytes of an image of CIFAR
Split = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Files:
    """Where a data set lies below `root()`, and how its files become examples."""

    folder: str
    names: tuple[str, ...]
    read: Callable[[Path], Examples]


def root() -> Path:
    """The folder of all published data sets."""
    return home() / "data" / "torchvision"


def _damaged(file: Path, expected: str) -> DataError:
    return DataError(f"{file} is no {expected}; delete it and get the data again")


def read_idx(file: Path) -> Tensor:
    """The uint8 array of an IDX file (the format of MNIST); DataError if it is none."""
    content = file.read_bytes()
    header = 4 + 4 * content[3] if content[:3] == b"\0\0\x08" and content[3:4] > b"\0" else 0
    shape = np.frombuffer(content[4:header], ">u4").tolist() if len(content) >= header else []
    if not shape or len(content) - header != math.prod(shape):
        raise _damaged(file, "whole IDX file of bytes")
    return torch.from_numpy(np.frombuffer(content[header:], np.uint8).reshape(shape).copy())


def read_mnist(folder: Path, class_names: tuple[str, ...]) -> Examples:
    """The four IDX files in `folder`."""
    x_train, y_train, x_test, y_test = (read_idx(folder / name) for name in IDX)
    return Examples(x_train.unsqueeze(1), y_train, x_test.unsqueeze(1), y_test, class_names)


class _ArrayUnpickler(pickle.Unpickler):
    """Reads arrays, lists, numbers and text, and refuses whatever else a pickle could call."""

    def find_class(self, module: str, name: str) -> Any:
        if module.split(".")[0] in ("numpy", "_codecs") and name in PICKLED:
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"{module}.{name} is not part of an array")


def read_pickle(file: Path) -> dict[str, Any]:
    """The dictionary in a pickle of arrays, made by Python 2 or 3; DataError if it is none."""
    try:
        content = _ArrayUnpickler(io.BytesIO(file.read_bytes()), encoding="latin1").load()
    except (pickle.UnpicklingError, LookupError, ValueError, TypeError, EOFError, AttributeError):
        content = None
    if not isinstance(content, dict):
        raise _damaged(file, "file of CIFAR")
    return content


def read_cifar(
    folder: Path, train: tuple[str, ...], test: tuple[str, ...], meta: str, prefix: str
) -> Examples:
    """The pickled batches in `folder`, their keys `prefix` + "labels" and "label_names"."""

    def split(names: tuple[str, ...]) -> Split:
        batches = [read_pickle(folder / name) for name in names]
        pixels = np.concatenate([np.asarray(batch["data"], np.uint8) for batch in batches])
        labels = np.concatenate([np.asarray(batch[f"{prefix}labels"]) for batch in batches])
        return torch.from_numpy(pixels).view(-1, 3, 32, 32), torch.from_numpy(labels)

    try:
        class_names = tuple(map(str, read_pickle(folder / meta)[f"{prefix}label_names"]))
        return Examples(*split(train), *split(test), class_names)
    except DataError:
        raise
    except (LookupError, RuntimeError, ValueError, TypeError, ArithmeticError):
        raise _damaged(folder, "folder of CIFAR batches") from None


def read_cifar_binary(
    folder: Path, train: tuple[str, ...], test: tuple[str, ...], names: str, label: int
) -> Examples:
    """The binary version in `folder`: a record is labels (the one at `label` counts), 3072 pixels.

    Its first byte is CIFAR-10's label; CIFAR-100 has a coarse one there, then the fine one.
    """

    def split(files: tuple[str, ...]) -> Split:
        size = label + 1 + PIXELS
        content = b"".join((folder / name).read_bytes() for name in files)
        if not content or len(content) % size:
            raise _damaged(folder / files[0], f"file of records of {size} bytes")
        records = torch.from_numpy(np.frombuffer(content, np.uint8).copy()).view(-1, size)
        return records[:, label + 1 :].reshape(-1, 3, 32, 32), records[:, label].long()

    text = (folder / names).read_text(encoding="utf-8", errors="replace")
    return Examples(*split(train), *split(test), tuple(text.split()))


def read_svhn(folder: Path) -> Examples:
    """The two MATLAB files in `folder`, where the digit 0 has the label 10."""
    loadmat = import_module("scipy.io").loadmat  # here, because the import takes a while

    def split(name: str) -> Split:
        try:
            raw = loadmat(folder / name)
            pixels = np.ascontiguousarray(raw["X"].transpose(3, 2, 0, 1))
            labels = raw["y"].astype(np.int64).reshape(-1) % 10
            return torch.from_numpy(pixels), torch.from_numpy(labels)
        except Exception:  # a reader of others, of bytes that may be anything
            raise _damaged(folder / name, "MATLAB file of images") from None

    return Examples(*split("train_32x32.mat"), *split("test_32x32.mat"), DIGITS)


def _cifar10(folder: Path) -> Examples:
    return read_cifar(folder, BATCHES, ("test_batch",), "batches.meta", prefix="")


def _cifar100(folder: Path) -> Examples:
    return read_cifar(folder, ("train",), ("test",), "meta", prefix="fine_")


FILES = {
    "mnist": Files("MNIST/raw", IDX, lambda folder: read_mnist(folder, DIGITS)),
    "fashion_mnist": Files("FashionMNIST/raw", IDX, lambda folder: read_mnist(folder, CLOTHES)),
    "cifar10": Files("cifar-10-batches-py", (*BATCHES, "test_batch", "batches.meta"), _cifar10),
    "cifar100": Files("cifar-100-python", ("train", "test", "meta"), _cifar100),
    "svhn": Files(".", ("train_32x32.mat", "test_32x32.mat"), read_svhn),
}


# The other form in which Krizhevsky gives CIFAR away; read where the first is not.
BINARY_BATCHES = tuple(f"{name}.bin" for name in BATCHES)
BINARY = {
    "cifar10": Files(
        "cifar-10-batches-bin",
        (*BINARY_BATCHES, "test_batch.bin", "batches.meta.txt"),
        lambda folder: read_cifar_binary(
            folder, BINARY_BATCHES, ("test_batch.bin",), "batches.meta.txt", label=0
        ),
    ),
    "cifar100": Files(
        "cifar-100-binary",
        ("train.bin", "test.bin", "fine_label_names.txt"),
        lambda folder: read_cifar_binary(
            folder, ("train.bin",), ("test.bin",), "fine_label_names.txt", label=1
        ),
    ),
}


def all_here(name: str) -> bool:
    """Whether every file of the data set is there (none is opened)."""
    return _found(name) is not None


def _found(name: str) -> Files | None:
    """The form of the data set whose files are all there."""
    forms = [FILES[name], *([BINARY[name]] if name in BINARY else [])]
    return next((form for form in forms if _whole(form)), None)


def _whole(form: Files) -> bool:
    return all((root() / form.folder / file).is_file() for file in form.names)


def _read(name: str) -> Examples:
    form = _found(name)
    if form is None:
        raise DataError(
            f"{name} is not on this machine ({BUILT_IN[name].download_mb} MB): "
            f"download it in the app or with `explorer data download {name}`"
        )
    try:
        return form.read(root() / form.folder)
    except OSError as error:
        raise DataError(
            f"{name}: cannot read {error.filename or root()}: {error.strerror}"
        ) from None


for published in FILES:
    LOADERS.add(published, Loader(_read, all_here))
