"""An analysis of stored networks in this process: what a page asks of a worker, called directly."""

import contextlib
from typing import Any

from explorer.analyses import ANALYSES
from explorer.answering import Answerer
from explorer.inquiry import Inquiry, inquiry
from explorer.inside.mode import Report
from explorer.spec import SpecError
from explorer.store import Store, StoreError
from explorer.training import one_thread, resolve_device
from explorer.weights import find

KIND = "inside"  # of these entries in the store's cache, which pages share
NOT_KEPT = ("maps", "samples", "upload", "lesion")  # quick, and as many as there are images


def analyse(
    what: str,
    *networks: str,
    store: Store | None = None,
    device: str = "cpu",
    report: Report | None = None,
    **options: Any,
) -> dict[str, Any]:
    """The answer of the analysis `what` about networks named as in an address, JSON-able.

    A network is a stored run and a step, "12@100", or a spec, "resnet-56,width=8,steps=300", with
    the step behind an @, the last one if none is given. Analyses and their options are those of
    explorer/analyses. What the store has is not computed again. ValueError or StoreError of one
    line.
    """
    if what not in ANALYSES:
        raise SpecError("analysis", what, f"choose one of {', '.join(ANALYSES)}")
    store = store or Store()
    asked = inquiry(what, *(find(store, text) for text in networks), **options)
    known = store.cache_get(KIND, asked.key)
    if known is not None:
        return known
    answer = _answer(asked, device, report or (lambda done, total: None))
    if what not in NOT_KEPT:
        with contextlib.suppress(StoreError):  # a full disk: it is computed again next time
            store.cache_put(KIND, asked.key, answer)
    return answer


def _answer(asked: Inquiry, device: str, report: Report) -> dict[str, Any]:
    one_thread()
    answerer = Answerer(resolve_device(device))
    answer: dict[str, Any] = answerer.answer(asked.question, report, lambda: False)
    return answer
