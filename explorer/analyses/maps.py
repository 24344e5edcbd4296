"""What one image becomes in every block, packed for the screen."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from explorer.analyses.base import Json, Subject, analysis, numbers, one, packed
from explorer.analyses.pictures import image_of, on_screen
from explorer.inside.maps import BlockMaps, logit_lens, maps
from explorer.inside.mode import Report

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


@analysis("maps", "image")
def block_maps(subjects: tuple[Subject, ...], options: Json, report: Report) -> Json:
    """The maps of the image named `image`, what it is read as, and what F does to it by block.

    `lens` are class probabilities if the network ended at each site, stem first, None where the
    head does not fit; `quantiles` of x, residual and output are (block, 5); `ratio` and `cosine`
    are ‖F(x)‖/‖x‖ and cos(x, F(x)), None where nothing is added or shapes differ.
    """
    subject = one(subjects)
    image, label = image_of(subject, options)
    found = maps(subject.network, image)
    lens = logit_lens(subject.network, image)
    stages = [n for n, s in enumerate(subject.run.network.all_stages, 1) for _ in range(s.blocks)]
    turned = np.array([_turned(block) for block in found.blocks])
    return {
        "picture": on_screen(subject, image)[0],
        "shape": list(image.shape[1:]),
        "label": None if label is None else subject.data.class_names[label],
        "class_names": list(subject.data.class_names),
        "probabilities": numbers(_softmax(found.logits)),
        "stem": packed(found.stem),
        "blocks": [_block(b, stage) for b, stage in zip(found.blocks, stages, strict=True)],
        "sites": list(lens),
        "lens": [None if rows is None else numbers(_softmax(rows[0])) for rows in lens.values()],
        "quantiles": {
            kind: _quantiles([getattr(block, kind) for block in found.blocks])
            for kind in ("x", "residual", "output")
        },
        "ratio": numbers(turned[:, 0]),
        "cosine": numbers(turned[:, 1]),
    }


def _block(block: BlockMaps, stage: int) -> Json:
    return {
        "name": block.name,
        "stage": stage,
        "skip": block.skip,
        "act": block.act_after_sum,
        "x": None if block.x is None else packed(block.x),
        "residual": packed(block.residual),
        "output": packed(block.output),
    }


def _quantiles(maps: Sequence[NDArray[np.float32] | None]) -> list[list[float] | None]:
    found = [None if m is None else np.quantile(m.astype(np.float64), QUANTILES) for m in maps]
    return [None if q is None or not np.isfinite(q).all() else numbers(q) for q in found]


def _turned(block: BlockMaps) -> tuple[float, float]:
    """How long F(x) is against x, and the cosine between them; NaN where that is nothing."""
    if block.x is None or block.x.shape != block.residual.shape:
        return np.nan, np.nan
    x, f = block.x.astype(np.float64).ravel(), block.residual.astype(np.float64).ravel()
    sizes = np.linalg.norm(x), np.linalg.norm(f)
    if not sizes[0] or not sizes[1]:
        return np.nan, np.nan
    return float(sizes[1] / sizes[0]), float(x @ f / (sizes[0] * sizes[1]))


def _softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    found: NDArray[np.float32] = torch.softmax(torch.from_numpy(logits), -1).numpy()
    return found
