"""Data sets, their files, the order of batches and the augmentation."""

import gzip
import hashlib
import io
import pickle
import struct
import tarfile
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from torch import Tensor

from explorer import catalog
from explorer.data import LOADERS, DataError, download, downloads, is_here, load, published
from explorer.data.augment import augment, margin
from explorer.data.order import BatchOrder
from explorer.init import generator_for
from explorer.spec import DataSpec

WITH_THE_PROGRAM = [name for name, info in catalog.BUILT_IN.items() if not info.download_mb]
TRAIN, TEST = 20, 10  # examples in the files made here


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EXPLORER_HOME", str(tmp_path))
    return tmp_path


def made_pixels(name: str, count: int) -> np.ndarray:
    shape = catalog.BUILT_IN[name].shape
    return np.random.default_rng(count).integers(0, 256, (count, *shape), dtype=np.uint8)


def made_labels(name: str, count: int) -> np.ndarray:
    return np.arange(count) % catalog.BUILT_IN[name].classes


def idx(values: np.ndarray) -> bytes:
    """The IDX format: two zeros, type 8 (uint8), dimensions, sizes (big endian), values."""
    sizes = struct.pack(f">{values.ndim}I", *values.shape)
    return bytes([0, 0, 8, values.ndim]) + sizes + values.astype(np.uint8).tobytes()


def mnist_files(name: str) -> dict[str, bytes]:
    folder = published.FILES[name].folder
    files = {}
    for split, count in (("train", TRAIN), ("t10k", TEST)):
        files[f"{folder}/{split}-images-idx3-ubyte"] = idx(made_pixels(name, count)[:, 0])
        files[f"{folder}/{split}-labels-idx1-ubyte"] = idx(made_labels(name, count))
    return files


def cifar_files(name: str) -> dict[str, bytes]:
    folder, fine = published.FILES[name].folder, "fine_" if name == "cifar100" else ""
    train = published.BATCHES if name == "cifar10" else ("train",)
    test, meta = ("test_batch", "batches.meta") if name == "cifar10" else ("test", "meta")
    classes = catalog.BUILT_IN[name].classes

    def batch(chosen: slice, count: int) -> bytes:
        pixels = made_pixels(name, count)[chosen].reshape(-1, 3072)
        labels = made_labels(name, count)[chosen].tolist()
        return pickle.dumps({"data": pixels, f"{fine}labels": labels}, protocol=2)

    each = TRAIN // len(train)
    files = {
        f"{folder}/{file}": batch(slice(i * each, (i + 1) * each), TRAIN)
        for i, file in enumerate(train)
    }
    names = {f"{fine}label_names": [f"class {i}" for i in range(classes)]}
    return {
        **files,
        f"{folder}/{test}": batch(slice(None), TEST),
        f"{folder}/{meta}": pickle.dumps(names, protocol=2),
    }


def svhn_files(name: str) -> dict[str, bytes]:
    files = {}
    for split, count in (("train", TRAIN), ("test", TEST)):
        labels = made_labels(name, count)[:, None]
        buffer = io.BytesIO()
        matrices = {
            "X": made_pixels(name, count).transpose(2, 3, 1, 0),
            "y": np.where(labels == 0, 10, labels),
        }
        import_module("scipy.io").savemat(buffer, matrices)
        files[f"{split}_32x32.mat"] = buffer.getvalue()
    return files


MAKERS = {
    "mnist": mnist_files,
    "fashion_mnist": mnist_files,
    "cifar10": cifar_files,
    "cifar100": cifar_files,
    "svhn": svhn_files,
}


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """The catalog as if the published sets were as small as the files made here."""
    for name in published.FILES:
        small = replace(catalog.BUILT_IN[name], train=TRAIN, test=TEST)
        monkeypatch.setitem(catalog.BUILT_IN, name, small)


def write(files: dict[str, bytes], below: Path) -> None:
    for name, content in files.items():
        (below / name).parent.mkdir(parents=True, exist_ok=True)
        (below / name).write_bytes(content)


def test_every_data_set_of_the_catalog_has_a_loader():
    assert set(LOADERS) == {*catalog.BUILT_IN, "own"}


@pytest.mark.parametrize("name", WITH_THE_PROGRAM)
def test_every_data_set_with_the_program_is_as_the_catalog_says(name: str):
    data = load(DataSpec(name=name))
    info = catalog.BUILT_IN[name]
    assert is_here(name)
    assert data.info == info
    assert data.x_train.shape == (info.train, *info.shape)
    assert data.x_test.shape == (info.test, *info.shape)
    assert data.x_train.dtype == torch.float32
    assert data.y_train.dtype == torch.int64
    assert data.y_train.unique().tolist() == list(range(info.classes))
    assert len(data.class_names) == info.classes
    assert_normalised(data.x_train)


def assert_normalised(x: Tensor) -> None:
    values = x.double().transpose(0, 1).flatten(1)
    assert values.mean(1).abs().max() < 1e-5
    assert (values.std(1, correction=0) - 1).abs().max() < 1e-5


def test_digits_are_those_of_scikit_learn_each_once():
    raw = import_module("sklearn.datasets").load_digits()
    data = load(DataSpec(name="digits"))
    x = torch.cat([data.x_train, data.x_test]).flatten(1).double()
    y = torch.cat([data.y_train, data.y_test])
    train = torch.tensor(raw.images).flatten(1)[matching(x, raw)][: len(data.x_train)]
    expected = (torch.tensor(raw.data) - train.mean()) / train.std(correction=0)
    place = matching(x, raw)
    assert sorted(place.tolist()) == list(range(1797))
    assert torch.allclose(x, expected[place], atol=1e-5)
    assert torch.equal(y, torch.tensor(raw.target)[place])


def matching(x: Tensor, raw: object) -> Tensor:
    """The index in scikit-learn's digits of each row of x, found by the closest correlation."""
    original = torch.tensor(raw.data) - 4.884  # the mean level
    return torch.cdist(x * 6.017, original).argmin(1)  # the levels' deviation


@pytest.mark.parametrize("name", ["spirals", "moons", "circles", "xor"])
def test_planes_are_balanced_and_no_straight_line_parts_them(name: str):
    data = load(DataSpec(name=name))
    assert data.y_train.bincount().tolist() == [300, 300]
    assert data.y_test.bincount().tolist() == [100, 100]
    nearest = torch.cdist(data.x_test, data.x_train).argmin(1)
    assert (data.y_train[nearest] == data.y_test).float().mean() > 0.9
    bias = torch.cat([data.x_train, torch.ones(600, 1)], 1)
    line = torch.linalg.lstsq(bias, 2.0 * data.y_train[:, None] - 1).solution
    assert ((bias @ line > 0).squeeze() == data.y_train).float().mean() < 0.9


def test_load_answers_from_memory_and_a_second_reading_is_equal(tmp_path, monkeypatch):
    first = load(DataSpec(name="spirals"))
    assert load(DataSpec(name="spirals")) is first
    monkeypatch.setenv("EXPLORER_HOME", str(tmp_path / "other"))
    again = load(DataSpec(name="spirals"))
    assert again is not first
    assert torch.equal(again.x_train, first.x_train)


def test_the_memory_of_loaded_data_is_bounded(monkeypatch):
    monkeypatch.setattr("explorer.data.MOST_CACHED_BYTES", 10_000)
    first = load(DataSpec(name="moons"))
    load(DataSpec(name="xor"))
    assert load(DataSpec(name="moons")) is not first


@pytest.mark.parametrize("name", published.FILES)
def test_published_data_is_read_from_files_of_their_own_format(name: str, home: Path, few: None):
    with pytest.raises(
        DataError, match=rf"^{name} is not on this machine .* data download {name}`"
    ):
        load(DataSpec(name=name))
    assert not is_here(name)
    write(MAKERS[name](name), published.root())
    assert is_here(name)
    data = load(DataSpec(name=name))
    raw = torch.from_numpy(made_pixels(name, TRAIN)).double()
    mean = raw.mean((0, 2, 3), keepdim=True)
    std = raw.std((0, 2, 3), correction=0, keepdim=True)
    test = torch.from_numpy(made_pixels(name, TEST)).double()
    assert_normalised(data.x_train)
    assert torch.allclose(data.x_train.double(), (raw - mean) / std, atol=1e-5)
    assert torch.allclose(data.x_test.double(), (test - mean) / std, atol=1e-5)
    assert data.y_train.tolist() == made_labels(name, TRAIN).tolist()
    assert data.y_test.tolist() == made_labels(name, TEST).tolist()


@pytest.mark.parametrize("name", published.FILES)
def test_torchvision_reads_the_same_from_the_same_files(name: str, few: None, monkeypatch):
    write(MAKERS[name](name), published.root())
    kind = {"mnist": "MNIST", "fashion_mnist": "FashionMNIST", "svhn": "SVHN"}.get(
        name, name.upper()
    )
    intact = lambda *_: True  # noqa: E731
    for module in ("mnist", "cifar", "svhn"):
        monkeypatch.setattr(f"torchvision.datasets.{module}.check_integrity", intact)
    split = {"split": "test"} if name == "svhn" else {"train": False}
    reference = getattr(torchvision.datasets, kind)(published.root(), **split)
    labels = reference.labels if name == "svhn" else reference.targets
    examples = published.FILES[name].read(published.root() / published.FILES[name].folder)
    pixels = torch.as_tensor(np.asarray(reference.data)).reshape(TEST, -1)
    ours = examples.x_test.permute(0, 2, 3, 1) if "cifar" in name else examples.x_test
    assert torch.equal(ours.reshape(TEST, -1), pixels)
    assert examples.y_test.tolist() == torch.as_tensor(labels).tolist()


@pytest.mark.parametrize("name", published.FILES)
@pytest.mark.parametrize("content", [b"", b"\0\0\x08\xff", b"cut short" * 9, b"\x80\x04N."])
def test_damaged_files_are_named_in_one_line(name: str, content: bytes, few: None):
    files = MAKERS[name](name)
    for damaged in files:
        write({**files, damaged: content}, published.root())
        with pytest.raises(DataError) as caught:
            load(DataSpec(name=name))
        assert str(caught.value).count("\n") == 0


def binary_cifar(name: str) -> dict[str, bytes]:
    """The binary version of what MAKERS[name] makes: a record is label bytes, then 3072 pixels."""
    form, fine = published.BINARY[name], name == "cifar100"
    classes = catalog.BUILT_IN[name].classes

    def records(chosen: slice, count: int) -> bytes:
        labels = made_labels(name, count)[chosen, None]
        columns = [labels // 5, labels] if fine else [labels]
        pixels = made_pixels(name, count)[chosen].reshape(-1, 3072)
        return np.concatenate([*columns, pixels], axis=1).astype(np.uint8).tobytes()

    *train, test, names = form.names
    each = TRAIN // len(train)
    files = {file: records(slice(i * each, (i + 1) * each), TRAIN) for i, file in enumerate(train)}
    files[test] = records(slice(None), TEST)
    files[names] = "".join(f"class_{i}\n" for i in range(classes)).encode() + b"\n"
    return {f"{form.folder}/{file}": content for file, content in files.items()}


@pytest.mark.parametrize("name", published.BINARY)
def test_the_binary_version_of_cifar_reads_as_the_downloaded_one(
    name: str, few: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(MAKERS[name](name), published.root())
    downloaded = load(DataSpec(name=name))
    monkeypatch.setenv("EXPLORER_HOME", str(tmp_path / "other"))
    assert not is_here(name)
    write(binary_cifar(name), published.root())
    assert is_here(name)
    binary = load(DataSpec(name=name))
    for part in ("x_train", "y_train", "x_test", "y_test"):
        assert torch.equal(getattr(binary, part), getattr(downloaded, part))


@pytest.mark.parametrize("name", published.BINARY)
@pytest.mark.parametrize("content", [b"", b"cut short"])
def test_a_damaged_binary_version_is_named_in_one_line(name: str, content: bytes, few: None):
    files = binary_cifar(name)
    for damaged in files:
        if damaged.endswith(".txt"):
            continue
        write({**files, damaged: content}, published.root())
        with pytest.raises(DataError) as caught:
            load(DataSpec(name=name))
        assert "\n" not in str(caught.value)


def test_too_few_examples_are_refused():
    write(MAKERS["cifar10"]("cifar10"), published.root())
    with pytest.raises(DataError, match="do not hold 50000 examples"):
        load(DataSpec(name="cifar10"))


def test_a_pickle_that_calls_something_is_refused(few: None, tmp_path: Path):
    class Hostile:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "touched",))

    files = MAKERS["cifar10"]("cifar10")
    files["cifar-10-batches-py/test_batch"] = pickle.dumps({"data": Hostile()})
    write(files, published.root())
    with pytest.raises(DataError, match="is no file of CIFAR"):
        load(DataSpec(name="cifar10"))
    assert not (tmp_path / "touched").exists()


def archives(name: str) -> dict[str, bytes]:
    """What a server would send: each IDX file gzipped, CIFAR as tar.gz, SVHN as it is."""
    files = MAKERS[name](name)
    if name == "svhn":
        return files
    if "mnist" in name:
        return {f"{Path(file).name}.gz": gzip.compress(files[file]) for file in files}
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for file, content in files.items():
            member = tarfile.TarInfo(file)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return {"made.tar.gz": buffer.getvalue()}


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """torchvision's addresses and checksums, turned to files of this machine."""
    folder = tmp_path / "server"
    address, sets = folder.as_uri(), torchvision.datasets
    for name in published.FILES:
        sent = archives(name)
        write(sent, folder / name)
        sums = [(file, hashlib.md5(content).hexdigest()) for file, content in sent.items()]
        monkeypatch.setitem(downloads.SIZES, name, tuple(map(len, sent.values())))
        if "mnist" in name:
            source = sets.MNIST if name == "mnist" else sets.FashionMNIST
            monkeypatch.setattr(source, "mirrors", [f"{address}/gone/", f"{address}/{name}/"])
            monkeypatch.setattr(source, "resources", sums)
        elif "cifar" in name:
            source = sets.CIFAR10 if name == "cifar10" else sets.CIFAR100
            monkeypatch.setattr(source, "url", f"{address}/{name}/made.tar.gz")
            monkeypatch.setattr(source, "tgz_md5", sums[0][1])
        else:
            split_list = {
                Path(file).name.split("_")[0]: [f"{address}/{name}/{file}", file, md5]
                for file, md5 in sums
            }
            monkeypatch.setattr(sets.SVHN, "split_list", split_list)
    return folder


@pytest.mark.parametrize("name", published.FILES)
def test_download_fetches_checks_unpacks_and_reports(name: str, server: Path, few: None):
    reports: list[tuple[int, int]] = []
    download(name, lambda done, total: reports.append((done, total)))
    size = sum(downloads.SIZES[name])
    assert reports[-1] == (size, size)
    assert reports == sorted(reports)
    assert load(DataSpec(name=name)).y_train.tolist() == made_labels(name, TRAIN).tolist()
    left = {
        str(p.relative_to(published.root())) for p in published.root().rglob("*") if p.is_file()
    }
    assert left == set(MAKERS[name](name))
    download(name, lambda *_: pytest.fail("fetched twice"))


def test_a_download_that_was_changed_on_the_way_is_refused(server: Path):
    sent = server / "cifar10" / "made.tar.gz"
    sent.write_bytes(sent.read_bytes()[:-1] + b"x")
    with pytest.raises(DataError, match="sent a damaged file"):
        download("cifar10", lambda *_: None)
    assert not [p for p in published.root().rglob("*") if p.is_file()]


def test_without_network_a_download_says_what_to_do(server: Path, few: None):
    sent = (server / "cifar10" / "made.tar.gz").rename(server / "by_hand")
    with pytest.raises(DataError, match=r"could not be reached.*put cifar-10-python\.tar\.gz into"):
        download("cifar10", lambda *_: None)
    sent.rename(published.root() / "cifar-10-python.tar.gz")
    download("cifar10", lambda *_: None)
    assert is_here("cifar10")


def test_a_download_that_is_cancelled_leaves_nothing(server: Path):
    def cancel(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        download("svhn", cancel)
    assert not [p for p in published.root().rglob("*") if p.is_file()]


def test_a_full_disk_is_said_in_one_line(server: Path, monkeypatch):
    monkeypatch.setattr(downloads, "_unpack", full)
    with pytest.raises(DataError, match="the disk is full: make room in"):
        download("mnist", lambda *_: None)


def full(*_: object) -> None:
    raise OSError(28, "No space left on device")


def test_what_is_no_download_or_no_data_set_is_named():
    with pytest.raises(DataError, match="digits is not a data set to download; there are mnist"):
        download("digits", lambda *_: None)
    with pytest.raises(DataError, match="no 'nothing'; there are"):
        is_here("nothing")


@pytest.mark.parametrize(("count", "batch"), [(1347, 128), (12, 4), (5, 5)])
def test_an_epoch_holds_every_example_at_most_once_and_all_if_batches_fit(count: int, batch: int):
    order = BatchOrder(count, batch, seed=3)
    epochs = []
    for epoch in range(3):
        steps = range(epoch * order.steps_per_epoch, (epoch + 1) * order.steps_per_epoch)
        drawn = torch.cat([order.indices(step) for step in steps]).tolist()
        assert len(set(drawn)) == len(drawn) == count // batch * batch
        assert set(drawn) <= set(range(count))
        epochs.append(drawn)
    assert epochs[0] != epochs[1] != epochs[2]


def test_the_order_depends_on_seed_and_step_alone():
    order = BatchOrder(100, 30, seed=0)
    ahead = [order.indices(step) for step in range(12)]
    for step in (11, 3, 0, 7):
        resumed = BatchOrder(100, 30, seed=0).indices(step)
        assert torch.equal(resumed, ahead[step])
        assert torch.equal(order.indices(step), ahead[step])
    assert not torch.equal(BatchOrder(100, 30, seed=1).indices(0), ahead[0])


@pytest.mark.parametrize("batch", [0, 101])
def test_a_batch_larger_than_the_data_is_refused(batch: int):
    with pytest.raises(ValueError, match=f"batch: {batch} is not allowed; 1 to 100"):
        BatchOrder(100, batch, seed=0)


def slow_augment(x: Tensor, seed: int, step: int, flip: bool) -> Tensor:
    """Image by image, pixel by pixel: out[i, j] = x[i + shift, j + shift], 0 outside."""
    count, _, height, width = x.shape
    pad = 4 if min(height, width) >= 16 else 1
    generator = generator_for(seed, f"augment:{step}")
    corner = torch.randint(2 * pad + 1, (2, count, 1), generator=generator)
    mirrored = torch.rand(count, 1, generator=generator) < 0.5 if flip else torch.zeros(count, 1)
    out = torch.zeros_like(x)
    for n in range(count):
        down, right = int(corner[0, n]) - pad, int(corner[1, n]) - pad
        for i in range(height):
            for j in range(width):
                column = width - 1 - j if mirrored[n] else j
                if 0 <= i + down < height and 0 <= column + right < width:
                    out[n, :, i, j] = x[n, :, i + down, column + right]
    return out


@pytest.mark.parametrize("flip", [True, False])
@pytest.mark.parametrize("shape", [(20, 1, 8, 8), (6, 3, 20, 17)])
def test_augment_equals_its_slow_twin(shape: tuple[int, ...], flip: bool):
    x = torch.randn(shape, generator=generator_for(0, "x"))
    before = x.clone()
    changed = augment(x, 5, 7, flip)
    assert torch.equal(changed, slow_augment(x, 5, 7, flip))
    assert torch.equal(changed, augment(x, 5, 7, flip))
    assert torch.equal(x, before)
    assert not torch.equal(changed, augment(x, 5, 8, flip))


def test_augment_shifts_evenly_and_flips_half():
    marked = torch.zeros(9000, 1, 8, 8)
    marked[:, 0, 3, 2] = 1
    place = augment(marked, 0, 0, True).flatten(1).argmax(1)
    rows, columns = place // 8, place % 8
    assert [(rows == row).float().mean().item() for row in (2, 3, 4)] == pytest.approx(
        [1 / 3] * 3, abs=0.02
    )
    assert (columns > 3).float().mean().item() == pytest.approx(0.5, abs=0.02)
    assert margin(32) == 4


def test_digits_are_never_flipped():
    assert {name for name, info in catalog.BUILT_IN.items() if info.flips} == {
        "fashion_mnist",
        "cifar10",
        "cifar100",
    }
