"""The stored steps of networks, played one after the other."""

from dataclasses import replace

from explorer.spec import parse
from explorer.ui.gradients.steps import at, later
from explorer.weights import Weights

SPEC = parse("resnet-8,width=4")


def one(step: int, *steps: int, text: str = "7") -> Weights:
    return Weights(f"{text}@{step}", "residual-8", SPEC, step, "", f"{text}-{step}", steps)


def test_all_networks_go_on_together_and_wait_at_their_last_step() -> None:
    first, second = one(0, 0, 1, 3, 10), one(0, 0, 3, 5, text="resnet-8,width=4")
    shown = []
    while (nets := later((first, second))) is not None:
        shown.append(nets)
        first, second = (
            replace(net, text=text, step=int(text.rpartition("@")[2]))
            for net, text in zip((first, second), nets, strict=True)
        )
    assert [nets[0] for nets in shown] == ["7@1", "7@3", "7@3", "7@10"]
    assert [nets[1].rpartition("@")[2] for nets in shown] == ["0", "3", "5", "5"]


def test_a_network_of_one_step_has_no_later_one() -> None:
    assert later((one(0, 0),)) is None
    assert later((one(300, 0, 300),)) is None
    assert at(one(3, 0, 3), 0) == "7@0"
