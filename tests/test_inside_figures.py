"""The figures of a network's inside draw what was measured, and say what follows from it."""

import json
import math
import re
from dataclasses import replace

import numpy as np
import plotly.graph_objects as go
import pytest

from explorer.figures import (
    BlockSeries,
    Counts,
    Each,
    Panel,
    PathSeries,
    Spread,
    alt_text,
    attribution,
    by_block,
    counts,
    distributions,
    each,
    histogram,
    lens,
    make_arms,
    path_lengths,
    ranking,
    similarity,
    swaps,
)
from explorer.figures.block_findings import QUANTITIES
from explorer.figures.path_lengths import middle_lengths
from explorer.wording import number, percent

PLAIN, RESIDUAL = make_arms(["plain-56", "residual-56"], [True, False])
N = 27
BLOCKS = tuple(f"block {i}" for i in range(1, N + 1))
SITES = ("stem", *BLOCKS)
LAYERS = ("stem", *(f"{block} layer {i}" for block in BLOCKS for i in (1, 2)))
RANDOM = np.random.default_rng(0)
POSITIVE = np.exp(RANDOM.normal(-1, 1, N))
RISING = np.minimum(0.4 + 0.06 * np.arange(N + 1), 0.93)  # within a point of the end from block 9
LENS = RANDOM.dirichlet(np.ones(3), N + 1)
LENS[:19] = np.nan
LATE = np.arange(N) > 12
ALIKE = np.where(np.logical_and.outer(LATE, LATE), 0.97, 0.5) + 0.03 * np.eye(N)
IMAGE = RANDOM.random((3, 8, 8))
MAP = RANDOM.normal(0, 1, (8, 8))
SHARES = np.array([math.comb(N, k) / 2**N for k in range(N + 1)])
CHANGES = tuple(i in (9, 18) for i in range(N))
EACH = Each(RESIDUAL, BLOCKS, np.where(CHANGES, 0.6, 0.97) - 0.001 * np.arange(N), 0.98, CHANGES)
RISE = 0.02 + 0.88 * (1 - np.exp(-np.arange(N + 1) / 9))
COUNTS = Counts(RESIDUAL, np.arange(N + 1), RISE, RISE * 0.8, RISE * 1.1)
TAU = RANDOM.uniform(0.7, 1, 40)


def paths(norm, arm=RESIDUAL, **more):
    share = SHARES * norm
    share = share / share.sum() if share.any() else np.full(N + 1, np.nan)
    effective = float(share @ np.arange(N + 1))
    ends = middle_lengths(share) if np.isfinite(share).all() else (0, N)
    return PathSeries(arm, norm, norm / 3, SHARES, share, effective, *ends, **more)


def quantity(name, **look):
    values = RISING if "accuracy" in name else np.clip(POSITIVE, 0, 1)
    sites = SITES if "accuracy" in name else ()
    broken = values.copy()
    broken[[3, 9]] = np.nan
    band = {"low": values / 2, "high": np.minimum(values * 2, 1)}
    series = [
        BlockSeries(PLAIN, values, sites=sites, **band),
        BlockSeries(RESIDUAL, broken, sites=sites),
    ]
    return by_block(series, name, chosen=5, **look)


UNKNOWN = BlockSeries(PLAIN, np.full(3, np.nan))
STEEP = 10.0 ** -np.arange(N + 1)
FIGURES = {
    **{name: lambda name=name, **look: quantity(name, **look) for name in QUANTITIES},
    "by layer": lambda **look: by_block(
        [BlockSeries(PLAIN, np.resize(POSITIVE, len(LAYERS)), sites=LAYERS)], "response_std", **look
    ),
    "zero and infinite": lambda **look: by_block(
        [BlockSeries(PLAIN, np.array([0, np.inf, np.nan, 1]))], "ratio", **look
    ),
    "lens": lambda **look: lens(LENS, SITES, ["cat <b>", "dog", "ship"], chosen=20, **look),
    "distributions": lambda **look: distributions(
        [Spread("x", np.outer(np.arange(-2, 3), POSITIVE))], chosen=3, **look
    ),
    "histogram": lambda **look: histogram({"x": IMAGE, "F(x)": MAP.clip(0)}, "block 5", **look),
    "similarity": lambda **look: similarity(ALIKE, "plain-56", "plain-56", chosen=3, **look),
    "similarity of two": lambda **look: similarity(
        np.array([[1, -0.1, 0.3], [np.nan, 0.2, 0.4]]), "plain-8", "residual-8", **look
    ),
    "attribution": lambda **look: attribution(
        IMAGE,
        [(PLAIN, [Panel("Gradients", MAP, "error 1 %"), Panel("Grad-CAM", np.zeros((2, 2)))]),
         (RESIDUAL, [Panel("Gradients", np.full((4, 4), np.nan))])],
        **look,
    ),
    "path lengths": lambda **look: path_lengths(
        [paths(STEEP, predicted_share=SHARES), paths(np.zeros(N + 1), PLAIN)], **look
    ),
    "each": lambda **look: each([EACH], "deleted", classes=10, **look),
    "ranking": lambda **look: ranking(EACH, **look),
    "counts": lambda **look: counts([COUNTS], "deleted", **look),
    "swaps": lambda **look: swaps([(RESIDUAL, TAU, 1 - TAU)], **look),
    "empty by_block": lambda **look: by_block([], "ratio", **look),
    "empty lens": lambda **look: lens(np.zeros((0, 3)), [], ["a", "b", "c"], **look),
    "empty distributions": lambda **look: distributions([], **look),
    "empty histogram": lambda **look: histogram({}, "block 1", **look),
    "empty similarity": lambda **look: similarity(np.zeros((0, 0)), "a", "b", **look),
    "empty attribution": lambda **look: attribution(IMAGE, [(PLAIN, [])], **look),
    "empty paths": lambda **look: path_lengths([], **look),
    "empty each": lambda **look: each([], "deleted", **look),
    "empty ranking": lambda **look: ranking(Each(PLAIN, (), np.zeros(0), 1.0, ()), **look),
    "empty counts": lambda **look: counts([], "deleted", **look),
    "empty swaps": lambda **look: swaps([], **look),
    "unknown by_block": lambda **look: by_block([UNKNOWN], "ratio", **look),
    "unknown lens": lambda **look: lens(np.full((2, 1), np.nan), SITES[:2], ["a"], **look),
    "unknown similarity": lambda **look: similarity(np.full((2, 2), np.nan), "a", "b", **look),
}  # fmt: skip
LINKED = {*QUANTITIES, "zero and infinite", "lens", "distributions", "similarity"}
LINKED |= {"similarity of two", "each"}


def said(figure):
    words = re.sub("<.*?>", " ", figure.layout.title.text).replace("\u00a0", " ")
    return " ".join(words.split())


def drawn(figure, name):
    (trace,) = (t for t in figure.data if t.name == name and t.showlegend)
    return trace


@pytest.mark.parametrize("narrow", [False, True])
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_is_valid_titled_and_described(name, theme, narrow):
    figure = FIGURES[name](theme=theme, narrow=narrow, note="seed 0, 200 examples")
    go.Figure(json.loads(figure.to_json()))  # Plotly's own check of every name and value
    assert "seed 0, 200 examples" in said(figure)
    assert re.fullmatch(r"[^\n]+\.", alt_text(figure))
    lines = [re.sub("<.*?>", "", text) for text in figure.layout.title.text.split("<br>")]
    assert max(map(len, lines)) <= (55 if narrow else 88)
    bare = name.split()[0]
    assert bool(figure.data) == (bare not in ("empty", "unknown"))
    if not figure.data:
        why = {"empty": "Nothing is measured yet", "unknown": "No block has a value to draw"}
        assert figure.layout.annotations[0].text == why[bare]
    assert bool(figure.layout.meta.get("blocks")) == (name in LINKED)


@pytest.mark.parametrize("name", QUANTITIES)
def test_lines_are_the_values_by_block_with_gaps_where_there_is_none(name):
    figure = quantity(name)
    factor = 100 if QUANTITIES[name].share else 1
    values = RISING if "accuracy" in name else np.clip(POSITIVE, 0, 1)
    first = 0 if "accuracy" in name else 1
    line = drawn(figure, "plain-56")
    np.testing.assert_array_equal(line.x, np.arange(first, first + len(values)))
    np.testing.assert_allclose(line.y, factor * values, rtol=1e-6)
    assert np.flatnonzero(np.isnan(drawn(figure, "residual-56").y)).tolist() == [3, 9]
    (band,) = (t for t in figure.data if t.fill)
    np.testing.assert_allclose(band.y[: len(values)], factor * np.minimum(values * 2, 1), rtol=1e-6)
    assert [s.x0 for s in figure.layout.shapes if s.xref == "x"] == [5]


def test_arms_of_two_lengths_share_an_axis_of_depth():
    short = BlockSeries(PLAIN, RISING[1:10])
    figure = by_block([short, BlockSeries(RESIDUAL, RISING[1:])], "ratio", chosen=3)
    np.testing.assert_allclose(drawn(figure, "plain-56").x, np.arange(1, 10) / 9)
    np.testing.assert_allclose(drawn(figure, "residual-56").x, np.arange(1, 28) / 27)
    assert [(s.x0, s.line.color) for s in figure.layout.shapes] == [
        (3 / 9, PLAIN.color), (3 / 27, RESIDUAL.color)
    ]  # fmt: skip
    assert drawn(figure, "plain-56").text[2].endswith("at block 3")


def test_layers_are_counted_from_the_stem_and_a_block_marked_between_its_own():
    series = BlockSeries(PLAIN, np.resize(POSITIVE, len(LAYERS)), sites=LAYERS)
    figure = by_block([series], "response_std", chosen=3)
    assert drawn(figure, "plain-56").x.tolist() == list(range(1, 56))
    own = [i for i, name in enumerate(LAYERS, 1) if name.startswith("block 3 ")]
    assert [s.x0 for s in figure.layout.shapes if s.xref == "x"] == [sum(own) / 2]


def test_what_cannot_be_on_a_log_axis_is_marked_and_an_unknown_quantity_named():
    figure = FIGURES["zero and infinite"]()
    assert {t.marker.symbol: t.x.tolist() for t in figure.data[1:]} == {
        "circle-open": [1],
        "x": [2],
    }
    with pytest.raises(ValueError, match=r"^quantity: 'size' is none of response_std, ratio"):
        by_block([], "size")


def test_similarity_shows_every_number_and_says_what_lies_beyond():
    matrix = np.array([[1, -0.1, 0.3], [np.nan, 0.2, 0.4]])
    figure = similarity(matrix, "plain-8", "residual-8")
    np.testing.assert_array_equal(figure.data[0].z, matrix.astype(np.float32))
    assert (figure.layout.coloraxis.cmin, figure.layout.coloraxis.cmax) == (0, 1)
    assert "1 of plain-8's 2 blocks has its like in residual-8" in said(figure)
    assert "1 of 6 values lies beyond 0 to 1" in said(figure)
    assert "14 of plain-56's 27 blocks (14 to 27) are alike" in said(FIGURES["similarity"]())


def test_quantiles_are_drawn_and_compared_from_the_first_to_the_last_block():
    quantiles = np.outer(np.arange(-2, 3), np.arange(1, 6)).astype(float)
    quantiles[:, 2] = np.nan
    figure = distributions([Spread("x", quantiles), Spread("F(x)", quantiles[:, ::-1])])
    np.testing.assert_array_equal(drawn(figure, "x").y, quantiles[2])
    bands = [t for t in figure.data if t.fill and t.name == "x"]
    assert sorted(t.x.tolist() for t in bands) == 2 * [[1, 2, 2, 1]] + 2 * [[4, 5, 5, 4]]
    assert "block 5 against block 1: x 5 x, F(x) 0.2" in said(figure)


def test_maps_lie_over_the_whole_image_each_to_its_own_peak():
    figure = FIGURES["attribution"]()
    picture, full, coarse = figure.data[:3]
    np.testing.assert_array_equal(picture.z, np.rint(255 * IMAGE.transpose(1, 2, 0)))
    np.testing.assert_array_equal(full.z, MAP.astype(np.float32))
    assert -full.zmin == full.zmax == np.abs(MAP).max()
    assert coarse.x.tolist() == [1.5, 5.5]  # halves of -0.5 to 7.5
    sizes = sorted(np.abs(MAP).ravel(), reverse=True)
    least = next(k for k in range(1, 65) if sum(sizes[:k]) >= sum(sizes) / 2)
    assert f"half lies on {percent(least / 64)} of the places in plain-56" in said(figure)
    texts = [note.text for note in figure.layout.annotations]
    assert f"peak {number(np.abs(MAP).max())}" in texts[1]
    assert "0 everywhere" in texts[2]
    assert "not finite" in texts[4]
    twice = [(PLAIN, [Panel("Map", MAP)]), (RESIDUAL, [Panel("Map", -2 * MAP)])]
    assert said(attribution(IMAGE, twice)).split(";")[1].startswith(" the maps' correlation is -1")


def test_path_lengths_draw_the_three_curves_and_compare_their_ranges():
    norm = 10.0 ** -np.arange(N + 1)
    one = paths(norm, predicted_share=SHARES)
    figure = path_lengths([one])
    arrays = [100 * SHARES, norm, 100 * one.share, 100 * SHARES]
    for trace, values in zip(figure.data, arrays, strict=True):
        np.testing.assert_allclose(trace.y, values, rtol=1e-6)
    np.testing.assert_array_equal(figure.data[1].error_y.array, norm / 3)
    ranges = []
    for share in (SHARES, one.share):
        fits = [(j - i, i, j) for i in range(N + 1) for j in range(i, N + 1)
                if share[i : j + 1].sum() >= 0.95]  # fmt: skip
        ranges.append(min(fits)[0])
    low, high = middle_lengths(SHARES)
    assert [high - low, one.last - one.first] == ranges
    assert f"the paths take {low} to {high} blocks, but 95 % of the gradient" in said(figure)
    assert f"along those of {one.first} to {one.last} in residual-56" in said(figure)
    (shade,) = (s for s in figure.layout.shapes if s.type == "rect")
    assert (shade.x0, shade.x1) == (one.first - 0.5, one.last + 0.5)
    assert "none comes back in plain-56" in said(FIGURES["path lengths"]())
    assert "blocks, and 95 %" in said(path_lengths([paths(np.ones(N + 1))]))


def test_lesions_are_drawn_marked_and_ranked():
    worse = replace(EACH, arm=PLAIN, accuracy=np.full(N, 0.19))
    figure = each([EACH, worse], "deleted", classes=4)
    dots = drawn(figure, "residual-56")
    np.testing.assert_array_equal(dots.y, 100 * EACH.accuracy)
    assert [i for i, symbol in enumerate(dots.marker.symbol) if symbol == "diamond"] == [9, 18]
    assert [s.y0 for s in figure.layout.shapes] == [98.0, 98.0, 25.0]
    middle = sorted(98 - 100 * EACH.accuracy)[N // 2]
    assert f"residual-56 {number(middle)} points at the median, plain-56 79" in said(figure)
    bars = ranking(EACH, most=5)
    order = sorted(range(N), key=lambda i: EACH.accuracy[i])[:5]
    np.testing.assert_array_equal(bars.data[0].x, 100 * (0.98 - EACH.accuracy[order]))
    assert bars.layout.yaxis.ticktext == tuple(BLOCKS[i] for i in order)
    assert "dearest are those that change the shape, blocks 10 and 19" in said(bars)
    assert "the 5 dearest of 27 blocks" in said(bars)


def test_draws_say_when_half_of_the_rise_is_there_and_how_order_tells():
    figure = counts(
        [COUNTS, replace(COUNTS, arm=PLAIN, error=np.full(N + 1, 0.1))], "pairs swapped"
    )
    np.testing.assert_array_equal(drawn(figure, "residual-56").y, 100 * RISE)
    half = next(k for k in range(N + 1) if RISE[k] - RISE[0] >= (RISE[-1] - RISE[0]) / 2)
    assert f"is there: {half} of 27 in residual-56, no rise in plain-56" in said(figure)
    assert figure.layout.xaxis.title.text == "number of pairs swapped"
    scatter = swaps([(RESIDUAL, TAU, 1 - TAU), (PLAIN, TAU[:2], np.array([np.nan, 0.5]))])
    np.testing.assert_array_equal(scatter.data[0].y, 100 * (1 - TAU))
    assert scatter.data[1].x.tolist() == [TAU[1]]
    assert "smaller the error: rank correlation -1 in residual-56" in said(scatter)
