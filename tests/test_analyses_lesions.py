"""Lesions as answers: against lesioned copies, and against the library's own results."""

import copy

import numpy as np
import pytest
from subjects import PLAIN, RESIDUAL, accuracy, ask, loss, subject
from torch import nn

from explorer.inside.lesions import damage_each, delete_random, swap_random
from explorer.inside.routes import score, without
from explorer.spec import SpecError

ORDERS = [[], [1, 2], [1] * 6, [7, 2, 3, 4, 5, 6], [-1, 2, 3, 4, 5, 6], "123456", 6, None]
ORDERS += [[True, 2, 3, 4, 5, 6], [2.0, 1, 3, 4, 5, 6], [[1], 2, 3, 4, 5, 6], [1, 2, 3, 4, 5, 6, 0]]
ORDERS += [
    [1, 1, 3, 4, 5, 6],
    [3, 2, 1, 4, 5, 6],
    [1, 4, 3, 2, 5, 6],
    [1, 2, 5, 4, 3, 6],
    [4, 2, 3, 0, 5, 6],
]


@pytest.mark.parametrize("gone", [(1,), (3,), (2, 5, 6)])
def test_a_deleted_block_is_one_whose_residual_gate_is_shut(gone: tuple[int, ...]) -> None:
    one = subject()
    order = [0 if number in gone else number for number in range(1, 7)]
    cut = copy.deepcopy(one.network)
    cut.set_gates((1.0,) * 6, tuple(float(number > 0) for number in order))
    answer = ask("lesion", one, order=order)
    assert answer["accuracy"] == accuracy(cut, one)
    assert answer["loss"] == pytest.approx(loss(cut, one), rel=1e-4)
    assert answer["intact"] == accuracy(one.network, one)
    assert answer["changes_shape"] == [False, False, True, False, True, False]


@pytest.mark.parametrize("text", [RESIDUAL, PLAIN])
def test_swapped_blocks_are_those_of_a_network_built_in_that_order(text: str) -> None:
    one = subject(text)
    other = copy.deepcopy(one.network)
    first, second, *rest = other.all_blocks
    parts: dict[int, nn.Module] = {id(first): second, id(second): first}
    for parent in list(other.modules()):
        for name, child in list(parent.named_children()):
            if id(child) in parts:
                setattr(parent, name, parts[id(child)])
    assert list(other.all_blocks) == [second, first, *rest]
    answer = ask("lesion", one, order=[2, 1, 3, 4, 5, 6])
    assert answer["accuracy"] == accuracy(other, one)
    assert answer["loss"] == pytest.approx(loss(other, one), rel=1e-4)
    assert ask("lesion", one)["accuracy"] == answer["intact"] == accuracy(one.network, one)


@pytest.mark.parametrize("text", [RESIDUAL, PLAIN])
def test_each_lesion_is_the_lesion_of_that_block_alone(text: str) -> None:
    one = subject(text)
    each = ask("lesion_each", one)
    for place in range(6):
        order = [*range(1, 7)]
        order[place] = 0
        alone = ask("lesion", one, order=order)
        assert each["accuracy"][place] == alone["accuracy"]
        assert each["loss"][place] == pytest.approx(alone["loss"], rel=1e-6)
    assert each["intact"] == ask("lesion", one)["accuracy"]
    assert each["ranked"][0] == int(np.argmin(each["accuracy"])) + 1
    noisy = ask("lesion_each", one, harm="noise", place="output")
    found = damage_each(one.network, one.data, "noise", "output")
    np.testing.assert_array_equal(noisy["accuracy"], found.accuracy)


@pytest.mark.parametrize("swap", [False, True])
def test_random_lesions_are_those_of_the_library_and_begin_with_the_intact(swap: bool) -> None:
    one = subject()
    answer = ask("lesion_some", one, draws=3, swap=swap, reestimate=True)
    run = swap_random if swap else delete_random
    found = run(one.network, one.data, draws=3, seed=0, reestimate=True)
    np.testing.assert_allclose(answer["errors"], 1 - found.accuracy)
    np.testing.assert_allclose(answer["error"], np.mean(answer["errors"], axis=1))
    np.testing.assert_allclose(answer["tau"], found.tau)
    whole = score(one.network, list(one.network.all_blocks), one.data, True)
    assert answer["errors"][0] == pytest.approx([1 - whole.accuracy] * 3)
    if not swap:
        none = score(one.network, without(one.network, range(1, 7)), one.data, True)
        assert answer["errors"][6] == pytest.approx([1 - none.accuracy] * 3)


@pytest.mark.parametrize("order", ORDERS, ids=str)
def test_an_order_that_cannot_run_is_one_line(order: object) -> None:
    with pytest.raises(SpecError, match=r"^order: .* is not allowed; .+") as caught:
        ask("lesion", subject(), order=order)
    assert "\n" not in str(caught.value)
