"""Figures show all that was measured, within bounds, in words and colours that can be read."""

import json
import re

import numpy as np
import plotly.graph_objects as go
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from explorer.figures import (
    BoundarySeries,
    CurveSeries,
    Event,
    ProfileSeries,
    alt_text,
    arm_colors,
    boundary,
    curves,
    heatmap,
    make_arms,
    profile,
    sites_lines,
    thin,
)
from explorer.figures.scale import LogScale
from explorer.figures.theme import FURTHER, LOOKS, PLAIN, RESIDUAL
from explorer.figures.thin import thin_cells
from explorer.trace import Trace

PLAIN_ARM, RESIDUAL_ARM = make_arms(["plain-56", "residual-56"], [True, False])
SITES = ("stem", *(f"block {number}" for number in range(1, 28)))
STEPS = np.arange(0, 201, 2)
PROFILE = np.logspace(-7, 0, 28).astype(np.float32)


def trace(values, sites=SITES, steps=STEPS, log=True, unit="‖dL/dx‖"):
    return Trace("gradient", np.asarray(steps), np.asarray(values, np.float32), sites, unit, log)


def scalar(values):
    column = np.asarray(values, np.float32).reshape(-1, 1)
    return trace(column, ("network",), np.arange(len(column)), False, "nats")


def series(values=PROFILE, arm=PLAIN_ARM, **more):
    return ProfileSeries(arm, SITES[: len(values)], np.asarray(values, np.float32), **more)


def curve(arm=PLAIN_ARM, loss=(2.3, 1.0, 0.5)):
    return CurveSeries(arm, scalar(loss), scalar([0.1, 0.5, 0.9]), scalar([0.1, 0.4, 0.8]))


POINTS = np.array([[-1, -1], [1, 1]], np.float32)
LABELS = np.array([0, 1])
SPLIT = np.repeat([[0.1, 0.1, 0.9, 0.9]], 4, axis=0).astype(np.float32)  # class 1 on the right

FIGURES = {
    "profile": lambda **look: profile(
        [series(low=PROFILE / 2, high=PROFILE * 2, predicted=PROFILE)], **look
    ),
    "profile, broken": lambda **look: profile([series([0, np.nan, np.inf, 1])], **look),
    "profile, empty": lambda **look: profile([], **look),
    "curves": lambda **look: curves([curve(), curve(RESIDUAL_ARM)], 10, **look),
    "curves, diverged": lambda **look: curves(
        [curve(loss=(2.3, 1e9, np.nan))], 10, events=[Event(1, "skips cut")], **look
    ),
    "curves, empty": lambda **look: curves([], 10, **look),
    "heatmap": lambda **look: heatmap(
        [(arm, trace(np.tile(PROFILE, (101, 1)))) for arm in (PLAIN_ARM, RESIDUAL_ARM)], **look
    ),
    "heatmap, broken": lambda **look: heatmap(
        [(PLAIN_ARM, trace([[0, np.nan], [1e-38, 1e3]], SITES[:2], [0, 1]))], **look
    ),
    "heatmap, empty": lambda **look: heatmap([], **look),
    "boundary": lambda **look: boundary(
        [BoundarySeries(PLAIN_ARM, SPLIT.ravel(), 2.5)], POINTS, LABELS, **look
    ),
    "boundary, empty": lambda **look: boundary([], POINTS, LABELS, **look),
    "sites": lambda **look: sites_lines(
        [(PLAIN_ARM, trace([PROFILE], steps=[0], log=False))], **look
    ),
    "sites, empty": lambda **look: sites_lines([], **look),
}


@pytest.mark.parametrize("narrow", [False, True])
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_is_valid_titled_and_described(name, theme, narrow):
    figure = FIGURES[name](theme=theme, narrow=narrow, note="seed 0, step 200, CPU")
    go.Figure(json.loads(figure.to_json()))  # Plotly's own check of every name and value
    assert figure.layout.uirevision == "explorer"
    assert "seed 0, step 200, CPU" in figure.layout.title.text
    assert alt_text(figure).count("\n") == 0
    assert alt_text(figure).endswith(".")
    longest = max(len(re.sub("<.*?>", "", t)) for t in figure.layout.title.text.split("<br>"))
    assert longest <= (51 if narrow else 85)
    if "empty" in name:
        assert figure.layout.annotations[0].text == "No readings yet: press Play"
        assert figure.layout.xaxis.title.text


def luminance(color):
    shares = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [s / 12.92 if s <= 0.03928 else ((s + 0.055) / 1.055) ** 2.4 for s in shares]
    return float(np.dot([0.2126, 0.7152, 0.0722], linear))


def contrast(one, other):
    """WCAG 2.2, "contrast ratio"."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
def test_text_and_lines_stand_out(look):
    assert contrast(look.text, look.paper) >= 4.5
    assert contrast(look.quiet, look.paper) >= 4.5
    assert all(contrast(c, look.paper) >= 3 for c in (PLAIN, RESIDUAL, *FURTHER, look.mark))


def test_the_first_plain_arm_is_vermilion_and_the_first_residual_blue():
    assert arm_colors([False, True, False, True]) == ["#0072B2", "#D55E00", *FURTHER[:2]]
    arms = make_arms([f"arm {i}" for i in range(12)], [True] * 12)
    assert len({(arm.color, arm.dash) for arm in arms}) == 12


@given(
    arrays(np.float32, st.integers(1, 400), elements=st.integers(-50, 50)),
    st.integers(8, 60),
    st.integers(0, 399),
)
def test_thinning_keeps_extremes_ends_and_gaps(y, most, broken):
    if broken < len(y):
        y[broken] = np.nan
    x = np.arange(len(y))
    kept_x, kept_y = thin(x, y, most)
    assert len(kept_x) <= max(most, 8)
    assert (np.diff(kept_x) > 0).all()
    np.testing.assert_array_equal(kept_y, y[kept_x])
    assert {kept_x[0], kept_x[-1]} == {0, len(y) - 1}
    if np.isfinite(y).any():
        assert np.nanmin(kept_y) == np.nanmin(y)
        assert np.nanmax(kept_y) == np.nanmax(y)
    assert np.isnan(kept_y).any() == np.isnan(y).any()


def test_a_line_has_at_most_2000_points_and_keeps_its_spike():
    loss = np.ones(50_000)
    loss[31_337] = 9
    figure = curves([curve(loss=loss)], 10)
    line = figure.data[0]
    assert len(line.x) <= 2000
    assert line.x[np.argmax(line.y)] == 31_337


def test_cells_hold_the_greatest_and_broken_values_win():
    values = np.arange(12, dtype=np.float32).reshape(2, 6)
    values[1, 0] = np.nan
    cells, size = thin_cells(values, axis=1, most=3)
    assert size == 2
    np.testing.assert_array_equal(cells, [[1, 3, 5], [np.nan, 9, 11]])


def test_a_heatmap_has_at_most_300_by_300_cells_and_says_what_one_holds():
    values = np.full((1000, 601), 1e-3)
    values[777, 300] = 10
    sites = tuple(f"block {number}" for number in range(1, 602))
    figure = heatmap([(PLAIN_ARM, trace(values, sites, np.arange(1000)))])
    field = figure.data[0]
    assert field.z.shape == (201, 250)
    assert field.z[100, 194] == 1.0
    assert figure.layout.yaxis.range == (0.5, 601.5)
    assert "each cell: the greatest of 4 readings x 3 blocks" in figure.layout.title.text


def test_heatmaps_share_one_scale_and_mark_zero_and_broken_cells():
    low, high = np.full((2, 3), 1e-6), np.full((2, 3), 1e3)
    low[0, 0], low[1, 1] = 0, np.inf
    both = [
        (PLAIN_ARM, trace(low, SITES[:3], [0, 5])),
        (RESIDUAL_ARM, trace(high, SITES[:3], [0, 5])),
    ]
    figure = heatmap(both)
    axis = figure.layout.coloraxis
    assert (axis.cmin, axis.cmax) == (-6, 3)
    names = [t.name for t in figure.data if t.showlegend]
    assert names == ["0 (below float32)", "NaN or infinite"]
    zero, broken = (t for t in figure.data if t.name)
    assert np.argwhere(zero.z == 1).tolist() == [[0, 0]]  # block 0, step 0
    assert np.argwhere(broken.z == 1).tolist() == [[1, 1]]


def test_more_than_30_decades_of_colour_end_at_a_labelled_floor():
    values = [[1e-37, 1e-20, 1e2]]
    figure = heatmap([(PLAIN_ARM, trace(values, SITES[:3], [0]))])
    axis = figure.layout.coloraxis
    assert (axis.cmin, axis.cmax) == (-28, 2)
    assert axis.colorbar.ticktext[0] == "≤ 10<sup>-28</sup>"
    assert axis.colorbar.tickvals[0] == -28


def test_the_profile_title_is_the_finding():
    values = np.linspace(1, 430, 28)
    one = profile([series(values)]).layout.title.text
    assert "The stem receives 1/430 of the gradient that block 27 does" in one
    two = profile([series(values), series(np.ones(28), RESIDUAL_ARM)]).layout.title.text
    assert "1/430 of the last block's gradient in plain-56" in two.replace("</b><br><b>", " ")


def test_zeros_and_broken_values_are_drawn_where_their_labels_are():
    figure = profile([series([0, 1e-5, np.nan, np.inf, 1])])
    measured, zeros, broken = figure.data
    assert measured.y[0] == pytest.approx(zeros.y[0])
    assert np.isnan(measured.y[2:4]).all()
    assert zeros.x.tolist() == [0]
    assert broken.x.tolist() == [2, 3]
    labels = {a.text: a.y for a in figure.layout.annotations}
    assert 10 ** labels["0 (below float32)"] == pytest.approx(zeros.y[0], rel=1e-6)
    assert 10 ** labels["NaN or infinite"] == pytest.approx(broken.y[0], rel=1e-6)
    low, high = figure.layout.yaxis.range
    assert low < labels["0 (below float32)"] < -5
    assert 0 < labels["NaN or infinite"] < high


@given(arrays(np.float32, 5, elements=st.floats(0, 2.0**100, width=32, allow_subnormal=False)))
def test_a_log_scale_holds_every_value(values):
    scale = LogScale.over([values])
    drawn = np.log10(scale.drawn(values).astype(np.float64))
    assert ((scale.low <= drawn) & (drawn <= scale.high)).all()
    assert (scale.floor is not None) == (values == 0).any()
    assert scale.high - scale.low >= 1


def test_predictions_are_dotted_and_only_where_there_are_any():
    predicted = np.where(np.arange(28) < 3, np.nan, PROFILE)
    measured, theory = profile([series(predicted=predicted)]).data
    assert theory.name == "plain-56, predicted"
    assert theory.line.dash == "dot"
    assert theory.line.color == measured.line.color
    assert np.isnan(theory.y[:3]).all()
    assert np.isfinite(theory.y[3:]).all()


def test_arms_of_different_depth_end_at_their_own_block():
    figure = profile([series(PROFILE), series(PROFILE[:4], RESIDUAL_ARM)])
    assert [int(line.x[-1]) for line in figure.data] == [27, 3]


def test_other_probes_count_blocks_from_one_and_say_their_unit():
    ratios = trace([[0.5, 0.25]], ("block 1", "block 2"), [0], unit="‖F(x)‖ / ‖x‖")
    figure = sites_lines([(PLAIN_ARM, ratios)])
    assert figure.data[0].x.tolist() == [1, 2]
    assert figure.layout.yaxis.title.text == "‖F(x)‖ / ‖x‖"
    assert "0.5 at block 1, 0.25 at block 2 in plain-56" in figure.layout.title.text


def test_sites_lines_show_the_asked_step():
    changing = trace([[1, 2], [3, 4]], SITES[:2], [0, 10], log=False)
    assert sites_lines([(PLAIN_ARM, changing)], step=4).data[0].y.tolist() == [1, 2]
    assert sites_lines([(PLAIN_ARM, changing)]).data[0].y.tolist() == [3, 4]


def test_curves_mark_chance_divergence_and_events():
    figure = curves([curve(loss=(2.3, 3.0, np.nan))], 10, events=[Event(1, "skips cut")])
    said = [a.text for a in figure.layout.annotations]
    assert {"chance ln 10 = 2.3", "chance 10 %", "skips cut"} <= set(said)
    cross = figure.data[-1]
    assert (cross.x[0], cross.y[0]) == (2, 3.0)
    assert cross.text == ("diverged at step 2",)
    assert np.isnan(figure.data[0].y[2])


def test_a_huge_loss_turns_the_axis_logarithmic_and_says_so():
    assert curves([curve()], 10).layout.yaxis.type is None
    figure = curves([curve(loss=(2.3, 1e9, 1e9))], 10)
    assert figure.layout.yaxis.type == "log"
    assert figure.layout.annotations[0].text == "training loss (nats, log axis)"


def test_the_boundary_title_counts_points_on_their_own_side():
    right = boundary([BoundarySeries(PLAIN_ARM, SPLIT, 2.5)], POINTS, LABELS)
    assert "plain-56 100\u00a0%" in right.layout.title.text
    wrong = boundary([BoundarySeries(PLAIN_ARM, SPLIT, 2.5)], POINTS, 1 - LABELS)
    assert "plain-56 0\u00a0%" in wrong.layout.title.text
    field = right.data[0]
    np.testing.assert_array_equal(field.z, SPLIT)
    assert right.layout.yaxis.scaleanchor == "x"


def test_arrays_travel_as_base64_float32():
    figure = json.loads(profile([series()]).to_json())
    assert figure["data"][0]["y"]["dtype"] == "f4"
    field = json.loads(FIGURES["heatmap"]().to_json())["data"][0]
    assert field["z"]["dtype"] == "f4"
