"""What every block does on the whole test set, and what can be read off its output."""

from explorer.analyses.base import Json, Subject, analysis, numbers, one
from explorer.inside.linear_probe import linear_probe
from explorer.inside.maps import logit_lens
from explorer.inside.mode import Report
from explorer.inside.responses import responses

PARTS = 3  # that take about the same time


@analysis("responses")
def block_responses(subjects: tuple[Subject, ...], options: Json, report: Report) -> Json:
    """Responses, linear probe and logit lens over the test set, by layer, block and site.

    `probe_accuracy` and `lens_accuracy` are shares of the test set; the lens has None where the
    head does not fit. Sources: see `responses`, `linear_probe` and `logit_lens` in
    explorer.inside.
    """
    subject = one(subjects)
    network, data = subject.network, subject.data

    def part(number: int) -> Report:
        return lambda done, total: report(number * total + done, PARTS * total)

    found = responses(network, data.x_test, part(0))
    probe = linear_probe(network, data, report=part(1))
    lens = logit_lens(network, data.x_test, part(2))
    y = data.y_test.cpu().numpy()
    right = {
        site: None if logits is None else float((logits.argmax(1) == y).mean())
        for site, logits in lens.items()
    }
    return {
        "layers": list(found.layers),
        "std": numbers(found.std),
        "blocks": list(found.blocks),
        "ratio": numbers(found.ratio),
        "cosine": numbers(found.cosine),
        "dead_share": numbers(found.dead_share),
        "effective_rank": numbers(found.effective_rank),
        "examples": found.examples,
        "sites": list(probe.sites),
        "probe_accuracy": numbers(probe.test_accuracy),
        "lens_accuracy": list(right.values()),
    }
