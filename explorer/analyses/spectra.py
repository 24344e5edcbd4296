"""Singular values of the Jacobians: of every block, of the way so far, and of the whole network."""

import numpy as np

from explorer.analyses.base import Json, Subject, analysis, finite, numbers, one, whole
from explorer.analyses.gradient_profile import first_batch
from explorer.gradients.network_spectra import network_spectra
from explorer.gradients.spectrum import Spectrum
from explorer.inside.mode import Report


@analysis("spectra", "example")
def jacobian_spectra(subjects: tuple[Subject, ...], options: Json, report: Report) -> Json:
    """At one example of the first batch, in training mode: see explorer.gradients.network_spectra.

    `whole` has all singular values of d(logits)/d(input); `blocks` and `from_stem` the largest and
    the smallest of each, None where the smallest is not known.
    """
    subject = one(subjects)
    x, _ = first_batch(subject)
    example = whole(options, "example", 0, len(x) - 1, 0)
    found = network_spectra(subject.network, x, example, report=report)
    last = found.from_stem[-1]
    return {
        "blocks": _ends(found.blocks),
        "from_stem": _ends(found.from_stem),
        "whole": _all(found.whole),
        "last": _all(last),
    }


def _ends(several: tuple[Spectrum, ...]) -> Json:
    return {
        "largest": [finite(one.largest) for one in several],
        "smallest": [finite(one.smallest) for one in several],
    }


def _all(found: Spectrum) -> Json:
    return {
        "values": numbers(np.asarray(found.values)),
        "shape": list(found.shape),
        "complete": found.complete,
        "floor": finite(found.floor),
    }
