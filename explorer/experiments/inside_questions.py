"""The questions that the pages on the inside of blocks ask first, about the program's networks."""

from collections.abc import Iterator

from explorer.experiments.inside_reference import SPECS
from explorer.inquiry import Inquiry, inquiry
from explorer.store import Store
from explorer.weights import Weights, find

IMAGE = "test:0"
PLAIN_20, _, PLAIN, RESIDUAL = SPECS  # what the pages show first


def usual_questions(store: Store) -> Iterator[Inquiry]:
    """Every question whose answer ships with the program."""
    networks = [find(store, text) for text in SPECS]
    plain, residual = find(store, PLAIN), find(store, RESIDUAL)
    for one in networks:
        yield from _of_one(one)
    yield from (inquiry("similarity", *pair) for pair in ((plain,), (residual,), (plain, residual)))
    for one in (plain, residual, networks[0]):
        yield inquiry("samples", one)
        yield inquiry("maps", one, image=IMAGE)
        yield inquiry("path_lengths", one)
        yield inquiry("path_lengths", find(store, f"{one.text.rpartition('@')[0]}@0"))
        for method in ("integrated_gradients", "grad_cam", "occlusion", "conductance"):
            yield inquiry("attribution", one, image=IMAGE, method=method)


def _of_one(one: Weights) -> Iterator[Inquiry]:
    yield inquiry("responses", one)
    yield inquiry("lesion", one)
    for again in (None, True):
        yield inquiry("lesion_each", one, reestimate=again)
        yield inquiry("lesion_some", one, reestimate=again)
        yield inquiry("lesion_some", one, swap=True, reestimate=again)
