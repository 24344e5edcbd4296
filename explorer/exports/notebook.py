"""A run as a notebook: the program of `script` in cells, then its curve."""

from collections.abc import Sequence
from importlib import import_module
from typing import Any

from explorer.exports.program import Section, is_published, sections
from explorer.exports.program.source import import_lines
from explorer.exports.script import needs, said_of
from explorer.spec import RunSpec, short_form
from explorer.store import Event

INTRODUCTION = """\
# {title}

{said}

**Held fixed:** seed {seed} gives the initial weights and the order of the batches; one thread.
**To change it:** edit a constant in the next cell and run all cells again.

**To read it:** the loss and the training accuracy are those of the batch of a step, before the
step; the test accuracy is read every 25 steps and after the last. Step 0 is the network as it was
initialised.

It needs {needs}. Licence: MIT."""
TRAIN = """\
steps = STEPS  # fewer for a first look
readings = list(train(steps))"""
TABLE = """\
print("step  loss      accuracy  test accuracy")
for step, loss, accuracy, tested in readings:
    if loss is not None and step % max(steps // 20, 1) == 0:
        test = "" if tested is None else f"{tested:.4f}"
        print(f"{step:4}  {loss:8.4f}  {accuracy:8.4f}  {test}")
if readings and readings[-1][0] == STEPS:
    print(f"test accuracy after the last step: {readings[-1][3]:.4f}")"""
PLOT = """\
try:
    import matplotlib.pyplot as plt
except ImportError:
    print("matplotlib is not installed; the table above has the numbers")
else:
    curve = [(step, loss) for step, loss, *_ in readings if loss is not None]
    plt.plot(*zip(*curve))
    plt.xlabel("step")
    plt.ylabel("loss of the batch")
    plt.show()"""


def notebook(spec: RunSpec, events: Sequence[Event] = (), arm: int = 0, where: str = "") -> str:
    """The JSON of a notebook whose cells, run in order, repeat the run's curve on a CPU.

    The arguments are those of `script`, and so is what cannot be repeated: ValueError.
    """
    v4: Any = import_module("nbformat.v4")  # here, because the import takes a while
    parts = sections(spec, events, arm)
    train = TRAIN.replace("train(steps)", "train(steps, folder)") if is_published(spec) else TRAIN
    if is_published(spec):
        train = f'folder = "data"  # where the files are, or will be downloaded to\n{train}'
    steps = [
        Section("Training it", "About as long as in the app.", train),
        Section("The numbers", "Twenty lines of the curve; `readings` has all of it.", TABLE),
        Section("The curve", "Drawn if matplotlib is there.", PLOT),
    ]
    introduction = INTRODUCTION.format(
        title=short_form(spec).replace("~", r"\~"),
        said=said_of(spec, where, any(event.concerns(arm) for event in events)),
        seed=spec.seed,
        needs=needs(spec),
    )
    cells = [v4.new_markdown_cell(introduction), v4.new_code_cell(import_lines(parts))]
    for part in [*parts, *steps]:
        cells += [v4.new_markdown_cell(f"## {part.title}\n\n{part.note}")]
        cells += [v4.new_code_cell(part.code.strip())]
    for place, cell in enumerate(cells):
        cell["id"] = f"cell-{place}"  # not at random: the same run gives the same file
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    return str(v4.writes(v4.new_notebook(cells=cells, metadata=metadata)))
