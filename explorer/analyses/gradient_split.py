"""Through which way the gradient comes back: shortcut or residual, and by path length exactly."""

import numpy as np

from explorer.analyses.base import Json, Subject, analysis, finite, numbers, one
from explorer.analyses.gradient_profile import first_batch
from explorer.gradients.lengths import by_length
from explorer.gradients.split import split
from explorer.inside.mode import Report
from explorer.inside.paths import effective_lengths


@analysis("split")
def gradient_split(subjects: tuple[Subject, ...], options: Json, report: Report) -> Json:
    """For every block the share of dL/d(its input) through shortcut and residual; (block,).

    On the run's first batch, in training mode. The two shares add up to 1; see
    explorer.gradients.split.
    """
    subject = one(subjects)
    found = split(subject.network, *first_batch(subject), report=report)
    parts = ("shortcut_share", "residual_share", "cosine", "shortcut", "residual", "total")
    return {name: numbers(getattr(found, name)) for name in parts}


@analysis("exact_lengths")
def exact_lengths(subjects: tuple[Subject, ...], options: Json, report: Report) -> Json:
    """The gradient at the input by path length, the vectors of all paths of a length added.

    `share` is the projection onto the whole gradient and adds up to 1; `power` the square of the
    sum's norm over that of the whole; 95 % of the shares' sizes lie from `first` to `last`. See
    explorer.gradients.lengths.
    """
    subject = one(subjects)
    found = by_length(subject.network, *first_batch(subject), report=report)
    lengths = np.array(found.lengths)
    known = bool(np.isfinite(found.share).all())
    sizes = np.abs(found.share)
    first, last = effective_lengths(sizes / sizes.sum()) if known else (0, int(lengths[-1]))
    return {
        "lengths": lengths.tolist(),
        "share": numbers(found.share),
        "power": numbers(found.power),
        "mean": float(lengths @ found.share) if known else None,
        "first": first,
        "last": last,
        "total": finite(found.total),
    }
