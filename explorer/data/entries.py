"""The image files of a folder, a zip or a browser's upload, one after another, within limits.

What comes in here is not trusted: nothing is written to disk, no size that a header states
is believed, and whatever is wrong ends in one line.
"""

import os
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from explorer.data.base import DataError
from explorer.spec import quote

MOST_FILES = 20_000
MOST_BYTES = 2 * 10**9  # of a zip, and of all images out of it
LARGEST_FILE_BYTES = 50 * 10**6
MOST_INFLATION = 200  # bytes out of a zip for one byte in it ...
FREE_INFLATION_BYTES = 64 * 10**6  # ... beyond what is harmless anyway
LONGEST_READ_BYTES = 8 * 10**6  # at once from a zip: bounds its table of contents
CHUNK_BYTES = 1 << 20
SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp")
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # zipfile inflates others without bound
Entry = tuple[str, bytes]  # path with "/", below the given folder; content
BROKEN_ZIP = (
    *(zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError),
    *(ValueError, RuntimeError, LookupError, ArithmeticError),
)


class Meter:
    """Counts files and bytes; DataError at the first beyond the limits."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self.most_bytes, self.files, self.bytes = most_bytes, 0, 0

    def add_file(self) -> None:
        """One more file, image or not."""
        self.files += 1
        if self.files > MOST_FILES:
            raise DataError(f"there are more than {MOST_FILES} files; give fewer")

    def add_image(self, path: str, size: int) -> None:
        """`size` bytes of one more image."""
        if size > LARGEST_FILE_BYTES:
            raise DataError(
                f"{quote(path)} has more than the {_mb(LARGEST_FILE_BYTES)} allowed for an image"
            )
        self.bytes += size
        if self.bytes > self.most_bytes:
            raise DataError(
                f"the images have more than the {_mb(self.most_bytes)} allowed in all; give fewer"
            )


def _mb(size: int) -> str:
    return f"{size // 10**6} MB"


def is_image(path: PurePosixPath) -> bool:
    """Whether the name says image; hidden files and macOS's doubles are none."""
    hidden = any(part.startswith(".") or part == "__MACOSX" for part in path.parts)
    return path.suffix.lower() in SUFFIXES and not hidden


def safe_path(name: str) -> PurePosixPath:
    """`name` as a path; DataError if it leads anywhere but down, or is not written with "/"."""
    parts = name.split("/")
    if name.startswith("/") or ".." in parts or re.match(r"[A-Za-z]:|.*[\\\0]", name, re.DOTALL):
        raise DataError(f"{quote(name)} is not allowed as a path: use folder/image.png")
    return PurePosixPath(name)


def from_files(files: Iterable[Entry]) -> Iterator[Entry]:
    """The images among `files`."""
    meter = Meter()
    for name, content in files:
        path = safe_path(name)
        meter.add_file()
        if is_image(path):
            meter.add_image(name, len(content))
            yield str(path), content


def from_folder(root: Path) -> Iterator[Entry]:
    """The images below `root`; links that lead out of it and linked folders are passed over."""
    if not root.is_dir():
        raise DataError(f"{root} is not a folder")
    try:
        meter = Meter()
        for file in _files_below(root.resolve(), meter):
            with file.open("rb") as opened:
                content = opened.read(LARGEST_FILE_BYTES + 1)
            path = file.relative_to(root.resolve()).as_posix()
            meter.add_image(path, len(content))
            yield path, content
    except OSError as error:
        raise DataError(f"cannot read {error.filename or root}: {error.strerror}") from None


def _files_below(root: Path, meter: Meter) -> list[Path]:
    """Image files below `root`, sorted; a device or pipe is none."""

    def fail(error: OSError) -> None:
        raise error

    found = []
    for folder, folders, names in os.walk(root, onerror=fail):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            meter.add_file()
            file = Path(folder, name)
            inside = file.resolve().is_relative_to(root) and file.is_file()
            if inside and is_image(PurePosixPath(file.relative_to(root).as_posix())):
                found.append(file)
    return sorted(found)


class _ShortReads:
    """A zip's bytes, with no single read longer than LONGEST_READ_BYTES."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.seek, self.tell, self.seekable = file.seek, file.tell, file.seekable

    def read(self, count: int = -1) -> bytes:
        """The next `count` bytes; a negative count, which means all, is cut to the bound."""
        if count > LONGEST_READ_BYTES:
            raise DataError("the zip's table of contents is too long; give fewer files")
        return self.file.read(count if count >= 0 else LONGEST_READ_BYTES)


def from_zip(file: BinaryIO) -> Iterator[Entry]:
    """The images in a zip, sorted by name; the whole zip is refused if one path is unsafe."""
    try:
        size = file.seek(0, os.SEEK_END)
        if size > MOST_BYTES:
            raise DataError(f"the zip has more than the {_mb(MOST_BYTES)} allowed")
        most_bytes = min(MOST_BYTES, FREE_INFLATION_BYTES + MOST_INFLATION * size)
        with zipfile.ZipFile(_ShortReads(file)) as archive:
            members, meter = _images(archive, Meter(most_bytes)), Meter(most_bytes)
            for path, member in members:
                content = _content(archive, member)
                meter.add_image(path, len(content))
                yield path, content
    except DataError:
        raise
    except BROKEN_ZIP as error:
        raise DataError(f"the zip cannot be read: {quote(str(error))}") from None


def _images(archive: zipfile.ZipFile, meter: Meter) -> list[tuple[str, zipfile.ZipInfo]]:
    """The image members of `archive` by path, once all its headers are found allowed."""
    images = []
    for member in archive.infolist():
        path = safe_path(member.orig_filename)
        meter.add_file()
        if stat.S_ISLNK(member.external_attr >> 16):
            raise DataError(f"{quote(str(path))} is a link, which is not allowed in a zip")
        if member.flag_bits & 0x1:
            raise DataError("the zip is encrypted; give one without a password")
        if member.is_dir() or not is_image(path):
            continue
        if member.compress_type not in METHODS:
            raise DataError(f"{quote(str(path))} is not compressed by deflate; zip it so")
        meter.add_image(str(path), member.file_size)
        images.append((str(path), member))
    return sorted(images, key=lambda image: image[0])


def _content(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    """The bytes of `member`, at most one chunk more than an image may have."""
    chunks: list[bytes] = []
    with archive.open(member) as opened:
        while len(chunks) * CHUNK_BYTES <= LARGEST_FILE_BYTES:
            chunk = opened.read(CHUNK_BYTES)
            if not chunk:
                break
            chunks.append(chunk)
    return b"".join(chunks)
