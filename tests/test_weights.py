"""Which networks can be looked into: those of runs, step by step, and how they are named."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from explorer.experiments.inside_reference import SPECS
from explorer.experiments.runs import train_here
from explorer.inquiry import inquiry
from explorer.inside_stored import read_network, stored_network
from explorer.network import Network, build
from explorer.spec import SpecError, parse, short_form
from explorer.store import Store, StoreError, checkpoints
from explorer.training import Trainer
from explorer.weights import find, listed

RUN = "resnet-8,width=4,batch=32,steps=12"
STEPS = (0, 1, 3, 10, 12)


@dataclass(frozen=True)
class Trained:
    home: Path
    ids: tuple[int, int]  # of two trainings of RUN


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    home = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EXPLORER_HOME", str(home))
        spec = [parse(RUN)]
        ids = tuple(train_here(spec, "cpu", True, False).runs[0].id for _ in range(2))
        Store().close()
    return Trained(home, (ids[0], ids[1]))


@pytest.fixture(autouse=True)
def home(trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the trained runs for every test."""
    path = tmp_path / "home"
    shutil.copytree(trained.home, path)
    monkeypatch.setenv("EXPLORER_HOME", str(path))
    return path


@pytest.fixture
def store(home: Path) -> Iterator[Store]:
    store = Store()
    yield store
    store.close()


def bits(network: Network) -> dict[str, bytes]:
    return {name: t.numpy().tobytes() for name, t in network.state_dict().items()}


def at_step(step: int) -> Network:
    """The network of RUN as training anew leaves it after so many steps."""
    trainer = Trainer(parse(RUN), torch.device("cpu"))
    while trainer.step < step:
        trainer.advance()
    return trainer.network


@pytest.mark.parametrize("step", STEPS)
def test_a_stored_step_is_training_up_to_there_bit_for_bit(
    store: Store, trained: Trained, step: int
) -> None:
    expected = bits(at_step(step))
    for name in (RUN, str(trained.ids[0])):
        found = find(store, f"{name}@{step}")
        assert (found.step, found.steps, found.spec) == (step, STEPS, parse(RUN))
        assert bits(read_network(found.spec, found.path)) == expected
    network, spec, read = stored_network(store, trained.ids[0], step)
    assert (bits(network), spec, read) == (expected, parse(RUN), step)
    assert bits(build(parse(RUN).network, 0)) == expected or step > 0


def test_without_a_step_it_is_the_last_and_a_name_finds_itself(
    store: Store, trained: Trained
) -> None:
    for name in (RUN, *map(str, trained.ids)):
        last = find(store, name)
        assert last.step == 12
        for step in STEPS:
            found = find(store, f"{name}@{step}")
            assert found.text.endswith(f"@{step}")
            assert find(store, found.text) == found
    assert find(store, RUN).text == f"{short_form(parse(RUN))}@12"
    assert str(trained.ids[0]) in find(store, str(trained.ids[0])).label


def test_equal_networks_have_equal_keys_and_others_have_others(
    store: Store, trained: Trained
) -> None:
    names = (RUN, *map(str, trained.ids))
    for step in STEPS:
        assert len({find(store, f"{name}@{step}").key for name in names}) == 1
    assert len({find(store, f"{RUN}@{step}").key for step in STEPS}) == len(STEPS)

    def drawn(text: str) -> str:
        return find(store, f"{text}@0").key

    assert drawn(RUN) == drawn(RUN.replace("steps=12", "steps=99,lr=0.3"))
    others = [RUN.replace("batch=32", "batch=64"), f"{RUN},seed=1", RUN.replace("resnet", "plain")]
    assert len({drawn(RUN), *map(drawn, others)}) == 4


def test_the_key_follows_the_content_of_the_file(store: Store, trained: Trained) -> None:
    before = find(store, f"{trained.ids[0]}@3")
    shutil.copy(checkpoints.snapshot(trained.ids[0], 1), before.path)
    after = find(store, f"{trained.ids[0]}@3")
    assert after.key != before.key
    ask = [inquiry("responses", weights) for weights in (before, after)]
    assert ask[0].key != ask[1].key


def test_a_question_s_key_is_of_analysis_networks_and_options(store: Store) -> None:
    first, last = find(store, f"{RUN}@1"), find(store, RUN)
    keys = [
        inquiry("similarity", first, last).key,
        inquiry("similarity", last, first).key,
        inquiry("similarity", last).key,
        inquiry("responses", last).key,
        inquiry("lesion_some", last, swap=True).key,
        inquiry("lesion_some", last, swap=True, draws=3).key,
    ]
    assert len(set(keys)) == len(keys)
    ordered = inquiry("lesion_some", last, draws=3, reestimate=None, swap=True)
    assert ordered.key == keys[-1]
    assert ordered.question["options"] == {"draws": 3, "swap": True}
    renamed = replace(last, text="1@12", label="another")
    assert inquiry("responses", renamed).key == keys[3]


def test_a_deleted_run_leaves_nothing_to_look_into(store: Store, trained: Trained) -> None:
    first, second = trained.ids
    store.delete([first])
    assert not checkpoints.latest(first).exists()
    assert not checkpoints.snapshot(first, 1).parent.exists()
    with pytest.raises(StoreError, match=rf"^run: '{first}' is not in the store"):
        find(store, f"{first}@3")
    assert find(store, RUN).steps == find(store, str(second)).steps == STEPS
    store.delete([second])
    assert find(store, RUN).steps == (0,)
    with pytest.raises(SpecError, match=r"^step: '3' is not allowed; .*: 0$"):
        find(store, f"{RUN}@3")


def test_snapshots_after_a_change_of_course_are_forgotten(store: Store, trained: Trained) -> None:
    first, second = trained.ids
    checkpoints.forget_after(first, 3)
    assert find(store, str(first)).steps == (0, 1, 3, 12)  # the latest checkpoint is not a snapshot
    assert find(store, str(second)).steps == STEPS


def test_snapshots_are_kept_at_1_3_10_30_and_so_on() -> None:
    kept = [step for step in range(20_000) if checkpoints.is_kept(step)]
    assert kept == [1, 3, 10, 30, 100, 300, 1000, 3000, 10_000]


def test_other_files_are_no_snapshots_and_their_runs_numbers_not_given_again(
    home: Path, store: Store, trained: Trained
) -> None:
    snapshot = checkpoints.snapshot(trained.ids[0], 3)
    for name in ("3 copy.safetensors", "3.fresh", ".safetensors"):
        shutil.copy(snapshot, snapshot.with_name(name))
    assert find(store, str(trained.ids[0])).steps == STEPS
    alone = checkpoints.snapshot(80, 3)
    alone.parent.mkdir()
    shutil.copy(snapshot, alone)
    store.close()
    for path in home.glob("*.sqlite*"):
        path.unlink()
    again = Store()
    assert again.add_comparison([("a", parse(RUN))], "nobody").runs[0].id == 81
    again.close()


@pytest.mark.parametrize("harm", ["cut", "flip", "other"])
def test_a_damaged_snapshot_is_one_line(store: Store, trained: Trained, harm: str) -> None:
    found = find(store, f"{trained.ids[0]}@3")
    path, spec = Path(found.path), found.spec
    content = bytearray(path.read_bytes())
    content[-1] ^= harm == "flip"
    path.write_bytes(content[: len(content) - 9 * (harm == "cut")])
    spec = parse(f"{RUN},seed=1") if harm == "other" else spec
    with pytest.raises(StoreError, match=r"^run: the weights of .* train it here again$"):
        read_network(spec, found.path)


GARBAGE = ("", "@", "@3", "0", "999", "9" * 16, f"{RUN}@", f"{RUN}@x", f"{RUN}@-1", f"{RUN}@\u0663")
GARBAGE += (
    f"{RUN}@2",
    f"{RUN}@9999999999",
    "1@2@3",
    "1@-0",
    "resnet-8,width=",
    "wat-8",
    "\n",
    "1 ",
)
GARBAGE += ("resnet-8,data=own:no-0badc0de", "x" * 10**6, "\ud800@1", "\u0661")


@pytest.mark.parametrize("text", GARBAGE, ids=range(len(GARBAGE)))
def test_what_names_no_network_is_one_line(store: Store, text: str) -> None:
    with pytest.raises((SpecError, StoreError), match=r"^\w[^\n]+: .+") as caught:
        find(store, text)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 500


@given(st.text(alphabet="resnt-plaiwdh=0123456789,@.'\n\u00e9", max_size=30))
def test_any_text_is_a_network_or_one_line(text: str) -> None:
    store = Store()
    try:
        said = find(store, text).text
    except (SpecError, StoreError) as error:
        said = str(error)
    finally:
        store.close()
    assert "\n" not in said


def test_those_of_the_program_come_first_then_the_newest_runs(
    store: Store, trained: Trained
) -> None:
    found = listed(store)
    own, runs = found[:4], found[4:]
    assert [w.spec for w in own] == [parse(text) for text in SPECS]
    assert [w.text for w in runs] == [f"{run}@12" for run in sorted(trained.ids, reverse=True)]
    assert all(w.steps == (0, 300) and w.step == 300 for w in own)
    assert all(w.path and Path(w.path).is_file() for w in found)
