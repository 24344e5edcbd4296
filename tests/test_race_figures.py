"""The race's figures hide no seed, say what they show, and agree with the finding's numbers."""

import json
import re
from dataclasses import replace
from itertools import pairwise

import numpy as np
import plotly.graph_objects as go
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from explorer.figures import alt_text, by_depth, race
from explorer.figures.race import in_percent
from explorer.figures.race_lines import DASHES, running_mean
from explorer.figures.shades import depth_colors
from explorer.figures.theme import LOOKS, PLAIN, RESIDUAL
from explorer.race_runs import RaceRun, train_error
from explorer.trace import Trace

METRICS = ("train_error", "test_error", "loss")
AXES = ("steps", "epochs", "seconds", "flops")


def trace(values, steps=None):
    column = np.asarray(values, np.float32).reshape(-1, 1)
    steps = np.arange(len(column)) if steps is None else np.asarray(steps)
    return Trace("scalar", steps, column, ("network",), "share")


def run(
    kind="plain", depth=20, seed=0, accuracy=0.9, variant="", state="done", steps=40, upto=None
):
    """A run of 10 batches an epoch whose accuracy jumps about `accuracy`."""
    count = steps if upto is None else upto
    noise = np.random.default_rng([seed, depth]).normal(0, 0.02, count)
    tested = np.arange(0, count + 1, 20)[: count or 0]
    return RaceRun(
        kind, depth, seed, variant, state, steps, 32, 320, 10, trace(1 - accuracy + noise**2),
        trace(np.clip(accuracy + noise, 0, 1)), trace(np.full(len(tested), accuracy), tested),
        elapsed_s=count * depth / 100, flops_per_step=1e6 * depth,
    )  # fmt: skip


def diverged(*args, at=12, **more):
    whole = run(*args, **more, state="diverged", upto=at + 1)
    loss = whole.loss.values[:, 0].copy()
    loss[-2:] = 5.0, np.nan
    return replace(whole, loss=trace(loss))


FULL = [
    run(kind, depth, seed, 0.4 if (kind, depth) == ("plain", 56) else 0.9)
    for kind in ("plain", "residual")
    for depth in (8, 20, 56)
    for seed in range(3)
]
NAMES = {one.name for one in FULL}
VARIANTS = [
    *(run("plain", 56, seed, 0.8, "longer", steps=120) for seed in range(3)),
    *(run("plain", depth, seed, 0.8, "normalized") for depth in (20, 56) for seed in range(3)),
]
RACES = {
    "full": FULL,
    "variants": [*FULL, *VARIANTS],
    "one run": [run()],
    "live": [*FULL[:4], run(depth=56, seed=1, state="running", upto=5), diverged(depth=20, seed=9)],
    "diverged": [diverged(seed=seed) for seed in range(2)],
    "queued": [run(state="queued", upto=0)],
    "empty": [],
}


def said(figure):
    """The words over the figure, without their breaks."""
    words = re.sub("<.*?>", " ", figure.layout.title.text).replace("\u00a0", " ")
    return " ".join(words.split())


def named(figure, name):
    return [t for t in figure.data if t.name == name]


def thick(figure, name):
    (line,) = (t for t in named(figure, name) if t.showlegend)
    return line


def thin_ones(figure, name):
    return [t for t in named(figure, name) if t.mode == "lines" and not t.showlegend]


@pytest.mark.parametrize("narrow", [False, True])
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", RACES)
def test_every_figure_is_valid_titled_and_described(name, theme, narrow):
    look = {"theme": theme, "narrow": narrow, "note": "3 seeds, CPU"}
    drawn = [race(RACES[name], metric, "flops", **look) for metric in METRICS]
    drawn += [by_depth(RACES[name], metric, **look) for metric in METRICS[:2]]
    for figure in drawn:
        go.Figure(json.loads(figure.to_json()))  # Plotly's own check of every name and value
        assert "3 seeds, CPU" in figure.layout.title.text
        assert re.fullmatch(r"[^\n]+\.", alt_text(figure))
        assert bool(figure.data) == (name not in ("queued", "empty"))
        legend = [t.name for t in figure.data if t.showlegend]
        assert len(set(legend)) == len(legend)
        lines = [re.sub("<.*?>", "", text) for text in figure.layout.title.text.split("<br>")]
        assert max(map(len, lines)) <= (
            55 if narrow else 88
        )  # of the note, whose letters are small


def luminance(color):
    shares = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [s / 12.92 if s <= 0.03928 else ((s + 0.055) / 1.055) ** 2.4 for s in shares]
    return float(np.dot([0.2126, 0.7152, 0.0722], linear))


def contrast(one, other):
    """WCAG 2.2, "contrast ratio"."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("count", range(1, 9))
@pytest.mark.parametrize("color", [PLAIN, RESIDUAL])
@pytest.mark.parametrize("theme", LOOKS)
def test_deeper_is_stronger_and_the_weakest_stands_out(theme, color, count):
    strengths = [contrast(c, LOOKS[theme].paper) for c in depth_colors(color, count, theme)]
    assert strengths[0] >= 3
    assert strengths == sorted(strengths)
    assert all(b > 1.1 * a for a, b in pairwise(strengths))


@pytest.mark.parametrize("smooth", [False, True])
@pytest.mark.parametrize("metric", METRICS)
def test_every_seed_is_drawn_as_it_was_read(metric, smooth):
    figure = race(FULL, metric, smooth=smooth)
    for kind in ("plain", "residual"):
        seeds = thin_ones(figure, f"{kind}-20")
        mine = [one for one in FULL if (one.kind, one.depth) == (kind, 20)]
        assert len(seeds) == len(mine)
        for line, one in zip(seeds, mine, strict=True):
            source = one.train_accuracy if metric == "train_error" else one.test_accuracy
            values = one.loss.values if metric == "loss" else 100 * (1 - source.values)
            np.testing.assert_allclose(line.y, values[:, 0], rtol=1e-6)


def test_the_thick_line_is_the_mean_and_smooth_ends_at_the_error_of_the_finding():
    mine = [one for one in FULL if one.name == "plain-56"]
    rough = thick(race(FULL, smooth=False), "plain-56")
    accuracy = np.mean([one.train_accuracy.values[:, 0] for one in mine], axis=0)
    np.testing.assert_allclose(rough.y, 100 * (1 - accuracy), rtol=1e-5)
    end = thick(race(FULL), "plain-56").y[-1]
    assert end == pytest.approx(100 * np.mean([train_error(one) for one in mine]), rel=1e-5)
    tested = [thick(race(FULL, "test_error", smooth=s), "plain-56").y for s in (True, False)]
    np.testing.assert_array_equal(*tested)


@given(
    st.lists(st.tuples(st.integers(1, 4), st.integers(0, 64)), min_size=1, max_size=40),
    st.integers(1, 12),
)
def test_the_running_mean_is_of_the_window_that_ends_at_each_step(read, window):
    steps = np.cumsum([gap for gap, _ in read])
    values = np.array([value / 64 for _, value in read], np.float32)
    slow = [values[(steps > step - window) & (steps <= step)].mean() for step in steps]
    np.testing.assert_allclose(running_mean(steps, values, window), slow, rtol=1e-5, atol=1e-6)


def test_plain_is_dashed_residual_solid_and_depth_a_shade_of_the_kinds_colour():
    figure = race(FULL)
    for kind, color in (("plain", PLAIN), ("residual", RESIDUAL)):
        lines = [thick(figure, f"{kind}-{depth}").line for depth in (8, 20, 56)]
        assert {line.dash for line in lines} == {DASHES[kind]}
        assert [line.color for line in lines] == depth_colors(color, 3, "light")
    assert DASHES["residual"] == "solid" != DASHES["plain"]


def test_the_title_has_the_shallowest_and_the_deepest_of_each_kind():
    told = said(race(FULL))
    assert told.startswith("Training error after 40 steps: plain-8")
    for name in ("plain-8", "plain-56", "residual-8", "residual-56"):
        mean = np.mean([train_error(one) for one in FULL if one.name == name])
        assert f"{name} {in_percent(float(mean))}" in told
    assert "-20" not in told


def test_unfinished_networks_say_their_step_and_seeds_behind_stay_out_of_the_mean():
    late = run(depth=56, seed=1, accuracy=0.0, state="running", upto=5)
    runs = [run(depth=8), run(depth=56, state="running", upto=25), late]
    figure = race(runs, smooth=False)
    assert "so far, after 40 steps" in said(figure)
    assert "(step 25)" in said(figure)
    assert max(thick(figure, "plain-56").y) < 30
    assert len(thin_ones(figure, "plain-56")) == 2


def test_a_long_line_is_thinned_and_keeps_its_spike():
    accuracy = np.full(50_000, 0.9)
    accuracy[31_337] = 0.2
    figure = race([replace(run(), train_accuracy=trace(accuracy))])
    assert max(len(line.x) for line in figure.data) <= 300
    (seed,) = thin_ones(figure, "plain-20")
    assert seed.x[np.argmax(seed.y)] == 31_337


@pytest.mark.parametrize("x", AXES)
def test_the_x_axis_is_of_its_unit(x):
    one = run(depth=56)
    per_step = {"steps": 1, "epochs": 0.1, "seconds": 0.56, "flops": 56e6}[x]
    figure = race([one], x=x)
    for line in figure.data:
        np.testing.assert_allclose(line.x, per_step * np.arange(40), rtol=1e-5)
    wanted = {"seconds": "seconds of training (mean per step)", "epochs": "epoch"}
    assert figure.layout.xaxis.title.text == wanted.get(x, figure.layout.xaxis.title.text)


def test_chance_is_a_labelled_line_and_errors_count_from_zero():
    for metric, level, label in (("train_error", 90, "90 %"), ("loss", np.log(10), "ln 10 = 2.3")):
        figure = race(FULL, metric)
        assert figure.layout.shapes[0].y0 == pytest.approx(level)
        assert figure.layout.annotations[0].text == f"chance {label}"
        assert figure.layout.yaxis.range[0] == 0
        assert figure.layout.yaxis.range[1] > level


def test_a_diverged_run_has_a_cross_and_counts_at_chance_from_there_on():
    gone, whole = diverged(at=12), run(seed=1)
    figure = race([gone, whole], smooth=False)
    (cross,) = (t for t in figure.data if t.mode == "markers")
    assert (cross.marker.symbol, cross.x[0]) == ("x", 12)
    after = (90 + 100 * (1 - whole.train_accuracy.values[13:, 0])) / 2
    np.testing.assert_allclose(thick(figure, "plain-20").y[13:], after, rtol=1e-5)
    assert "1 of 2 diverged" in said(figure)
    loss = race([gone, whole], "loss", smooth=False)
    np.testing.assert_allclose(thick(loss, "plain-20").y, whole.loss.values[:, 0])
    (cross,) = (t for t in loss.data if t.mode == "markers")
    assert (cross.x[0], cross.y[0]) == (11, 5.0)
    assert "left out of the mean" in said(loss)


def test_three_times_the_steps_are_a_dotted_tail_and_other_variants_are_asked_for():
    figure = race([*FULL, *VARIANTS])
    tails = [t for t in figure.data if t.line.dash == "dot"]
    (tail,) = tails
    assert tail.x[0] == 40
    assert tail.line.color == thick(figure, "plain-56").line.color
    assert len(named(figure, "plain-56")) == 4
    normal = race([*FULL, *VARIANTS], variant="normalized")
    assert {t.name for t in normal.data} == {"plain-20", "plain-56"}
    assert "dotted" not in normal.layout.title.text


def test_a_huge_loss_turns_the_axis_logarithmic():
    wild = replace(run(), loss=trace([2.3, 1e6, 1.0]))
    assert race([wild], "loss").layout.yaxis.type == "log"
    assert race(FULL, "loss").layout.yaxis.type is None


def test_bars_are_the_t_interval_of_the_seeds_and_every_seed_is_a_dot():
    figure = by_depth(FULL)
    for kind, color in (("plain", PLAIN), ("residual", RESIDUAL)):
        dots, means = named(figure, kind)
        assert means.line.color == color
        for index, depth in enumerate((8, 20, 56)):
            errors = [100 * train_error(one) for one in FULL if one.name == f"{kind}-{depth}"]
            assert sorted(dots.y[3 * index : 3 * index + 3]) == pytest.approx(sorted(errors))
            theirs = stats.ttest_1samp(errors, 0).confidence_interval(0.95)
            mean, bar = means.y[index], means.error_y
            assert mean == pytest.approx(np.mean(errors))
            assert mean + bar.array[index] == pytest.approx(theirs.high, rel=1e-6)
            assert mean - bar.arrayminus[index] == pytest.approx(theirs.low, rel=1e-6, abs=1e-6)
    assert np.isnan(by_depth([run()]).data[1].error_y.array[0])


def test_the_title_by_depth_is_the_finding():
    wrong = {name: [train_error(one) for one in FULL if one.name == name] for name in NAMES}
    best = min((f"plain-{depth}" for depth in (8, 20)), key=lambda name: np.mean(wrong[name]))
    deep, shallow = (in_percent(float(np.mean(wrong[name]))) for name in ("plain-56", best))
    assert f"Plain-56 trains worse ({deep} against {shallow} of {best})" in said(by_depth(FULL))
    alone = [run(), run(kind="residual", accuracy=1.0)]
    assert "Training error: plain-20" in said(by_depth(alone))
    assert "Plain-56 is not tested" in said(by_depth([run(), run(depth=56, accuracy=0.1)]))


def test_what_is_unfinished_is_left_out_and_said():
    young = run(depth=56, seed=5, state="running", upto=20)
    figure = by_depth([*FULL, young])
    assert len(named(figure, "plain")[0].x) == 9
    assert said(figure).startswith("So far, ")
    assert "1 of 19 runs are not finished" in said(figure)


def test_variants_are_open_marks_of_their_own_name():
    figure = by_depth([*FULL, *VARIANTS])
    names = [t.name for t in figure.data if t.showlegend]
    assert names == ["plain", "plain, 3x the steps", "plain, normalised steps", "residual"]
    for name in names[1:3]:
        mark = thick(figure, name)
        assert mark.marker.symbol.endswith("-open")
        assert mark.mode == "markers"
    crosses = by_depth([run(), diverged(seed=1)]).data[0]
    assert list(crosses.marker.symbol) == ["circle", "x"]


def test_depths_stand_in_order_and_far_ones_on_a_log_axis():
    ticks = by_depth(FULL).layout.xaxis
    assert list(ticks.ticktext) == ["8", "20", "56"]
    assert np.diff(ticks.tickvals) == pytest.approx(np.array([12, 36]) / 48)
    far = by_depth([run(depth=8), run(depth=98), run(depth=1202)]).layout.xaxis
    assert far.title.text.endswith("log axis")
    assert far.tickvals[1] == pytest.approx(np.log(98 / 8) / np.log(1202 / 8))


@given(st.integers(1, 10**6).map(lambda n: n / 10**6))
def test_an_error_in_percent_is_never_rounder_than_the_truth(error):
    shown = in_percent(error)
    value = float(shown.removesuffix(" %"))
    assert value > 0
    assert value == pytest.approx(100 * error, rel=0.06)
    assert (value == 100) == (error == 1)
