"""Names of images: what each means as a network reads it, and that no other text means anything."""

import base64
import io
import zlib

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from PIL import Image
from subjects import POINTS, ask, subject

from explorer.analyses import Subject
from explorer.analyses.pictures import MOST_UPLOADED, image_of
from explorer.catalog import BUILT_IN
from explorer.data import LOADERS, DataError, Dataset
from explorer.image_names import (
    DRAWN_LEVELS,
    LONGEST_PIXELS,
    check_image,
    example_of,
    levels_of,
    packed_name,
)
from explorer.network import build
from explorer.spec import SpecError, parse

DIGITS, MNIST, COLOUR, PLANE = (BUILT_IN[n] for n in ("digits", "mnist", "cifar10", "moons"))


def named(levels: NDArray[np.uint8]) -> str:
    """A drawn image's name, written by hand: a character a pixel."""
    return "drawn:" + "".join(DRAWN_LEVELS[level] for level in levels.ravel())


def packed(content: bytes) -> str:
    return "pixels:" + base64.urlsafe_b64encode(zlib.compress(content)).decode()


def test_every_example_of_either_split_is_itself() -> None:
    data = subject().data
    for split, x, y, every in (
        ("test", data.x_test, data.y_test, 1),
        ("train", data.x_train, data.y_train, 9),
    ):
        for number in range(0, len(x), every):
            image, label = image_of(subject(), {"image": f"{split}:{number}"})
            assert torch.equal(image, x[number : number + 1])
            assert label == int(y[number])
        with pytest.raises(SpecError, match=f"{split}:0 to {split}:{len(x) - 1}$"):
            check_image(f"{split}:{len(x)}", data.info)
    assert torch.equal(image_of(subject(), {})[0], data.x_test[:1])


def test_a_digit_drawn_from_its_levels_is_that_digit_bit_for_bit() -> None:
    raw = LOADERS["digits"].read("digits").x_test.numpy()
    for number, levels in enumerate(raw):
        for name in (named(levels), packed_name(levels)):
            image, label = image_of(subject(), {"image": name})
            assert torch.equal(image, subject().data.x_test[number : number + 1])
            assert label is None


@given(st.integers(0, 16))
def test_drawn_levels_span_what_the_data_spans(level: int) -> None:
    for info in (DIGITS, MNIST):
        name = "drawn:" + DRAWN_LEVELS[level] * (info.shape[1] * info.shape[2])
        levels = levels_of(check_image(name, info), info)
        assert levels.shape == info.shape
        assert (levels == round(level / 16 * info.brightest)).all()


@given(st.data())
def test_packed_levels_come_back(data: st.DataObject) -> None:
    info = data.draw(st.sampled_from((DIGITS, MNIST, COLOUR)))
    levels = data.draw(arrays(np.uint8, info.shape, elements=st.integers(0, info.brightest)))
    name = packed_name(levels)
    assert np.array_equal(levels_of(check_image(name, info), info), levels)
    assert example_of(name, info) is None


@pytest.mark.parametrize("seed", range(3))
def test_the_least_compressible_image_has_a_name(seed: int) -> None:
    levels = np.random.default_rng(seed).integers(0, 256, COLOUR.shape, np.uint8)
    assert np.array_equal(levels_of(packed_name(levels), COLOUR), levels)


BOMB = packed(bytes(20_000_000))
# What follows the end of the packed levels is not read, so that only the length is wrong here.
PADDED = packed(bytes(64)) + "A" * LONGEST_PIXELS
BAD = [
    *("", "test", "test:", "test:-1", "test:1.0", "test: 1", "test:1\n", "test:\u0661", "Test:1"),
    *("test:12345678", "valid:1", "drawn:", "drawn:" + "0" * 63, "drawn:" + "0" * 65),
    *("drawn:" + "h" * 64, "drawn:" + "\u0661" * 64, "pixels:", "pixels:!", "pixels:\ud800"),
    *("pixels:AAAA", packed(bytes(63)), packed(bytes(65)), BOMB, packed(bytes(64))[:-8] + "A"),
    *(PADDED, packed(bytes([17] * 64)), "<script>", "x" * 10**6),
]


@pytest.mark.parametrize("name", BAD, ids=range(len(BAD)))
def test_what_names_no_image_is_one_short_line(name: str) -> None:
    with pytest.raises(SpecError, match=r"^image: .* is not allowed; .+") as caught:
        check_image(name, DIGITS)
    said = str(caught.value)
    assert said.isprintable()
    assert len(said) < 250


@given(st.text(max_size=80), st.sampled_from(("", "test:", "train:", "drawn:", "pixels:")))
def test_any_text_is_an_image_or_one_line(text: str, kind: str) -> None:
    for info in (DIGITS, COLOUR, PLANE):
        try:
            said = check_image(kind + text, info)
        except SpecError as error:
            said = kind + text if str(error).isprintable() else ""
        assert said == kind + text


def test_a_bomb_is_small_as_a_name_and_never_unpacked() -> None:
    """Its name is within the bound on length, so it is the bound on what is unpacked that holds."""
    assert len(BOMB) < LONGEST_PIXELS


def test_colour_images_are_not_drawn_and_points_are_neither() -> None:
    for info, name in (
        (COLOUR, "drawn:" + "0" * 1024),
        (COLOUR, "drawn:" + "0" * 3072),
        (PLANE, "drawn:00"),
        (PLANE, packed(bytes(2))),
    ):
        with pytest.raises(SpecError, match=r"^image: "):
            check_image(name, info)
    assert check_image("test:199", PLANE) == "test:199"


def png(pixels: NDArray[np.uint8], kind: str = "PNG") -> str:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind)
    return base64.b64encode(file.getvalue()).decode()


def colour() -> Subject:
    """As of CIFAR-10, which is not here: one image, all of its levels 0, mean 0, deviation 1."""
    zero, one = torch.zeros(1, 1, 1, 1), torch.ones(1, 1, 1, 1)
    image, label = torch.zeros(1, *COLOUR.shape), torch.zeros(1, dtype=torch.int64)
    data = Dataset(COLOUR, image, label, image, label, tuple("0123456789"), zero, one)
    run = parse("resnet-8,width=4,data=cifar10")
    return Subject(build(run.network), run, data)


@pytest.mark.parametrize("number", [0, 7])
@pytest.mark.parametrize("kind", ["PNG", "BMP"])
def test_a_digit_on_paper_comes_back_turned_and_one_on_black_as_it_is(
    number: int, kind: str
) -> None:
    levels = LOADERS["digits"].read("digits").x_test[number, 0].numpy()
    bright = np.rint(levels / 16 * 255).astype(np.uint8).repeat(5, 0).repeat(5, 1)
    for pixels in (bright, 255 - bright, np.stack([255 - bright] * 3, -1)):
        name = ask("upload", subject(), content=png(pixels, kind))["image"]
        back = levels_of(name, DIGITS)[0].astype(int)
        # Bilinear scaling to a fifth reaches into neighbours: half way at the edges of strokes.
        assert np.abs(back - levels).max() <= 8
        assert np.corrcoef(back.ravel(), levels.ravel())[0, 1] > 0.95
        image, label = image_of(subject(), {"image": name})
        assert image.shape == (1, 1, 8, 8)
        assert label is None


def test_a_picture_of_the_data_s_own_size_keeps_every_level() -> None:
    levels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    name = ask("upload", colour(), content=png(levels))["image"]
    assert np.array_equal(levels_of(name, COLOUR), levels.transpose(2, 0, 1))
    image, _ = image_of(colour(), {"image": name})
    assert np.array_equal(image[0].numpy(), levels.transpose(2, 0, 1))


@pytest.mark.parametrize(
    ("content", "error"),
    [
        ("", r"^'image' is no PNG"),
        (base64.b64encode(b"%PDF-1.4 nothing").decode(), r"^'image' is no PNG"),
        (png(np.arange(8100, dtype=np.uint8).reshape(90, 90))[:120], r"^'image' is a broken image"),
        ("data:image/png;base64,AAAA", r"^content: .* base 64"),
        ("\u00e9", r"^content: .* base 64"),
        ("AAAA" * (MOST_UPLOADED // 3 + 1), rf"^image: .* at most {MOST_UPLOADED}"),
    ],
    ids=["empty", "other", "broken", "url", "letters", "large"],
)
def test_a_file_that_cannot_be_read_is_one_line(content: str, error: str) -> None:
    with pytest.raises((SpecError, DataError), match=error) as caught:
        ask("upload", subject(), content=content)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 250


def test_a_network_that_reads_points_takes_no_picture() -> None:
    with pytest.raises(SpecError, match=r"^image: .* points"):
        ask("upload", subject(POINTS), content=png(np.zeros((9, 9), np.uint8)))
