"""To which class an image belongs, told by the folders it lies in."""

import unicodedata
from collections.abc import Sequence

from explorer.data.base import DataError
from explorer.spec import quote

LONGEST_NAME = 100
SPLITS = {"train", "training", "test", "testing", "val", "valid", "validation"}


def labels_of(paths: Sequence[str]) -> list[str]:
    """The class of each path: its first folder in which the paths differ.

    A level that only tells training from test images is passed over.
    """
    folders = [path.split("/")[:-1] for path in paths]
    for path, above in zip(paths, folders, strict=True):
        if not above:
            raise DataError(f"{quote(path)} lies in no class folder; give each class a folder")
    while _one_level_less(folders):
        folders = [above[1:] for above in folders]
    return [_class_name(above[0]) for above in folders]


def _one_level_less(folders: list[list[str]]) -> bool:
    """Whether the first level is the same everywhere, or a split, and not all there is."""
    first = {above[0] for above in folders}
    says_nothing = len(first) == 1 or {name.lower() for name in first} <= SPLITS
    return says_nothing and all(len(above) > 1 for above in folders)


def _class_name(folder: str) -> str:
    """`folder` in composed Unicode (a Mac zips it decomposed), fit for a line of text."""
    name = unicodedata.normalize("NFC", folder)
    if len(name) > LONGEST_NAME:
        raise DataError(f"{quote(name)}: a class has at most {LONGEST_NAME} characters")
    return "".join(c if c.isprintable() else "?" for c in name)
