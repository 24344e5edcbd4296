"""Which networks can be looked into: those that ship with the program, those of stored runs.

An address names one as `resnet-56,width=8,steps=300@300`, a run's spec in short form and the step,
or as `12@100`, a run of this store and the step. No torch: this says where weights lie.
"""

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

from explorer.comparison import names
from explorer.spec import RunSpec, SpecError, parse, quote, short_form
from explorer.store import Store, StoreError, checkpoints

LONGEST = 2000  # characters
MOST_LISTED = 40


@dataclass(frozen=True)
class Weights:
    """A network at one of its stored steps.

    `text` is its name in an address; `path` is the file, "" for weights as drawn at step 0.
    `key` is of the content: equal keys are equal networks. `steps` are all that are stored.
    """

    text: str
    label: str
    spec: RunSpec
    step: int
    path: str
    key: str
    steps: tuple[int, ...]

    @property
    def question(self) -> dict[str, str | int]:
        """What a worker is told."""
        spec = short_form(self.spec)
        return {"spec": spec, "path": self.path, "key": self.key, "step": self.step}


def find(store: Store, text: str) -> Weights:
    """The weights that an address names; the last step if it names none.

    SpecError or StoreError, one line, if it cannot be read, or is not on this machine.
    """
    name, at, step = text[:LONGEST].rpartition("@")
    name, step = (name, step) if at else (text[:LONGEST], "")
    if at and not (step.isascii() and step.isdigit() and len(step) < 10):
        raise SpecError("step", step, "a whole number after the @")
    wanted = int(step) if at else None
    if name.isascii() and name.isdigit() and len(name) < 16:
        return _of_run(store, int(name), wanted)
    spec = parse(name)
    if spec.key in recorded():
        return _at(short_form(spec), names([spec])[0], spec, {**recorded()[spec.key]}, wanted)
    run = store.sweeps.finished(spec.key)
    paths = checkpoints.snapshots(run) if run is not None else {}
    return _at(short_form(spec), names([spec])[0], spec, paths, wanted)


def _of_run(store: Store, run_id: int, step: int | None) -> Weights:
    run = store.run(run_id)
    if run is None:
        raise StoreError(f"run: {quote(run_id)} is not in the store")
    label = f"{names([run.spec])[0]}, run {run_id}"
    return _at(str(run_id), label, run.spec, checkpoints.snapshots(run_id), step)


def _at(
    name: str, label: str, spec: RunSpec, paths: dict[int, Path], wanted: int | None
) -> Weights:
    steps = (0, *paths)
    step = max(steps) if wanted is None else wanted
    if step not in steps:
        there = ", ".join(map(str, steps))
        raise SpecError("step", step, f"stored of {label}: {there}")
    path = paths.get(step)
    checksum = checkpoints.facts(path).get("checksum", "") if path else "drawn"
    key = f"{spec.start_key if path is None else spec.key}-{step}-{checksum}"
    return Weights(f"{name}@{step}", label, spec, step, str(path or ""), key, steps)


@cache
def recorded() -> dict[str, dict[int, Path]]:
    """The files of the networks that ship with the program by step, by the key of their spec."""
    found: dict[str, dict[int, Path]] = {}
    folder = Path(str(files("explorer"))) / "recorded" / "networks"
    for path in sorted(folder.glob("*.safetensors")):
        facts = checkpoints.facts(path)
        if "key" in facts:
            found.setdefault(facts["key"], {})[facts["step"]] = path
    return found


@cache
def recorded_specs() -> tuple[RunSpec, ...]:
    """The specs of those networks, shallow ones first, plain before residual."""
    facts = [checkpoints.facts(path) for paths in recorded().values() for path in paths.values()]
    specs = {fact["key"]: parse(fact["spec"]) for fact in facts}
    order = sorted(specs.values(), key=lambda s: (s.network.depth, s.network.shortcut != "none"))
    return tuple(order)


def listed(store: Store) -> tuple[Weights, ...]:
    """Those to choose from, each at its last step: the program's own, then the newest runs'."""
    own = [find(store, short_form(spec)) for spec in recorded_specs()]
    runs = [run for run in store.runs(MOST_LISTED) if checkpoints.step_of(run.id)]
    return (*own, *(_of_run(store, run.id, None) for run in runs))
