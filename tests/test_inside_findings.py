"""What the figures of a network's inside say, against slow twins that count it out."""

import math
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from explorer.figures import BlockSeries, by_block, histogram, lens, make_arms
from explorer.figures.block_series import block_spans
from explorer.figures.lesion_draws import rank_correlation
from explorer.figures.similarity import alike_run
from explorer.wording import number, percent

PLAIN, RESIDUAL = make_arms(["plain-56", "residual-56"], [True, False])
N = 27
SITES = ("stem", *(f"block {i}" for i in range(1, N + 1)))
POSITIVE = np.exp(np.random.default_rng(0).normal(-1, 1, N))


def said(figure):
    words = re.sub("<.*?>", " ", figure.layout.title.text).replace("\u00a0", " ")
    return " ".join(words.split())


def test_findings_by_block_follow_from_the_numbers():
    one, two = BlockSeries(PLAIN, POSITIVE), BlockSeries(RESIDUAL, POSITIVE / 3)
    middle = sorted(POSITIVE)[N // 2]
    text = said(by_block([one, two], "response_std"))
    assert text.endswith(f"standard deviation {number(middle / 3)} against {number(middle)}")
    assert "least in residual-56 and most in plain-56" in text
    cosines = BlockSeries(PLAIN, np.array([-0.1, 0.2, np.nan, -0.3]))
    assert "against x in 2 of 3 blocks of plain-56" in said(by_block([cosines], "cosine"))
    dead = BlockSeries(PLAIN, np.array([0.0, 0.25, np.nan, 0.1]))
    assert "up to 25 % in plain-56 (block 2)" in said(by_block([dead], "dead_share"))
    rank = BlockSeries(PLAIN, np.array([3.0, 7.0, np.nan]), most=np.array([16.0, 16, 16]))
    assert "is 7 of 16 in plain-56 (block 2)" in said(by_block([rank], "effective_rank"))


@given(arrays(np.float64, st.integers(1, 12), elements=st.integers(0, 100)))
def test_the_depth_from_which_accuracy_no_longer_rises(hundredths):
    values = hundredths / 100
    sites = SITES[: len(values)]
    series = [BlockSeries(PLAIN, values, sites=sites)]
    end = hundredths[-1]
    first = next(i for i in range(len(values)) if hundredths[i] >= end - 1)
    stays = next(i for i in range(len(values)) if min(hundredths[i:]) >= end - 1)
    name = lambda i: "the stem" if i == 0 else f"block {i} of {len(values) - 1}"  # noqa: E731
    probed, ended = (said(by_block(series, f"{kind}_accuracy")) for kind in ("probe", "lens"))
    if max(hundredths) > end + 1:
        peak = hundredths.tolist().index(max(hundredths))
        assert f"up to {name(peak)} in plain-56" in probed
        assert f"ends at {percent(values[-1])}" in probed
    else:
        gains = "up to" if first == len(values) - 1 else "nothing after"
        assert f"{gains} {name(first)} in plain-56 ({percent(values[-1])})" in probed
    assert f"{'only at ' if stays == len(values) - 1 else 'from '}{name(stays)}" in ended


@given(st.lists(st.integers(0, 2), min_size=1, max_size=8))
def test_the_lens_says_from_where_the_answer_stands(answers):
    probabilities = np.vstack([np.full(3, np.nan), np.full((len(answers), 3), 0.1)])
    probabilities[np.arange(1, len(answers) + 1), answers] = 0.8
    names = ["cat", "dog", "ship"]
    figure = lens(probabilities, SITES[: len(answers) + 1], names)
    last = names[answers[-1]]
    stands = next(i for i in range(len(answers)) if len(set(answers[i:])) == 1) + 1
    if stands == 1:
        assert f"the network says {last}" in said(figure).replace("The", "the")
    elif stands == len(answers):
        assert f"Only at block {stands} does it say {last} (80 %)" in said(figure)
        assert f"ended at block {stands - 1}, {names[answers[-2]]}" in said(figure)
    else:
        assert f"ended at block {stands} it would already say {last}" in said(figure)
    assert "hatched: the stem, which has too few channels" in said(figure)
    np.testing.assert_array_equal(figure.data[0].z, probabilities.T.astype(np.float32))
    assert figure.data[-1].y.tolist() == answers


@given(arrays(bool, st.integers(1, 7).map(lambda n: (n, n))))
def test_the_longest_run_of_blocks_that_are_alike(near):
    matrix = np.where(near | near.T, 0.99, np.nan)
    pairs = [
        (i, j)
        for i in range(len(near))
        for j in range(i, len(near))
        if all(matrix[a, b] > 0.95 for a in range(i, j + 1) for b in range(i, j + 1) if a != b)
    ]
    first, last = max(pairs, key=lambda pair: (pair[1] - pair[0], -pair[0]))
    found = alike_run(matrix)
    assert found[1] - found[0] == last - first
    if last > first:
        assert found == (first + 1, last + 1)


@given(arrays(np.float32, st.integers(1, 60), elements=st.integers(-9, 9)))
def test_steps_hold_every_value_but_the_zeros(values):
    (steps,) = histogram({"x": values}, "block 1").data
    assert steps.y.sum() == pytest.approx(100 * np.mean(values != 0))
    assert steps.x[0] <= values.min()
    assert steps.x[-1] >= values.max()


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=2, max_size=20))
def test_rank_correlation_is_spearmans(pairs):
    x, y = np.array(pairs, float).T
    if np.ptp(x) and np.ptp(y):
        assert rank_correlation(x, y) == pytest.approx(stats.spearmanr(x, y).statistic)
    else:
        assert math.isnan(rank_correlation(x, y))


@given(st.sets(st.integers(0, 30), min_size=1))
def test_spans_name_every_block_and_no_other(numbers):
    text = block_spans(numbers)
    named = {0} if "the stem" in text else set()
    for first, last in re.findall(r"(\d+)(?: to (\d+))?", text):
        named |= set(range(int(first), int(last or first) + 1))
    assert named == numbers
