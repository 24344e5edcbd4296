"""Counts agree with torch's own and with the papers; estimates recover a known speed."""

import math
from dataclasses import astuple

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from explorer.blocks import BLOCKS
from explorer.cost import Speed, fit, multiply_adds, parameters, seconds_per_step, step_flops
from explorer.network import build
from explorer.shortcuts import SHORTCUTS
from explorer.spec import NetworkSpec, parse

MLP = {"family": "mlp", "width": 24}
VARIETY = [
    NetworkSpec(depth=8, width=5, inputs=(3, 9, 7), norm="group"),  # odd maps, uneven groups
    NetworkSpec(depth=8, width=4, inputs=(1, 8, 8), norm="none", bias=True, classes=3),
    NetworkSpec(depth=14, width=8, norm="layer", skip=(0.0,), shortcut="projection"),
    NetworkSpec(stages=({"blocks": 2, "width": 6}, {"blocks": 1, "width": 6}), shortcut="none"),
    NetworkSpec(stages=({"blocks": 1, "width": 9}, {"blocks": 2, "width": 4}), shortcut="none"),
    NetworkSpec(**MLP, depth=10, inputs=(2,), classes=2, bias=True),
    NetworkSpec(**MLP, depth=10, inputs=(1, 8, 8), norm="none", shortcut="projection_all"),
]


def every_block_and_shortcut():
    for block, form in BLOCKS.items():
        for shortcut in SHORTCUTS:
            for family in ("resnet", "mlp"):
                network = NetworkSpec(
                    family=family, depth=3 * form.layers + 2, width=4, block=block,
                    shortcut=shortcut, inputs=(3, 16, 16),
                )  # fmt: skip
                yield pytest.param(network, id=f"{block}-{shortcut}-{family}")


@pytest.mark.parametrize("network", [*every_block_and_shortcut(), *VARIETY])
def test_counts_agree_with_torch(network):
    module = build(network)
    assert parameters(network) == sum(p.numel() for p in module.parameters())
    with FlopCounterMode(display=False) as counter:
        module(torch.zeros(2, *network.inputs))
    assert 2 * 2 * multiply_adds(network) == counter.get_total_flops()


@pytest.mark.parametrize(
    ("depth", "exact", "millions"),
    [(20, 269_722, 40.6), (32, 464_154, 68.9), (44, 658_586, 97.2), (56, 853_018, 125.5)],
)
def test_counts_of_he_et_al_2015(depth, exact, millions):
    for shortcut in ("zero_pad", "none"):
        network = NetworkSpec(depth=depth, shortcut=shortcut)
        assert parameters(network) == exact
        assert round(multiply_adds(network) / 1e6, 1) == millions


@pytest.mark.parametrize("text", ["resnet-8,width=8", "plain-20,width=4,batch=32"])
def test_a_step_is_three_forward_passes_but_for_the_first_layers_input(text):
    """Torch counts what is computed; the stem needs no gradient of the data it reads."""
    spec = parse(text)
    module, images = build(spec.network), torch.zeros(spec.recipe.batch, *spec.network.inputs)
    with FlopCounterMode(display=False) as counter:
        module(images).sum().backward()
    stem = 9 * spec.network.width * 64 * spec.recipe.batch
    assert step_flops(spec) == counter.get_total_flops() + 2 * stem


GRID = [
    parse(f"resnet-{depth},width={width},batch={batch}")
    for depth in (8, 20, 56)
    for width in (4, 16)
    for batch in (32, 128)
]


@given(*(st.floats(10.0**low, 10.0**high) for low, high in ((-6, -1), (-7, -2), (-15, -9))))
def test_a_fit_recovers_the_speed_behind_its_samples(step_s, layer_s, flop_s):
    truth = Speed(step_s, layer_s, flop_s)
    speed = fit([(spec, truth.seconds(spec)) for spec in GRID])
    for spec in (*GRID, parse("plain-110,width=8,batch=64")):
        assert speed.seconds(spec) == pytest.approx(truth.seconds(spec), rel=0.05)
    assert min(astuple(speed)) >= 0


@given(st.floats(1e-3, 1e3), st.sampled_from(GRID), st.integers(1, 5))
def test_one_measurement_makes_the_default_faster_or_slower_as_a_whole(factor, spec, repeats):
    default = Speed.default()
    speed = fit([(spec, factor * default.seconds(spec))] * repeats)
    assert astuple(speed) == pytest.approx([factor * part for part in astuple(default)], rel=1e-6)


def test_noise_is_averaged_in_relative_terms():
    truth = Speed(1e-3, 1e-3, 1e-11)
    pairs = [(spec, truth.seconds(spec) * noise) for spec in GRID for noise in (0.9, 1.1)]
    speed = fit(pairs)
    for spec in GRID:
        assert speed.seconds(spec) == pytest.approx(truth.seconds(spec), rel=0.03)


def test_times_that_cannot_be_are_passed_over():
    good = (GRID[0], 0.1)
    bad = [(GRID[5], time) for time in (0.0, -1.0, math.nan, math.inf)]
    assert fit([good, *bad]) == fit([good])
    assert fit(bad) is None
    assert fit([]) is None


def test_the_default_knows_that_depth_width_and_batch_cost():
    one, *others = [
        seconds_per_step(parse(f"resnet-{form}"))
        for form in ("20,width=8", "56,width=8", "20,width=16", "20,width=8,batch=256")
    ]
    assert all(other > 1.2 * one for other in others)
    assert seconds_per_step(GRID[0], Speed(2, 0, 0)) == 2
