"""The image that a name means, as a network reads it and as a screen shows it."""

import base64
import binascii
from typing import Any

import numpy as np
import torch
from torch import Tensor

from explorer.analyses.base import Json, Subject, analysis, one
from explorer.data.pictures import picture
from explorer.image_names import check_image, example_of, levels_of, packed_name
from explorer.inside.maps import reading
from explorer.inside.mode import Report
from explorer.spec import SpecError

SAMPLES = 12
MOST_UPLOADED = 8_000_000  # bytes


def image_of(subject: Subject, options: Json) -> tuple[Tensor, int | None]:
    """The image named in the options, (1, *shape) and normalised, and its class if it has one."""
    data = subject.data
    name = check_image(str(options.get("image", "test:0")), data.info)
    found = example_of(name, data.info)
    if found is None:
        levels = torch.from_numpy(levels_of(name, data.info).copy()).to(data.mean.device)
        return levels[None].float().sub(data.mean).div(data.std), None
    split, number = found
    x, y = (data.x_test, data.y_test) if split == "test" else (data.x_train, data.y_train)
    return x[number : number + 1], int(y[number])


def on_screen(subject: Subject, x: Tensor) -> list[str | None]:
    """Every image of a batch as base 64 of uint8, 0 for black; None for points."""
    data = subject.data
    if data.info.kind != "image":
        return [None] * len(x)
    levels = (x * data.std + data.mean) * (255 / data.info.brightest)
    pixels = levels.round().clamp(0, 255).to(torch.uint8).cpu().numpy()
    return [base64.b64encode(image.tobytes()).decode() for image in pixels]


@analysis("samples")
def samples(subjects: tuple[Subject, ...], options: Json, report: Report) -> Json:
    """Examples to choose from: of each class the first, then those the network reads wrongly.

    `read_as` is the class it takes them for.
    """
    subject = one(subjects)
    data = subject.data
    with reading(subject.network):
        guess = subject.network(data.x_test).argmax(1)
    wrong = (guess != data.y_test).nonzero().flatten().tolist()
    firsts = [(data.y_test == c).nonzero().flatten()[:1].tolist() for c in range(data.info.classes)]
    numbers = [n[0] for n in firsts if n][:SAMPLES] + wrong[: max(SAMPLES - data.info.classes, 2)]
    numbers = list(dict.fromkeys(numbers))
    shown = on_screen(subject, data.x_test[numbers])
    return {
        "shape": list(data.info.shape),
        "samples": [
            {
                "id": f"test:{number}",
                "label": data.class_names[int(data.y_test[number])],
                "read_as": data.class_names[int(guess[number])],
                "pixels": pixels,
            }
            for number, pixels in zip(numbers, shown, strict=True)
        ],
    }


@analysis("upload", "content")
def upload(subjects: tuple[Subject, ...], options: Json, report: Report) -> Json:
    """An uploaded file, cut and scaled to the data's images: {"image": its name}.

    `content` is base 64 of the file. Where the data has one channel it is made grey, and turned
    where bright paper would stand for the dark ground of the data's own images.
    """
    info = one(subjects).data.info
    if info.kind != "image":
        raise SpecError("image", "a picture", "this network reads points, not images")
    try:
        content = base64.b64decode(str(options.get("content", "")), validate=True)
    except (binascii.Error, ValueError):
        raise SpecError("content", options.get("content"), "base 64 of an image file") from None
    if len(content) > MOST_UPLOADED:
        raise SpecError("image", f"{len(content)} bytes", f"at most {MOST_UPLOADED}")
    pixels: Any = picture(content, "image", info.shape[-1]).astype(np.float64)
    if info.shape[0] == 1:
        grey = pixels.mean(0, keepdims=True)
        pixels = 255 - grey if np.median(grey) > 127 else grey
    levels = np.rint(pixels / 255 * info.brightest).astype(np.uint8)
    return {"image": packed_name(levels)}
