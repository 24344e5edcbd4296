"""A visitor's own images: what is stored, and what hostile input comes to."""

import errno
import io
import json
import os
import random
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from explorer import catalog
from explorer.data import DataError, entries, is_here, load, own, pictures
from explorer.data.own import add_files, add_folder, add_zip
from explorer.spec import DataSpec

Files = dict[str, bytes]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EXPLORER_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def image(
    seed: int, mode: str = "RGB", kind: str = "PNG", size: tuple[int, int] = (40, 32)
) -> bytes:
    channels = len(Image.new(mode, (1, 1)).getbands())
    levels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], channels), np.uint8)
    return encoded(Image.fromarray(levels.squeeze()), kind)


def encoded(picture: Image.Image, kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind)
    return buffer.getvalue()


def pets(each: int = 5, mode: str = "RGB") -> Files:
    return {
        f"{pet}/{number}.png": image(100 * place + number, mode)
        for place, pet in enumerate(("cat", "dog"))
        for number in range(each)
    }


def zipped(files: Files, method: int = zipfile.ZIP_DEFLATED) -> io.BytesIO:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content, method)
    return buffer


def write(files: Files, below: Path) -> Path:
    for name, content in files.items():
        (below / name).parent.mkdir(parents=True, exist_ok=True)
        (below / name).write_bytes(content)
    return below


def refused(add: Callable[[], str], home: Path, match: str) -> None:
    """`add` fails with one line that matches, and leaves nothing behind."""
    with pytest.raises(DataError, match=match) as caught:
        add()
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 250
    assert not [path for path in home.rglob("*") if path.is_file()]


def test_folder_zip_and_upload_of_the_same_images_are_one_data_set(tmp_path: Path):
    files = pets()
    renamed = {f"My pets/{name.replace('.png', '-copy.PNG')}": files[name] for name in files}
    name = add_files(files.items(), "My Pets!")
    assert catalog.OWN.fullmatch(name)
    assert name.startswith("own:my-pets-")
    assert add_folder(write(files, tmp_path / "pets"), "My Pets!") == name
    assert add_zip(zipped(renamed), "My Pets!") == name
    (tmp_path / "pets.zip").write_bytes(zipped(files).getvalue())
    assert add_zip(tmp_path / "pets.zip", "My Pets!") == name
    assert catalog.own_datasets() == [name]


def test_another_pixel_label_or_side_is_another_data_set():
    files = pets()
    other_pixel = {**files, "cat/0.png": image(999)}
    other_label = {**files, "dog/new.png": files["cat/0.png"]}
    del other_label["cat/0.png"]
    digests = {add_files(each.items(), "x")[-8:] for each in (files, other_pixel, other_label)}
    digests.add(add_files(files.items(), "x", side=16)[-8:])
    assert len(digests) == 4


def test_the_stored_images_are_those_given_split_by_class():
    size = own.SIDE
    files = {
        name: image(seed, size=(size, size))
        for seed, name in enumerate(
            [*(f"cat/{i}.png" for i in range(10)), *(f"dog/{i}.png" for i in range(4)), "eel/0.png"]
        )
    }
    name = add_files(files.items(), "pets")
    data = load(DataSpec(name=name))
    assert is_here(name)
    assert data.info == catalog.dataset_info(name)
    assert data.info.shape == (3, size, size)
    assert data.class_names == ("cat", "dog", "eel")
    assert data.y_train.bincount().tolist() == [8, 3, 1]
    assert data.y_test.bincount(minlength=3).tolist() == [2, 1, 0]
    examples = own._read(name)
    stored = {
        (int(label), pixels.numpy().tobytes())
        for x, y in ((examples.x_train, examples.y_train), (examples.x_test, examples.y_test))
        for pixels, label in zip(x, y, strict=True)
    }
    assert stored == {
        (
            ("cat", "dog", "eel").index(path.split("/")[0]),
            np.asarray(Image.open(io.BytesIO(content))).transpose(2, 0, 1).tobytes(),
        )
        for path, content in files.items()
    }
    assert data.x_train.mean((0, 2, 3)).abs().max() < 1e-5
    assert (data.x_train.std((0, 2, 3), correction=0) - 1).abs().max() < 1e-5


def test_grey_images_have_one_channel_unless_one_is_coloured():
    grey = pets(mode="L")
    assert catalog.dataset_info(add_files(grey.items(), "x")).shape == (1, 32, 32)
    mixed = {**grey, "cat/0.png": image(0)}
    assert catalog.dataset_info(add_files(mixed.items(), "x")).shape == (3, 32, 32)


@pytest.mark.parametrize("kind", pictures.FORMATS)
def test_every_format_is_read(kind: str):
    flat = encoded(Image.new("RGB", (70, 50), (255, 0, 0)), kind)
    pixels = pictures.picture(flat, "x", 8)
    expected = np.array([255, 0, 0])[:, None, None]
    assert pixels.shape == (3, 8, 8)
    assert np.abs(pixels.astype(int) - expected).max() <= 2


def test_transparent_turns_white_and_sixteen_bits_keep_their_grey():
    clear = encoded(Image.new("RGBA", (9, 9), (10, 20, 30, 0)))
    assert (pictures.picture(clear, "x", 8) == 255).all()
    deep = encoded(Image.fromarray(np.full((9, 9), 257 * 100, np.uint16)))
    assert (pictures.picture(deep, "x", 8) == 100).all()


def test_the_central_square_is_kept_and_a_photo_stands_upright():
    wide = np.zeros((10, 30, 3), np.uint8)
    wide[:, 10:20] = 200
    cut = pictures.picture(encoded(Image.fromarray(wide)), "x", 8)
    assert (cut[:, :, 1:-1] == 200).all()
    assert cut.min() > 150  # the outermost columns are smoothed with their neighbours
    lying = Image.fromarray(
        np.repeat(np.array([[[250] * 3], [[5] * 3]], np.uint8), 16, 0).repeat(32, 1)
    )
    exif = Image.Exif()
    exif[0x0112] = 3  # turned by 180 degrees
    buffer = io.BytesIO()
    lying.save(buffer, "PNG", exif=exif)
    pixels = pictures.picture(buffer.getvalue(), "x", 8)
    assert pixels[:, 0].max() < 50 < 200 < pixels[:, -1].min()


def test_levels_that_are_the_same_or_tell_train_from_test_name_no_class():
    files = {
        f"data/{split}/{name}": content
        for split in ("train", "Test")
        for name, content in pets().items()
    }
    assert load(DataSpec(name=add_files(files.items(), "x"))).class_names == ("cat", "dog")
    deep = {f"a/b/{name.replace('/', '/old/')}": content for name, content in pets().items()}
    assert load(DataSpec(name=add_files(deep.items(), "x"))).class_names == ("cat", "dog")


def test_what_is_hidden_or_no_image_is_passed_over():
    plain = add_files(pets().items(), "x")
    extra = {
        "__MACOSX/cat/._0.png": b"no image",
        "cat/.hidden.png": b"no image",
        ".git/x.png": b"no image",
        "cat/Thumbs.db": b"x",
        "readme.txt": b"x",
        "inner.zip": zipped(pets()).getvalue(),
        "empty/": b"",
    }
    assert add_zip(zipped({**extra, **pets()}), "x") == plain


def test_a_damaged_data_set_is_said_in_one_line_and_can_be_added_again(home: Path):
    name = add_files(pets().items(), "x")
    folder = catalog.own_folder(name)
    (folder / own.IMAGES).write_bytes(b"nonsense")
    with pytest.raises(DataError, match=r"is damaged: delete .* add the images again"):
        load(DataSpec(name=name))
    (folder / own.IMAGES).unlink()
    assert not is_here(name)
    assert add_files(pets().items(), "x") == name
    assert len(load(DataSpec(name=name)).x_train) == 8
    (folder / "info.json").write_text(json.dumps({"name": name}))
    with pytest.raises(ValueError, match=r"is damaged: delete .* add the images again"):
        catalog.dataset_info(name)
    assert [path.name for path in (home / "data").iterdir()] == [folder.name]


@pytest.mark.parametrize(
    "path",
    [
        "../cat/0.png",
        "cat/../../0.png",
        "/etc/0.png",
        "C:/0.png",
        "c:0.png",
        "cat\\0.png",
        "..\\0.png",
    ],
)
def test_a_path_that_leads_out_refuses_everything(path: str, home: Path):
    files = {**pets(), path: image(0)}
    refused(lambda: add_zip(zipped(files), "x"), home, "is not allowed as a path")
    refused(lambda: add_files(files.items(), "x"), home, "is not allowed as a path")


def test_a_path_with_a_null_byte_is_refused(home: Path):
    content = zipped({**pets(), "cat/Z.png": image(0)}).getvalue().replace(b"cat/Z", b"cat\0Z")
    refused(lambda: add_zip(io.BytesIO(content), "x"), home, "is not allowed as a path")


def test_a_link_in_a_zip_is_refused(home: Path):
    buffer = zipped(pets())
    link = zipfile.ZipInfo("cat/link.png")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr(link, "/etc/passwd")
    refused(lambda: add_zip(buffer, "x"), home, "is a link")


def patched(content: bytes, name: bytes, offset: int, value: bytes) -> io.BytesIO:
    """`content` with `value` at `offset` of the directory record of the member `name`."""
    start = content.rindex(name) - 46
    assert content[start : start + 4] == b"PK\1\2"
    at = start + offset
    return io.BytesIO(content[:at] + value + content[at + len(value) :])


def test_a_header_that_claims_too_much_is_refused_before_reading(home: Path):
    content = zipped(pets()).getvalue()
    two_gb = patched(content, b"cat/0.png", 24, struct.pack("<I", 2**31))
    refused(lambda: add_zip(two_gb, "x"), home, "'cat/0.png' has more than the 50 MB")


def test_a_header_that_claims_too_little_yields_no_more_than_that(home: Path):
    content = zipped(pets()).getvalue()
    short = patched(content, b"cat/0.png", 24, struct.pack("<I", 10))
    refused(lambda: add_zip(short, "x"), home, "zip cannot be read|cat/0.png")


def test_a_zip_bomb_is_refused(home: Path):
    zeros = bytes(40 * 10**6)
    bomb = zipped({f"cat/{i}.bmp": zeros for i in range(3)})
    assert len(bomb.getvalue()) < 10**6
    refused(lambda: add_zip(bomb, "x"), home, "the images have more than the .* allowed in all")


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_compression_that_cannot_be_bounded_is_refused(method: int, home: Path):
    refused(lambda: add_zip(zipped(pets(), method), "x"), home, "is not compressed by deflate")


def test_an_encrypted_zip_is_refused(home: Path):
    locked = patched(zipped(pets()).getvalue(), b"cat/0.png", 8, b"\x01\x00")
    refused(lambda: add_zip(locked, "x"), home, "the zip is encrypted")


@pytest.mark.parametrize("content", [b"", b"no zip at all", b"PK\3\4" + bytes(100), image(0)])
def test_a_zip_that_is_none_is_refused(content: bytes, home: Path):
    refused(lambda: add_zip(io.BytesIO(content), "x"), home, "the zip cannot be read")


def test_an_empty_zip_is_refused(home: Path):
    refused(lambda: add_zip(zipped({}), "x"), home, "there are no PNG")
    refused(lambda: add_zip(zipped({"readme.txt": b"x"}), "x"), home, "there are no PNG")


def test_a_zip_with_flipped_bits_is_read_or_refused_in_one_line():
    content = zipped(pets(each=2)).getvalue()
    draw = random.Random(0)
    messages = []
    for _ in range(300):
        changed = bytearray(content)
        place = draw.choice([draw.randrange(len(content)), -draw.randrange(1, 250)])
        changed[place] ^= 1 << draw.randrange(8)  # as often in its table of contents as before
        try:
            add_zip(io.BytesIO(changed), "x")
        except DataError as error:
            messages.append(str(error))
    assert messages
    assert not [message for message in messages if "\n" in message]


def test_the_table_of_contents_is_bounded(home: Path, monkeypatch):
    monkeypatch.setattr(entries, "LONGEST_READ_BYTES", 500)
    refused(lambda: add_zip(zipped(pets()), "x"), home, "the zip")


@pytest.mark.parametrize(
    ("limit", "value", "match"),
    [
        ("MOST_FILES", 9, "more than 9 files"),
        ("LARGEST_FILE_BYTES", 1000, r"'cat/0.png' has more than the 0 MB allowed"),
    ],
)
def test_limits_hold_for_every_way_in(limit, value, match, tmp_path, home, monkeypatch):
    monkeypatch.setattr(entries, limit, value)
    folder = write(pets(), tmp_path / "pets")
    refused(lambda: add_folder(folder, "x"), home, match)
    refused(lambda: add_zip(zipped(pets()), "x"), home, match)
    refused(lambda: add_files(pets().items(), "x"), home, match)


def test_the_bytes_of_all_images_are_bounded(tmp_path: Path, home: Path, monkeypatch):
    monkeypatch.setattr(entries.Meter.__init__, "__defaults__", (20_000,))
    folder = write(pets(), tmp_path / "pets")
    refused(lambda: add_folder(folder, "x"), home, "allowed in all")
    refused(lambda: add_files(pets().items(), "x"), home, "allowed in all")
    monkeypatch.setattr(entries, "MOST_BYTES", 20_000)
    refused(lambda: add_zip(zipped(pets()), "x"), home, "the zip has more than")


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds nothing."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        sum_ = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", sum_)

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = chunk(b"IDAT", zlib.compress(b"\0" * 100))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + data + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"no image", "'cat/bad.png' is no PNG, JPEG"),
        (b"", "'cat/bad.png' is no PNG, JPEG"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "'cat/bad.png' is no PNG, JPEG"),
        (image(0)[:200], "'cat/bad.png' is a broken image"),
        (png_header(100, 100), "'cat/bad.png' is a broken image"),
        (png_header(8000, 8000), "'cat/bad.png' has more than 40 million pixels"),
        (png_header(2**31 - 1, 2**31 - 1), "'cat/bad.png' is a broken image"),
        (encoded(Image.new("RGB", (9, 9)), "TIFF"), "'cat/bad.png' is no PNG, JPEG"),
    ],
)
def test_an_image_that_is_none_is_named(content: bytes, match: str, home: Path):
    refused(lambda: add_files({**pets(), "cat/bad.png": content}.items(), "x"), home, match)


def test_names_of_files_cannot_break_the_line(home: Path):
    bad = {**pets(), "cat/a\n\x1b[31m" + "b" * 500 + ".png": b"x"}
    refused(lambda: add_files(bad.items(), "x"), home, "is no PNG")


@pytest.mark.parametrize(
    ("files", "match"),
    [
        ({"0.png": image(0), "1.png": image(1)}, "'0.png' lies in no class folder"),
        ({"cat/0.png": image(0), "cat/1.png": image(1)}, "1 class folder found; 2 to 1000"),
        ({"cat/0.png": image(0), "dog/1.png": image(1)}, "at least one class needs two"),
        ({"c" * 101 + "/0.png": image(0), "dog/1.png": image(1)}, "at most 100 characters"),
    ],
)
def test_classes_that_do_not_make_a_data_set_are_refused(files: Files, match: str, home: Path):
    refused(lambda: add_files(files.items(), "x"), home, match)


def test_more_than_a_thousand_classes_are_refused(home: Path):
    one = image(0, size=(8, 8))
    files = ((f"{number}/0.png", one) for number in range(1001))
    refused(lambda: add_files(files, "x", side=8), home, "1001 class folders found; 2 to 1000")


@pytest.mark.parametrize("side", [0, 7, 65])
def test_a_side_out_of_range_is_refused(side: int, home: Path):
    refused(lambda: add_files(pets().items(), "x", side), home, f"side: {side} is not allowed")


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("", "images"),
        ("../../etc", "etc"),
        ("Été & co", "t-co"),
        ("x" * 90, "x" * 40),
        ("日本", "images"),
    ],
)
def test_every_name_makes_an_id_that_is_allowed(name: str, slug: str):
    added = add_files(pets().items(), name)
    assert added.startswith(f"own:{slug}-")
    assert catalog.OWN.fullmatch(added)


def test_links_out_of_a_folder_are_not_followed(tmp_path: Path):
    plain = add_files(pets().items(), "x")
    folder = write(pets(), tmp_path / "pets")
    outside = write({"secret/0.png": image(7)}, tmp_path / "outside")
    (folder / "cat" / "file.png").symlink_to(outside / "secret" / "0.png")
    (folder / "secret").symlink_to(outside / "secret")
    (folder / "cat" / "loop").symlink_to(folder)
    (folder / "cat" / "gone.png").symlink_to(folder / "nothing.png")
    os.mkfifo(folder / "cat" / "pipe.png")
    assert add_folder(folder, "x") == plain
    (folder / "dog" / "inside.png").symlink_to(folder / "dog" / "0.png")
    assert catalog.dataset_info(add_folder(folder, "x")).train == 9


def test_a_folder_or_zip_that_is_not_there_is_named(tmp_path: Path, home: Path):
    refused(lambda: add_folder(tmp_path / "no", "x"), home, "no is not a folder")
    refused(lambda: add_zip(tmp_path / "no.zip", "x"), home, "cannot read .*no.zip")


@pytest.mark.parametrize("failing", ["write_bytes", "write_text", "rename"])
def test_a_full_disk_leaves_no_half_data_set(failing: str, home: Path, monkeypatch):
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, failing, full)
        refused(lambda: add_files(pets().items(), "x"), home, "the disk is full: make room in")
    assert list((home / "data").iterdir()) == []
    assert is_here(add_files(pets().items(), "x"))


def test_own_images_train_a_batch_of_the_shape_they_state():
    name = add_files(pets().items(), "x", side=8)
    data = load(DataSpec(name=name, augment=True))
    assert not data.info.flips
    assert data.x_train.shape[1:] == data.info.shape == (3, 8, 8)
    assert torch.isfinite(data.x_train).all()
