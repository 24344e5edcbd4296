"""Whether a run that was rebuilt is the run it was: hashes of curves, and where each was made.

A link carries an Outcome beside the arms: `expect` has a hash an arm, `made` names what a curve
depends on besides its spec. The curve itself is not in the link, so of a difference this says
which arms differ and which of the named facts do.
"""

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import astuple, dataclass, replace

import numpy as np

from explorer.spec import RunSpec, SpecError, short_form
from explorer.store import Comparison, Run, Store
from explorer.store.records import ENDED
from explorer.trace import Trace

DIGITS = 10  # of an arm's hash; two different curves have the same one once in 10^12
LONGEST_FACT = 60  # characters
MIXED = "mixed"  # among a run's `versions`: parts of it were trained in different places
BETWEEN = "~"  # between hashes and facts: addresses leave it as it is
HASH = re.compile(f"[0-9a-f]{{{DIGITS}}}")
FACT = re.compile(rf"[A-Za-z0-9 .,:+_()/@-]{{0,{LONGEST_FACT}}}")
OTHERS = re.compile(r"[^A-Za-z0-9 .,:+_()/@-]")
Read = Callable[[int, str], Trace]  # of a run's id and a probe
FACTS = ("device", "torch", "machine", "CPU capability", "GPU")  # in the order of Made's fields
NOT_THERE_YET = (
    "Once this run has come to its end, a link that also says what its curves were stands here."
)
RULE = (
    f"rule: an arm's hash is {DIGITS} digits of SHA-256 over its training loss at every step and "
    "its test accuracy after the last, as float32; gradients and times are not in it"
)


@dataclass(frozen=True)
class Made:
    """What a curve depends on besides its spec; "" for what is not known.

    `device` is a kind, such as cpu or cuda; `cpu` the instructions that torch computes with;
    `gpu` the name of the card. SpecError for what a link cannot carry.
    """

    device: str
    torch: str = ""
    machine: str = ""
    cpu: str = ""
    gpu: str = ""

    def __post_init__(self) -> None:
        for name, fact in zip(FACTS, astuple(self), strict=True):
            if not FACT.fullmatch(fact) or (name == "device" and not fact):
                allowed = f"at most {LONGEST_FACT} letters, digits, spaces and . , : + _ ( ) / @ -"
                raise SpecError(f"made, {name}", fact, allowed)

    @property
    def text(self) -> str:
        """The form of the address: `cpu~2.15.0~x86_64~AVX2`."""
        return BETWEEN.join(astuple(self)).rstrip(BETWEEN)

    @classmethod
    def parse(cls, text: str) -> "Made":
        """What `text` names; SpecError if it is no such form."""
        facts = text.split(BETWEEN, len(FACTS))
        if len(facts) > len(FACTS):
            raise SpecError("made", text, f"{', '.join(FACTS)}, joined by {BETWEEN}")
        return cls(*facts)

    @property
    def words(self) -> str:
        """As it stands in a sentence: "cpu (x86_64, AVX2), torch 2.15.0"."""
        inside = ", ".join(fact for fact in (self.gpu, self.machine, self.cpu) if fact)
        where = f"{self.device} ({inside})" if inside else self.device
        return f"{where}, torch {self.torch}" if self.torch else where

    def instead_of(self, other: "Made") -> list[str]:
        """The facts known of both that differ, as "device cuda instead of cpu"."""
        rows = zip(FACTS, astuple(self), astuple(other), strict=True)
        return [
            f"{name} {mine} instead of {theirs}"
            for name, mine, theirs in rows
            if mine and theirs and mine != theirs
        ]


@dataclass(frozen=True)
class Outcome:
    """The hash of every arm's curves, in the order of the arms; None where it is not said where."""

    hashes: tuple[str, ...]
    made: Made | None = None

    @property
    def query(self) -> dict[str, str]:
        """The query parameters that say so."""
        made = {"made": self.made.text} if self.made else {}
        return {"expect": BETWEEN.join(self.hashes), **made}

    @classmethod
    def parse(cls, expect: str, made: str, arms: int) -> "Outcome | None":
        """What a link says of its `arms` arms; None if nothing, SpecError if it cannot be."""
        if not expect:
            return None
        hashes = expect.split(BETWEEN, arms)
        if len(hashes) != arms or not all(HASH.fullmatch(one) for one in hashes):
            allowed = f"a hash of {DIGITS} digits 0-9a-f for each of {arms} arms, joined by ~"
            raise SpecError("expect", expect, allowed)
        return cls(tuple(hashes), Made.parse(made) if made else None)

    @property
    def invitation(self) -> str:
        """What a visitor who opened the link has to do."""
        where = f"; it was made on {self.made.words}" if self.made else ""
        return f"Press Play to rebuild this run{where}."


def curve_hash(traces: Sequence[Trace]) -> str:
    """DIGITS hexadecimal digits over the names, steps and float32 bits of one arm's traces.

    Equal on every machine for equal curves: bytes are little-endian, and all NaN are one.
    """
    digest = hashlib.sha256()
    for trace in traces:
        values = np.where(np.isnan(trace.values), np.float32(np.nan), trace.values)
        digest.update(f"{trace.probe} {len(trace)};".encode())
        digest.update(trace.steps.astype("<i8").tobytes())
        digest.update(values.astype("<f4").tobytes())
    return digest.hexdigest()[:DIGITS]


def arm_hash(spec: RunSpec, read: Callable[[str], Trace]) -> str:
    """The hash of an arm whose trace of a probe `read` gives.

    It covers what is read however the run was watched. The test set is also read whenever
    somebody presses Step, so of its accuracy only the last reading counts.
    """
    tested = read("test_accuracy")
    last = tested.steps == spec.recipe.steps
    tested = replace(tested, steps=tested.steps[last], values=tested.values[last])
    return curve_hash([read("train_loss"), tested])


def made_of(run: Run) -> Made:
    """Where a stored run was trained; what a link cannot carry is written as _."""
    facts = [run.device.partition(":")[0] or "unknown"]
    facts += [run.versions.get(name, "") for name in ("torch", "machine", "cpu", "gpu")]
    return Made(*(OTHERS.sub("_", fact[:LONGEST_FACT]) for fact in facts))


def why_no_link(comparison: Comparison) -> str:
    """Why nothing can be promised of a comparison that is rebuilt; "" if it can."""
    if _edited(comparison):
        return (
            "This run cannot be rebuilt from a link: a rate or a gate was changed while it "
            "trained, and a link says only how it began."
        )
    if not _ended(comparison):
        return NOT_THERE_YET
    if _made(comparison) is None:
        return (
            "This run cannot be promised bit for bit: parts of it were trained on different "
            "devices, machines or versions."
        )
    return ""


def _edited(comparison: Comparison) -> bool:
    return any(run.edited for run in comparison.runs)


def _ended(comparison: Comparison) -> bool:
    return all(run.state in ENDED for run in comparison.runs)


def _made(comparison: Comparison) -> Made | None:
    """Where all of it was trained; None if there is no one such place."""
    places = {made_of(run) for run in comparison.runs}
    mixed = any(MIXED in run.versions for run in comparison.runs)
    return None if mixed or len(places) > 1 else places.pop()


def _outcome(comparison: Comparison, read: Read) -> Outcome:
    def one(run: Run) -> str:
        return arm_hash(run.spec, lambda probe: read(run.id, probe))

    return Outcome(tuple(one(run) for run in comparison.runs), _made(comparison))


def share_query(store: Store, comparison: Comparison) -> dict[str, list[str] | str] | None:
    """The query of the Playground's link that rebuilds a comparison and checks it, if any can."""
    if why_no_link(comparison):
        return None
    arms = [short_form(run.spec) for run in comparison.runs]
    return {"arm": arms, **_outcome(comparison, store.trace).query}


def verdict(expected: Outcome, comparison: Comparison, read: Read) -> str:
    """Whether a comparison came to what its link says; "" while that cannot be known.

    `read` gives the trace of a run's id and a probe.
    """
    if not _ended(comparison) or len(comparison.runs) != len(expected.hashes):
        return ""
    if _edited(comparison):
        return "Not the run of the link: a rate or a gate was changed while this one trained."
    arms = [run.arm for run in comparison.runs]
    return compare(expected, _outcome(comparison, read), arms)


def compare(expected: Outcome, found: Outcome, arms: Sequence[str]) -> str:
    """One sentence: whether `found` is `expected`, and what of it is known to differ."""
    facts = expected.made and found.made and found.made.instead_of(expected.made)
    if expected.hashes == found.hashes:
        hashes = ", ".join(f"{one[:4]}…" for one in found.hashes)
        also = f", although {', '.join(facts)}" if facts else ""
        return f"Reproduced: hash equal ({hashes}){also}."
    differing = [*(facts or ()), *_differing(expected, found, arms)]
    why = "" if facts else f" {_why(expected, found)}"
    return f"Not bit for bit the same: {'; '.join(differing)}.{why}"


def _differing(expected: Outcome, found: Outcome, arms: Sequence[str]) -> Iterator[str]:
    for arm, theirs, mine in zip(arms, expected.hashes, found.hashes, strict=True):
        if mine != theirs:
            yield f"{arm} has hash {mine} instead of {theirs}"


def _why(expected: Outcome, found: Outcome) -> str:
    """What can lie behind a difference, where no named fact differs."""
    if expected.made is None:
        return "The link does not say where it was made."
    if found.made is None:
        return "Parts of this run were trained on different devices, machines or versions."
    again = "" if found.made.device == "cpu" else ", and on a GPU a second run"
    return (
        "Device, versions and CPU capability are the same as far as they are known; another "
        f"kind of processor or another build can do that{again}."
    )
