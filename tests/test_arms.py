"""Arms: the presets are what they say, one field changes one field, names tell arms apart."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from explorer.blocks import BLOCKS
from explorer.catalog import BUILT_IN
from explorer.comparison import differences, names
from explorer.experiments.arms import (
    DEFAULT,
    MOST_ARMS,
    PRESETS,
    Preset,
    change_all,
    section,
    value_of,
    with_value,
)
from explorer.spec import KEYS, NetworkSpec, Recipe, RunSpec, SpecError, parse, short_form
from explorer.spec.network import Init, Norm, Shortcut

FIELDS = ("family", "depth", *KEYS)
WHAT_DIFFERS = {
    "Small init, no norm": {"shortcut"},
    "He init, no norm": {"shortcut"},
    "BatchNorm, no skips": {"depth"},
    "BatchNorm and skips": {"shortcut"},
}


@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.name)
def test_arms_of_a_preset_differ_in_the_one_thing_it_names(preset: Preset) -> None:
    first, second = preset.specs
    changed = {field for field, _, _ in differences(first, second)}
    assert changed == WHAT_DIFFERS[preset.name]
    assert first.network.shortcut == "none"
    assert len(preset.specs) <= MOST_ARMS
    assert preset.look_at.endswith((".", ".)"))


def test_presets_are_the_four_regimes() -> None:
    assert [preset.name for preset in PRESETS] == list(WHAT_DIFFERS)
    assert DEFAULT in PRESETS
    facts = [{(s.network.norm, s.network.init) for s in preset.specs} for preset in PRESETS]
    assert facts == [{("none", "torch_default")}, {("none", "he")}, *[{("batch", "he")}] * 2]
    skips = [{spec.network.shortcut for spec in preset.specs} for preset in PRESETS]
    assert skips == [{"none", "zero_pad"}, {"none", "zero_pad"}, {"none"}, {"none", "zero_pad"}]
    assert [len({spec.network.depth for spec in preset.specs}) for preset in PRESETS] == [
        1,
        1,
        2,
        1,
    ]


RESNET, MLP = parse("resnet-20,width=8"), parse("mlp-20,width=8,data=spirals")
VALUES: dict[str, Sequence[Any]] = {
    "family": ["mlp"],
    "depth": [8, 56],
    "block": list(BLOCKS),
    "shortcut": Shortcut.__args__,
    "norm": Norm.__args__,
    "init": Init.__args__,
    "width": [1, 64],
    "bias": [True],
    "skip": [0.5, (1.0, 0.0) * 4 + (1.0,)],
    "residual": [0.0, (0.1,) * 9],
    "stages": [({"blocks": 4, "width": 8}, {"blocks": 2, "width": 16})],
    "branch_scale": [0.5],
    "data": [name for name, info in BUILT_IN.items() if info.kind == "image"],
    "augment": [True],
    "optimizer": ["adam", "adamw"],
    "lr": [0.001, 100],
    "momentum": [0, 0.5],
    "nesterov": [True],
    "weight_decay": [0.01],
    "schedule": ["step", "one_cycle"],
    "warmup": [0],
    "label_smoothing": [0.1],
    "clip": [1],
    "normalized": [True],
    "batch": [2, 1347],
    "steps": [1],
    "bf16": [True],
    "channels_last": [True],
    "seed": [1, 2**31 - 1],
}
FOLLOWS = {"stages": {"depth", "width"}, "data": {"inputs", "classes"}}


def test_every_field_has_values_to_try() -> None:
    assert set(VALUES) == set(FIELDS)


@pytest.mark.parametrize("field", FIELDS)
def test_one_field_changed_is_one_field_changed(field: str) -> None:
    for value in VALUES[field]:
        changed = with_value(RESNET, field, value)
        found = {name for name, _, _ in differences(RESNET, changed)}
        assert found - FOLLOWS.get(field, set()) <= {field}
        assert parse(short_form(changed)) == changed
        if field not in ("stages", "skip", "residual"):
            assert value_of(changed, field) == value
    assert with_value(RESNET, field, value_of(RESNET, field)) == RESNET


@given(st.sampled_from(FIELDS), st.data())
def test_a_change_and_back_again(field: str, data: Any) -> None:
    value = data.draw(st.sampled_from(list(VALUES[field])))
    other = with_value(RESNET, field, value)
    if field != "stages":
        assert with_value(other, field, value_of(RESNET, field)) == RESNET


CUT = parse("resnet-20,width=8,skip=4x1~5x0,residual=8x1~1x0.5")


@pytest.mark.parametrize(
    ("field", "value", "kept"),
    [
        ("depth", 20, True),
        ("depth", 56, False),
        ("block", "preact", True),
        ("block", "bottleneck", False),
        ("width", 4, True),
        ("norm", "none", True),
        ("shortcut", "projection", True),
    ],
)
def test_gates_a_block_stay_where_their_blocks_do(field: str, value: Any, kept: bool) -> None:
    changed = with_value(CUT, field, value).network
    expected = CUT.network if kept else RESNET.network
    assert (changed.skip, changed.residual) == (expected.skip, expected.residual)


def test_one_gate_for_all_fits_any_number_of_blocks() -> None:
    weak = with_value(RESNET, "skip", 0.5)
    assert with_value(weak, "depth", 56).network.skip == (0.5,)


def test_a_plain_network_has_no_skips_to_keep() -> None:
    plain = with_value(CUT, "shortcut", "none").network
    assert plain.skip == (1.0,)
    assert plain.residual == CUT.network.residual


def stages(spec: RunSpec) -> list[tuple[int, int]]:
    return [(stage.blocks, stage.width) for stage in spec.network.all_stages]


def test_listed_stages_follow_another_width_or_depth() -> None:
    flat, uneven = parse("plain-56,stages=27x8"), parse("resnet,stages=2x8~3x12~1x24")
    assert stages(with_value(flat, "width", 16)) == [(27, 16)]
    assert stages(with_value(flat, "depth", 20)) == [(9, 8)]
    assert stages(with_value(uneven, "width", 4)) == [(2, 4), (3, 6), (1, 12)]
    assert stages(with_value(uneven, "width", 1)) == [(2, 1), (3, 2), (1, 3)]
    assert stages(with_value(uneven, "depth", 20)) == [(3, 8), (3, 16), (3, 32)]


def test_points_need_an_mlp_and_images_bring_the_resnet_back() -> None:
    text = "resnet-20,width=8,norm=none,skip=4x1~5x0,batch=1000,augment=true,channels_last=true"
    images = parse(f"{text},lr=0.05,seed=3")
    points = with_value(images, "data", "spirals")
    expected = parse("mlp-20,width=8,norm=none,skip=4x1~5x0,batch=600,lr=0.05,seed=3,data=spirals")
    assert points == expected
    assert with_value(points, "data", "moons").network.family == "mlp"
    back = with_value(points, "data", "digits")
    assert back.network == images.network
    assert back.recipe == images.recipe.replace(batch=600, channels_last=False)


@pytest.mark.parametrize(("depth", "nearest"), [(4, 8), (20, 20), (30, 32), (400, 398)])
def test_images_bring_a_resnet_of_the_nearest_depth(depth: int, nearest: int) -> None:
    images = with_value(parse(f"mlp-{depth},width=4,data=spirals"), "data", "digits")
    assert (images.network.family, images.network.depth) == ("resnet", nearest)


def test_an_mlp_on_images_stays_one() -> None:
    assert with_value(parse("mlp-30"), "data", "mnist").network.family == "mlp"
    staged = with_value(parse("resnet,stages=3x8~3x16"), "family", "mlp").network
    assert (staged.family, staged.depth, staged.width, staged.stages) == ("mlp", 14, 8, ())


HOSTILE = [None, "", "banana", "1\n2", -1, 10**30, float("nan"), float("inf"), [], {}, [None], b"x"]
AFTER_ALL = {"skip": (-1,), "residual": (-1,), "branch_scale": (-1,), "stages": ([],)}


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("spec", [RESNET, MLP], ids=["resnet", "mlp"])
def test_hostile_values_are_refused_in_one_line(field: str, spec: RunSpec) -> None:
    for value in HOSTILE:
        if value in AFTER_ALL.get(field, ()):
            with_value(spec, field, value)
            continue
        with pytest.raises(SpecError, match=r"^[^\n]{1,500}$"):
            with_value(spec, field, value)


@pytest.mark.parametrize("field", ["inputs", "classes", "name", "", "network", "nonsense\nx"])
def test_what_is_no_field_to_choose_is_refused(field: str) -> None:
    for call in (section, lambda name: value_of(RESNET, name)):
        with pytest.raises(SpecError, match=r"^field: [^\n]*$"):
            call(field)
    with pytest.raises(SpecError, match=r"^field: [^\n]*$"):
        with_value(RESNET, field, 3)


@pytest.mark.parametrize(
    ("field", "value"), [("family", "resnet"), ("augment", True), ("channels_last", True)]
)
def test_what_points_cannot_have_is_refused(field: str, value: Any) -> None:
    with pytest.raises(SpecError, match=r"^[^\n]*$"):
        with_value(MLP, field, value)


def test_a_change_of_all_arms_keeps_what_they_differ_in() -> None:
    twins = DEFAULT.specs
    deeper = change_all(twins, "depth", 20)
    assert [(arm.network.depth, arm.network.shortcut) for arm in deeper] == [
        (20, "none"),
        (20, "zero_pad"),
    ]
    projected = change_all(twins, "shortcut", "projection")
    assert [arm.network.shortcut for arm in projected] == ["projection", "zero_pad"]
    race = tuple(parse(f"plain-{depth}") for depth in (20, 56, 20))
    assert [arm.network.depth for arm in change_all(race, "depth", 8)] == [8, 56, 8]
    assert [arm.recipe.lr for arm in change_all(race, "lr", 0.3)] == [0.3] * 3
    points = change_all(twins, "data", "spirals")
    assert [arm.network.family for arm in points] == ["mlp", "mlp"]
    assert differences(*points) == differences(*twins)


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["plain-56", "resnet-56"], ["plain-56", "residual-56"]),
        (["resnet-56,skip=0", "mlp-30,shortcut=none"], ["residual-56", "plain-mlp-30"]),
        (["mlp-30", "resnet-32"], ["residual-mlp-30", "residual-32"]),
        (["resnet-20", "resnet-20,lr=0.01"], ["residual-20", "residual-20, lr 0.01"]),
        (["resnet-20,seed=1", "resnet-20"], ["residual-20", "residual-20, seed 0"]),
        (["resnet-20", "resnet-20,augment=true"], ["residual-20", "residual-20, augment on"]),
        (["resnet-20", "resnet-20,data=mnist"], ["residual-20", "residual-20, data mnist"]),
        (["mlp-20", "mlp-20,data=xor"], ["residual-mlp-20", "residual-mlp-20, data xor"]),
        (["resnet-20", "resnet-20,skip=4x1~5x0"], ["residual-20", "residual-20, 5 of 9 skips cut"]),
        (["resnet-20,skip=4x1~5x0", "resnet-20"], ["residual-20", "residual-20, skip 1"]),
        (["resnet-20", "resnet-20,skip=0.5"], ["residual-20", "residual-20, skip 0.5"]),
        (["resnet-20", "resnet-20,skip=8x1~1x2"], ["residual-20", "residual-20, other skip gates"]),
        (["plain-8", "plain-8,residual=1~1~0"], ["plain-8", "plain-8, 1 of 3 residuals cut"]),
        (["plain-8"] * 3, ["plain-8", "plain-8 (2)", "plain-8 (3)"]),
        (
            ["plain-8", "plain-8,lr=1", "plain-8,lr=1,seed=2"],
            ["plain-8", "plain-8, lr 1", "plain-8, lr 1 (3)"],
        ),
        (["resnet-20", "resnet-20,skip=9x1"], ["residual-20", "residual-20 (2)"]),
    ],
)
def test_names_tell_arms_apart(texts: list[str], expected: list[str]) -> None:
    assert names([parse(text) for text in texts]) == expected


@given(st.lists(st.tuples(st.sampled_from(FIELDS), st.integers(0, 9)), max_size=6))
def test_names_are_unique_short_and_one_line(changes: list[tuple[str, int]]) -> None:
    arms = [RESNET, RESNET]
    for field, index in changes:
        arms.append(with_value(RESNET, field, VALUES[field][index % len(VALUES[field])]))
    found = names(arms)
    assert len(set(found)) == len(found) == len(arms)
    assert all(name.isprintable() and len(name) < 60 for name in found)


def test_every_field_of_a_spec_can_be_changed() -> None:
    assert {section(field) for field in FIELDS} == {"network", "data", "recipe", "run"}
    assert set(FIELDS) >= {*Recipe.model_fields, *NetworkSpec.model_fields} - {"inputs", "classes"}
