"""One block laid open, as it is or with one thing changed: every edge, forward and backward."""

from dataclasses import asdict
from typing import Any

from torch import nn

from explorer.analyses.base import Json, Subject, analysis, finite, one, whole
from explorer.analyses.gradient_profile import first_batch
from explorer.gradients.sum_node import sum_node
from explorer.inside.mode import Report
from explorer.network import build
from explorer.spec import SpecError

VARIANTS: dict[str, Json] = {
    "as_is": {},
    "no_act": {"act_after_sum": False},
    "projection": {},  # its shortcut has to be built
    "zeroed": {"residual_gate": 0.0},
    "cut": {"skip": 0.0},
}


@analysis("sum_node", "block", "variant")
def laid_open(subjects: tuple[Subject, ...], options: Json, report: Report) -> Json:
    """The edges of block `block` on the run's first batch, in training mode.

    `variant`, one of VARIANTS, changes that block alone: no ReLU after its sum, a projection as
    its shortcut (with the weights that shortcut=projection_all draws from the run's seed), F or
    the shortcut times 0. `kind` says what the shortcut is: None, "identity", "zero_pad" or
    "projection". See explorer.gradients.sum_node; what is not finite is None.
    """
    subject = one(subjects)
    blocks = subject.network.all_blocks
    number = whole(options, "block", 1, len(blocks))
    variant = options.get("variant", "as_is")
    if variant not in VARIANTS:
        raise SpecError("variant", variant, f"choose one of {', '.join(VARIANTS)}")
    changed: dict[str, Any] = dict(VARIANTS[variant])
    shortcut = blocks[number - 1].shortcut
    if variant == "projection":
        shortcut = changed["shortcut"] = _projection(subject, number)
    report(0, 1)  # the last chance to cancel: one pass cannot be told to stop
    x, y = first_batch(subject)
    found = sum_node(subject.network, number, x, y, **changed)
    return {
        **asdict(found),
        "edges": [_plain(asdict(edge)) for edge in found.edges],
        "weights": [[name, finite(norm)] for name, norm in found.weights],
        **{at: finite(getattr(found, at)) for at in ("into_residual", "into_shortcut", "at_fork")},
        "variant": variant,
        "kind": _kind(shortcut),
        "examples": len(x),
        "step": subject.step,
        "device": str(x.device),
    }


def _projection(subject: Subject, number: int) -> nn.Module:
    """The shortcut of the same block in the network's twin with a projection in every block."""
    twin = build(subject.run.network.replace(shortcut="projection_all"), subject.run.seed)
    shortcut = twin.all_blocks[number - 1].shortcut
    assert shortcut is not None  # of a network with projections throughout
    return shortcut.to(subject.network.head.weight.device)


def _kind(shortcut: nn.Module | None) -> str | None:
    if shortcut is None or isinstance(shortcut, nn.Identity):
        return None if shortcut is None else "identity"
    return "projection" if any(True for _ in shortcut.parameters()) else "zero_pad"


def _plain(edge: Json) -> Json:
    """An edge as JSON can hold it."""
    sizes = {name: finite(edge[name]) for name in ("value_norm", "value_std", "gradient_norm")}
    return {**edge, **sizes, "shape": list(edge["shape"])}
