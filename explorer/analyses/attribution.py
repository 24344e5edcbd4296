"""What an answer rests on: one of Captum's attributions for one image."""

import base64
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from explorer.analyses.base import Json, Subject, analysis, finite, numbers, one, whole
from explorer.analyses.pictures import image_of, on_screen
from explorer.inside.maps import reading
from explorer.inside.mode import Report
from explorer.spec import SpecError

if TYPE_CHECKING:
    from explorer.inside.attributed import Attribution

METHODS = ("integrated_gradients", "grad_cam", "conductance", "occlusion", "neuron_gradient")
MOST_STEPS = 1000


@analysis("attribution", "image", "method", "target", "block", "steps", "window")
def attribution(subjects: tuple[Subject, ...], options: Json, report: Report) -> Json:
    """A map by `method` for the image `image` and the class `target`, by default the one read.

    `values` (C, H, W), (H, W) or (H', W') as the method gives them, float32 in base 64 with
    `shape`; of conductance the map of the block `block`, summed over its channels, with the
    sums of what speaks for the class (`positive`) and against it (`negative`) by block, and each
    block's `errors`. `change`, `error` and `settings` as in explorer.inside.attributed, None where
    a number is not finite; `caveats` are sentences, `unsafe` those of methods not offered.
    """
    # Captum takes half a second to import, which no other question should wait for.
    from explorer.inside.caveats import REWRITING, caveats

    subject = one(subjects)
    image, label = image_of(subject, options)
    method = options.get("method", METHODS[0])
    if method not in METHODS:
        raise SpecError("method", method, f"choose one of {', '.join(METHODS)}")
    classes = subject.data.info.classes
    with reading(subject.network):
        logits = subject.network(image)[0]
    target = whole(options, "target", int(logits.argmax()), classes - 1, 0)
    said = caveats(subject.network, method, image)
    unsafe = {name: list(caveats(subject.network, name, image)) for name in REWRITING}
    names = subject.data.class_names
    return {
        "method": method,
        "picture": on_screen(subject, image)[0],
        "image_shape": list(image.shape[1:]),
        "label": None if label is None else names[label],
        "read_as": names[int(logits.argmax())],
        "target": names[target],
        "logit": finite(float(logits[target])),
        "caveats": list(said),
        "unsafe": {name: lines for name, lines in unsafe.items() if lines},
        **_computed(subject, image, method, target, options, report),
    }


def _computed(
    subject: Subject, image: Any, method: str, target: int, options: Json, report: Report
) -> Json:
    from explorer.inside import attribution as captum_methods

    network = subject.network
    blocks = len(network.blocks)
    block = whole(options, "block", blocks, blocks)
    steps = whole(options, "steps", 50, MOST_STEPS)
    if method == "conductance":
        several = captum_methods.conductance(network, image, target, steps=steps, report=report)
        return {**_single(_summed(several[block - 1])), **_by_block(several)}
    if method == "integrated_gradients":
        single = captum_methods.integrated_gradients(
            network, image, target, steps=steps, report=report
        )
    elif method == "grad_cam":
        single = captum_methods.grad_cam(network, image, target, block)
    elif method == "occlusion":
        sides = image.shape[2:] or (3,)  # points have none, and are refused by the method
        window = whole(options, "window", 3, min(sides))
        single = captum_methods.occlusion(network, image, target, window=window, report=report)
    else:
        single = captum_methods.neuron_gradient(
            network, image, block, _strongest(subject, image, block)
        )
    return _single(single)


def _single(found: "Attribution") -> Json:
    values = np.ascontiguousarray(found.values, np.float32)
    return {
        "values": base64.b64encode(values.tobytes()).decode(),
        "shape": list(values.shape),
        "change": finite(found.change),
        "error": finite(found.error),
        "seconds": found.seconds,
        "settings": dict(found.settings),
    }


def _summed(found: "Attribution") -> "Attribution":
    """A block's map with its channels added up; an MLP's units stay as they are."""
    values = found.values.sum(0) if found.values.ndim == 3 else found.values
    return replace(found, values=values)


def _by_block(several: "Sequence[Attribution]") -> Json:
    values = [one.values.astype(np.float64) for one in several]
    errors = np.array([one.error for one in several], np.float64)
    return {
        "positive": numbers(np.array([np.maximum(one, 0).sum() for one in values])),
        "negative": numbers(np.array([np.minimum(one, 0).sum() for one in values])),
        "errors": numbers(errors),
        "error": finite(float(errors.max())),
        "seconds": sum(one.seconds for one in several),
    }


def _strongest(subject: Subject, image: Any, block: int) -> tuple[int, ...]:
    """The unit of a block's output that is largest for this image."""
    with reading(subject.network):
        outputs = dict(subject.network.walk(image))
    output = outputs[f"block {block}"][0].cpu().numpy()
    return tuple(int(index) for index in np.unravel_index(int(output.argmax()), output.shape))
