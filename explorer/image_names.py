"""Names of single images, as an address bears them: an example of the data, or pixels. No torch.

`test:17` and `train:5` are examples by their number; `drawn:0037g…` has a character a pixel, its
darkness from 0 to 16; `pixels:<base 64>` has all levels, packed, as of an uploaded picture.
"""

import base64
import binascii
import re
import zlib

import numpy as np
from numpy.typing import NDArray

from explorer.catalog import DatasetInfo
from explorer.spec import SpecError

DRAWN_LEVELS = "0123456789abcdefg"
EXAMPLE = re.compile(r"(test|train):([0-9]{1,7})")
ALLOWED = "test:NUMBER, train:NUMBER, drawn:LEVELS or pixels:BASE64"
LONGEST_PIXELS = 30_000  # characters
Levels = NDArray[np.uint8]


def check_image(name: str, info: DatasetInfo) -> str:
    """The name, if it can be an image of that data; else SpecError, one line."""
    if example_of(name, info) is None:
        levels_of(name, info)
    return name


def example_of(name: str, info: DatasetInfo) -> tuple[str, int] | None:
    """The split and number of an example; None if the name is not of that kind."""
    match = EXAMPLE.fullmatch(name)
    if match is None:
        return None
    split, number = match[1], int(match[2])
    count = info.test if split == "test" else info.train
    if number >= count:
        raise SpecError("image", name, f"{split}:0 to {split}:{count - 1}")
    return split, number


def levels_of(name: str, info: DatasetInfo) -> Levels:
    """The levels of a drawn or packed image, shaped as the data's; SpecError if it has none."""
    kind, _, text = name.partition(":")
    if info.kind == "image" and kind == "drawn":
        return _drawn(text, info)
    if info.kind == "image" and kind == "pixels" and len(text) <= LONGEST_PIXELS:
        return _unpacked(text, info)
    raise SpecError("image", name[:40], ALLOWED if info.kind == "image" else "test:NUMBER")


def _drawn(text: str, info: DatasetInfo) -> Levels:
    channels, height, width = info.shape
    if channels != 1 or len(text) != height * width or not set(text) <= set(DRAWN_LEVELS):
        allowed = f"{height * width} characters from 0 to g, for images of one channel"
        raise SpecError("image", f"drawn:{text[:20]}", allowed)
    levels = np.array([DRAWN_LEVELS.index(character) for character in text], np.float64)
    scaled = np.rint(levels / 16 * info.brightest).astype(np.uint8)
    return scaled.reshape(info.shape)


def packed_name(levels: Levels) -> str:
    """The name of an image that is neither an example nor drawn."""
    return "pixels:" + base64.urlsafe_b64encode(zlib.compress(levels.tobytes(), 9)).decode()


def _unpacked(text: str, info: DatasetInfo) -> Levels:
    size = int(np.prod(info.shape))
    try:
        unpacker = zlib.decompressobj()
        content = unpacker.decompress(base64.urlsafe_b64decode(text.encode()), size + 1)
    except (binascii.Error, zlib.error, ValueError):
        content = b""
    if len(content) != size or max(content) > info.brightest:
        allowed = f"levels from 0 to {info.brightest} of an image of {info.shape}"
        raise SpecError("image", f"pixels:{text[:20]}", allowed)
    return np.frombuffer(content, np.uint8).reshape(info.shape)
