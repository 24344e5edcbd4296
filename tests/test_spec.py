"""Specs: both written forms read back, keys tell contents apart, a refusal is one line."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from explorer.blocks import BLOCKS
from explorer.catalog import BUILT_IN
from explorer.spec import KEYS, NetworkSpec, RunSpec, SpecError, Stage, parse, short_form
from explorer.spec.network import Init, Norm, Shortcut
from explorer.spec.recipe import Schedule


def floats(low: float, high: float) -> st.SearchStrategy[float]:
    """Floats but for subnormal ones, which a thread that flushes them reads as zero."""
    return st.floats(low, high, allow_subnormal=False)


gates = floats(-10, 10)


@st.composite
def networks(draw: st.DrawFn) -> NetworkSpec:
    """Networks of both families: by depth or by stages, one gate or a gate a block."""
    family = draw(st.sampled_from(["resnet", "mlp"]))
    block = draw(st.sampled_from(list(BLOCKS)))
    shortcut = draw(st.sampled_from(Shortcut.__args__))
    fields: dict[str, Any] = {"family": family, "block": block, "shortcut": shortcut}
    stage_count = draw(st.integers(1, 4)) if family == "resnet" else 1
    if draw(st.booleans()):
        widths = [draw(st.integers(1, 64)) for _ in range(stage_count)]
        fields["stages"] = [Stage(blocks=draw(st.integers(1, 3)), width=w) for w in sorted(widths)]
    else:
        per_n = BLOCKS[block].layers * (3 if family == "resnet" else 1)
        fields["depth"] = per_n * draw(st.integers(1, 4)) + 2
        fields["width"] = draw(st.integers(1, 64))
    blocks = NetworkSpec(**fields).block_count
    each = st.lists(gates, min_size=blocks, max_size=blocks)
    if shortcut != "none":
        fields["skip"] = draw(gates | each)
    return NetworkSpec(
        **fields,
        residual=draw(gates | each),
        branch_scale=draw(gates),
        norm=draw(st.sampled_from(Norm.__args__)),
        init=draw(st.sampled_from(Init.__args__)),
        bias=draw(st.booleans()),
    )


@st.composite
def runs(draw: st.DrawFn) -> RunSpec:
    """Runs on any data that the network can read."""
    network = draw(networks())
    images = [info.name for info in BUILT_IN.values() if info.kind == "image"]
    resnet = network.family == "resnet"
    optimizer = draw(st.sampled_from(["sgd", "adam", "adamw"]))
    momentum = draw(floats(0, 0.999))
    recipe = {
        "optimizer": optimizer,
        "momentum": momentum,
        "nesterov": optimizer == "sgd" and momentum > 0 and draw(st.booleans()),
        "lr": draw(floats(1e-9, 100)),
        "weight_decay": draw(floats(0, 1)),
        "schedule": draw(st.sampled_from(Schedule.__args__)),
        "warmup": draw(st.integers(0, 1000)),
        "batch": draw(st.integers(2, 600)),
        "steps": draw(st.integers(1, 1_000_000)),
        "channels_last": resnet and draw(st.booleans()),
    }
    data = {
        "name": draw(st.sampled_from(images if resnet else list(BUILT_IN))),
        "augment": resnet and draw(st.booleans()),
    }
    seed = draw(st.integers(0, 2**31 - 1))
    return RunSpec(network=network, data=data, recipe=recipe, seed=seed)


@given(runs())
def test_the_short_form_reads_back(spec: RunSpec) -> None:
    assert parse(short_form(spec)) == spec
    assert parse(short_form(spec)).key == spec.key


@given(runs())
def test_the_json_form_reads_back(spec: RunSpec) -> None:
    again = RunSpec.from_json(spec.json_form)
    assert again == spec
    assert again.json_form == spec.json_form
    assert json.loads(spec.json_form) == json.loads(again.json_form)


@given(runs(), runs())
def test_keys_are_equal_where_specs_are(one: RunSpec, other: RunSpec) -> None:
    assert (one.key == other.key) == (one == other)
    assert len(one.key) == 16
    assert set(one.key) <= set("0123456789abcdef")


@given(runs(), st.data())
def test_a_changed_field_changes_the_key(spec: RunSpec, data: st.DataObject) -> None:
    seed = data.draw(st.integers(0, 2**31 - 1))
    assert (spec.replace(seed=seed).key == spec.key) == (seed == spec.seed)
    lr = data.draw(floats(1e-6, 1))
    changed = spec.replace(recipe=spec.recipe.replace(lr=lr))
    assert (changed.key == spec.key) == (lr == spec.recipe.lr)


def test_the_key_is_the_hash_of_what_differs_from_the_defaults() -> None:
    text = '1:{"network":{"inputs":[1,8,8],"norm":"none"},"seed":3}'
    assert parse("resnet-20,norm=none,seed=3").key == hashlib.sha256(text.encode()).hexdigest()[:16]


def test_keys_are_the_same_in_another_process() -> None:
    texts = ["resnet-20", "plain-56,norm=none,lr=0.05", "mlp-30,data=spirals,skip=0.1,seed=9"]
    code = f"from explorer.spec import parse; print(*(parse(t).key for t in {texts!r}))"
    for hash_seed in ("1", "2"):
        printed = subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        assert printed.split() == [parse(text).key for text in texts]


def test_negative_zero_is_zero() -> None:
    one, other = (parse(f"resnet-20,skip={zero},momentum={zero}") for zero in ("-0.0", "0.0"))
    assert one == other
    assert one.key == other.key


def test_the_longest_short_form_reads_back() -> None:
    deepest = NetworkSpec(depth=1202, width=1)
    values = [-1.2345678901234567e-300 * (i + 1) for i in range(deepest.block_count)]
    spec = RunSpec(network=deepest.replace(skip=tuple(values), residual=tuple(values)))
    assert parse(short_form(spec)) == spec


@pytest.mark.parametrize(
    ("text", "short"),
    [
        ("resnet-56", "resnet-56"),
        (" resnet-56 , norm = none ", "resnet-56,norm=none"),
        ("resnet-56,shortcut=none", "plain-56"),
        ("resnet-56,norm=batch,width=16,init=he", "resnet-56"),
        ("resnet,stages=3x16~3x32", "resnet-14,stages=3x16~3x32"),
        ("resnet-14,stages=3x16~3x32", "resnet-14,stages=3x16~3x32"),
        ("resnet-20,skip=4x1~1x0~4x1", "resnet-20,skip=4x1~0~4x1"),
        ("mlp-30,shortcut=none,width=384,data=digits", "mlp-30,shortcut=none,width=384"),
    ],
)
def test_short_forms_by_hand(text: str, short: str) -> None:
    assert short_form(parse(text)) == short


REFUSED = [
    ("", "network", ""),
    ("resnet", "network", "resnet"),
    ("resnet-", "depth", ""),
    ("densenet-20", "network", "densenet-20"),
    ("<script>alert(1)</script>", "network", "<script>alert(1)</script>"),
    ("../../etc/passwd", "network", "../../etc/passwd"),
    ("resnet-7", "depth", "7"),
    ("resnet-1000000000", "depth", "1000000000"),
    ("resnet--20", "depth", "-20"),
    ("resnet-20.0", "depth", "20.0"),
    ("resnet-٢٠", "depth", "٢٠"),
    ("resnet-²", "depth", "²"),
    ("resnet-1208", "depth", "1208"),
    ("resnet-20,block=bottleneck,stages=3x16,depth=5", "spec", "depth=5"),
    ("resnet-99,stages=3x16", "depth", "99"),
    ("resnet-<b>,stages=3x16", "depth", "<b>"),
    ("resnet-14,block=bottleneck", "depth", "14"),
    ("resnet-20,width=0", "width", "0"),
    ("resnet-20,width=-1", "width", "-1"),
    ("resnet-20,width=512", "width", "512"),
    ("resnet-20,width=١٦", "width", "١٦"),
    ("resnet-20,width=99999999999999999999999", "width", "99999999999999999999999"),
    ("resnet-1202,width=128", "width", "128"),
    ("resnet-20,width=16,width=16", "width", "16"),
    ("resnet-20,lr=nan", "lr", "nan"),
    ("resnet-20,lr=inf", "lr", "inf"),
    ("resnet-20,lr=0", "lr", "0"),
    ("resnet-20,lr=1e999", "lr", "1e999"),
    ("resnet-20,momentum=1", "momentum", "1"),
    ("resnet-20,batch=1", "batch", "1"),
    ("resnet-20,batch=1348", "batch", "1348"),
    ("resnet-20,steps=0", "steps", "0"),
    ("resnet-20,seed=-1", "seed", "-1"),
    ("resnet-20,seed=2147483648", "seed", "2147483648"),
    ("resnet-20,norm=bach", "norm", "bach"),
    ("resnet-20,init=He", "init", "He"),
    ("resnet-20,block=bsic", "block", "bsic"),
    ("resnet-20,shortcut=identity", "shortcut", "identity"),
    ("resnet-20,optimizer=\x00", "optimizer", "?"),
    ("resnet-20,data=imagenet", "data", "imagenet"),
    ("resnet-20,data=own:../../x-00000000", "data", "own:../../x-00000000"),
    ("resnet-20,data=a\nb", "data", "a?b"),
    ("resnet-20,data=spirals", "data", "spirals"),
    ("mlp-20,augment=true", "augment", "True"),
    ("mlp-20,channels_last=true", "channels_last", "True"),
    ("mlp-20,stages=3x8~3x8", "stages", "2"),
    ("resnet-20,nesterov=true,momentum=0", "nesterov", "True"),
    ("resnet-20,stages=", "stages", ""),
    ("resnet-20,stages=3x16~", "stages", "3x16~"),
    ("resnet-20,stages=3x16x2", "stages", "3x16x2"),
    ("resnet-20,stages=0x16", "stages.blocks", "0"),
    ("resnet-20,stages=3x32~3x16", "stages", "[32, 16]"),
    ("resnet-20,skip=", "skip", ""),
    ("resnet-20,skip=nan", "skip", "nan"),
    ("resnet-20,skip=11", "skip", "11.0"),
    ("resnet-20,skip=8x1", "skip", "8 gates"),
    ("resnet-20,skip=-5x1~1", "skip", "-5x1~1"),
    ("resnet-20,skip=٩x1", "skip", "٩x1"),
    ("resnet-20,skip=999999999999x1", "skip", "999999999999x1"),
    ("resnet-20," + "skip=" + "~".join(["9999x1"] * 4000), "skip", "9999x1~"),
    ("plain-20,skip=0", "skip", "(0.0,)"),
    ("plain-20,shortcut=zero_pad", "shortcut", "zero_pad"),
    ("resnet-20,depth=56", "spec", "depth=56"),
    ("resnet-20,classes=3", "spec", "classes=3"),
    ("resnet-20,widht=16", "spec", "widht=16"),
    ("resnet-20,width", "spec", "width"),
    ("resnet-20,,", "spec", ""),
    ("resnet-20," + "a" * 100_000, "spec", "resnet-20,aaaa"),
]


def assert_one_line(error: SpecError, field: str, value: str) -> None:
    message = str(error)
    assert message.startswith(f"{field}: '{value}"), message
    assert " is not allowed; " in message
    assert len(message) < 500
    assert message.isprintable()


@pytest.mark.parametrize(("text", "field", "value"), REFUSED, ids=lambda part: repr(part)[:40])
def test_a_refused_text_gives_one_line_with_field_and_value(
    text: str, field: str, value: str
) -> None:
    with pytest.raises(SpecError) as caught:
        parse(text)
    assert_one_line(caught.value, field, value)
    assert caught.value.field == field


@pytest.mark.parametrize("depth", [100, 300, 490, 900, 980, 10_000, 1_000_000])
@pytest.mark.parametrize(
    "around", ["%s", '{"seed":%s}', '{"recipe":%s}', '{"network":{"skip":%s}}']
)
def test_deep_json_gives_one_line(depth: int, around: str) -> None:
    with pytest.raises(SpecError) as caught:
        RunSpec.from_json(around % ("[" * depth + "]" * depth))
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("text", "field", "value"),
    [
        ("", "spec", ""),
        ("{", "spec", "{"),
        ("null", "spec", "null"),
        ("[1]", "spec", "[1]"),
        ('{"seed":' + "9" * 5000 + "}", "spec", '{"seed":9'),
        ('{"seed":1e400}', "seed", "inf"),
        ('{"seed":1.5}', "seed", "1.5"),
        ('{"sed":1}', "sed", "1"),
        ('{"a\\nb":1}', "a?b", "1"),
        ('{"' + "a" * 1000 + '":1}', "a" * 60 + "…", "1"),
        ('{"network":5}', "network", "5"),
        ('{"network":null}', "network", "None"),
        ('{"network":[["depth",20]]}', "network", "[["),
        ('{"network":{"stages":5}}', "stages", "5"),
        ('{"network":{"stages":[5]}}', "stages", "5"),
        ('{"network":{"stages":[{"blocks":1,"width":8}],"block":[1]}}', "block", "[1]"),
        ('{"network":{"skip":[[1]]}}', "skip", "[1]"),
        ('{"network":{"depth":20.5}}', "depth", "20.5"),
        ('{"data":5}', "data", "5"),
        ('{"data":{"name":5}}', "name", "5"),
        ('{"data":{"name":"\\ud800"}}', "name", "?"),
        ('{"recipe":{"lr":NaN}}', "recipe.lr", "nan"),
    ],
)
def test_refused_json_gives_one_line(text: str, field: str, value: str) -> None:
    with pytest.raises(SpecError) as caught:
        RunSpec.from_json(text)
    assert_one_line(caught.value, field, value)


def one_line_or(read: Callable[[str], RunSpec], text: str) -> RunSpec | None:
    """What `read` makes of `text`; None where it refuses in one line."""
    try:
        return read(text)
    except SpecError as error:
        refusal = str(error)
    assert refusal.isprintable()
    return None


@given(st.text(max_size=60))
def test_any_text_is_a_spec_or_one_line(text: str) -> None:
    one_line_or(parse, text)
    one_line_or(RunSpec.from_json, text)


@given(st.sampled_from(KEYS), st.text(max_size=20))
def test_any_value_of_a_key_is_taken_or_refused_in_one_line(key: str, value: str) -> None:
    spec = one_line_or(parse, f"resnet-20,{key}={value}")
    assert spec is None or parse(short_form(spec)) == spec


def test_replace_checks_the_copy() -> None:
    with pytest.raises(SpecError, match="lr: '-1' is not allowed"):
        parse("resnet-20").recipe.replace(lr=-1)


def test_specs_cannot_be_changed() -> None:
    spec = parse("resnet-20")
    with pytest.raises(ValueError, match="frozen"):
        spec.seed = 1  # type: ignore[misc]
    assert len({spec, parse("resnet-20"), parse("resnet-20,seed=1")}) == 2
