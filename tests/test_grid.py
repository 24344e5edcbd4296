"""A sweep's grid, and the depth race as one."""

import pytest

from explorer.experiments.grid import expand, read_values
from explorer.experiments.race import BASE, LONGER, SHARE, Race, longer, normalized, race_run
from explorer.spec import RunSpec, SpecError, parse, short_form


def test_every_combination_with_every_seed_once() -> None:
    grid = {"depth": (8, 20), "shortcut": ("none", "zero_pad"), "lr": (0.1, 0.01)}
    runs = expand(parse("resnet-20,width=4,seed=5"), grid, seeds=3)
    assert len(runs) == len({run.key for run in runs}) == 2 * 2 * 2 * 3
    assert [run.seed for run in runs] == [5] * 8 + [6] * 8 + [7] * 8
    assert runs[0] == parse("plain-8,width=4,seed=5")
    assert runs[-1] == parse("resnet-20,width=4,seed=7,lr=0.01")


def test_equal_runs_count_once() -> None:
    assert len(expand(parse("resnet-8"), {"lr": (0.1, 0.1), "seed": (3,)})) == 1


def test_values_that_depend_on_each_other_may_come_in_any_order() -> None:
    grid = {"width": (4,), "depth": (20,), "block": ("preact",), "data": ("spirals",)}
    (run,) = expand(parse("resnet-8"), {**grid, "depth": (22,)})
    assert (run.network.family, run.network.depth, run.data.name) == ("mlp", 22, "spirals")


@pytest.mark.parametrize(
    ("field", "text", "values"),
    [
        ("depth", "8, 20,56", (8, 20, 56)),
        ("lr", "0.1,1e-3", (0.1, 0.001)),
        ("normalized", "true,false", (True, False)),
        ("skip", "1,20x1~7x0", ((1.0,), (1.0,) * 20 + (0.0,) * 7)),
        ("shortcut", "none,projection", ("none", "projection")),
        ("data", "digits,moons", ("digits", "moons")),
        ("seed", "0,7", (0, 7)),
    ],
)
def test_values_are_read_as_the_field_has_them(field: str, text: str, values: object) -> None:
    assert read_values(field, text) == values


@pytest.mark.parametrize(
    ("field", "text", "said"),
    [
        ("depth", "x", "depth: 'x' is not allowed"),
        ("norm", "bath", "norm: 'bath' is not allowed"),
        ("data", "dgits", "data: 'dgits' is not allowed; choose one of digits"),
        ("colour", "1", "field: 'colour' is not allowed"),
        ("lr", " , ", "lr: ' , ' is not allowed; one value or more"),
        ("skip", "1x", "skip: '1x' is not allowed"),
    ],
)
def test_a_value_that_cannot_be_is_named(field: str, text: str, said: str) -> None:
    with pytest.raises(SpecError) as error:
        read_values(field, text)
    assert str(error.value).startswith(said)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("grid", "seeds", "said"),
    [
        ({"depth": (9,)}, 1, "depth: '9' is not allowed"),
        ({"depth": ()}, 1, "depth: '' is not allowed"),
        ({}, 0, "seeds: '0' is not allowed"),
        ({"seed": tuple(range(500))}, 5, "grid: '2500 runs' is not allowed"),
    ],
)
def test_a_grid_that_cannot_be_is_refused(grid: dict, seeds: int, said: str) -> None:
    with pytest.raises(SpecError) as error:
        expand(BASE, grid, seeds)
    assert str(error.value).startswith(said)


def test_twins_of_a_race_differ_in_their_shortcut_alone() -> None:
    race = Race(depths=(8, 20), seeds=2)
    for plain, residual in zip(race.specs[::2], race.specs[1::2], strict=True):
        network = residual.network.replace(shortcut="none")
        assert plain == residual.replace(network=network)
    assert {run.network.depth for run in race.specs} == {8, 20}
    assert {run.seed for run in race.specs} == {0, 1}


def test_a_race_without_skips_to_keep_has_zero_padded_ones() -> None:
    (spec,) = Race(depths=(8,), kinds=("residual",), seeds=1, base=parse("plain-8")).specs
    assert spec.network.shortcut == "zero_pad"
    (kept,) = Race((8,), ("residual",), 1, parse("resnet-8,shortcut=projection")).specs
    assert kept.network.shortcut == "projection"


def _differing(one: RunSpec, other: RunSpec) -> set[str]:
    a, b = one.recipe.fields(), other.recipe.fields()
    return {name for name in a if a[name] != b[name]}


def test_variants_change_what_they_are_named_for() -> None:
    (spec,) = Race((20,), ("plain",), 1).specs
    (more,), (scaled,) = longer([spec]), normalized([spec])
    assert _differing(spec, more) == {"steps"}
    assert more.recipe.steps == LONGER * spec.recipe.steps
    assert _differing(spec, scaled) == {"normalized", "lr"}
    assert scaled.recipe.lr == SHARE
    steps = spec.recipe.steps
    found = [race_run(one, steps).variant for one in (spec, more, scaled)]
    assert found == ["", "longer", "normalized"]
    assert parse(short_form(scaled)) == scaled
