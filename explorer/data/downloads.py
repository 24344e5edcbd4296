"""Fetching a published data set, only ever when asked: with progress, checked, whole or not at all.

Addresses and checksums are torchvision's own.
"""

import http.client
import shutil
import tempfile
import threading
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from explorer.data.base import DataError, disk_error
from explorer.data.published import FILES, all_here, root

Progress = Callable[[int, int], None]  # bytes done, bytes in all
PATIENCE_S = 20.0  # without a byte
CHUNK_BYTES = 1 << 18
SIZES = {  # bytes, in the order of `remote_files`
    "mnist": (9_912_422, 28_881, 1_648_877, 4_542),
    "fashion_mnist": (26_421_880, 29_515, 4_422_102, 5_148),
    "cifar10": (170_498_071,),
    "cifar100": (169_001_437,),
    "svhn": (182_040_794, 64_275_384),
}
_lock = threading.Lock()


@dataclass(frozen=True)
class RemoteFile:
    """A file to fetch from the first of `urls` that gives it; an archive if it ends in .gz."""

    urls: tuple[str, ...]
    file: Path
    md5: str
    size: int


def remote_files(name: str) -> list[RemoteFile]:
    """What has to be fetched for the data set `name`."""
    from torchvision import datasets  # here, because the import takes a second

    found: Iterator[tuple[tuple[str, ...], Path, str]]
    if name in ("mnist", "fashion_mnist"):
        source: Any = datasets.MNIST if name == "mnist" else datasets.FashionMNIST
        folder = root() / FILES[name].folder
        found = (
            (tuple(mirror + file for mirror in source.mirrors), folder / file, md5)
            for file, md5 in source.resources
        )
    elif name in ("cifar10", "cifar100"):
        source = datasets.CIFAR10 if name == "cifar10" else datasets.CIFAR100
        found = iter([((source.url,), root() / source.filename, source.tgz_md5)])
    else:
        splits = (datasets.SVHN.split_list[split] for split in ("train", "test"))
        found = (((url,), root() / file, md5) for url, file, md5 in splits)
    return [RemoteFile(*each, size) for each, size in zip(found, SIZES[name], strict=True)]


def download(name: str, progress: Progress) -> None:
    """Fetch and unpack the data set `name` unless it is here; DataError if that fails.

    Calls `progress(bytes done, bytes in all)` after every chunk; what that raises ends the
    download. An archive that already lies in the folder is used, and removed
    once it is unpacked.
    """
    if name not in FILES:
        raise DataError(f"{name} is not a data set to download; there are {', '.join(FILES)}")
    with _lock:
        if all_here(name):
            return
        try:
            _fetch_all(name, remote_files(name), progress)
        except OSError as error:
            raise disk_error(error, root()) from None


def _fetch_all(name: str, parts: list[RemoteFile], progress: Progress) -> None:
    total, before = sum(part.size for part in parts), 0
    for part in parts:
        part.file.parent.mkdir(parents=True, exist_ok=True)
        if not _is_intact(part.file, part.md5):
            _fetch(name, part, partial(_report, progress, before, total))
        before += part.size
        progress(before, total)
    for part in parts:
        if part.file.suffix == ".gz":
            _unpack(part.file)


def _report(progress: Progress, before: int, total: int, done: int) -> None:
    progress(before + done, total)


def _is_intact(file: Path, md5: str) -> bool:
    from torchvision.datasets.utils import check_integrity

    return bool(check_integrity(file, md5))


def _fetch(name: str, part: RemoteFile, progress: Callable[[int], None]) -> None:
    """Fetch one file from the first address that has it, into place only when it is intact."""
    problems = []
    received = part.file.with_name(f"{part.file.name}.part")
    try:
        for url in part.urls:
            problem = _receive(url, received, part.size, progress)
            if problem is None and _is_intact(received, part.md5):
                received.replace(part.file)
                return
            problems.append(f"{urlsplit(url).netloc} {problem or 'sent a damaged file'}")
    finally:
        received.unlink(missing_ok=True)
    raise DataError(
        f"{name} could not be downloaded ({'; '.join(problems)}): connect to the network and "
        f"try again, or put {part.file.name} into {part.file.parent} and try again"
    )


def _receive(url: str, file: Path, size: int, progress: Callable[[int], None]) -> str | None:
    """Write what `url` sends into `file`; None, or what went wrong on the way."""
    done = 0
    with file.open("wb") as target:
        try:
            for chunk in _chunks(url):
                done += len(chunk)
                if done > 2 * size:
                    return "sent another, larger file"
                target.write(chunk)
                progress(min(done, size))
        except _NetworkError as error:
            return f"could not be reached: {error}"
    return None


class _NetworkError(Exception):
    """Reading failed; a class of its own, because writing fails with an OSError too."""


def _chunks(url: str) -> Iterator[bytes]:
    request = urllib.request.Request(url, headers={"User-Agent": "residual-explorer"})
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as response:
            yield from iter(partial(response.read, CHUNK_BYTES), b"")
    except (OSError, http.client.HTTPException) as error:
        raise _NetworkError(getattr(error, "reason", None) or error) from None


def _unpack(archive: Path) -> None:
    """Unpack beside `archive`, replacing what is there, then remove `archive`."""
    from torchvision.datasets.utils import extract_archive

    with tempfile.TemporaryDirectory(prefix=".unpack-", dir=archive.parent) as folder:
        extract_archive(str(archive), folder)
        for entry in Path(folder).iterdir():
            destination = archive.parent / entry.name
            if destination.is_dir():
                shutil.rmtree(destination)
            entry.replace(destination)
    archive.unlink()
