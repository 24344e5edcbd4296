"""Traces as a table that spreadsheets and pandas read: one line a value."""

import csv as writer
import io
from collections.abc import Iterator, Mapping

from explorer.trace import Trace

HEADER = ("probe", "site", "unit", "step", "value")
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")  # what a spreadsheet may run, if a cell begins so


def csv(traces: Mapping[str, Trace]) -> str:
    """A line for each reading of each site, after RFC 4180 (commas, quotes, CRLF).

    A value is the shortest number that is the same float32, or nan, inf or -inf. A text
    that a spreadsheet would take for a formula has an apostrophe before it.
    """
    text = io.StringIO(newline="")
    table = writer.writer(text, lineterminator="\r\n")
    table.writerow(HEADER)
    for probe, trace in traces.items():
        table.writerows(_rows(probe, trace))
    return text.getvalue()


def _rows(probe: str, trace: Trace) -> Iterator[tuple[str, str, str, int, str]]:
    name, unit = plain(probe), plain(trace.unit)
    sites = [plain(site) for site in trace.sites]
    values = trace.values.astype(str)  # numpy writes the shortest that reads back the same
    for step, row in zip(trace.steps.tolist(), values.tolist(), strict=True):
        for site, value in zip(sites, row, strict=True):
            yield name, site, unit, step, value


def plain(text: str) -> str:
    """`text` as a cell that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(FORMULA) else text
