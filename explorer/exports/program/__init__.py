"""An exported program in parts: what a script puts in one file and a notebook in cells.

Each part is written from the spec alone and holds only the branches that this spec takes.
"""

from collections.abc import Sequence

from explorer.exports.program.block import gates_of
from explorer.exports.program.data import data_section, is_published
from explorer.exports.program.init import init_section, random_section
from explorer.exports.program.network import network_section
from explorer.exports.program.run import changes_of, constants_section
from explorer.exports.program.source import Section
from explorer.exports.program.training import training_section
from explorer.spec import RunSpec
from explorer.store import Event

__all__ = ["Section", "is_published", "sections"]


def sections(spec: RunSpec, events: Sequence[Event] = (), arm: int = 0) -> list[Section]:
    """The program, step by step; ValueError for a run that no program can repeat."""
    changes = changes_of(spec, events, arm)
    kept = gates_of(spec.network, changes.gates)
    return [
        constants_section(spec, changes, kept),
        random_section(),
        data_section(spec),
        network_section(spec.network, kept),
        init_section(spec),
        training_section(spec, changes, kept),
    ]
