"""Words follow from numbers by their rules, and what is said to be held fixed is."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from explorer import diagnosis
from explorer.comparison import differences
from explorer.spec import parse
from explorer.trace import Trace
from explorer.wording import number, percent, times

SITES = ("stem", "block 1", "block 2")


def profile(first, last):
    return np.array([first, math.sqrt(abs(first * last)), last], np.float32)


def scalar(values, steps=None):
    values = np.asarray(values, np.float32).reshape(-1, 1)
    steps = np.arange(len(values)) if steps is None else np.asarray(steps)
    return Trace("scalar", steps, values, ("network",), "share")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0000003, "3e-7"),
        (320.4, "320"),
        (0, "0"),
        (0.37, "0.37"),
        (1.234, "1.2"),
        (99.7, "100"),
        (9999.4, "9999"),
        (12345, "1.2e4"),
        (2e21, "2e21"),
        (-0.5, "-0.5"),
        (math.nan, "NaN"),
        (-math.inf, "-inf"),
    ],
)
def test_numbers_are_short(value, text):
    assert number(value) == text


@pytest.mark.parametrize(
    ("ratio", "text"),
    [
        (1 / 430, "1/430 of"),
        (320.4, "320 x"),
        (3e-7, "3e-7 of"),
        (0.37, "0.37 of"),
        (0.999, "1 x"),
        (0.1, "1/10 of"),
    ],
)
def test_ratios_read_as_amounts(ratio, text):
    assert times(ratio) == text


@given(st.floats(1e-44, 1e38))
def test_a_number_in_words_is_within_six_percent(value):
    assert float(number(value)) == pytest.approx(value, rel=0.06)


def test_only_all_is_a_hundred_percent():
    assert percent(0.999) == "99 %"
    assert percent(1.0) == "100 %"


@pytest.mark.parametrize(
    ("first", "last", "word"),
    [
        (1, 1, "healthy"),
        (100, 1, "healthy"),
        (101, 1, "exploding"),
        (1, 99, "healthy"),
        (1, 101, "vanishing"),
        (0, 1, "dead"),
        (0, 0, "dead"),
        (math.nan, 1, "not finite"),
        (math.inf, 1, "not finite"),
    ],
)
def test_the_flow_rule_at_its_thresholds(first, last, word):
    verdict = diagnosis.gradient_flow_verdict(profile(first, last), SITES)
    assert verdict.word == word
    assert "100 x explodes, below 1/100 vanishes" in verdict.rule


def test_flow_sentences_name_the_arm_the_site_and_the_amount():
    vanishing = diagnosis.gradient_flow_verdict(profile(3e-7, 1), SITES, "plain-56")
    assert vanishing.sentence == (
        "plain-56: the stem receives 3e-7 of the last block's gradient: vanishing"
    )
    exploding = diagnosis.gradient_flow_verdict(
        np.array([640, 2], np.float32), ("block 1", "block 9"), "plain-56"
    )
    assert exploding.sentence == (
        "plain-56: block 1 receives 320 x the last block's gradient: exploding"
    )
    own = diagnosis.gradient_flow_verdict(profile(1, 2), ("conv1", "layer1", "fc"))
    assert own.sentence == "Conv1 receives 0.5 of fc's gradient: healthy"


def test_a_broken_gradient_is_named_where_it_breaks_nearest_the_loss():
    values = np.array([math.nan, math.inf, 1], np.float32)
    verdict = diagnosis.gradient_flow_verdict(values, SITES, "plain-56")
    assert verdict.sentence == "plain-56: the gradient at block 1 is not finite"
    dead = diagnosis.gradient_flow_verdict(profile(0, 1), SITES)
    assert dead.sentence == "The gradient at the stem is 0 (or below float32): dead"


def test_the_ratio_does_not_overflow_float32():
    values = np.array([1e30, 1e-30], np.float32)
    assert diagnosis.flow_ratio(values) == pytest.approx(1e60, rel=1e-5)
    with pytest.raises(ValueError, match="1 sites are too few"):
        diagnosis.flow_ratio(values[:1])


def test_findings_compare_arms_in_one_sentence():
    assert diagnosis.finding(["plain"], [1 / 430], "block 1", "block 27") == (
        "Block 1 receives 1/430 of the gradient that block 27 does"
    )
    assert diagnosis.finding(["plain-56", "residual-56"], [1 / 430, 17.0]) == (
        "The stem receives 1/430 of the last block's gradient in plain-56, 17 x in residual-56"
    )
    assert diagnosis.finding(["a", "b", "c"], [math.nan, 0.0, 0.5]) == (
        "The stem receives a gradient that is not finite in a, "
        "none of the last block's gradient in b, 0.5 in c"
    )


LN10 = math.log(10)


@pytest.mark.parametrize(
    ("losses", "accuracy", "word"),
    [
        ([LN10, 0.1], 0.95, "learns"),
        ([LN10, 0.5], 0.80, "partly learns"),
        ([LN10, 0.5], 0.15, "stuck near chance"),
        ([LN10, LN10], 0.50, "stuck near chance"),
        ([LN10, math.nan], 0.50, "diverged"),
        ([LN10], 0.10, "not started"),
    ],
)
def test_the_learning_rule(losses, accuracy, word):
    run = diagnosis.learning_verdict(scalar(losses), scalar([accuracy], [1]), 10, "plain-56")
    assert run.word == word
    assert run.sentence.startswith("plain-56 ")


def test_accuracy_of_the_untrained_network_decides_nothing():
    run = diagnosis.learning_verdict(scalar([LN10, 1.0, 0.5]), scalar([0.1], [0]), 10, "a")
    assert run.word == "partly learns"


def test_divergence_names_step_and_value():
    losses = scalar([1, 2, math.inf, math.nan], [0, 1, 2, 3])
    run = diagnosis.learning_verdict(losses, scalar([0.1]), 10, "plain-56")
    assert run.sentence == "plain-56 diverged at step 2 (loss is inf)"


def learning(name, accuracy, step=200, losses=(1.0, 1.0)):
    steps = np.linspace(0, step, len(losses)).astype(int)
    return diagnosis.learning_verdict(scalar(losses, steps), scalar([accuracy], [step]), 10, name)


def test_learning_findings_put_the_best_first():
    plain, residual = learning("plain-56", 0.19), learning("residual-56", 0.98)
    assert diagnosis.learning_finding([plain, residual]) == (
        "After 200 steps: residual-56 reaches 98 % test accuracy, plain-56 19 % (chance 10 %)"
    )
    late = learning("plain-56", 0.19, step=100)
    assert diagnosis.learning_finding([late, residual]) == (
        "residual-56 reaches 98 % test accuracy after 200 steps, "
        "plain-56 19 % after 100 steps (chance 10 %)"
    )
    broken = learning("plain-56", 0.19, losses=(1.0, math.nan))
    assert diagnosis.learning_finding([broken, residual]) == (
        "After 200 steps: residual-56 reaches 98 % test accuracy (chance 10 %); "
        "plain-56 diverged at step 200 (loss is NaN)"
    )
    assert diagnosis.learning_finding([broken]) == "plain-56 diverged at step 200 (loss is NaN)"


def held(*texts, **words):
    return diagnosis.held_fixed([parse(text) for text in texts], **words)


def test_twins_hold_all_but_the_shortcut():
    sentence, lines = held("plain-56", "resnet-56")
    assert sentence == (
        "Held fixed: data, order of batches, weights wherever a layer is shared, recipe, seed 0."
    )
    assert lines == ["residual-56: shortcut none -> zero_pad"]


@pytest.mark.parametrize(
    ("other", "lost", "difference"),
    [
        ("seed=1", {"order of batches", "weights", "seed"}, "seed 0 -> 1"),
        ("batch=64", {"order of batches", "recipe"}, "batch 128 -> 64"),
        ("data=mnist", {"data", "order of batches"}, "data digits -> mnist"),
        ("augment=true", {"data"}, "augment off -> on"),
        ("lr=0.05", {"recipe"}, "lr 0.1 -> 0.05"),
        ("init=xavier", {"weights"}, "init he -> xavier"),
        ("width=8", {"weights"}, "width 16 -> 8"),
        ("norm=none", set(), "norm batch -> none"),
    ],
)
def test_what_differs_is_not_said_to_be_held(other, lost, difference):
    sentence, lines = held("plain-56", f"resnet-56,{other}", labels=["plain", "residual"])
    everything = {"data", "order of batches", "weights", "recipe", "seed"}
    said = {what for what in everything if what in sentence}
    assert said == everything - lost
    assert difference in lines[0]
    assert lines[0].startswith("residual: shortcut none -> zero_pad")


def test_one_network_under_two_recipes():
    sentence, lines = held("resnet-20", "resnet-20,lr=0.01")
    assert sentence == ("Held fixed: network, data, order of batches, initial weights, seed 0.")
    assert lines == ["residual-20, lr 0.01: lr 0.1 -> 0.01"]


def test_equal_gates_are_no_difference_and_cut_ones_are_counted():
    assert held("resnet-20", "resnet-20,skip=9x1")[1] == ["residual-20 (2): nothing differs"]
    assert held("resnet-20", "resnet-20,skip=4x1~5x0", labels=["a", "b"])[1] == [
        "b: skip 1 -> 4 of 1, 5 of 0"
    ]


def test_shapes_that_follow_from_the_data_are_not_listed_again():
    changed = differences(parse("mlp-30"), parse("mlp-30,data=spirals"))
    assert [field for field, _, _ in changed] == ["data"]


def test_nothing_held_is_said_so():
    assert held("plain-20", "resnet-20,seed=3,lr=0.5,data=mnist")[0] == "Held fixed: nothing."
