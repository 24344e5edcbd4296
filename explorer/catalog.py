"""What data there is, known without loading any of it: shapes, classes, sizes, sources."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from explorer.home import home

Kind = Literal["image", "plane"]


@dataclass(frozen=True)
class DatasetInfo:
    """Facts of one data set.

    `shape` is (channels, height, width) of an image or (features,) of a point;
    `download_mb` is 0 for data that ships with the program or is made by it;
    `flips`: a mirrored image keeps its class, as a ship does and a digit does not.
    """

    name: str
    kind: Kind
    shape: tuple[int, ...]
    classes: int
    train: int
    test: int
    source: str
    download_mb: int = 0
    flips: bool = False

    @property
    def brightest(self) -> int:
        """The largest level of a pixel; the smallest is 0."""
        return 16 if self.name == "digits" else 255


def _image(
    name: str, side: int, channels: int, classes: int, train: int, test: int, mb: int, source: str
) -> DatasetInfo:
    shape, flips = (channels, side, side), name in FLIPS
    return DatasetInfo(name, "image", shape, classes, train, test, source, mb, flips)


def _plane(name: str, source: str) -> DatasetInfo:
    return DatasetInfo(name, "plane", (2,), 2, 600, 200, source)


FLIPS = ("fashion_mnist", "cifar10", "cifar100")
BUILT_IN = {
    info.name: info
    for info in (
        _image("digits", 8, 1, 10, 1347, 450, 0, "UCI handwritten digits, in scikit-learn"),
        _plane("spirals", "two interleaved spirals with noise, made here"),
        _plane("moons", "two half circles, scikit-learn make_moons"),
        _plane("circles", "two rings, scikit-learn make_circles"),
        _plane("xor", "four squares, opposite ones of one class, made here"),
        _image("mnist", 28, 1, 10, 60_000, 10_000, 12, "LeCun et al. 1998"),
        _image("fashion_mnist", 28, 1, 10, 60_000, 10_000, 31, "Xiao et al. 2017, 1708.07747"),
        _image("cifar10", 32, 3, 10, 50_000, 10_000, 171, "Krizhevsky 2009"),
        _image("cifar100", 32, 3, 100, 50_000, 10_000, 169, "Krizhevsky 2009"),
        _image("svhn", 32, 3, 10, 73_257, 26_032, 247, "Netzer et al. 2011"),
    )
}

OWN = re.compile(r"own:[a-z0-9][a-z0-9_-]{0,39}-[0-9a-f]{8}")


def dataset_info(name: str) -> DatasetInfo:
    """Facts of the data set `name`; ValueError with the known names if there is none.

    A visitor's own images are `own:<name>-<digest>`, so that a link names their content.
    """
    if name in BUILT_IN:
        return BUILT_IN[name]
    if OWN.fullmatch(name):
        return _own_info(name)
    raise ValueError(f"choose one of {', '.join(BUILT_IN)} or own:NAME")


def own_folder(name: str) -> Path:
    """Where the own data set `name` lies, or would lie."""
    return home() / "data" / name.replace(":", "-", 1)


def _own_info(name: str) -> DatasetInfo:
    facts = own_folder(name) / "info.json"
    if not facts.is_file():
        raise ValueError(f"{name} is not on this machine; add the images again")
    try:
        stored = json.loads(facts.read_text(encoding="utf-8"))
        return DatasetInfo(**{**stored, "shape": tuple(stored["shape"])})
    except (ValueError, TypeError, KeyError):
        raise ValueError(
            f"{name} is damaged: delete {facts.parent}, add the images again"
        ) from None


def own_datasets() -> list[str]:
    """Names of the visitor's own data sets on this machine, sorted."""
    folder = home() / "data"
    found = (p.parent.name.replace("own-", "own:", 1) for p in folder.glob("own-*/info.json"))
    return sorted(name for name in found if OWN.fullmatch(name))
