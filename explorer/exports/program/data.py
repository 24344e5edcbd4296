"""The data of an exported program, read and normalised as explorer.data does it."""

from explorer.catalog import OWN
from explorer.exports.program.source import Section
from explorer.spec import RunSpec

TORCHVISION = {
    "mnist": "MNIST",
    "fashion_mnist": "FashionMNIST",
    "cifar10": "CIFAR10",
    "cifar100": "CIFAR100",
    "svhn": "SVHN",
}
NORMALISE = '''\
def normalise(x_train, x_test):
    """Both splits as float32, less the mean and over the deviation of the training images.

    Each channel has its own. The levels are counted, which makes the sums exact.
    """
    counts = [torch.bincount(c.flatten(), minlength=256) for c in x_train.unbind(1)]
    share = torch.stack(counts).double() / counts[0].sum()
    levels = torch.arange(256, dtype=torch.float64)
    mean = (share * levels).sum(1)
    std = (share * (levels - mean[:, None]) ** 2).sum(1).sqrt()
    mean, std = mean.float().view(1, -1, 1, 1), std.float().view(1, -1, 1, 1)
    return (x.float().sub_(mean).div_(std) for x in (x_train, x_test))
'''
DIGITS = '''\
def load_data():
    """1,797 digits of 8 x 8 pixels, shuffled once: TRAIN to train on, the others to test."""
    digits = load_digits()
    order = torch.randperm(len(digits.target), generator=generator_for(0, "digits"))
    x = torch.from_numpy(digits.images).to(torch.uint8).unsqueeze(1)[order]
    y = torch.from_numpy(digits.target)[order]
    x_train, x_test = normalise(x[:TRAIN], x[TRAIN:])
    return x_train, y[:TRAIN], x_test, y[TRAIN:]
'''
PLANE = '''\
def load_data():
    """The points, shuffled once, the classes in turn; each feature normalised."""
    points = torch.from_numpy(make_points()).float().view(2, 400, 2)
    order = torch.randperm(400, generator=generator_for(0, "NAME"))
    pairs = points[:, order].transpose(0, 1)  # (400, 2, 2): a point of either class
    x_train, x_test = pairs[:TRAIN].reshape(-1, 2), pairs[TRAIN:].reshape(-1, 2)
    mean = x_train.double().mean(0).float()
    std = x_train.double().var(0, correction=0).sqrt().float()
    x_train, x_test = (x_train - mean) / std, (x_test - mean) / std
    y_train, y_test = (torch.arange(2).repeat(len(x) // 2) for x in (x_train, x_test))
    return x_train, y_train, x_test, y_test
'''
MAKERS = {
    "spirals": '''\
def make_points():
    """Two spirals of one and a half turns, half a turn apart: 400 points of each."""
    random = np.random.default_rng(0)
    radius = np.sqrt(random.uniform(0.01, 1, (2, 400)))
    angle = 2 * np.pi * 1.5 * radius + np.array([[0], [np.pi]])
    points = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=-1)
    return points + random.normal(0, 0.03, points.shape)
''',
    "xor": '''\
def make_points():
    """Four squares around the origin, opposite ones of one class: 400 points of each class."""
    random = np.random.default_rng(0)
    points = random.uniform(0, 1, (2, 400, 2))
    points[:, 200:] -= 1  # the opposite square
    points[1, :, 0] *= -1
    return points + random.normal(0, 0.05, points.shape)
''',
    "moons": '''\
def make_points():
    """Two half circles, one in the other: 400 points of each."""
    points, labels = make_moons(800, noise=0.15, random_state=0)
    return np.concatenate([points[labels == 0], points[labels == 1]])
''',
    "circles": '''\
def make_points():
    """Two rings, one in the other: 400 points of each."""
    points, labels = make_circles(800, noise=0.08, factor=0.5, random_state=0)
    return np.concatenate([points[labels == 0], points[labels == 1]])
''',
}
PUBLISHED = '''\
def load_data(folder):
    """CLASS in `folder`, downloaded unless it is there; images normalised."""
    train = datasets.CLASS(folder, TRAIN_SPLIT, download=True)
    test = datasets.CLASS(folder, TEST_SPLIT, download=True)
    x_train, x_test = normalise(PIXELS(train), PIXELS(test))
    return x_train, LABELS(train), x_test, LABELS(test)
'''
PIXELS = {  # as torchvision keeps them -> uint8 (N, C, H, W)
    "mnist": "{}.data.unsqueeze(1)",
    "fashion_mnist": "{}.data.unsqueeze(1)",
    "cifar10": "torch.from_numpy({}.data).permute(0, 3, 1, 2).contiguous()",
    "cifar100": "torch.from_numpy({}.data).permute(0, 3, 1, 2).contiguous()",
    "svhn": "torch.from_numpy({}.data)",
}
LABELS = {"svhn": "torch.from_numpy({}.labels)"}
NUMPY = "import numpy as np"


def is_published(spec: RunSpec) -> bool:
    """Whether the data are files that the reader has to have."""
    return spec.data.name in TORCHVISION


def data_section(spec: RunSpec) -> Section:
    """How the data become tensors; ValueError for data that only one machine has."""
    name, info = spec.data.name, spec.data.info
    if OWN.fullmatch(name):
        raise ValueError(
            f"data: {name!r} cannot be exported as a program; "
            "the images are only on the machine that they were added to"
        )
    note = (
        f"{info.train:,} examples to train on, {info.test:,} to test ({info.source}). "
        "They lie in memory as tensors; there is no loader."
    )
    if name in TORCHVISION:
        return Section("Data", note, _published(name), ("from torchvision import datasets",))
    if info.kind == "image":
        code = f"{NORMALISE}\n\n{DIGITS.replace('TRAIN', str(info.train))}"
        return Section("Data", note, code, ("from sklearn.datasets import load_digits",))
    code = PLANE.replace("NAME", name).replace("TRAIN", str(info.train // 2))
    library = {"moons": "make_moons", "circles": "make_circles"}.get(name)
    imports = (f"from sklearn.datasets import {library}",) if library else ()
    return Section("Data", note, f"{MAKERS[name]}\n\n{code}", (NUMPY, *imports))


def _published(name: str) -> str:
    splits = ('split="train"', 'split="test"') if name == "svhn" else ("train=True", "train=False")
    labels = LABELS.get(name, "torch.as_tensor({}.targets)")
    images = PIXELS[name]
    helper = f'''\
def images(dataset):
    """All images of a torchvision data set; (N, channels, height, width), uint8."""
    return {images.format("dataset")}


def labels(dataset):
    """All labels; (N,), int64."""
    return {labels.format("dataset")}
'''
    code = PUBLISHED.replace("CLASS", TORCHVISION[name])
    code = code.replace("TRAIN_SPLIT", splits[0]).replace("TEST_SPLIT", splits[1])
    code = code.replace("PIXELS", "images").replace("LABELS", "labels")
    return f"{NORMALISE}\n\n{helper}\n\n{code}"
