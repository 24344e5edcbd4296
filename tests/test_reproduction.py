"""A link to a run says what came of it, and whoever trains it again learns if that came again."""

import hashlib
import json
import math
import struct
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from explorer.experiments.runs import train_here
from explorer.reproduction import (
    DIGITS,
    Made,
    Outcome,
    arm_hash,
    compare,
    curve_hash,
    share_query,
    verdict,
    why_no_link,
)
from explorer.session import Session
from explorer.spec import SpecError, parse
from explorer.store import Comparison, Event, Store, this_process
from explorer.trace import Reading, Trace

ROOT = Path(__file__).parents[1]
SMALL = ("plain-8,width=4,batch=32,steps=6", "resnet-8,width=4,batch=32,steps=6")
ELSEWHERE = """
import json, sys
from explorer.experiments.runs import train_here
from explorer.reproduction import share_query
from explorer.spec import parse
from explorer.store import Store
arms = [parse(text) for text in sys.argv[1:]]
print(json.dumps(share_query(Store(), train_here(arms, "cpu", True, False))))
"""
HERE = Made("cpu", "2.15.0", "x86_64", "AVX2")
HASHES = ("3f9a12bc45", "0c11223344")


class Commands:
    """An inbox: what is in it is taken where the run waits for it."""

    def __init__(self, *names: str) -> None:
        self.names = list(names)

    def take(self, block: bool = False) -> dict[str, Any] | None:
        return {"do": self.names.pop(0)} if block and self.names else None


def trained(store: Store, *arms: str, commands: Commands | None = None) -> Comparison:
    """The arms, trained in this process; paused at first if there are commands."""
    added = store.add_comparison([(a.split(",")[0], parse(a)) for a in arms], this_process())
    return gone_on(store, added, commands)


def gone_on(store: Store, comparison: Comparison, commands: Commands | None = None) -> Comparison:
    paused = commands is not None
    Session(comparison.id, torch.device("cpu"), commands or Commands(), paused).run()
    found = store.comparison(comparison.id)
    assert found is not None
    return found


def linked(store: Store, comparison: Comparison) -> tuple[list[str], Outcome]:
    """What somebody else reads out of a comparison's link."""
    return opened(share_query(store, comparison))


def opened(query: Any) -> tuple[list[str], Outcome]:
    read = parse_qs(urlencode(query, doseq=True), strict_parsing=True)
    outcome = Outcome.parse(read["expect"][0], read["made"][0], len(read["arm"]))
    assert outcome is not None
    return read["arm"], outcome


@pytest.fixture
def store() -> Store:
    return Store()


def test_another_process_on_this_machine_rebuilds_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXPLORER_HOME", str(tmp_path / "sender"))
    sent = subprocess.run(
        [sys.executable, "-c", ELSEWHERE, *SMALL], capture_output=True, cwd=ROOT, check=True
    )
    monkeypatch.setenv("EXPLORER_HOME", str(tmp_path / "receiver"))
    arms, expected = opened(json.loads(sent.stdout))
    store = Store()
    found = train_here([parse(arm) for arm in arms], "cpu", True, False)
    assert arms == list(SMALL)
    plain, residual = (f"{one[:4]}…" for one in expected.hashes)
    assert verdict(expected, found, store.trace) == (
        f"Reproduced: hash equal ({plain}, {residual})."
    )
    assert expected.made is not None
    assert (expected.made.device, expected.made.torch) == ("cpu", torch.__version__)
    assert expected.made.cpu == torch.backends.cpu.get_cpu_capability()


def test_one_bit_of_one_arm_is_found(store: Store) -> None:
    comparison = trained(store, *SMALL)
    _, expected = linked(store, comparison)
    run = comparison.runs[1]
    loss = store.trace(run.id, "train_loss").at(3)
    bits = (loss.view(np.uint32) ^ 1).view(np.float32)
    store.write([(run.id, Reading("train_loss", 3, bits))])
    said = verdict(expected, comparison, store.trace)
    assert said.startswith("Not bit for bit the same: resnet-8 has hash ")
    assert f" instead of {expected.hashes[1]}. Device, versions" in said
    assert expected.hashes[0] not in said
    store.write([(run.id, Reading("train_loss", 3, loss))])
    assert verdict(expected, comparison, store.trace).startswith("Reproduced")


def test_another_seed_and_another_last_accuracy_are_other_hashes(store: Store) -> None:
    first, other = trained(store, *SMALL), trained(store, *(f"{arm},seed=1" for arm in SMALL))
    hashes = [*linked(store, first)[1].hashes, *linked(store, other)[1].hashes]
    assert len(set(hashes)) == 4
    changed = Reading("test_accuracy", 6, np.array([0.123], np.float32))
    store.write([(first.runs[0].id, changed)])
    assert linked(store, first)[1].hashes[0] not in hashes
    assert linked(store, first)[1].hashes[1] == hashes[1]


def test_a_run_that_was_stepped_through_has_the_hash_of_one_that_was_not(store: Store) -> None:
    straight = trained(store, *SMALL)
    stepped = trained(store, *SMALL, commands=Commands("step", "step", "resume"))
    read = [len(store.trace(c.runs[0].id, "test_accuracy")) for c in (straight, stepped)]
    assert read[1] > read[0]  # Step reads the test set too
    assert linked(store, straight) == linked(store, stepped)


def test_a_run_that_diverged_keeps_its_hash_through_a_file(store: Store) -> None:
    comparison = trained(store, "plain-8,width=4,batch=32,steps=30,norm=none,lr=100,warmup=0")
    assert comparison.state == "diverged"
    assert not np.isfinite(store.trace(comparison.runs[0].id, "train_loss").last).all()
    copy = store.import_(json.loads(json.dumps(store.export(comparison.id))))
    assert linked(store, copy) == linked(store, comparison)
    assert verdict(linked(store, comparison)[1], copy, store.trace).startswith("Reproduced")


def test_a_run_that_was_changed_has_no_link(store: Store) -> None:
    comparison = trained(store, *SMALL)
    _, expected = linked(store, comparison)
    store.add_event(comparison.id, Event(3, "lr", 0, 0.01))
    changed = store.comparison(comparison.id)
    assert changed is not None
    assert share_query(store, changed) is None
    assert "was changed while it trained" in why_no_link(changed)
    assert verdict(expected, changed, store.trace).startswith("Not the run of the link:")


@pytest.mark.parametrize("state", ["queued", "running", "paused", "stopped", "interrupted"])
def test_before_its_end_there_is_neither_link_nor_verdict(store: Store, state: Any) -> None:
    comparison = trained(store, *SMALL)
    _, expected = linked(store, comparison)
    store.update(comparison.runs[0].id, state=state)
    now = store.comparison(comparison.id)
    assert now is not None
    assert share_query(store, now) is None
    assert why_no_link(now)
    assert verdict(expected, now, store.trace) == ""


@pytest.mark.parametrize("moved", [True, False])
def test_a_run_that_went_on_elsewhere_is_not_promised(store: Store, moved: bool) -> None:
    stopped = trained(store, *SMALL, commands=Commands("step", "step", "stop"))
    assert (stopped.state, stopped.step) == ("stopped", 1)
    if moved:
        versions = {**stopped.runs[1].versions, "torch": "2.14.0"}
        store.update(stopped.runs[1].id, versions=versions)
    comparison = gone_on(store, stopped)
    assert comparison.state == "done"
    assert (share_query(store, comparison) is None) == moved
    assert ("different devices" in why_no_link(comparison)) == moved
    _, expected = linked(store, trained(store, *SMALL))
    assert verdict(expected, comparison, store.trace).startswith("Reproduced")


def trace_of(values: list[float], probe: str = "train_loss") -> Trace:
    column = np.array(values, np.float32).reshape(-1, 1)
    return Trace(probe, np.arange(len(values)), column, ("network",), "nats")


def from_bits(bits: list[int]) -> Trace:
    return replace(trace_of(bits), values=np.array(bits, np.uint32).view(np.float32)[:, None])


def slow_bytes(bits: list[int]) -> bytes:
    """What a hash is over, value by value; a NaN has all ones before its 23 last bits."""
    steps = b"".join(struct.pack("<q", step) for step in range(len(bits)))
    nan = [bit >> 23 & 0xFF == 0xFF and bit & 0x7FFFFF != 0 for bit in bits]
    one = [0x7FC00000 if is_nan else bit for bit, is_nan in zip(bits, nan, strict=True)]
    return f"train_loss {len(bits)};".encode() + steps + struct.pack(f"<{len(bits)}I", *one)


@given(st.lists(st.lists(st.integers(0, 2**32 - 1), max_size=5), max_size=3))
def test_the_hash_is_that_of_the_bytes(columns: list[list[int]]) -> None:
    slow = hashlib.sha256(b"".join(map(slow_bytes, columns))).hexdigest()
    assert curve_hash([from_bits(bits) for bits in columns]) == slow[:DIGITS]


def test_the_hash_tells_zeros_steps_and_probes_apart_and_nans_not() -> None:
    zeros = [trace_of([0.0]), trace_of([-0.0]), trace_of([0.0, 0.0]), trace_of([0.0], "other")]
    assert len({curve_hash([trace]) for trace in zeros}) == 4
    assert curve_hash([zeros[0], zeros[1]]) != curve_hash([zeros[1], zeros[0]])
    assert curve_hash([from_bits([0xFFC00001])]) == curve_hash([trace_of([math.nan])])


def test_only_the_last_accuracy_counts() -> None:
    spec = parse("plain-8,steps=2")

    def hashed(accuracies: list[float]) -> str:
        traces = {"train_loss": trace_of([1.0, 2.0])}
        traces["test_accuracy"] = trace_of(accuracies, "test_accuracy")
        return arm_hash(spec, traces.__getitem__)

    assert hashed([0.1, 0.2, 0.3]) == hashed([0.5, 0.6, 0.3])
    assert hashed([0.1, 0.2, 0.3]) != hashed([0.1, 0.2, 0.4])
    assert hashed([0.1, 0.2]) == hashed([])


LETTERS = st.characters(codec="ascii", categories=["L", "N"], include_characters=" .,:+_()/@-")
FACTS = st.text(LETTERS, max_size=60)


@given(st.builds(Made, FACTS.filter(bool), FACTS, FACTS, FACTS, FACTS))
def test_where_it_was_made_goes_through_an_address_and_back(made: Made) -> None:
    outcome = Outcome(HASHES, made)
    assert opened({"arm": SMALL, **outcome.query}) == (list(SMALL), outcome)


@given(st.text(max_size=300), st.text(max_size=300), st.integers(1, 4))
def test_any_text_is_an_outcome_or_one_line(expect: str, made: str, arms: int) -> None:
    for hashes in (expect, "~".join(["0123456789"] * arms)):
        try:
            outcome = Outcome.parse(hashes, made, arms)
        except SpecError as error:
            line = str(error)
            assert line.startswith(("expect: ", "made"))
            assert line.isprintable()
            assert len(line) < 300
        else:
            assert outcome is None or len(outcome.hashes) == arms


@pytest.mark.parametrize(
    ("expect", "made", "line"),
    [
        ("3f9a12bc45", "cpu", "expect: '3f9a12bc45' is not allowed; a hash of 10 digits 0-9a-f"),
        ("3f9a12bc45~3F9A12BC45", "cpu", "expect: '3f9a12bc45~3F9A12BC45' is not allowed"),
        ("~".join(HASHES * 2), "cpu", "expect: '3f9a12bc45~0c11223344~3f9a12bc45"),
        ("x" * 1_000_000, "cpu", "expect: 'xxx"),
        ("~".join(HASHES), "~2.15.0", "made, device: '' is not allowed; at most 60 letters"),
        ("~".join(HASHES), "cpu~<b>", "made, torch: '<b>' is not allowed"),
        ("~".join(HASHES), "cpu~" + "x" * 61, "made, torch: 'xxx"),
        ("~".join(HASHES), "a~b~c~d~e~f", "made: 'a~b~c~d~e~f' is not allowed; device, torch"),
    ],
)
def test_a_bad_link_is_one_line(expect: str, made: str, line: str) -> None:
    with pytest.raises(SpecError) as caught:
        Outcome.parse(expect, made, 2)
    assert str(caught.value).startswith(line)
    assert len(str(caught.value)) < 300


def test_facts_that_a_link_cannot_carry_are_written_otherwise(store: Store) -> None:
    comparison = trained(store, *SMALL)
    for run in comparison.runs:
        store.update(run.id, versions={"torch": "<script>~\n" * 100, "machine": "ré"})
    changed = store.comparison(comparison.id)
    assert changed is not None
    _, outcome = linked(store, changed)
    assert outcome.made == Made("cpu", ("_script___" * 6)[:60], "r_")


OTHER = ("3f9a12bc45", "ffff000000")
SAME = Outcome(HASHES, HERE)
CARD = Made("cuda", "2.15.0", "x86_64", "AVX2", "NVIDIA H200")
EQUAL = "Reproduced: hash equal (3f9a…, 0c11…)"
UNEQUAL = "Not bit for bit the same: "
RESIDUAL = "residual has hash ffff000000 instead of 0c11223344."
UNKNOWN = (
    " Device, versions and CPU capability are the same as far as they are known; another kind of "
    "processor or another build can do that"
)
COMPARED = [
    (SAME, SAME, f"{EQUAL}."),
    (
        SAME,
        Outcome(HASHES, Made("cpu", "2.14.0", "x86_64", "AVX512")),
        f"{EQUAL}, although torch 2.14.0 instead of 2.15.0, CPU capability AVX512 instead of AVX2.",
    ),
    (
        SAME,
        Outcome(OTHER, replace(CARD, torch="2.14.0")),
        f"{UNEQUAL}device cuda instead of cpu; torch 2.14.0 instead of 2.15.0; {RESIDUAL}",
    ),
    (SAME, Outcome(OTHER, HERE), f"{UNEQUAL}{RESIDUAL}{UNKNOWN}."),
    (
        Outcome(HASHES, CARD),
        Outcome(OTHER, CARD),
        f"{UNEQUAL}{RESIDUAL}{UNKNOWN}, and on a GPU a second run.",
    ),
    (
        Outcome(HASHES),
        Outcome(OTHER, HERE),
        f"{UNEQUAL}{RESIDUAL} The link does not say where it was made.",
    ),
    (
        SAME,
        Outcome(OTHER),
        f"{UNEQUAL}{RESIDUAL} Parts of this run were trained on different devices, machines or "
        "versions.",
    ),
]


@pytest.mark.parametrize(("expected", "found", "sentence"), COMPARED)
def test_what_differs_is_said(expected: Outcome, found: Outcome, sentence: str) -> None:
    assert compare(expected, found, ["plain", "residual"]) == sentence


def test_the_invitation_says_where_it_was_made() -> None:
    assert SAME.invitation == (
        "Press Play to rebuild this run; it was made on cpu (x86_64, AVX2), torch 2.15.0."
    )
    assert Outcome(HASHES, CARD).invitation.endswith(
        "it was made on cuda (NVIDIA H200, x86_64, AVX2), torch 2.15.0."
    )
    assert Outcome(HASHES).invitation == "Press Play to rebuild this run."
