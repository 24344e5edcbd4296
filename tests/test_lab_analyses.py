"""Answers of the gradient laboratory: against the library's results, closed forms, slow twins."""

import copy
import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from subjects import PLAIN, PREACT, RESIDUAL, ask, subject

from explorer.analyses import Subject
from explorer.data import load
from explorer.data.order import BatchOrder
from explorer.flow import flow
from explorer.gradients.correlation import correlations
from explorer.gradients.lengths import by_length
from explorer.gradients.network_spectra import network_spectra
from explorer.gradients.shattering import ARMS, noise, shattering
from explorer.gradients.split import split
from explorer.network import build
from explorer.probes.flow import profile
from explorer.spec import SpecError, parse
from explorer.theory.mean_field import fixed_point

LAB = ("profile", "depth_ratio", "factors", "shattering", "correlations", "spectra", "split",
       "exact_lengths")  # fmt: skip
TOYS = ("factors", "shattering", "correlations")  # of no network
CHEAP: dict[str, dict[str, Any]] = {
    "factors": {"depth": 3, "width": 8, "seeds": 1},
    "shattering": {"depth": 2, "seeds": 1},
    "correlations": {"seeds": 1},
}


def drawn(text: str, step: int = 0) -> Subject:
    """A network as initialised."""
    run = parse(text)
    return Subject(build(run.network, run.seed), run, load(run.data), step)


def batch(one: Subject) -> tuple[torch.Tensor, torch.Tensor]:
    order = BatchOrder(len(one.data.x_train), one.run.recipe.batch, one.run.seed).indices(0)
    return one.data.x_train[order], one.data.y_train[order]


def floats(values: Any) -> NDArray[np.float64]:
    return np.array(values, np.float64)


@pytest.mark.parametrize("text", ["plain-14,width=4", "mlp-6,shortcut=none,norm=none"])
def test_the_profile_at_step_0_is_the_flow_over_seeds(text: str) -> None:
    expected = flow(parse(text), 3, "cpu").to_json()
    answer = ask("profile", drawn(text), seeds=3)
    assert answer.pop("step") == 0
    assert answer.pop("elapsed_s") > 0
    assert answer == {name: value for name, value in expected.items() if name != "elapsed_s"}
    assert answer["seeds"] == 3
    assert answer["predicted"] is not None


def test_a_later_profile_is_that_of_the_weights_of_that_step() -> None:
    later = replace(subject(RESIDUAL), step=12)
    answer = ask("profile", later, seeds=8)
    expected = profile(copy.deepcopy(later.network), *batch(later))
    for probe, values in expected.items():
        np.testing.assert_allclose(answer[probe], values, rtol=1e-5)
    assert (answer["step"], answer["seeds"]) == (12, 1)
    assert answer["sites"] == list(later.run.network.sites)
    assert "predicted" not in answer
    log_g = 2 * np.log(floats(answer["activation_gradient"]))
    slope = np.polyfit(2 * np.arange(7), log_g, 1)[0]  # two layers a block
    assert answer["rate"] == pytest.approx(math.exp(-slope))
    start = ask("profile", drawn(RESIDUAL))
    ratio = floats(answer["activation_gradient"]) / floats(start["activation_gradient"])
    assert np.abs(np.log(ratio)).max() > 0.05  # the steps in between have changed it


def test_the_ratio_at_a_depth_is_the_flow_s_at_that_depth() -> None:
    answer = ask("depth_ratio", drawn("plain-14,width=4"), depth=21, seeds=2)
    assert answer["depth"] == 20
    flows = [flow(parse(f"plain-20,width=4,seed={seed}"), 1, "cpu") for seed in (0, 1)]
    for ratio, found in zip(answer["ratios"], flows, strict=True):
        norms = found.activation_gradient
        assert ratio == pytest.approx(norms[0] / norms[-1], rel=1e-6)
    first = flows[0].predicted
    assert first is not None
    assert answer["predicted"] == pytest.approx(first[0] / first[-1])
    assert (answer["valid"], answer["region"]) == (flows[0].valid, flows[0].region)
    assert ask("depth_ratio", drawn("resnet-8,width=4"))["predicted"] is None


@pytest.mark.parametrize(("activation", "variance"), [("relu", 1.6), ("linear", 0.8), ("tanh", 2)])
def test_factors_are_within_3_percent_of_theory_at_width_256(
    activation: str, variance: float
) -> None:
    said = {"activation": activation, "variance": variance, "depth": 16, "seeds": 4}
    answer = ask("factors", **said)
    factor, gradient, signal = (floats(answer[name]) for name in ("factor", "gradient", "signal"))
    mean = np.exp(np.log(factor).mean(0))
    assert np.exp(np.log(mean / answer["predicted_factor"]).mean()) == pytest.approx(1, abs=0.03)
    assert gradient.shape == signal.shape == (4, 17)
    assert gradient[:, -1].tolist() == signal[:, 0].tolist() == [0] * 4
    # In every row the sizes are the products of the roots of the factors.
    np.testing.assert_allclose(-np.diff(gradient), np.log10(factor) / 2, atol=1e-9)
    walked = np.cumsum(np.log10(floats(answer["predicted_factor"]))[::-1])[::-1] / 2
    np.testing.assert_allclose(answer["predicted_gradient"][:-1], walked, atol=1e-9)
    if activation != "tanh":
        chi = variance / (2 if activation == "relu" else 1)
        np.testing.assert_allclose(answer["predicted_factor"], chi)
        depths = np.arange(17)
        np.testing.assert_allclose(answer["predicted_signal"], depths * math.log10(chi) / 2)
        assert answer["fixed"]["chi"] == pytest.approx(chi)
    else:
        assert answer["fixed"]["chi"] == pytest.approx(fixed_point("tanh", 2.0).chi)


def test_factors_that_float32_loses_are_lost_where_it_loses_them() -> None:
    answer = ask("factors", variance=0.1, depth=80, width=64, seeds=1)
    product, lost = np.float32(1), None
    for number, factor in enumerate(reversed(answer["factor"][0]), 1):
        product = product * np.float32(math.sqrt(factor))
        if product < np.finfo(np.float32).tiny:
            lost = number
            break
    assert answer["lost"] == lost
    assert lost is not None
    assert answer["valid"] is False  # 64 are not wide


@pytest.mark.parametrize("arm", ["plain_batch", "residual_small"])
def test_shattering_is_the_library_s(arm: str) -> None:
    answer = ask("shattering", arm=arm, depth=5, seeds=2)
    found = shattering(ARMS[arm], 5, seeds=2)
    for name in ("x", "gradient", "lags", "mean", "std"):
        assert answer[name] == getattr(found, name).tolist()
    assert answer["mean"][0] == pytest.approx(1)
    assert np.linalg.norm(answer["gradient"]) == pytest.approx(1)
    assert np.sum(answer["gradient"]) == pytest.approx(0, abs=1e-6)


def test_noises_and_correlations_are_the_library_s() -> None:
    for kind in ("white", "brown"):
        assert ask("shattering", arm=kind, seeds=4)["mean"] == noise(kind, seeds=4).mean.tolist()
    answer = ask("correlations", arm="residual_batch", seeds=2)
    found = correlations(ARMS["residual_batch"], seeds=2)
    assert answer["mean"] == found.mean.tolist()
    assert answer["depths"] == list(found.depths)
    assert len(answer["predicted"]) == answer["depths"][-1]
    np.testing.assert_array_equal(answer["predicted"], found.theory.correlation)


def test_blocks_whose_residual_is_0_are_isometries() -> None:
    """h + 0 F(h) = h where no activation follows the sum, so all their singular values are 1."""
    answer = ask("spectra", drawn("resnet-14,stages=6x4,block=preact,residual=0,batch=16"))
    for where in ("blocks", "from_stem"):
        for end in ("largest", "smallest"):
            np.testing.assert_allclose(answer[where][end], 1, atol=1e-12)
    np.testing.assert_allclose(answer["last"]["values"], 1, atol=1e-12)
    assert answer["last"]["complete"]


@pytest.mark.parametrize("text", [PREACT, PLAIN])
def test_spectra_are_the_library_s_at_the_chosen_example(text: str) -> None:
    one = subject(text)
    answer = ask("spectra", one, example=3)
    found = network_spectra(one.network, batch(one)[0], 3)
    assert answer["whole"]["values"] == found.whole.values.tolist()
    assert answer["whole"]["shape"] == [10, 64]
    assert answer["blocks"]["largest"] == [spectrum.largest for spectrum in found.blocks]
    assert answer["from_stem"]["smallest"] == [one.smallest for one in found.from_stem]
    assert answer["whole"]["values"] != ask("spectra", one, example=4)["whole"]["values"]


@pytest.mark.parametrize("text", [RESIDUAL, PREACT])
def test_both_ways_back_and_all_lengths_add_up(text: str) -> None:
    one = subject(text)
    answer, found = ask("split", one), split(one.network, *batch(one))
    shares = floats(answer["shortcut_share"]) + floats(answer["residual_share"])
    np.testing.assert_allclose(shares, 1, atol=1e-9)
    assert answer["cosine"] == found.cosine.tolist()
    lengths, exact = ask("exact_lengths", one), by_length(one.network, *batch(one))
    blocks = len(one.network.blocks)
    assert lengths["lengths"] == list(range(blocks + 1))
    assert lengths["share"] == exact.share.tolist()
    share = floats(lengths["share"])
    assert share.sum() == pytest.approx(1, abs=1e-9)
    assert lengths["mean"] == pytest.approx(sum(k * v for k, v in enumerate(share)))
    first, last = lengths["first"], lengths["last"]
    sizes = np.abs(share) / np.abs(share).sum()
    assert sizes[first : last + 1].sum() >= 0.95
    assert 0 <= first <= last <= blocks


@pytest.mark.parametrize("what", LAB)
def test_answers_are_json_also_where_no_gradient_arrives(what: str) -> None:
    alive = subject(RESIDUAL)
    dead = replace(alive, network=copy.deepcopy(alive.network), step=12)
    with torch.no_grad():
        dead.network.head.weight.zero_()
    for one in (alive, dead):
        subjects = () if what in TOYS else (one,)
        answer = ask(what, *subjects, **CHEAP.get(what, {}))
        assert json.loads(json.dumps(answer, allow_nan=False)) == answer
    if what in ("split", "exact_lengths"):
        unknown = answer["cosine" if what == "split" else "share"]
        assert set(unknown) == {None}


@pytest.mark.parametrize(
    ("what", "options", "said"),
    [
        ("profile", {"seeds": 33}, "seeds: '33' is not allowed; a whole number from 1 to 32"),
        ("profile", {"seed": 1}, "option: 'seed' is not allowed; profile has seeds"),
        ("depth_ratio", {"depth": 0}, "depth: '0' is not allowed; a whole number from 1 to 1202"),
        (
            "depth_ratio",
            {"depth": 1500},
            "depth: '1500' is not allowed; a whole number from 1 to 1202",
        ),
        ("factors", {"activation": "gelu"}, "activation: 'gelu' is not allowed; one of "),
        ("factors", {"variance": 0}, "variance: '0' is not allowed; a number above 0, at most 100"),
        ("factors", {"variance": True}, "variance: 'True' is not allowed; a number above 0"),
        ("factors", {"variance": math.nan}, "variance: 'nan' is not allowed; a number above 0"),
        ("factors", {"depth": 1000, "width": 384}, "width: '384' is not allowed; at most 223 at "),
        ("shattering", {"arm": "pink"}, "arm: 'pink' is not allowed; choose one of "),
        ("shattering", {"depth": 201}, "depth: '201' is not allowed; a whole number from 1 to 200"),
        ("correlations", {"seeds": "8"}, "seeds: '8' is not allowed; a whole number from 1 to 64"),
        ("spectra", {"example": 32}, "example: '32' is not allowed; a whole number from 0 to 31"),
        ("split", {"draws": 1}, "option: 'draws' is not allowed; split has none"),
        ("exact_lengths", {"draws": 1}, "option: 'draws' is not allowed; exact_lengths has none"),
    ],
)
def test_bad_options_are_one_line(what: str, options: dict[str, Any], said: str) -> None:
    with pytest.raises(SpecError) as error:
        ask(what, *(() if what in TOYS else (subject(RESIDUAL),)), **options)
    assert str(error.value).startswith(said)
    assert "\n" not in str(error.value)


def test_a_depth_at_which_a_network_is_too_large_is_one_line() -> None:
    with pytest.raises(
        SpecError, match=r"^depth: '1000' is not allowed; at that depth the network "
    ):
        ask("depth_ratio", drawn("resnet-8,width=64"), depth=1000)


@pytest.mark.parametrize("what", [name for name in LAB if name not in TOYS])
def test_a_question_of_one_network_is_not_asked_of_two(what: str) -> None:
    with pytest.raises(SpecError, match=r"^networks: '2' is not allowed"):
        ask(what, subject(RESIDUAL), subject(RESIDUAL))
