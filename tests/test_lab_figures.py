"""The gradient laboratory's figures draw what was measured beside theory, and say what follows."""

import json
import re
from dataclasses import replace

import numpy as np
import plotly.graph_objects as go
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from explorer.figures import (
    ConditionSeries,
    CorrelationSeries,
    FactorSeries,
    GradientSeries,
    RatioSeries,
    SpectrumSeries,
    SplitSeries,
    WalkSeries,
    alt_text,
    autocorrelations,
    condition,
    correlation_by_depth,
    depth_ratio,
    factor_dots,
    gradient_pictures,
    make_arms,
    spectrum,
    split,
    walks,
)
from explorer.figures.powers import PowerScale, power

PLAIN, RESIDUAL = make_arms(["plain", "residual"], [True, False])
RANDOM = np.random.default_rng(0)
N = 12
LAYERS = np.arange(51)
FALL = -8 * (1 - LAYERS / 50) + np.array([[0.1], [-0.1]])  # 1e-8 after 50 layers, two seeds
WALK = WalkSeries("tanh", PLAIN.color, FALL, FALL.mean(0) - 0.5, region="width >= 256")
FORWARD = replace(WALK, log10=FALL[:, ::-1], valid=False)
LOST = np.where(LAYERS < 20, -np.inf, 0.0)[None]
FACTOR = np.exp(RANDOM.normal(-1, 0.1, (3, N)))
FACTORS = FactorSeries("tanh", PLAIN.color, FACTOR, np.full(N, np.exp(-1)), False, "width >= 256")
UNKNOWN = replace(FACTORS, factor=FACTOR * np.nan)
DEPTHS = (2, 8, 32, 128)
RATIOS = np.exp(np.outer(-0.1 * np.array(DEPTHS), [0.9, 1.1]))
LEAVING = RatioSeries(
    PLAIN, DEPTHS, RATIOS, np.exp(-0.1 * np.array(DEPTHS)), True, 69.1, 42, "16 xi; Yang et al."
)
STAYING = RatioSeries(RESIDUAL, DEPTHS, np.ones((4, 2)))
BROKEN = replace(STAYING, ratios=np.array([[1, 1], [0, 1], [np.inf, 1], [np.nan, 1]]))
X = np.linspace(-2, 2, 256)
WAVE = GradientSeries(
    "wave", RESIDUAL.color, X, np.sin(4 * X) / 11, np.linspace(1, 0, 31), np.full(31, 0.1)
)
NOISE = GradientSeries(
    "noise", PLAIN.color, X, RANDOM.normal(0, 0.06, 256), np.eye(31)[0], np.full(31, np.nan)
)
REFERENCE = ("white noise", np.eye(31)[0])
CORRELATED = CorrelationSeries(
    "plain", PLAIN.color, (1, 2, 4, 8), np.array([0.5, 0.25, 0.01, -0.01]), np.full(4, 0.02),
    0.5 ** np.arange(1, 9), "2^-L", 4, "width >= 256",
)  # fmt: skip
SIGMA = np.geomspace(4, 1e-2, 40)
SPECTRUM = SpectrumSeries(RESIDUAL, SIGMA)
ENDS = SpectrumSeries(PLAIN, np.array([3, 2, 0.1, np.nan]), total=1000)
RANK_1 = SpectrumSeries(PLAIN, np.array([3.0, 1e-20, 0]), floor=1e-15)
BLOCKS = range(1, N + 1)
CONDITION = ConditionSeries(
    PLAIN, BLOCKS, np.full(N, 4.0), np.where(np.arange(N) == 5, 0, np.geomspace(2, 0.5, N))
)
SPLIT = SplitSeries(
    RESIDUAL, np.linspace(-0.2, 1.1, N), 1 - np.linspace(-0.2, 1.1, N), np.linspace(-1, 1, N)
)
DEAD = SplitSeries(PLAIN, *np.full((3, N), np.nan))
FIGURES = {
    "walks": lambda **look: walks([WALK, WalkSeries("lost", RESIDUAL.color, LOST)], **look),
    "signal": lambda **look: walks([FORWARD], "signal", **look),
    "factors": lambda **look: factor_dots([FACTORS], **look),
    "ratios": lambda **look: depth_ratio(
        [("small init", [LEAVING, STAYING]), ("He init", [BROKEN]), ("yet to come", [])], **look
    ),
    "pictures": lambda **look: gradient_pictures([WAVE, NOISE], **look),
    "autocorrelations": lambda **look: autocorrelations([WAVE, NOISE], [REFERENCE], **look),
    "correlation": lambda **look: correlation_by_depth([CORRELATED], **look),
    "spectrum": lambda **look: spectrum([SPECTRUM, ENDS, RANK_1], **look),
    "condition": lambda **look: condition([CONDITION], **look),
    "extremes": lambda **look: condition([CONDITION], "extremes", "depth", **look),
    "split": lambda **look: split([SPLIT, DEAD], **look),
    "empty walks": lambda **look: walks([], **look),
    "empty factors": lambda **look: factor_dots([], **look),
    "empty ratios": lambda **look: depth_ratio([("small init", [])], **look),
    "empty pictures": lambda **look: gradient_pictures([], **look),
    "empty autocorrelations": lambda **look: autocorrelations([], [REFERENCE], **look),
    "empty correlation": lambda **look: correlation_by_depth([], **look),
    "empty spectrum": lambda **look: spectrum([], **look),
    "empty condition": lambda **look: condition([], **look),
    "empty split": lambda **look: split([], **look),
    "unknown factors": lambda **look: factor_dots([UNKNOWN], **look),
    "unknown split": lambda **look: split([DEAD], **look),
}  # fmt: skip
LINKED = {"condition", "split"}


def said(figure):
    words = re.sub("<.*?>", " ", figure.layout.title.text).replace("\u00a0", " ")
    return " ".join(words.split())


def drawn(figure, name):
    (trace,) = (t for t in figure.data if t.name == name and t.showlegend)
    return trace


def hidden(figure, name):
    return [t for t in figure.data if t.name == name and not t.showlegend]


@pytest.mark.parametrize("narrow", [False, True])
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_is_valid_titled_and_described(name, theme, narrow):
    figure = FIGURES[name](theme=theme, narrow=narrow, note="seeds 0 and 1, CPU")
    go.Figure(json.loads(figure.to_json()))  # Plotly's own check of every name and value
    assert "seeds 0 and 1, CPU" in said(figure)
    assert re.fullmatch(r"[^\n]+\.", alt_text(figure))
    lines = [re.sub("<.*?>", "", text) for text in figure.layout.title.text.split("<br>")]
    assert max(map(len, lines)) <= (55 if narrow else 88)
    bare = name.split()[0]
    assert bool(figure.data) == (bare not in ("empty", "unknown"))
    if not figure.data:
        why = {"empty": "Nothing is measured yet", "unknown": "No block has a value to draw"}
        assert figure.layout.annotations[0].text == why[bare]
    assert bool(figure.layout.meta.get("blocks")) == (name in LINKED)


def test_walks_draw_seeds_mean_and_theory_and_say_what_is_left():
    figure = walks([WALK])
    np.testing.assert_allclose(drawn(figure, "tanh").y, FALL.mean(0), rtol=1e-6)
    np.testing.assert_allclose([t.y for t in hidden(figure, "tanh")], FALL, rtol=1e-6)
    (theory,) = hidden(figure, "tanh, predicted")
    np.testing.assert_allclose(theory.y, FALL.mean(0) - 0.5, rtol=1e-6)
    assert theory.line.dash == "dot"
    assert said(figure).startswith("After 50 layers 1e-8 of the gradient is left (theory 3.2e-9)")
    assert "dotted: predicted (width >= 256)" in said(figure)
    grown = replace(WALK, log10=-FALL, predicted=None)
    assert said(walks([grown])).startswith("After 50 layers the gradient is 1e8 x as large")
    invalid = FIGURES["signal"]()  # forward it ends at the output
    assert said(invalid).startswith("After 50 layers 1e-8 of the signal is left thin: seeds")
    assert "fainter: not valid here" in said(invalid)
    assert hidden(invalid, "tanh, predicted")[0].line.color.startswith("rgba")
    with pytest.raises(ValueError, match=r"^quantity: 'size' is none of gradient, signal"):
        walks([WALK], "size")


def test_products_beyond_every_float_keep_their_place_and_zeros_have_one():
    deep = WalkSeries("deep", PLAIN.color, np.linspace(-612, 0, 1001)[None])
    figure = walks([deep])
    assert "After 1000 layers 1e-612 of the gradient is left" in said(figure)
    zone = next(s for s in figure.layout.shapes if s.type == "rect")
    assert zone.y1 == pytest.approx(np.log10(float(np.finfo(np.float32).tiny)))
    assert zone.y0 == figure.layout.yaxis.range[0]
    assert not any(s.type == "rect" for s in walks([WALK]).layout.shapes)
    lost = FIGURES["walks"]()
    circles = next(t for t in lost.data if t.marker.symbol == "circle-open")
    assert circles.x.tolist() == list(range(20))
    (note,) = (a for a in lost.layout.annotations if a.text == "0: no gradient arrives")
    np.testing.assert_allclose(circles.y, note.y, rtol=1e-6)
    assert "nothing in lost" in said(lost)


@given(
    arrays(np.float64, 4, elements=st.floats(-5000, 5000, allow_subnormal=False)),
    st.booleans(),
    st.booleans(),
)
def test_a_scale_of_powers_holds_every_logarithm(logs, zero, broken):
    logs[:1] = -np.inf if zero else logs[:1]
    logs[1:2] = np.nan if broken else logs[1:2]
    scale = PowerScale.over([logs])
    known = scale.drawn(logs)
    assert np.isnan(known).tolist() == np.isnan(logs).tolist()
    assert ((scale.low <= known) & (known <= scale.high) | np.isnan(known)).all()
    assert (scale.floor is not None, scale.ceiling is not None) == (zero, broken)
    ticks = scale.axis("")["tickvals"]
    assert sum(scale.low <= tick <= scale.high for tick in ticks) >= 2
    assert [power(x) for x in (0, -8, -612.3, np.log10(0.37))] == ["1", "1e-8", "1e-612", "0.37"]


def test_factors_are_dots_with_their_median_and_range():
    figure = factor_dots([replace(FACTORS, valid=True)])
    dots = drawn(figure, "tanh")
    np.testing.assert_array_equal(dots.x.reshape(3, N), np.tile(np.arange(1, N + 1), (3, 1)))
    np.testing.assert_allclose(dots.y.reshape(3, N), FACTOR, rtol=1e-6)
    middle, low, high = (f(FACTOR) for f in (np.median, np.min, np.max))
    expected = f"by {middle:.2g} ({low:.2g} to {high:.2g}; theory 0.37)"
    assert expected in said(figure)
    assert "theory" not in said(factor_dots([FACTORS]))


def test_ratios_share_a_scale_on_which_the_zone_and_where_it_is_left_are_marked():
    figure = FIGURES["ratios"]()
    np.testing.assert_allclose(drawn(figure, "plain").y, np.exp(-0.1 * np.array(DEPTHS)), rtol=1e-6)
    zones = [s for s in figure.layout.shapes if s.type == "rect"]
    assert [(s.y0, s.y1) for s in zones] == 3 * [(1e-3, 1e3)]
    diamond = next(t for t in figure.data if t.marker.symbol == "diamond")
    assert (list(diamond.x), list(diamond.y)) == ([69.1], [1e-3])
    bound = next(t for t in figure.data if t.name == "plain, bound")
    assert set(bound.x) == {42}
    assert "16 xi; Yang et al." in bound.hovertemplate
    axes = [figure.layout[f"yaxis{n}"] for n in ("", "2", "3")]
    assert len({axis.range for axis in axes}) == 1
    marks = [t for t in figure.data if t.yaxis == "y2" and t.marker.symbol in ("circle-open", "x")]
    assert {t.marker.symbol: t.x.tolist() for t in marks} == {"circle-open": [8], "x": [32, 128]}
    assert "plain leaves at depth 69 (small init)" in said(figure)
    assert "residual stays inside in all 2 settings up to depth 128" in said(figure)


def test_the_first_points_of_a_ratio_already_stand_on_the_whole_axis():
    first = replace(STAYING, depths=[2], ratios=np.ones((1, 1)))
    figure = depth_ratio([("He init", [first]), ("small init", [])], deepest=1000)
    low, high = figure.layout.xaxis.range
    assert low < np.log10(2) < 3 < high
    assert "residual stays inside up to depth 2" in said(figure)
    beyond = replace(LEAVING, predicted=np.array([1, 1e-100, 1e-300, np.nan]))
    assert depth_ratio([("", [beyond])]).layout.yaxis.range[0] > -10  # theory does not stretch it


def test_gradients_are_drawn_whole_and_their_signs_counted():
    figure = gradient_pictures([WAVE, NOISE])
    np.testing.assert_allclose(figure.data[1].y, NOISE.gradient, rtol=1e-6)
    crossings = 2 * int(4 * 2 / np.pi) + 1  # sin(4x) from -2 to 2 passes 0 at multiples of pi/4
    pairs = zip(NOISE.gradient, NOISE.gradient[1:], strict=False)
    slow = sum((a < 0) != (b < 0) for a, b in pairs)
    assert f"sign {crossings} times in wave, {slow} times in noise" in said(figure)
    assert figure.layout.yaxis.range == figure.layout.yaxis2.range


def test_autocorrelations_stand_in_their_band_beside_references():
    figure = FIGURES["autocorrelations"]()
    np.testing.assert_allclose(drawn(figure, "wave").y, WAVE.autocorrelation, atol=1e-7)
    np.testing.assert_array_equal(drawn(figure, "white noise").y, REFERENCE[1])
    (band,) = (t for t in figure.data if t.fill)
    np.testing.assert_allclose(band.y[:31], WAVE.autocorrelation + 0.1, atol=1e-6)
    assert "below 0.5 after 16 points in wave, 1 point in noise" in said(figure)
    flat = replace(WAVE, autocorrelation=np.ones(31))
    assert "not within 30 points in wave" in said(autocorrelations([flat]))


def test_correlations_below_the_noise_are_open_and_theory_ends_where_it_holds():
    figure = correlation_by_depth([CORRELATED])
    points = drawn(figure, "plain")
    np.testing.assert_allclose(points.y[:3], CORRELATED.correlation[:3], rtol=1e-6)
    assert points.marker.symbol == ("circle", "circle", "circle-open", "circle-open")
    (note,) = (a for a in figure.layout.annotations if a.text == "0 or below")
    assert np.log10(points.y[3]) == pytest.approx(note.y, rel=1e-6)
    held, faint = (t for t in figure.data if t.line.dash == "dot")
    assert held.name == "plain, predicted 2^-L"
    assert (held.x.tolist(), faint.x.tolist()) == ([1, 2, 3, 4], [4, 5, 6, 7, 8])
    np.testing.assert_array_equal(np.append(held.y, faint.y[1:]), CORRELATED.predicted)
    assert "nothing above the noise in plain" in said(figure)
    assert "theory" not in said(figure)  # at depth 8, where it does not hold
    near = replace(CORRELATED, depths=(1, 2), correlation=CORRELATED.correlation[:2])
    near = replace(near, error=np.full(2, np.nan))
    assert "At depth 2 the gradients of two inputs correlate by 0.25 in plain (theory 0.25)" in (
        said(correlation_by_depth([near]))
    )


def test_spectra_place_every_value_at_its_rank_and_say_which_are_lost():
    figure = FIGURES["spectrum"]()
    whole = drawn(figure, "residual")
    np.testing.assert_allclose(whole.y, SIGMA, rtol=1e-6)
    np.testing.assert_allclose(whole.x, (np.arange(40) + 0.5) / 40)
    np.testing.assert_allclose(ENDS.share, [0.0005, 0.0015, 0.9985, 0.9995])
    for words in ("400 in residual", "not known in plain", "infinite in plain (2 of 3 lost)"):
        assert words in said(figure)
    assert "1 of plain were not found" in said(figure)
    labels = {a.text: a.y for a in figure.layout.annotations}
    assert labels["1: length is kept"] == 0
    lost = next(t for t in figure.data if len(t.x) == 3)
    np.testing.assert_allclose(np.log10(lost.y[1:]), labels["0 (lost in rounding)"], rtol=1e-6)


def test_condition_numbers_are_quotients_and_infinite_where_a_direction_is_lost():
    figure = condition([CONDITION])
    line, cross = figure.data
    quotients = CONDITION.largest[np.arange(N) != 5] / CONDITION.smallest[np.arange(N) != 5]
    np.testing.assert_allclose(line.y[np.arange(N) != 5], quotients, rtol=1e-6)
    assert np.isnan(line.y[5])
    assert (cross.marker.symbol, cross.x.tolist()) == ("x", [6])
    middle = np.median(np.append(quotients, np.inf))
    assert f"at the median block: {middle:.2g} in plain" in said(figure)
    both = condition([CONDITION], "extremes", "depth")
    np.testing.assert_allclose(both.data[1].y, CONDITION.largest, rtol=1e-6)
    with pytest.raises(ValueError, match=r"^by: 'layer' is none of block, depth"):
        condition([CONDITION], by="layer")


def test_shares_are_stacked_to_the_whole_with_what_works_against_it_below():
    figure = FIGURES["split"]()
    shortcut, residual, cosine = figure.data
    np.testing.assert_allclose(shortcut.y + residual.y, 100, rtol=1e-6)
    np.testing.assert_allclose(cosine.y, SPLIT.cosine, rtol=1e-6)
    assert figure.layout.barmode == "relative"
    low, high = figure.layout.yaxis.range
    assert low < -20
    assert high > 120
    assert "median block: 45 % in residual; no gradient arrives in plain" in said(figure)
    alone = split([replace(SPLIT, shortcut=np.zeros(N), residual=np.ones(N), cosine=DEAD.cosine)])
    assert len(alone.data) == 2  # nothing to draw an angle between
    assert "none in residual" in said(alone)
