"""How alike the blocks of one network, or of two, see the test set: linear CKA."""

from explorer.analyses.base import Json, Subject, analysis, numbers, whole
from explorer.inside.cka import block_similarity
from explorer.inside.mode import Report
from explorer.spec import SpecError

MOST_EXAMPLES = 10_000
USUAL = 1000


@analysis("similarity", "examples", "debiased", "pooled")
def similarity(subjects: tuple[Subject, ...], options: Json, report: Report) -> Json:
    """CKA between all blocks, `matrix` (block of the first, block of the last network).

    `debiased` (default) and `pooled` (default: channel means) as in explorer.inside.cka;
    `examples` of the test set, the first ones. Both networks read the same data.
    """
    if not 1 <= len(subjects) <= 2:
        raise SpecError("networks", len(subjects), "one or two")
    first, last = subjects[0], subjects[-1]
    if first.data.info.name != last.data.info.name:
        raise SpecError("data", last.data.info.name, f"both on {first.data.info.name}")
    examples = whole(options, "examples", USUAL, MOST_EXAMPLES, 4)
    found = block_similarity(
        first.network,
        first.data.x_test[:examples],
        None if len(subjects) == 1 else last.network,
        debiased=bool(options.get("debiased", True)),
        pooled=bool(options.get("pooled", True)),
        report=report,
    )
    return {
        "matrix": numbers(found.matrix),
        "examples": found.examples,
        "debiased": found.debiased,
        "pooled": found.pooled,
    }
