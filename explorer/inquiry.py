"""A question about networks, named by its content, so that none is answered twice. No torch."""

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from explorer.weights import Weights

FORMAT = 1  # of the answers; raise it when an analysis comes to answer otherwise


@dataclass(frozen=True)
class Inquiry:
    """An analysis by name, the networks it is about, and its options, JSON-able values by name."""

    what: str
    weights: tuple[Weights, ...]
    options: tuple[tuple[str, Any], ...] = ()

    @cached_property
    def key(self) -> str:
        """The content key: equal ones have equal answers."""
        said = [FORMAT, self.what, [w.key for w in self.weights], sorted(self.options)]
        return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:24]

    @property
    def question(self) -> dict[str, Any]:
        """What a worker is told."""
        weights = [one.question for one in self.weights]
        return {"what": self.what, "weights": weights, "options": dict(self.options)}


def inquiry(what: str, *weights: Weights, **options: Any) -> Inquiry:
    """The question of that name; options that are None are left to the analysis."""
    said = ((name, value) for name, value in options.items() if value is not None)
    return Inquiry(what, weights, tuple(sorted(said)))
