"""A visitor's own images: a class for each folder, stored small, named by their content."""

import hashlib
import json
import re
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from explorer.catalog import DatasetInfo, own_folder
from explorer.data.base import LOADERS, DataError, Examples, Loader, disk_error
from explorer.data.classes import labels_of
from explorer.data.entries import Entry, from_files, from_folder, from_zip
from explorer.data.pictures import Pixels, picture
from explorer.init import generator_for

SIDE, SMALLEST_SIDE, LARGEST_SIDE = 32, 8, 64
FEWEST_CLASSES, MOST_CLASSES = 2, 1000
TEST_SHARE = 0.2
IMAGES = "images.safetensors"
TENSORS = ("x_train", "y_train", "x_test", "y_test")


def add_folder(path: Path, name: str, side: int = SIDE) -> str:
    """Store the images below `path` as a data set; its id, `own:<name>-<digest>`.

    The first folder level that differs names the classes. DataError in one line for whatever
    is wrong; then nothing is stored. `side` is the height and width they are scaled to.
    """
    return _add(from_folder(path.expanduser()), name, side)


def add_zip(file: BinaryIO | Path, name: str, side: int = SIDE) -> str:
    """As `add_folder`, from a zip; nothing of it is written to disk but the scaled images."""
    if not isinstance(file, Path):
        return _add(from_zip(file), name, side)
    try:
        opened = file.expanduser().open("rb")
    except OSError as error:
        raise DataError(f"cannot read {file}: {error.strerror}") from None
    with opened:
        return _add(from_zip(opened), name, side)


def add_files(files: Iterable[Entry], name: str, side: int = SIDE) -> str:
    """As `add_folder`, from (path, content) pairs such as ("cat/1.png", bytes)."""
    return _add(from_files(files), name, side)


def _add(entries: Iterable[Entry], name: str, side: int) -> str:
    if not SMALLEST_SIDE <= side <= LARGEST_SIDE:
        raise DataError(f"side: {side} is not allowed; {SMALLEST_SIDE} to {LARGEST_SIDE}")
    paths, pictures = [], []
    for path, content in entries:
        paths.append(path)
        pictures.append(picture(content, path, side))
    if not paths:
        raise DataError("there are no PNG, JPEG, BMP, GIF or WebP images in it")
    by_class = _by_class(labels_of(paths), pictures)
    identity = f"own:{_slug(name)}-{_digest(by_class)}"
    info, examples = _split(identity, by_class)
    return _store(info, examples)


def _by_class(labels: list[str], pictures: list[Pixels]) -> dict[str, Pixels]:
    """Images (n, channels, side, side) by class, both sorted by content, not by file name.

    So the same images are the same data set, however they were packed. One channel if all
    images are grey.
    """
    grey = all((p[0] == p[1]).all() and (p[0] == p[2]).all() for p in pictures)
    groups: dict[str, list[Pixels]] = defaultdict(list)
    for label, pixels in zip(labels, pictures, strict=True):
        groups[label].append(pixels[:1] if grey else pixels)
    if not FEWEST_CLASSES <= len(groups) <= MOST_CLASSES:
        raise DataError(
            f"{len(groups)} class folder{'s' * (len(groups) != 1)} found; "
            f"{FEWEST_CLASSES} to {MOST_CLASSES} are allowed, one for each class"
        )
    if len(groups) == len(pictures):
        raise DataError("every class has a single image; at least one class needs two")
    for group in groups.values():
        group.sort(key=_content)
    return {label: np.stack(groups[label]) for label in sorted(groups)}


def _content(pixels: Pixels) -> bytes:
    return pixels.tobytes()


def _slug(name: str) -> str:
    """`name` as part of an id: 1 to 40 of a-z, 0-9 and hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40].strip("-") or "images"


def _digest(by_class: dict[str, Pixels]) -> str:
    """8 hexadecimal digits of the pixels, their shape and their classes."""
    shapes = {label: images.shape for label, images in by_class.items()}
    digest = hashlib.sha256(json.dumps(shapes).encode())
    for images in by_class.values():
        digest.update(images.tobytes())
    return digest.hexdigest()[:8]


def _split(identity: str, by_class: dict[str, Pixels]) -> tuple[DatasetInfo, Examples]:
    """TEST_SHARE of each class for testing, at least one image if the class has two."""
    train, test = [], []
    for label, (name, images) in enumerate(by_class.items()):
        count = len(images)
        order = torch.randperm(count, generator=generator_for(0, f"own:{name}"))
        held_out = max(round(TEST_SHARE * count), 1) if count > 1 else 0
        shuffled, labels = torch.from_numpy(images)[order], torch.full((count,), label)
        test.append((shuffled[:held_out], labels[:held_out]))
        train.append((shuffled[held_out:], labels[held_out:]))
    x_train, y_train = (torch.cat(parts) for parts in zip(*train, strict=True))
    x_test, y_test = (torch.cat(parts) for parts in zip(*test, strict=True))
    shape, classes = tuple(x_train.shape[1:]), len(by_class)
    info = DatasetInfo(
        identity, "image", shape, classes, len(x_train), len(x_test), "images added here"
    )
    return info, Examples(x_train, y_train, x_test, y_test, tuple(by_class))


def _store(info: DatasetInfo, examples: Examples) -> str:
    """Write the data set beside its place, then move it there, so that no half of it is seen."""
    final = own_folder(info.name)
    if _is_here(info.name):
        return info.name
    content = save(
        {name: getattr(examples, name) for name in TENSORS},
        {"class_names": json.dumps(examples.class_names)},
    )
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".new-", dir=final.parent) as temporary:
            made = Path(temporary) / final.name
            made.mkdir()
            (made / IMAGES).write_bytes(content)
            (made / "info.json").write_text(json.dumps(asdict(info)), encoding="utf-8")
            shutil.rmtree(final, ignore_errors=True)  # what a damaged one left
            made.rename(final)
    except OSError as error:
        if not _is_here(info.name):  # if it is, another thread has just stored the same
            raise disk_error(error, final.parent) from None
    return info.name


def _is_here(name: str) -> bool:
    return all((own_folder(name) / file).is_file() for file in (IMAGES, "info.json"))


def _read(name: str) -> Examples:
    file = own_folder(name) / IMAGES
    try:
        with safe_open(file, "pt") as stored:
            names = json.loads(stored.metadata()["class_names"])
            tensors = {key: stored.get_tensor(key) for key in TENSORS}
        return Examples(**tensors, class_names=tuple(names))
    except (SafetensorError, OSError, ValueError, KeyError, TypeError):
        raise DataError(f"{name} is damaged: delete {file.parent}, add the images again") from None


LOADERS.add("own", Loader(_read, _is_here))
