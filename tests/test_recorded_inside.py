"""The networks that ship with the program, and the answers recorded about them."""

import base64
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import explorer
from explorer.answering import Answerer
from explorer.data import load
from explorer.experiments.inside_questions import usual_questions
from explorer.experiments.inside_reference import SPECS, recorded_answers
from explorer.inquiry import Inquiry, inquiry
from explorer.network import build
from explorer.spec import RunSpec, parse
from explorer.store import Store
from explorer.weights import Weights, find


def recorded(text: str) -> Weights:
    store = Store()
    found = find(store, text)
    store.close()
    return found


def answer(what: str, text: str, **options: Any) -> dict[str, Any]:
    """The recorded answer."""
    return recorded_answers().answers[inquiry(what, recorded(text), **options).key]


@pytest.mark.parametrize("text", SPECS)
def test_a_shipped_network_scores_by_hand_what_is_recorded(text: str) -> None:
    run: RunSpec = parse(text)
    tensors = load_file(recorded(text).path)
    network = build(run.network)
    network.load_state_dict({k.removeprefix("network."): v for k, v in tensors.items()})
    data = load(run.data)
    with torch.no_grad():
        guess = network.eval()(data.x_test).argmax(1)
    score = float((guess == data.y_test).double().mean())
    found = answer("lesion", text)
    assert found["accuracy"] == found["intact"] == pytest.approx(score, abs=1.01 / 450)
    assert answer("lesion_each", text)["intact"] == found["intact"]


def test_every_question_that_pages_ask_first_is_answered_and_no_other() -> None:
    asked = {question.key for question in usual_questions(Store())}
    assert asked == set(recorded_answers().answers)


def test_the_recorded_answers_are_those_of_the_recorded_networks() -> None:
    answerer = Answerer(torch.device("cpu"))
    wanted = ("samples", "maps", "responses", "path_lengths", "attribution", "similarity")
    plain = recorded(SPECS[0])
    some = [
        q for q in usual_questions(Store()) if q.what in (*wanted, "lesion_each")
        and q.weights == (plain,)
    ]  # fmt: skip
    some.append(inquiry("attribution", recorded(SPECS[3]), image="test:0", method="grad_cam"))
    assert len(some) > 8
    for question in some:
        assert_alike(answered(answerer, question), recorded_answers().answers[question.key])


def answered(answerer: Answerer, question: Inquiry) -> dict[str, Any]:
    found: dict[str, Any] = answerer.answer(question.question, lambda *at: None, lambda: False)
    return found


def assert_alike(ours: Any, theirs: Any, name: str = "") -> None:
    """Equal but for seconds, and for numbers that another machine rounds otherwise."""
    if isinstance(ours, dict):
        assert ours.keys() == theirs.keys()
        for key in ours.keys() - {"seconds", "ranked"}:
            assert_alike(ours[key], theirs[key], key)
    elif isinstance(ours, list):
        assert len(ours) == len(theirs)
        for pair in zip(ours, theirs, strict=True):
            assert_alike(*pair, name)
    elif name == "values":
        a, b = (np.frombuffer(base64.b64decode(t), np.float32) for t in (ours, theirs))
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-3 * np.abs(b).max())
    elif name == "q":
        a, b = (np.frombuffer(base64.b64decode(t), np.int8).astype(int) for t in (ours, theirs))
        assert np.abs(a - b).max() <= 1
    elif type(ours) is float:
        example = 1.01 / 450 if "accuracy" in name else 1e-4
        assert ours == pytest.approx(theirs, rel=1e-3, abs=example), name
    else:
        assert ours == theirs, name


def test_without_a_block_the_plain_network_fails_and_the_residual_one_does_not() -> None:
    """Veit et al. 2016, figure 3: VGG and a ResNet; blocks that keep the shape."""
    falls = {}
    for text in SPECS:
        each = answer("lesion_each", text)
        kept = ~np.array(each["changes_shape"])
        falls[text.partition(",")[0]] = 100 * (each["intact"] - np.array(each["accuracy"])[kept])
    assert np.median(falls["plain-20"]) > 40
    assert np.median(falls["resnet-56"]) < 5
    assert len(falls["resnet-56"]) == 25


def test_what_is_recorded_stays_small() -> None:
    folder = Path(explorer.__file__).parent / "recorded"
    files = [folder / "inside.json.gz", *(folder / "networks").iterdir()]
    assert sum(path.stat().st_size for path in files) < 3_000_000
    assert len(files) == 5
