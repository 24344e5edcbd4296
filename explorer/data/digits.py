"""1,797 handwritten digits of 8x8 pixels that come with scikit-learn."""

import torch

from explorer.catalog import BUILT_IN
from explorer.data.base import LOADERS, Examples, Loader
from explorer.init import generator_for


def _digits(name: str) -> Examples:
    from sklearn.datasets import load_digits  # here, because the import takes a second

    raw = load_digits()
    order = torch.randperm(len(raw.target), generator=generator_for(0, name))
    x = torch.from_numpy(raw.images).to(torch.uint8).unsqueeze(1)[order]  # 0 to 16
    y = torch.from_numpy(raw.target)[order]
    train = BUILT_IN[name].train
    return Examples(x[:train], y[:train], x[train:], y[train:], tuple("0123456789"))


LOADERS.add("digits", Loader(_digits))
