"""What the pages on the inside of blocks say and show, piece by piece: address, orders, paths."""

import itertools
from functools import reduce
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.datastructures import QueryParams

from explorer.analyses.base import packed
from explorer.experiments.inside_questions import PLAIN, PLAIN_20, RESIDUAL
from explorer.inside.lesions import _pairs
from explorer.network import build
from explorer.spec import SpecError, parse
from explorer.store import Store
from explorer.ui.inside import blocks, lesions, paths
from explorer.ui.inside.state import (
    FREE,
    NUMBERS,
    WORDS,
    InsideChoice,
    inside_url,
    read_inside,
)
from explorer.weights import find

POINTS = "mlp-6,width=8,data=spirals"
WORD = st.fixed_dictionaries(
    {},
    optional={
        **{name: st.sampled_from(allowed) for name, allowed in WORDS.items()},
        **{name: st.integers(0, most).map(str) for name, most in NUMBERS.items()},
        **{name: st.text(min_size=1, max_size=40) for name in FREE},
    },
)
CHOICES = st.builds(
    InsideChoice,
    st.lists(st.text(min_size=1, max_size=60), max_size=2).map(tuple),
    st.text(min_size=1, max_size=60),
    st.integers(0, 10_000),
    WORD,
)


@settings(max_examples=60)
@given(CHOICES)
def test_an_address_says_the_same_when_it_is_read(choice: InsideChoice) -> None:
    query = QueryParams(urlsplit(inside_url("blocks", choice, ("quantity",))).query)
    again = read_inside(query, query.getlist("net"))
    assert (again.nets, again.image, again.block) == (choice.nets, choice.image, choice.block)
    assert [again.word(name) for name in (*WORDS, *FREE)] == [
        choice.word(name) for name in (*WORDS, *FREE)
    ]
    assert [again.number(name) for name in NUMBERS] == [choice.number(name) for name in NUMBERS]
    assert again.query == choice.query


@pytest.mark.parametrize(
    ("words", "nets", "said"),
    [
        ({}, ["a"] * 5, "net: '5 networks' is not allowed; at most 4"),
        ({}, ["a" * 2001], "at most 2000 characters"),
        ({"image": "a" * 31_001}, [], "at most 31000 characters"),
        ({"methods": "a" * 4001}, [], "at most 4000 characters"),
        ({"order1": "1-" * 2001}, [], "at most 4000 characters"),
        ({"mode": "kill"}, [], "mode: 'kill' is not allowed; choose one of delete, swap"),
        ({"block": "-1"}, [], "block: '-1' is not allowed; a whole number up to 10000"),
        ({"block": "10001"}, [], "a whole number up to 10000"),
        ({"target": "1.5"}, [], "target: '1.5' is not allowed; a whole number up to 999"),
        ({"steps": "\u0661"}, [], "a whole number up to 1000"),
    ],
)
def test_what_no_address_can_say_is_one_line(
    words: dict[str, str], nets: list[str], said: str
) -> None:
    with pytest.raises(SpecError) as error:
        read_inside(words, nets)
    assert str(error.value).endswith(said)
    assert len(str(error.value)) < 300


def test_pages_share_the_networks_that_are_chosen() -> None:
    assert InsideChoice().nets_on("lesions") == (PLAIN_20, RESIDUAL)
    assert InsideChoice().nets_on("paths") == (RESIDUAL,)
    for page in ("blocks", "attributions", "similarity"):
        assert InsideChoice().nets_on(page) == (PLAIN, RESIDUAL)
    chosen = InsideChoice(("12@100", "13"))
    assert {chosen.nets_on(page) for page in ("blocks", "lesions", "paths")} == {("12@100", "13")}


@given(st.lists(st.integers(0, 27), min_size=27, max_size=27).map(tuple))
def test_an_order_is_read_as_it_was_written(order: tuple[int, ...]) -> None:
    one = find(Store(), RESIDUAL)
    assert lesions.order_of(lesions.with_order(InsideChoice(), 1, order), 1, one) == order
    intact = tuple(range(1, 28))
    assert lesions.with_order(InsideChoice(), 1, intact).query == {}
    assert lesions.order_of(InsideChoice(), 1, one) == intact


@pytest.mark.parametrize(
    "spec",
    ["resnet-8,width=4", "resnet-14,width=4", "resnet-20,width=4", "plain-14,width=4",
     "resnet-11,width=2,block=bottleneck", "resnet-20,width=2,block=bottleneck",
     "resnet-29,width=2,block=bottleneck", "mlp-4,width=4,data=spirals", POINTS,
     "resnet-14,stages=1x4~2x4~3x8", "resnet-10,stages=1x4~2x4~1x8"],
)  # fmt: skip
def test_swaps_are_asked_for_where_there_are_two_blocks_of_one_shape(spec: str) -> None:
    possible = bool(_pairs(build(parse(spec).network).all_blocks))
    assert lesions.can_swap(find(Store(), f"{spec}@0")) == possible


@pytest.mark.parametrize("n", range(1, 7))
def test_the_paths_of_a_linear_network_sum_to_its_output(n: int) -> None:
    random = np.random.default_rng(n)
    size = paths.DIMENSIONS
    matrices = random.normal(0, paths.SCALE / np.sqrt(size), (n, size, size))
    x = random.normal(size=size)
    output = x
    for matrix in matrices:
        output = output + matrix @ output  # as the network computes it, block by block
    view = paths.linear(n)
    shares = {tuple(path["blocks"]): path["value"] for path in view["paths"]}
    assert len(shares) == 2**n
    assert sum(shares.values()) == pytest.approx(1)
    for taken in itertools.product((False, True), repeat=n):
        through = tuple(block for block, on in enumerate(taken, 1) if on)
        term = reduce(lambda value, block: matrices[block - 1] @ value, through, x)
        along = np.dot(term, output) / np.linalg.norm(output) ** 2
        assert shares[through] == pytest.approx(along, abs=1e-12)


def test_maps_come_back_to_within_half_a_step() -> None:
    values = np.random.default_rng(0).normal(size=(3, 4, 5)).astype(np.float32)
    values[0, 0, :2] = 0
    back = blocks.unpacked(packed(values))
    peak = np.abs(values).max()
    small = np.abs(values) < peak / 127
    assert back.shape == values.shape
    assert np.abs(back - values)[~small].max() <= peak / 254 * (1 + 1e-6)
    assert (np.sign(back) == np.sign(values)).all()
    broken = np.array([np.nan, 1], np.float32)
    assert blocks.unpacked(packed(broken)).tolist() == [0, 0]


@pytest.mark.parametrize(
    ("image", "label", "said"),
    [
        (
            "test:17",
            "three",
            "Test image 17, labelled three: a reads two (75 %), b reads one (90 %",
        ),
        ("train:0", "one", "Training image 0, labelled one: "),
        ("drawn:00", None, "Your drawing: a reads two"),
        ("pixels:xx", None, "Your picture: a reads two"),
    ],
)
def test_an_image_is_said_with_what_each_network_reads(
    image: str, label: str | None, said: str
) -> None:
    names = ["one", "two", "three"]
    maps: list[Any] = [
        {"label": label, "class_names": names, "probabilities": chances}
        for chances in ([0.05, 0.75, 0.2], [0.9, None, 0.1])
    ]
    scene: Any = SimpleNamespace(
        choice=InsideChoice(image=image), arms=[SimpleNamespace(name=name) for name in "ab"]
    )
    assert blocks.said_of_image(scene, maps).startswith(said)
    assert " b " not in blocks.said_of_image(scene, [maps[0], None])
