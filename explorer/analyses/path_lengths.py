"""What of the gradient comes back along paths of each length."""

import numpy as np

from explorer.analyses.base import Json, Subject, analysis, numbers, one, whole
from explorer.inside.mode import Report
from explorer.inside.paths import effective_lengths, path_gradients

MOST_DRAWS = 200


@analysis("path_lengths", "draws")
def path_lengths(subjects: tuple[Subject, ...], options: Json, report: Report) -> Json:
    """Path gradients on as many of the first training examples as the run has in a batch.

    In training mode; arrays by length, `draws` random paths of each, drawn from the run's seed.
    See explorer.inside.paths.
    """
    subject = one(subjects)
    batch = subject.run.recipe.batch
    found = path_gradients(
        subject.network,
        subject.data.x_train[:batch],
        subject.data.y_train[:batch],
        draws=whole(options, "draws", 16, MOST_DRAWS),
        seed=subject.run.seed,
        report=report,
    )
    known = bool(np.isfinite(found.share).all())
    first, last = effective_lengths(found.share) if known else (0, len(found.share) - 1)
    return {
        "lengths": list(range(len(found.norm))),
        "norm": numbers(found.norm),
        "error": numbers(found.error),
        "draws": found.draws.tolist(),
        "paths": numbers(found.paths),
        "share": numbers(found.share),
        "effective": found.effective if known else None,
        "first": first,
        "last": last,
        "examples": min(batch, len(subject.data.x_train)),
    }
