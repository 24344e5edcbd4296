"""A run as one file of plain PyTorch that anybody can read, change and run."""

from collections.abc import Sequence
from textwrap import fill

from explorer.exports.program import is_published, sections
from explorer.exports.program.source import Section, import_lines
from explorer.spec import RunSpec, quote, short_form
from explorer.store import Event

MAIN = '''\
def main():
    """Print the readings of every step as CSV, or write them into a file."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=STEPS, help="stop after so many")
    parser.add_argument("--out", help="the CSV file to write")
    options = parser.parse_args()
    out = open(options.out, "w") if options.out else sys.stdout
    print("step,train_loss,train_accuracy,test_accuracy", file=out)
    for step, *readings in train(options.steps):
        cells = ["" if value is None else np.float32(value) for value in readings]
        print(step, *cells, sep=",", file=out, flush=True)


if __name__ == "__main__":
    main()
'''
FOLDER = """\
    parser.add_argument("--data", default="data", help="the folder of the data set")
"""
WIDTH = 88
USAGE = """\
    python script.py                  every step's readings, as CSV
    python script.py --out curve.csv  the same, into a file
    python script.py --steps 20       only the first 20 steps of the same curve
"""


def script(spec: RunSpec, events: Sequence[Event] = (), arm: int = 0, where: str = "") -> str:
    """The source of a program that repeats the run's curve bit for bit on a CPU.

    `events` are the changes made while it trained, `arm` is its place in the comparison,
    `where` says on what the original was trained. ValueError for data on one machine only.
    """
    main = Section("", "", MAIN, ("import argparse", "import sys", "import numpy as np"))
    if is_published(spec):
        code = MAIN.replace("    options =", f"{FOLDER}    options =")
        code = code.replace("options.steps)", "options.steps, options.data)")
        main = Section("", "", code, main.imports)
    parts = [*sections(spec, events, arm), main]
    edited = any(event.concerns(arm) for event in events)
    start = f"{head(spec, where, edited)}\n{import_lines(parts)}\n\n{parts[0].code}"
    return "\n\n".join([start, *(part.code for part in parts[1:])])


def head(spec: RunSpec, where: str, edited: bool) -> str:
    """The program's docstring: what it repeats, how to call it, what it needs."""
    title = fill(short_form(spec).replace(",", ", "), WIDTH, break_on_hyphens=False)
    licence = f"It needs {needs(spec)}. Licence: MIT."
    lines = [title, "", fill(said_of(spec, where, edited), WIDTH), "", USAGE, licence]
    return '"""' + "\n".join(lines) + '\n"""\n'


def said_of(spec: RunSpec, where: str, edited: bool) -> str:
    """What a program repeats and how exactly, in a sentence or two."""
    said = quote(where)[1:-1].replace("\\", "/").replace('"', "'")
    original = f" The original was trained on {said}." if where else ""
    changes = " and the changes made by hand while it trained" if edited else ""
    return (
        f"This is the run {spec.key} of Residual Explorer without Residual Explorer: the same "
        f"initial weights, data, batches and recipe{changes}; so, on a CPU with the same version "
        f"of PyTorch, the same numbers to the last bit.{original}"
    )


def needs(spec: RunSpec) -> str:
    """The packages that a program imports."""
    if is_published(spec):
        return "torch and torchvision"
    return "torch and numpy" if spec.data.name in ("spirals", "xor") else "torch and scikit-learn"
