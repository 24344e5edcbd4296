"""The two passes through a block, stage by stage, in words made of the numbers that are there."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from explorer.ui.gradients.sum_node_drawing import arrows, digits, said_shape, share
from explorer.wording import capital

Json = dict[str, Any]
WEIGHTED = ("layer", "shortcut")  # nodes with weights of their own
TITLES = {
    "input": "x arrives",
    "fork": "the fork",
    "residual_gate": "the gate of F",
    "skip": "the gate of the skip connection",
    "sum": "the sum",
    "act": "the ReLU after the sum",
}


@dataclass(frozen=True)
class Stage:
    """One step of slow motion: its node, the edges that it lights, and what it shows in words."""

    node: str
    title: str
    edges: tuple[str, ...]
    text: str


def stages(answer: Json, words: Mapping[str, str]) -> list[Json]:
    """All stages, forward then backward, as {label, way, node, edges, text}."""
    block = _Block(answer, words)
    passes = {"forward": list(block.forward()), "backward": list(block.backward())}
    return [
        {"label": f"{way} {place} of {len(steps)}: {one.title}", "way": way}
        | {"node": one.node, "edges": list(one.edges), "text": one.text}
        for way, steps in passes.items()
        for place, one in enumerate(steps, 1)
    ]


class _Block:
    """The answer with its edges by the nodes at their ends."""

    def __init__(self, answer: Json, words: Mapping[str, str]) -> None:
        self.answer, self.words = answer, words
        self.edges = arrows(answer)
        self.starts = list(dict.fromkeys(edge["start"] for edge in self.edges))
        self.weights = dict(answer["weights"])

    def into(self, node: str) -> list[Json]:
        return [edge for edge in self.edges if edge["end"] == node]

    def out(self, node: str) -> list[Json]:
        return [edge for edge in self.edges if edge["start"] == node]

    def title(self, node: str) -> str:
        return TITLES.get(node) or (self.words[node] if node == "shortcut" else node)

    def forward(self) -> Iterator[Stage]:
        """One stage a node, in the order in which values come about."""
        for node in self.starts:
            edges = self.out(node)
            names = tuple(edge["name"] for edge in edges)
            yield Stage(node, self.title(node), names, self._forward(node, edges[0]))

    def _forward(self, node: str, out: Json) -> str:
        std = digits(out["value_std"])
        if node == "input":
            return f"x arrives, {said_shape(out['shape'])} an example: standard deviation {std}."
        if node == "fork":
            if self.answer["kind"] is None:
                return "There is no shortcut: x goes to F alone."
            return "The fork hands x to F and to the shortcut: both carry the same values."
        before = [digits(edge["value_std"]) for edge in self.into(node)]
        if node == "sum":
            if len(before) < 2:
                return f"Nothing is added to F(x): the sum is F(x), standard deviation {std}."
            ways = f"F(x) ({before[0]}) and the shortcut's values ({before[1]})"
            return f"The sum adds {ways}: standard deviation {std}."
        if node == "act":
            return f"The ReLU cuts what is below 0: standard deviation {before[0]} → {std}."
        name = self._said(node)
        name = capital(name) if name.startswith("the ") else name  # "layer0" is a name
        return f"{name}: standard deviation {before[0]} → {std}."

    def backward(self) -> Iterator[Stage]:
        """From the loss above to x: the gradient's arrival, then one stage a node."""
        last = self.edges[-1]
        size = digits(last["gradient_norm"])
        text = f"From the loss, through all later blocks, a gradient of norm {size} arrives."
        yield Stage("output", "a gradient arrives", (last["name"],), text)
        for node in reversed(self.starts[1:]):
            into = self.into(node)
            title = {"sum": self._copies(), "fork": self._adds()}.get(node, self.title(node))
            names = tuple(edge["name"] for edge in into)
            yield Stage(node, title, names, self._backward(node, into[0]))

    def _copies(self) -> str:
        both = "to both inputs" if self.answer["kind"] else "to F"
        return f"the sum copies its gradient {both}"

    def _adds(self) -> str:
        return "the fork adds two gradients" if self.answer["kind"] else "the gradient leaves"

    def _backward(self, node: str, into: Json) -> str:
        above = [edge["gradient_norm"] for edge in self.out(node)]
        below = digits(into["gradient_norm"])
        if node == "sum":
            return self._at_the_sum(digits(above[0]))
        if node == "fork":
            return self._at_the_fork([digits(one) for one in above], below)
        change = f"‖gradient‖ {digits(above[0])} → {below}"
        if node == "act":
            kept = share(into["gradient_norm"], above[0])
            return f"The ReLU lets a gradient through where its input is above 0: {change}, {kept}."
        return f"Back through {self._said(node)}: {change}.{self._taught(node)}"

    def _at_the_sum(self, upstream: str) -> str:
        into_f, into_skip = (self.answer[name] for name in ("into_residual", "into_shortcut"))
        if self.answer["kind"] is None:
            return f"F receives the sum's gradient whole, {upstream}: off by {_off(into_f)}."
        apart = (
            f"they differ from the upstream one by {_off(into_f)}"
            if into_f == into_skip
            else f"F's differs from the upstream one by {_off(into_f)}, the shortcut's by "
            f"{_off(into_skip)}"
        )
        return f"Both inputs receive the same gradient, of norm {upstream}: {apart} (relative)."

    def _at_the_fork(self, above: list[str], below: str) -> str:
        if self.answer["kind"] is None:
            return f"What comes back through F is dL/dx: ‖gradient‖ {below}."
        ways = f"{above[0]} through F and {above[1]} through the shortcut"
        off = _off(self.answer["at_fork"])
        return (
            f"The fork adds what comes back, {ways}: ‖dL/dx‖ {below}. As vectors they add up to "
            f"dL/dx, off by {off} (relative)."
        )

    def _said(self, node: str) -> str:
        """A node in a sentence: "layer0 (3×3 conv)", "the projection"."""
        if node in ("residual_gate", "skip"):
            return f"{TITLES[node]} ({self.words[node]})"
        name, _, what = self.words[node].partition(": ")
        return f"{name} ({what})" if what else f"the {name}"

    def _taught(self, node: str) -> str:
        """The gradient of the node's own weights, in words."""
        if not node.startswith(WEIGHTED):
            return ""
        own = [norm for name, norm in self.weights.items() if node in name.split(".")]
        return f" Its weights receive ‖dL/dW‖ {digits(own[0])}." if own else ""


def _off(difference: float | None) -> str:
    """A relative difference as it is computed, such as 0e+00 or 6e-08."""
    return "an unknown amount" if difference is None else f"{difference:.0e}"
