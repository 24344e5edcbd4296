"""Exported programs started alone, on every kind of data, with changes, and as files to read."""

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import test_data
import torchvision
from test_exports_script import MATRIX, as_a_program, readings_in, repeated, text_of, trained

from explorer import catalog
from explorer.data import published
from explorer.exports.script import script
from explorer.network import build
from explorer.spec import RunSpec, SpecError, parse
from explorer.store import Event

SMALL = "resnet-8,width=4,batch=16,lr=0.05,warmup=2,steps=6"
PLAIN = SMALL.replace("resnet", "plain")
OTHERS = {
    "nesterov": f"{SMALL},nesterov=true,weight_decay=0.001",
    "warm-up to the last step": f"{SMALL},schedule=one_cycle,warmup=6",
    "warm-up beyond it": f"{SMALL},schedule=step,warmup=60",
    "seven stages": "resnet,stages=1x2~1x2~1x4~1x4~1x4~1x8~1x8,steps=3,batch=16,width=2",
    "several epochs": f"{SMALL},batch=600",
    "beta 1 of 0": f"{SMALL},optimizer=adam,momentum=0,augment=true",
    "gradients of 0, normalised": f"{PLAIN},normalized=true,residual=0~1~1",
    "small gradients, normalised": f"{PLAIN},normalized=true,norm=none,branch_scale=1e-9",
    "spirals": "mlp-30,width=8,data=spirals,steps=30,batch=64",
    "moons": "mlp-8,width=6,data=moons,steps=4,norm=none,init=orthogonal",
    "circles": "mlp-8,width=16,data=circles,steps=4,norm=group,shortcut=none,bias=true",
    "xor": "mlp-6,width=6,data=xor,steps=4,norm=layer,block=preact,init=delta_orthogonal",
    "flat digits": "mlp-8,width=8,steps=4,shortcut=projection_all,optimizer=adamw,bf16=true",
    "flat bottleneck": "mlp-8,width=4,block=bottleneck,steps=4,data=moons",
    "flat projection": "mlp-8,width=4,block=preact_bottleneck,shortcut=projection,steps=4",
    "wide and flat": "mlp-4,width=512,norm=batch,bias=true,steps=2,init=torch_default",
}


def spec_of(text: str) -> RunSpec:
    """What `parse` makes of it, the last word counting where a key is given twice."""
    head, *pairs = text.split(",")
    return parse(",".join([head, *{pair.split("=")[0]: pair for pair in pairs}.values()]))


@pytest.mark.parametrize("text", OTHERS.values(), ids=list(OTHERS))
def test_other_programs_repeat_the_trainer(text: str) -> None:
    spec = spec_of(text)
    assert repeated(script(spec)) == trained(spec)


ALONE = (
    "resnet-20,width=8,steps=60",
    "plain-20,norm=none,init=torch_default,width=8,steps=26,schedule=step,clip=1",
)


@pytest.mark.parametrize("text", ALONE)
def test_a_program_started_alone_repeats_the_trainer(text: str, tmp_path: Path) -> None:
    spec = parse(text)
    assert as_a_program(script(spec), tmp_path) == trained(spec)


def test_fewer_steps_are_the_first_of_the_same_curve() -> None:
    spec = parse(f"{SMALL},schedule=one_cycle")
    first = {key: value for key, value in trained(spec).items() if key[1] < 3}
    assert repeated(script(spec), 3) == first
    assert repeated(script(spec), 600) == trained(spec)


def test_without_a_file_the_readings_are_printed(tmp_path: Path) -> None:
    source = script(parse("mlp-4,width=2,data=xor,steps=3,warmup=0,norm=none"))
    (tmp_path / "exported.py").write_text(source)
    command = [sys.executable, "-I", "exported.py", "--steps", "2"]
    done = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True)
    (tmp_path / "curve.csv").write_text(done.stdout)
    assert readings_in(tmp_path / "curve.csv") == repeated(source, 2)


@pytest.mark.parametrize("where", ["bias=true,branch_scale=10", "init=orthogonal,momentum=0"])
def test_a_program_ends_where_the_run_diverged(where: str) -> None:
    spec = spec_of(f"{SMALL},norm=none,lr=100,warmup=0,steps=30,{where}")
    rows = trained(spec)
    assert repeated(script(spec)) == rows
    assert max(step for _, step in rows) < 30


LR = Event(2, "lr", None, 0.01)
CHANGES: dict[str, tuple[str, Sequence[Event]]] = {
    "rate": (f"{SMALL},warmup=0", [LR, Event(4, "lr", 0, 0.2)]),
    "rate in the warm-up": (f"{SMALL},schedule=step", [Event(1, "lr", 0, 1), LR]),
    "twice at one step": (SMALL, [LR, Event(2, "lr", 0, 0.3)]),
    "of the other arm": (SMALL, [Event(2, "lr", 1, 0.3)]),
    "skip": (SMALL, [Event(0, "skip", 0, [1, 0, 1]), Event(3, "skip", None, [0.5, 0.5, 0.5])]),
    "no skip to change": (PLAIN, [Event(3, "skip", None, [0, 0, 0]), LR]),
    "residual": (f"{SMALL},branch_scale=0.5,skip=0.5", [Event(2, "residual", 0, [0, 1, 0.5])]),
    "plain": (f"{PLAIN},residual=1~1~2", [Event(5, "residual", None, [1, 1, 1])]),
    "too late": (SMALL, [Event(6, "lr", 0, 0.3), Event(7, "skip", 0, [0, 0, 0])]),
    "all": (SMALL, [LR, Event(2, "skip", 0, [0, 1, 1]), Event(3, "residual", 0, [0, 0.1, 0])]),
}


@pytest.mark.parametrize("name", CHANGES)
def test_changes_made_while_it_trained_are_repeated(name: str) -> None:
    text, events = CHANGES[name]
    spec = spec_of(text)
    rows = trained(spec, events)
    assert repeated(script(spec, events)) == rows
    assert (rows == trained(spec)) == (name in ("of the other arm", "too late"))


def test_changes_are_those_of_the_arm() -> None:
    spec, events = parse(SMALL), [Event(1, "lr", 0, 0.01), Event(2, "lr", 1, 0.9)]
    first, second = (repeated(script(spec, events, arm)) for arm in (0, 1))
    assert first == trained(spec, events, 0)
    assert second == trained(spec, events, 1) != first


@pytest.mark.parametrize(
    "event", [Event(1, "skip", 0, [1, 1]), Event(1, "residual", 0, [99] * 3), Event(1, "lr", 0, -1)]
)
def test_a_change_that_cannot_be_made_is_refused(event: Event) -> None:
    with pytest.raises(SpecError, match=event.kind):
        script(parse(SMALL), [event])


@pytest.mark.parametrize("name", published.FILES)
def test_published_images_are_read_from_the_readers_folder(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    few = replace(catalog.BUILT_IN[name], train=test_data.TRAIN, test=test_data.TEST)
    monkeypatch.setitem(catalog.BUILT_IN, name, few)
    for module in ("cifar", "svhn", "utils"):  # whose checksums are those of the whole set
        target = getattr(torchvision.datasets, module)
        monkeypatch.setattr(target, "check_integrity", lambda *_: True, raising=False)
    test_data.write(test_data.MAKERS[name](name), published.root())
    spec = parse(f"resnet-8,width=2,batch=8,steps=3,data={name},augment=true,lr=0.01")
    source = script(spec).replace('folder="data"', f"folder={str(published.root())!r}")
    assert repeated(source) == trained(spec)


def test_own_images_are_refused_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog, "_own_info", lambda name: replace(catalog.BUILT_IN["digits"]))
    with pytest.raises(ValueError, match=r"^data: 'own:cats-0123abcd' cannot .* added to$"):
        script(parse("resnet-8,width=4,data=own:cats-0123abcd"))


def test_programs_are_formatted_and_lint_free(tmp_path: Path) -> None:
    gates = "~".join(str(place / 100) for place in range(100))
    many = f"resnet,stages=100x2,batch=16,skip={gates},residual=40x0.5~60x1"
    events = [Event(1, "skip", None, [0.25, *[1.0] * 99]), Event(2, "lr", 0, 1e-7)]
    sources = [script(parse(text_of(row))) for row in MATRIX]
    sources += [script(spec_of(text), where='a "GPU"\\\n"""') for text in OTHERS.values()]
    sources += [script(spec_of(text), changes) for text, changes in CHANGES.values()]
    sources += [script(parse(f"resnet-8,width=4,data={name}")) for name in published.FILES]
    sources += [script(parse(many), events), script(parse("mlp-4,width=1024,bias=true,norm=layer"))]
    for place, source in enumerate(sources):
        (tmp_path / f"program_{place}.py").write_text(source)
    ruff = [sys.executable, "-m", "ruff"]
    options = ["--isolated", "--no-cache", "--line-length"]
    for command in (
        ["check", *options, "100", "--select", "E,F,W,I,B023,F841,RUF100"],
        ["format", "--check", *options, "100"],
        ["format", "--check", *options, "88"],
    ):
        done = subprocess.run([*ruff, *command, "."], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr


@pytest.mark.parametrize(
    "text", ["resnet-20,width=8", "plain-56,norm=none,init=torch_default,width=8", "resnet-110"]
)
def test_a_program_is_short_says_what_it_is_and_needs_no_explorer(text: str) -> None:
    spec = parse(text)
    source = script(spec, where="cuda:0, torch 9.8.7")
    opening = source.split('"""')[1]
    assert 120 <= source.count("\n") <= 220
    assert parse(opening.splitlines()[0]) == spec
    assert all(
        said in " ".join(opening.split()) for said in (spec.key, "cuda:0, torch 9.8.7", "MIT")
    )
    assert "explorer" not in source


def test_a_program_of_the_plain_network_has_no_trace_of_a_shortcut() -> None:
    source = script(parse("plain-56,norm=none,init=torch_default,width=8"))
    assert not any(word in source for word in ("shortcut", "zero_pad", "Norm", "math.sqrt(2"))


def test_the_programs_network_is_the_one_that_is_built() -> None:
    for row in MATRIX[:10]:
        spec = parse(text_of(row))
        names: dict[str, object] = {"__name__": "exported"}
        exec(script(spec), names)
        theirs = names["Network"]().state_dict()  # type: ignore[operator]
        ours = build(spec.network).state_dict()
        assert [(k, v.shape) for k, v in theirs.items()] == [(k, v.shape) for k, v in ours.items()]
