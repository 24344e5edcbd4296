"""The Blocks page: an image on its way through every block, and what the blocks add to it."""

import base64
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from explorer import figures
from explorer.experiments.inside_reference import SPECS
from explorer.figures import BlockSeries, Spread
from explorer.image_names import check_image
from explorer.inquiry import inquiry
from explorer.ui.inside.route import PAGES, Ask, Json, Page, Scene, arms_of
from explorer.ui.inside.state import InsideChoice
from explorer.ui.lab import lab
from explorer.weights import Weights, find
from explorer.wording import percent

KINDS = {"x": "x", "residual": "F(x)", "output": "output"}
OF_THE_IMAGE = ("ratio", "cosine", "lens_confidence")  # the others are of the whole test set
WORDS_OF_QUANTITY = {
    "response_std": "Size of responses",
    "ratio": "‖F(x)‖ / ‖x‖",
    "cosine": "cos(x, F(x))",
    "effective_rank": "Effective rank",
    "dead_share": "Dead units",
    "probe_accuracy": "Linear probe",
    "lens_accuracy": "If it ended here: accuracy",
    "lens_confidence": "If it ended here: this image",
}
STORED = {"test": "Test", "train": "Training"}  # what an image's id begins with
OWN = {"drawn": "Your drawing"}
EACH = ("histogram", "spread", "lens")  # of every network on show


def questions(choice: InsideChoice, weights: tuple[Weights, ...]) -> Mapping[str, Ask]:
    """The maps and responses of every network, and images of the first one's data.

    SpecError for an image that this data has not.
    """
    check_image(choice.image, weights[0].spec.data.info)
    asks = {"example images": Ask(inquiry("samples", weights[0]), slow=False)}
    for index, one in enumerate(weights):
        asks[f"maps of network {index + 1}"] = Ask(
            inquiry("maps", one, image=choice.image), slow=False
        )
    for index, one in enumerate((*weights, *_others(choice, weights))):
        asks[f"responses of network {index + 1}"] = Ask(inquiry("responses", one))
    return asks


def _others(choice: InsideChoice, weights: tuple[Weights, ...]) -> tuple[Weights, ...]:
    """The program's networks that are not on show, where they are asked for: other depths."""
    if choice.word("others") == "0":
        return ()
    own = (find(lab().store, text) for text in SPECS)
    return tuple(one for one in own if one.key not in {shown.key for shown in weights})


def figures_of(weights: tuple[Weights, ...]) -> tuple[str, ...]:
    """The names of the page's figures."""
    return ("quantity", *(f"{name}{index}" for name in EACH for index in range(len(weights))))


def blocks_of(one: Weights) -> int:
    """How many blocks the network has."""
    return sum(stage.blocks for stage in one.spec.network.all_stages)


def chosen_block(choice: InsideChoice, weights: tuple[Weights, ...]) -> int:
    """The block on show, from 1: the one asked for, else one in the middle."""
    most = max(map(blocks_of, weights))
    return min(choice.block, most) or (most + 1) // 2


def view(scene: Scene) -> Json:
    """Picture, maps and figures."""
    block = chosen_block(scene.choice, scene.weights)
    found = [scene.answer(f"maps of network {index + 1}") for index in range(len(scene.arms))]
    drawn: dict[str, Any] = {"quantity": _quantity(scene, block)}
    for index, maps in enumerate(found):
        if maps is not None:
            drawn |= _of_arm(scene, index, maps, block)
    return {
        "picture": picture(scene, found),
        "maps": _maps(scene, found, block),
        "figures": {name: drawn[name] for name in scene.screen.show if name in drawn},
    }


def picture(scene: Scene, found: list[Json | None]) -> Json | None:
    """The image on show and those to choose from; None for points, or before there is any."""
    first = next((maps for maps in found if maps is not None), None)
    info = scene.weights[0].spec.data.info
    if first is None or info.kind != "image":
        return None
    samples = (scene.answer("example images") or {}).get("samples", [])
    return {
        "chosen": scene.choice.image,
        "shape": first["shape"],
        "drawable": info.shape[0] == 1,
        "label": label_of(found),
        "said": said_of_image(scene, found),
        "samples": [
            {
                "id": sample["id"],
                "label": sample["label"],
                "said": f"{scene.arms[0].name} reads {sample['read_as']}",
                "pixels": sample["pixels"],
            }
            for sample in samples
        ],
        "current": {"pixels": first["picture"]},
    }


def said_of_image(scene: Scene, found: list[Json | None]) -> str:
    """What the image is, and what each network reads it as."""
    parts = []
    for arm, maps in zip(scene.arms, found, strict=True):
        if maps is None:
            continue
        chances = [chance or 0.0 for chance in maps["probabilities"]]
        best = int(np.argmax(chances))
        parts.append(f"{arm.name} reads {maps['class_names'][best]} ({percent(chances[best])})")
    return f"{_name_of(scene.choice.image, label_of(found))}: {', '.join(parts)}."


def label_of(found: list[Json | None]) -> str | None:
    """The name of the image's class; None for one of a visitor's own."""
    return next((maps["label"] for maps in found if maps and maps["label"]), None)


def _name_of(image: str, label: str | None) -> str:
    part, _, number = image.partition(":")
    if part not in STORED:
        return OWN.get(part, "Your picture")
    name = f"{STORED[part]} image {number}"
    return f"{name}, labelled {label}" if label else name


def _maps(scene: Scene, found: list[Json | None], block: int) -> Json | None:
    arms = [
        {
            "name": arm.name,
            "color": arm.color,
            "plain": one.spec.network.shortcut == "none",
            "stem": maps["stem"],
            "blocks": maps["blocks"],
        }
        for arm, one, maps in zip(scene.arms, scene.weights, found, strict=True)
        if maps is not None
    ]
    return {"arms": arms, "block": block, "image": scene.choice.image} if arms else None


def _this(scene: Scene) -> str:
    return "this image" if scene.weights[0].spec.data.info.kind == "image" else "this point"


def _of_arm(scene: Scene, index: int, maps: Json, block: int) -> dict[str, Any]:
    """Lens, spread and histogram of one arm's image."""
    note = f"{scene.arms[index].name}, {_this(scene)}"
    spreads = [
        Spread(said, _rows(maps["quantiles"][kind], 5).T)
        for kind, said in KINDS.items()
        if any(row is not None for row in maps["quantiles"][kind])
    ]
    here = maps["blocks"][min(block, len(maps["blocks"])) - 1]
    values = {said: unpacked(here[kind]) for kind, said in KINDS.items() if here[kind] is not None}
    classes = len(maps["class_names"])
    return {
        f"lens{index}": figures.lens(
            _rows(maps["lens"], classes), maps["sites"], maps["class_names"],
            note=note, chosen=block, **scene.screen.look,
        ),
        f"spread{index}": figures.distributions(
            spreads, note=note, chosen=block, **scene.screen.look
        ),
        f"histogram{index}": figures.histogram(
            values, here["name"], note=note, **scene.screen.look
        ),
    }  # fmt: skip


def _rows(rows: list[list[float] | None], width: int) -> NDArray[np.float64]:
    """Rows of numbers, NaN where there are none; (row, width)."""
    return np.array([[np.nan] * width if row is None else row for row in rows], np.float64)


def unpacked(values: Json) -> NDArray[np.float64]:
    """The numbers of a map that an analysis has packed, to within peak / 127."""
    steps = np.frombuffer(base64.b64decode(values["q"]), np.int8).astype(np.float64)
    return (steps * (values["peak"] or 0.0) / 127).reshape(values["shape"])


def _quantity(scene: Scene, block: int) -> Any:
    """The chosen quantity by block, every arm a line."""
    name = scene.choice.word("what")
    series, examples = [], 0
    arms = arms_of((*scene.weights, *_others(scene.choice, scene.weights)))
    for index, arm in enumerate(arms):
        maps, known = (
            scene.answer(f"maps of network {index + 1}"),
            scene.answer(f"responses of network {index + 1}"),
        )
        source = maps if name in OF_THE_IMAGE else known
        if source is None:
            continue
        examples = source.get("examples", 0)
        series.append(_series(arm, name, source))
    note = f"{examples:,} test examples" if examples else _this(scene)
    return figures.by_block(
        series, name, scene.screen.theme, narrow=scene.screen.narrow, note=note, chosen=block
    )


def _series(arm: figures.Arm, name: str, source: Json) -> BlockSeries:
    if name == "response_std":
        return BlockSeries(arm, _numbers(source["std"]), sites=tuple(source["layers"]))
    if name == "lens_confidence":
        target = source["label"]
        names = source["class_names"]
        at = names.index(target) if target else int(np.argmax(_numbers(source["probabilities"])))
        lens = _rows(source["lens"], len(names))[:, at]
        return BlockSeries(arm, lens, sites=tuple(source["sites"]))
    if name in ("probe_accuracy", "lens_accuracy"):
        return BlockSeries(arm, _numbers(source[name]), sites=tuple(source["sites"]))
    if name in OF_THE_IMAGE:
        blocks = tuple(block["name"] for block in source["blocks"])
        return BlockSeries(arm, _numbers(source[name]), sites=blocks)
    return BlockSeries(arm, _numbers(source[name]), sites=tuple(source["blocks"]))


def _numbers(values: list[float | None]) -> NDArray[np.float64]:
    return np.array([np.nan if value is None else value for value in values], np.float64)


PAGES.add("blocks", Page(questions, view))
