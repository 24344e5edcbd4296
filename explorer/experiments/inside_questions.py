"""The questions that pages ask first: on the inside of blocks, and of the gradient laboratory."""

from collections.abc import Iterator
from typing import Any

from explorer.experiments.inside_reference import SPECS
from explorer.inquiry import Inquiry, inquiry
from explorer.store import Store
from explorer.weights import Weights, find

IMAGE = "test:0"
PLAIN_20, _, PLAIN, RESIDUAL = SPECS  # what the pages show first
# What the laboratory's pages ask for, who say it to visitors in their own terms.
FACTORS: dict[str, Any] = {"activation": "relu", "variance": 2.0, "depth": 50, "width": 256}
DEPTHS = (8, 14, 20, 32, 44, 56, 80, 110, 158, 230, 326, 470, 698, 998)  # of 6n + 2
TOYS = ("plain_batch", "residual_batch", "residual_small", "plain", "residual")
TOY_BLOCKS = 24


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
    yield from _of_gradients(store)


def _of_gradients(store: Store) -> Iterator[Inquiry]:
    """The laboratory's: of networks as they are initialised, and of toys."""
    trained = find(store, RESIDUAL)
    start = [find(store, f"{text}@0") for text in (PLAIN, RESIDUAL)]
    yield inquiry("factors", **FACTORS, seeds=3)
    for one in start:
        yield inquiry("profile", one)
        yield inquiry("profile", one, seeds=8)
        yield inquiry("spectra", one)
        yield from (inquiry("depth_ratio", one, depth=depth, seeds=2) for depth in DEPTHS)
    for one in (trained, start[1]):
        yield from (inquiry(what, one) for what in ("split", "exact_lengths"))
    yield inquiry("sum_node", start[1], block=14)  # the middle of 27
    yield from (inquiry("shattering", arm=noise, seeds=64) for noise in ("white", "brown"))
    for toy in TOYS:
        yield inquiry("correlations", arm=toy)
        if toy != "residual":
            yield inquiry("shattering", arm=toy, depth=TOY_BLOCKS, seeds=16)


def _of_one(one: Weights) -> Iterator[Inquiry]:
    yield inquiry("responses", one)
    yield inquiry("lesion", one)
    for again in (None, True):
        yield inquiry("lesion_each", one, reestimate=again)
        yield inquiry("lesion_some", one, reestimate=again)
        yield inquiry("lesion_some", one, swap=True, reestimate=again)
