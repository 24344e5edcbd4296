"""Answers about networks: against the library's own results, hand computation, lesioned copies."""

import base64
import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray
from subjects import (
    PLAIN,
    POINTS,
    PREACT,
    RESIDUAL,
    Values,
    accuracy,
    ask,
    logits,
    softmax,
    subject,
)
from torch import nn

from explorer.analyses import ANALYSES, Json, Subject
from explorer.analyses.base import packed
from explorer.data import LOADERS
from explorer.inside import attribution as captum_methods
from explorer.inside.cka import block_similarity
from explorer.inside.linear_probe import linear_probe
from explorer.inside.maps import maps
from explorer.inside.paths import path_gradients
from explorer.inside.responses import responses
from explorer.network import build
from explorer.spec import SpecError

METHODS = ("integrated_gradients", "grad_cam", "conductance", "occlusion", "neuron_gradient")
OF_NO_NETWORK = ("factors", "shattering", "correlations")
EVERY = [  # of one network
    *((w, {}) for w in ANALYSES if w not in ("attribution", "upload", *OF_NO_NETWORK)),
    ("lesion_each", {"harm": "noise", "place": "output"}),
    ("lesion_some", {"draws": 2, "swap": True, "reestimate": True}),
    *(("attribution", {"method": method, "steps": 4}) for method in METHODS),
]


def unpacked(said: Json) -> Values:
    steps = np.frombuffer(base64.b64decode(said["q"]), np.int8).reshape(said["shape"])
    return steps.astype(np.float64) / 127 * (said["peak"] or 0)


def values_of(answer: Json) -> NDArray[np.float32]:
    return np.frombuffer(base64.b64decode(answer["values"]), np.float32).reshape(answer["shape"])


@given(
    arrays(
        np.float32,
        array_shapes(max_dims=3, max_side=4),
        elements=st.floats(width=32, allow_nan=False, allow_infinity=False, allow_subnormal=False),
    )
)
def test_packed_values_come_back_within_what_is_said(values: NDArray[np.float32]) -> None:
    said = packed(values)
    exact, back = values.astype(np.float64), unpacked(said)
    assert said["peak"] == np.abs(exact).max()
    assert back.shape == values.shape
    assert np.array_equal(np.sign(back), np.sign(exact))
    small = np.abs(exact) < said["peak"] / 127
    np.testing.assert_allclose(np.abs(back[small & (exact != 0)]), said["peak"] / 127, rtol=1e-12)
    assert (np.abs(back - exact)[~small] <= said["peak"] / 254 * (1 + 1e-9)).all()


@pytest.mark.parametrize(
    ("values", "peak"), [([0, 0], 0.0), ([1, math.nan], None), ([math.inf, -1], None), ([], 0.0)]
)
def test_what_is_zero_or_not_finite_packs_to_zeros(values: list[float], peak: float | None) -> None:
    said = packed(np.array(values, np.float32))
    assert (said["peak"], unpacked(said).tolist()) == (peak, [0.0] * len(values))


@pytest.mark.parametrize("text", [RESIDUAL, PLAIN, PREACT, POINTS])
def test_maps_add_up_and_are_those_of_the_library(text: str) -> None:
    one = subject(text)
    answer = ask("maps", one, image="test:3")
    found = maps(one.network, one.data.x_test[3:4])
    np.testing.assert_array_equal(unpacked(answer["stem"]), unpacked(packed(found.stem)))
    for said, exact in zip(answer["blocks"], found.blocks, strict=True):
        x = np.zeros(()) if said["x"] is None else unpacked(said["x"])
        total = said["skip"] * x + unpacked(said["residual"])
        total = np.maximum(total, 0) if said["act"] else total
        peaks = [said[kind]["peak"] for kind in ("x", "residual", "output") if said[kind]]
        np.testing.assert_allclose(total, unpacked(said["output"]), atol=sum(peaks) / 127)
        np.testing.assert_allclose(total, exact.output, atol=sum(peaks) / 127)
        assert (said["x"] is None) == (text == PLAIN)
    assert answer["label"] == one.data.class_names[int(one.data.y_test[3])]
    expected = softmax(logits(one.network, one.data.x_test[3:4])[0])
    np.testing.assert_allclose(answer["probabilities"], expected, atol=1e-5)
    np.testing.assert_allclose(answer["lens"][-1], expected, atol=1e-5)
    assert (answer["picture"] is None) == (text == POINTS)


@pytest.mark.parametrize("text", [RESIDUAL, PLAIN])
def test_maps_say_how_values_lie_and_how_f_turns_x(text: str) -> None:
    one = subject(text)
    answer, found = ask("maps", one), maps(one.network, one.data.x_test[:1])
    for index, block in enumerate(found.blocks):
        for kind in ("x", "residual", "output"):
            values, said = getattr(block, kind), answer["quantiles"][kind][index]
            if values is None:
                assert said is None
                continue
            ranks = np.sort(values.ravel().astype(np.float64))
            at = np.array([0.05, 0.25, 0.5, 0.75, 0.95]) * (len(ranks) - 1)
            np.testing.assert_allclose(said, np.interp(at, np.arange(len(ranks)), ranks), rtol=1e-6)
        if block.x is None or block.x.shape != block.residual.shape:
            assert (answer["ratio"][index], answer["cosine"][index]) == (None, None)
            continue
        x, f = (v.ravel().astype(np.float64) for v in (block.x, block.residual))
        sizes = math.sqrt(x @ x), math.sqrt(f @ f)
        assert answer["ratio"][index] == pytest.approx(sizes[1] / sizes[0], rel=1e-9)
        assert answer["cosine"][index] == pytest.approx(x @ f / sizes[0] / sizes[1], rel=1e-9)
    assert [block["stage"] for block in answer["blocks"]] == [1, 1, 2, 2, 3, 3]


def test_samples_are_the_first_of_each_class_then_what_is_read_wrongly() -> None:
    one = subject()
    said = ask("samples", one)["samples"]
    guess, y = logits(one.network, one.data.x_test).argmax(1), one.data.y_test.numpy()
    raw = LOADERS["digits"].read("digits").x_test.numpy()
    numbers = [int(sample["id"].removeprefix("test:")) for sample in said]
    firsts = [int((y == label).argmax()) for label in range(10)]
    wrong = (guess != y).nonzero()[0]
    assert len(wrong) > 50  # that the training was short makes this a test
    assert numbers == [*firsts, *(number for number in wrong[:2] if number not in firsts)]
    for number, sample in zip(numbers, said, strict=True):
        assert (sample["label"], sample["read_as"]) == (str(y[number]), str(guess[number]))
        pixels = np.frombuffer(base64.b64decode(sample["pixels"]), np.uint8).reshape(1, 8, 8)
        assert np.array_equal(np.rint(pixels / 255 * 16), raw[number])


@pytest.mark.parametrize("method", METHODS)
def test_attributions_are_the_library_s_and_complete_within_their_error(method: str) -> None:
    one = subject()
    x, steps = one.data.x_test[5:6], 30
    end, start = (logits(one.network, image)[0] for image in (x, torch.zeros_like(x)))
    target = int(end.argmax())
    answer = ask("attribution", one, image="test:5", method=method, block=2, steps=steps)
    asked: dict[str, Callable[[], Any]] = {
        "integrated_gradients": lambda: captum_methods.integrated_gradients(
            one.network, x, target, steps=steps
        ),
        "grad_cam": lambda: captum_methods.grad_cam(one.network, x, target, 2),
        "conductance": lambda: captum_methods.conductance(one.network, x, target, steps=steps)[1],
        "occlusion": lambda: captum_methods.occlusion(one.network, x, target),
        "neuron_gradient": lambda: captum_methods.neuron_gradient(one.network, x, 2, strongest),
    }
    output = maps(one.network, x).blocks[1].output
    strongest = tuple(map(int, np.argwhere(output == output.max())[0]))
    expected = asked[method]().values
    expected = expected.sum(0) if method == "conductance" else expected
    np.testing.assert_allclose(values_of(answer), expected, rtol=1e-4, atol=1e-6)
    assert answer["target"] == answer["read_as"] == str(target)
    assert answer["logit"] == pytest.approx(end[target], abs=1e-4)
    complete = method in ("integrated_gradients", "conductance")
    assert (answer["error"] is not None, answer["change"] is not None) == (complete, complete)
    if complete:
        assert answer["change"] == pytest.approx(end[target] - start[target], abs=1e-4)
        missed = abs(values_of(answer).sum(dtype=np.float64) - answer["change"])
        error = answer["errors"][1] if method == "conductance" else answer["error"]
        assert missed == pytest.approx(error, abs=1e-4)


def test_what_speaks_for_and_against_adds_up_at_every_block() -> None:
    answer = ask("attribution", subject(), method="conductance", target=7, steps=20)
    sums = np.array(answer["positive"]) + np.array(answer["negative"])
    missed = np.abs(sums - answer["change"])
    np.testing.assert_allclose(missed, answer["errors"], atol=1e-4)
    assert answer["error"] == max(answer["errors"])
    assert min(answer["positive"]) >= 0 >= max(answer["negative"])
    assert (answer["target"], len(sums)) == ("7", 6)


def test_responses_are_those_of_the_library_and_the_lens_ends_in_the_accuracy() -> None:
    one = subject()
    answer, found = ask("responses", one), responses(one.network, one.data.x_test)
    for name in ("std", "ratio", "cosine", "dead_share", "effective_rank"):
        np.testing.assert_allclose(np.array(answer[name], float), getattr(found, name), rtol=1e-6)
    assert (answer["layers"], answer["blocks"]) == (list(found.layers), list(found.blocks))
    probe = linear_probe(one.network, one.data)
    assert answer["probe_accuracy"] == probe.test_accuracy.tolist()
    assert answer["lens_accuracy"][-1] == accuracy(one.network, one)
    assert answer["lens_accuracy"][:5] == [None] * 5  # the stem, and stages of fewer channels


def test_similarity_is_the_library_s_of_one_network_or_two() -> None:
    one, other = subject(), subject(PLAIN)
    x = one.data.x_test
    matrix = np.array(ask("similarity", one, examples=100)["matrix"])
    np.testing.assert_allclose(np.diag(matrix), 1)
    np.testing.assert_allclose(matrix, matrix.T)
    for options in ({}, {"debiased": False, "pooled": False}):
        answer = ask("similarity", one, other, **options)
        found = block_similarity(one.network, x, other.network, **options)
        np.testing.assert_allclose(answer["matrix"], found.matrix, rtol=1e-9)
        assert answer["examples"] == len(x) < 1000


def test_path_lengths_are_the_library_s_and_share_out_the_whole() -> None:
    one = subject()
    answer = ask("path_lengths", one, draws=3)
    x, y = one.data.x_train[:32], one.data.y_train[:32]
    found = path_gradients(one.network, x, y, draws=3, seed=0)
    for name in ("norm", "share", "paths", "draws"):
        np.testing.assert_allclose(answer[name], getattr(found, name), rtol=1e-9)
    share = np.array(answer["share"])
    assert share.sum() == pytest.approx(1)
    assert answer["effective"] == pytest.approx(share @ np.arange(7))
    first, last = answer["first"], answer["last"]
    assert share[first : last + 1].sum() >= 0.95 > share[first + 1 : last + 1].sum()
    assert answer["examples"] == 32


@pytest.mark.parametrize("text", [RESIDUAL, PLAIN, POINTS, "diverged"])
@pytest.mark.parametrize(("what", "options"), EVERY, ids=str)
def test_every_answer_is_json_and_leaves_the_network_alone(
    what: str, options: Json, text: str
) -> None:
    one = subject(RESIDUAL if text == "diverged" else text)
    if text == "diverged":
        network = build(one.run.network)
        for values in network.parameters():
            nn.init.constant_(values, math.nan)
        one = Subject(network, one.run, one.data)
    elif text == POINTS and options.get("method") in ("grad_cam", "occlusion"):
        with pytest.raises(SpecError, match=r"^(network|x): .*maps|squares"):
            ask(what, one, **options)
        return
    before = [values.numpy().tobytes() for values in one.network.state_dict().values()]
    modes = [part.training for part in one.network.modules()]
    answer = ask(what, one, **options)
    assert json.loads(json.dumps(answer, allow_nan=False)) == answer
    assert [v.numpy().tobytes() for v in one.network.state_dict().values()] == before
    assert [part.training for part in one.network.modules()] == modes
    if text == "diverged" and what == "attribution":
        assert (answer["logit"], answer["change"], answer["error"]) == (None, None, None)
        assert answer.get("positive") in (None, [None] * 6)


BAD = [
    ("lesion_each", "harm", {"harm": "fire"}),
    ("lesion_each", "place", {"harm": "zero", "place": "input"}),
    *(("lesion_some", "draws", {"draws": draws}) for draws in (0, 101, "3", True, 2.5, None)),
    ("path_lengths", "draws", {"draws": 201}),
    ("similarity", "examples", {"examples": 3}),
    ("attribution", "method", {"method": "saliency"}),
    ("attribution", "target", {"target": 10}),
    ("attribution", "block", {"method": "grad_cam", "block": 0}),
    ("attribution", "steps", {"steps": 1001}),
    ("attribution", "window", {"method": "occlusion", "window": 9}),
    ("maps", "image", {"image": "test:450"}),
    ("attribution", "image", {"image": 5}),
]


@pytest.mark.parametrize(("what", "field", "options"), BAD, ids=str)
def test_bad_options_are_one_line(what: str, field: str, options: Json) -> None:
    with pytest.raises(SpecError, match=rf"^{field}: .* is not allowed; .+") as caught:
        ask(what, subject(), **options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("what", ANALYSES)
def test_another_number_of_networks_is_one_line(what: str) -> None:
    for count in (1, 3) if what in OF_NO_NETWORK else (0, 3):
        with pytest.raises(SpecError, match=rf"^networks: '{count}' is not allowed"):
            ask(what, *[subject()] * count)
