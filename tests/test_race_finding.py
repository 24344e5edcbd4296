"""The race's words follow its rule, whatever the runs did; the interval is Welch's."""

import math
import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from explorer import race_rule, race_runs
from explorer.race_finding import explanation, finding
from explorer.race_rule import losers
from explorer.race_runs import RaceRun
from explorer.trace import Trace

EMPTY = np.zeros(0)


def trace(values, steps=None):
    column = np.asarray(values, np.float32).reshape(-1, 1)
    steps = np.arange(len(column)) if steps is None else np.asarray(steps)
    return Trace("scalar", steps, column, ("network",), "share")


def run(kind, depth, error, seed=0, variant="", state="done", steps=200, **more):
    """A run of 4 batches an epoch that is wrong on `error` of the last one's examples."""
    values = EMPTY if state == "queued" else np.full(8, 1 - error)
    fields = {
        "loss": trace(values),
        "train_accuracy": trace(values),
        "test_accuracy": trace(values[-1:], np.arange(8)[: len(values)][-1:]),
    }
    return RaceRun(
        kind, depth, seed, variant, state, steps, 32, 128, 10,
        **{**fields, **more}, elapsed_s=1.0, flops_per_step=1e6,
    )  # fmt: skip


def group(kind, depth, *errors, **more):
    return [run(kind, depth, error, seed, **more) for seed, error in enumerate(errors)]


PLAIN = [*group("plain", 20, 0.01, 0.02, 0.03), *group("plain", 56, 0.29, 0.31, 0.33)]
RESIDUAL = [*group("residual", 20, 0.0, 0.0, 0.0), *group("residual", 56, 0.0, 0.001, 0.0)]
errors = st.lists(st.integers(0, 900).map(lambda n: n / 1000), min_size=2, max_size=6)


def words(runs):
    return {(row.kind, row.variant, row.depth): row.word for row in finding(runs).rows}


def test_the_training_error_is_of_the_last_epoch():
    accuracy = trace([0.0] * 5 + [0.5, 0.75, 1.0, 0.75, 0.5])
    assert race_runs.train_error(run("plain", 8, 0, train_accuracy=accuracy)) == 0.25
    ragged = run("plain", 8, 0, train_accuracy=accuracy)
    assert ragged.epoch == 4
    assert [replace(ragged, train_size=n).epoch for n in (159, 160, 5)] == [4, 5, 1]
    young = run("plain", 8, 0, train_accuracy=trace([0.5, 0.0]))
    assert race_runs.train_error(young) == 0.75
    sparse = run("plain", 8, 0, train_accuracy=trace([0.0, 0.5, 1.0], [0, 3, 6]))
    assert race_runs.train_error(sparse) == 0.25  # of steps 3 and 6: four steps back


def test_the_test_error_is_the_newest():
    assert race_runs.test_error(run("plain", 8, 0, test_accuracy=trace([0.1, 0.75]))) == 0.25
    assert math.isnan(race_runs.test_error(run("plain", 8, 0, state="queued")))
    assert math.isnan(race_runs.train_error(run("plain", 8, 0, state="queued")))


@pytest.mark.parametrize("signs", [{"state": "diverged"}, {"loss": trace([2.3, math.inf])}])
def test_a_diverged_run_counts_at_chance(signs):
    gone = run("plain", 8, 0.1, **signs)
    assert gone.diverged
    assert gone.finished
    assert race_runs.train_error(gone) == race_runs.test_error(gone) == pytest.approx(0.9)


@pytest.mark.filterwarnings("ignore:Precision loss")  # of theirs, where one side is constant
@given(errors, errors)
def test_the_interval_is_welchs(one, other):
    low, high = race_rule.difference_interval(one, other)
    if len(set(one)) == len(set(other)) == 1:
        assert low == high == pytest.approx(one[0] - other[0])
        return
    theirs = stats.ttest_ind(one, other, equal_var=False).confidence_interval(0.95)
    assert (low, high) == pytest.approx((theirs.low, theirs.high), abs=1e-9)


@given(errors)
def test_the_interval_of_a_mean_is_students(values):
    low, high = race_rule.mean_interval(values)
    if len(set(values)) == 1:
        assert (low, high) == pytest.approx((values[0], values[0]))
        return
    theirs = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert (low, high) == pytest.approx((theirs.low, theirs.high), abs=1e-9)


@given(errors, errors)
def test_every_word_obeys_the_rule(deep, best):
    (row,) = finding([*group("plain", 20, *best), *group("plain", 56, *deep)]).rows
    assert row.difference == pytest.approx(np.mean(deep) - np.mean(best), abs=1e-6)
    worse = row.low > 0 and row.difference >= 0.01 - 1e-7
    expected = "trains worse" if worse else ("no worse" if row.high < 0.01 else "inconclusive")
    assert row.word == expected


@pytest.mark.parametrize(
    ("deep", "word"),
    [
        ((0.03, 0.03, 0.03), "trains worse"),  # exactly a point, without any spread
        ((0.029, 0.029, 0.029), "no worse"),
        ((0.02, 0.02, 0.02), "no worse"),
        ((0.0, 0.9, 0.9), "inconclusive"),
        ((0.9,), "not tested"),
    ],
)
def test_the_margin_and_the_edges(deep, word):
    runs = [*group("plain", 20, 0.02, 0.02, 0.02), *group("plain", 56, *deep)]
    assert words(runs) == {("plain", "", 56): word}


def test_the_sentence_names_what_is_worse_with_its_numbers():
    low, high = race_rule.difference_interval([0.29, 0.31, 0.33], [0.01, 0.02, 0.03])
    assert finding([*PLAIN, *RESIDUAL]).sentence == (
        "plain-56 trains worse than plain-20: 0.31 against 0.02 (difference 0.29, 95 % interval "
        f"{low:.2f} to {high:.2f}, 3 seeds); residual networks do not train worse with depth"
    )


def test_what_holds_is_said_of_either_kind():
    swapped = [replace(one, kind="residual") for one in PLAIN]
    swapped += [replace(one, kind="plain") for one in RESIDUAL]
    said = finding(swapped).sentence
    assert said.startswith("plain networks do not train worse with depth; residual-56 trains worse")


def test_each_depth_meets_the_best_shallower_one():
    runs = [
        *group("plain", 8, 0.3, 0.3),
        *group("plain", 20, 0.1, 0.1),
        *group("plain", 56, 0.2, 0.2),
    ]
    assert [(row.depth, row.best) for row in finding(runs).rows] == [(20, 8), (56, 20)]
    assert finding(runs).sentence == (
        "plain-56 trains worse than plain-20: 0.2 against 0.1 (difference 0.1, 95 % interval "
        "0.1 to 0.1, 2 seeds); plain-20 does not train worse than a shallower one"
    )


def test_one_seed_is_no_test_and_the_sentence_says_so():
    said = finding([run("plain", 20, 0.02), run("plain", 56, 0.31)]).sentence
    assert said == (
        "plain-56 beside plain-20 is not tested: 0.31 against 0.02 "
        "(difference 0.29, one seed: no test)"
    )
    uneven = finding([run("plain", 20, 0.02), *group("plain", 56, 0.3, 0.4)]).sentence
    assert "2 and 1 seeds: no test" in uneven


def test_the_same_seed_again_is_no_second_sample():
    runs = [run("plain", 20, 0.02), run("plain", 56, 0.31)] * 3
    assert words(runs) == {("plain", "", 56): "not tested"}


def test_unfinished_runs_are_left_out_and_counted():
    young = run("plain", 56, 0.9, seed=7, state="running")
    said = finding([*PLAIN, young, run("plain", 110, 0, state="queued")])
    assert said.sentence.startswith("so far (6 of 8 runs finished): plain-56 trains worse")
    assert said.rows == finding(PLAIN).rows
    deepest = run("residual", 110, 0, state="running")
    said = finding([*RESIDUAL, deepest]).sentence
    assert said.endswith("residual networks do not train worse up to depth 56")


@pytest.mark.parametrize(
    ("runs", "said"),
    [
        ([], "no run has finished with readings yet, of 0"),
        ([run("plain", 20, 0, state="queued")], "no run has finished with readings yet, of 1"),
        (
            [run("plain", 20, 0.1), run("residual", 20, 0.1, state="stopped")],
            "so far (1 of 2 runs finished): plain networks cannot be compared: only plain-20 has "
            "finished with readings; residual networks cannot be compared: none has finished "
            "with readings",
        ),
        (
            group("residual", 20, 0.1, 0.1) + group("residual", 56, 0.1, 0.1, state="diverged"),
            "residual-56 trains worse than residual-20: 0.9 against 0.1 (difference 0.8, 95 % "
            "interval 0.8 to 0.8, 2 seeds); 2 of 2 runs of residual-56 diverged and count at "
            "chance, 0.9",
        ),
    ],
    ids=["none", "queued", "one depth", "diverged"],
)
def test_the_sentence_is_true_of_races_that_went_otherwise(runs, said):
    assert finding(runs).sentence == said


def test_the_losers_are_the_finished_runs_as_asked():
    more = [
        run("plain", 56, 0.5, seed=7, state="running"),
        *group("plain", 56, 0.5, 0.5, variant="longer"),
    ]
    assert losers([*PLAIN, *RESIDUAL, *more]) == PLAIN[3:]
    assert losers(RESIDUAL) == []


def test_variants_are_compared_with_their_own_kind_and_leave_the_sentence_alone():
    normal = [
        *group("plain", 20, 0.1, 0.1, variant="normalized"),
        *group("plain", 56, 0.5, 0.5, variant="normalized"),
    ]
    both = finding([*PLAIN, *normal])
    assert both.sentence == finding(PLAIN).sentence
    assert words([*PLAIN, *normal]) == {
        ("plain", "", 56): "trains worse",
        ("plain", "normalized", 56): "trains worse",
    }


@pytest.mark.parametrize(
    ("after", "said"),
    [
        ((0.12, 0.12, 0.12), "0.12, plain-20 after 200: 0.02 (difference 0.1, .*: still worse$"),
        ((0.0, 0.0, 0.0), "0, plain-20 after 200: 0.02 (difference -0.02, .*: caught up$"),
        ((0.0, 0.9, 0.0), "inconclusive$"),
        ((0.12,), "1 and 3 seeds: no test.*: not tested$"),
    ],
)
def test_three_times_the_steps_by_the_same_rule(after, said):
    longer = group("plain", 56, *after, variant="longer", steps=600)
    text = explanation([*PLAIN, *longer])[0]
    assert text.startswith("plain-56 after 600 steps: ")
    assert re.search(said.replace("(", r"\("), text), text


@pytest.mark.parametrize(
    ("deep", "said"),
    [
        ((0.3, 0.3), ": a gap stayed"),
        ((0.02, 0.02), ": no gap stayed"),
        ((0.0, 0.9), "inconclusive"),
    ],
)
def test_normalised_steps_against_their_own_shallower_ones(deep, said):
    normal = [
        *group("plain", 20, 0.02, 0.02, variant="normalized"),
        *group("plain", 56, *deep, variant="normalized"),
    ]
    text = explanation([*PLAIN, *normal])[1]
    assert "plain-20 likewise: 0.02" in text
    assert "left a difference of 0.29" in text
    assert text.endswith(said)


def test_what_is_not_there_yet_is_said():
    none = explanation(PLAIN)
    assert none == [
        "plain-56 with 3x the steps: not trained yet",
        "plain-56 with normalised steps: not trained yet",
    ]
    queued = [run("plain", 56, 0, variant=v, state="queued") for v in ("longer", "normalized")]
    assert all("0 of 1 runs finished" in text for text in explanation([*PLAIN, *queued]))
    alone = group("plain", 56, 0.1, 0.1, variant="normalized")
    assert "no shallower one" in explanation([*PLAIN, *alone])[1]
    part = [*group("plain", 56, 0.1, 0.1, variant="longer"), replace(queued[0], seed=5)]
    assert "so far (2 of 3 runs finished)" in explanation([*PLAIN, *part])[0]
    assert explanation(RESIDUAL) == []


def test_what_diverged_with_more_steps_is_named():
    gone = group("plain", 56, 0.1, 0.1, variant="longer", state="diverged")
    assert explanation([*PLAIN, *gone])[0].endswith("count at chance, 0.9")


@given(st.integers(-(10**6), 10**6).map(lambda millionths: millionths / 1e6))
def test_a_share_is_written_in_two_digits(value):
    assert float(race_rule.share(value)) == pytest.approx(value, rel=0.06, abs=6e-5)
    assert "e" not in race_rule.share(value)
