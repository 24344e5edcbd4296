"""What a block with one thing changed does otherwise than the block as it is, in words."""

from typing import Any

from explorer.ui.gradients.sum_node_drawing import SHORTCUTS, digits, share

Json = dict[str, Any]
AS_IT_IS = (
    "Take the ReLU away, put a projection on the shortcut, multiply F by 0 or cut the skip: this "
    "line then says what that changes."
)


def finding(answer: Json) -> str:
    """The panel's title: what the sum does with its gradient."""
    size = digits(_gradient(answer, "sum"))
    block = f"Block {answer['block']}"
    if answer["kind"] is None:
        return f"{block} has no shortcut: its gradient of {size} goes through F alone"
    return f"The sum of {block.lower()} copies its gradient of {size} to F and to the shortcut"


def changed(now: Json, before: Json | None) -> str:
    """What `now["variant"]` changes against the block as it is; without that, what to try."""
    if before is None or now["variant"] == "as_is":
        return AS_IT_IS
    return CHANGES[now["variant"]](now, before)


def _no_act(now: Json, before: Json) -> str:
    if not before["act_after_sum"]:
        return "This block has no ReLU after its sum, so nothing changes."
    passed = share(_gradient(before, "sum"), _gradient(before, "output"))
    return (
        "Without the ReLU after the sum the gradient at the output passes whole; with it "
        f"{passed} of its norm. {_at_x(now, before)}"
    )


def _projection(now: Json, before: Json) -> str:
    if before["kind"] is None:
        return f"A projection of x is added to the plain block's F(x). {_at_x(now, before)}"
    kept = [
        share(_gradient(one, "x to shortcut"), _gradient(one, "gated shortcut(x)"))
        for one in (before, now)
    ]
    as_it_is = {"identity": "unchanged x"}.get(before["kind"], SHORTCUTS[before["kind"]])
    new = "a projection as drawn at initialisation"
    return (
        f"Of the norm at the sum {kept[1]} arrives at the fork by {new}, {kept[0]} by the "
        f"{as_it_is} of the block as it is. {_at_x(now, before)}"
    )


def _zeroed(now: Json, before: Json) -> str:
    if now["kind"] is None:
        return f"With F times 0 nothing is left of a plain block. {_at_x(now, before)}"
    taught = [norm for name, norm in now["weights"] if name.startswith("residual.")]
    weights = "no gradient" if all(norm == 0 for norm in taught) else "gradients that are not 0"
    return (
        "With F times 0 the sum still copies its gradient to F's side, but what comes back to x "
        f"comes through the shortcut alone; F's weights receive {weights}. {_at_x(now, before)}"
    )


def _cut(now: Json, before: Json) -> str:
    if now["kind"] is None:
        return "A plain block has no skip connection to cut, so nothing changes."
    return f"With the skip cut dL/dx comes back through F alone. {_at_x(now, before)}"


CHANGES = {"no_act": _no_act, "projection": _projection, "zeroed": _zeroed, "cut": _cut}


def _at_x(now: Json, before: Json) -> str:
    after, was = (digits(_gradient(one, "x")) for one in (now, before))
    return f"‖dL/dx‖: {after}, as it is {was}."


def _gradient(answer: Json, name: str) -> float | None:
    """‖gradient‖ on the edge of that name; None if there is none, or it is not finite."""
    found: dict[str, float | None] = {e["name"]: e["gradient_norm"] for e in answer["edges"]}
    return found.get(name)
