"""The browser panels of explorer/ui/assets as Streamlit components: diagram, transport, charts.

Streamlit mounts a loader of two lines; the panel itself is an ES module of the /assets route,
so that panels share one poller and nothing of them is sent again on a rerun.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NotRequired, TypedDict, cast

import streamlit as st
from streamlit.components.v2.types import ComponentRenderer

COMMANDS = ("play", "pause", "resume", "step", "stop", "reset")
GATE_LIMIT = 10.0
PLOTLY_URL = "/assets/plotly.min.js"

LONGEST_SEARCH = 200  # characters

Gates = tuple[tuple[float, ...], ...]  # (arm, block)


class DiagramArm(TypedDict):
    """One row: `gates` and `residual` have one number a block, `labels` one text a stage."""

    name: str
    color: str
    plain: bool
    stages: Sequence[int]
    gates: Sequence[float]
    residual: Sequence[float]
    shortcut: str
    labels: NotRequired[Sequence[str]]


@dataclass(frozen=True)
class Look:
    """What a visitor makes of the table: runs selected, words searched, the column sorted by.

    `sort` is a column's name, with a minus before it for the greatest first; `seq` rises with
    every change in the browser, so that an echo of an older one changes nothing there.
    """

    ids: tuple[int, ...] = ()
    find: str = ""
    sort: str = ""
    seq: int = 0


def panel(name: str, space: int) -> ComponentRenderer:
    """The panel of assets/`name`.js, for which `space` px are held until it is drawn."""
    loader = (
        f'const address = new URL("/assets/{name}.js", location.origin).href;\n'
        "export default (args) => import(address).then((panel) => panel.mount(args));\n"
    )
    held = f'<div class="panel-space" style="min-height: {space}px"></div>'
    return st.components.v2.component(
        f"explorer_{name}", html=held, js=loader, isolate_styles=False
    )


_diagram = panel("diagram", space=330)
_transport = panel("transport", space=44)
_charts = panel("charts", space=720)
_findings = panel("findings", space=90)
_facts = panel("facts", space=90)
_table = panel("table", space=480)
_members = panel("members", space=90)


def diagram(
    key: str,
    arms: Sequence[DiagramArm],
    on_gates: Callable[[Gates], None],
    view_url: str | None = None,
) -> None:
    """The arms as rows of blocks; `on_gates` is given the skip gates that a visitor has set.

    With `view_url` every block shows the gradient that reaches it in the run of that view.
    """
    shape = tuple(len(arm["gates"]) for arm in arms)

    def changed() -> None:
        gates = read_gates(st.session_state[key], shape)
        if gates is not None:
            on_gates(gates)

    _diagram(
        key=key,
        data={"arms": list(arms), "url": view_url},
        on_toggle_change=changed,
        on_skip_all_change=changed,
    )


def transport(key: str, view_url: str, on_command: Callable[[str], None]) -> None:
    """Buttons and progress of the run behind `view_url`; `on_command` is given one of COMMANDS."""

    def commanded() -> None:
        command = read_command(st.session_state[key])
        if command is not None:
            on_command(command)

    _transport(key=key, data={"url": view_url}, on_command_change=commanded)


def charts(
    key: str,
    view_url: str,
    ids: Sequence[str],
    wide: Sequence[str] = ("heatmap",),
    titles: Mapping[str, str] | None = None,
    heights: Mapping[str, int] | None = None,
) -> None:
    """The view's figures named `ids`, in this order; the id "sentences" places its findings.

    Those in `wide` take a row of their own, the others half of one on a wide screen.
    `heights` are in px, for charts whose figure names no height; a title left out is no title.
    """
    data = {
        "url": view_url,
        "ids": list(ids),
        "wide": list(wide),
        "titles": dict(titles or {}),
        "heights": dict(heights or {}),
        "plotly": PLOTLY_URL,
    }
    _charts(key=key, data=data)


def findings(key: str, view_url: str, name: str) -> None:
    """The view's findings of that name, in words."""
    _findings(key=key, data={"url": view_url, "name": name})


def facts(key: str, view_url: str, name: str) -> None:
    """The view's small table of that name: {caption, head, rows}."""
    _facts(key=key, data={"url": view_url, "name": name})


def members(key: str, view_url: str) -> None:
    """The runs of the sweep behind `view_url`, a mark each, in a table by kind and depth."""
    _members(key=key, data={"url": view_url})


def table(key: str, url: str, look: Look, version: str, on_look: Callable[[Look], None]) -> None:
    """The rows of `url` to search, sort and select; `on_look` is given every change.

    A new `version` makes the panel ask for the rows at once.
    """

    def changed() -> None:
        now = read_look(st.session_state[key])
        if now is not None:
            on_look(now)

    shown = {"ids": list(look.ids), "find": look.find, "sort": look.sort, "seq": look.seq}
    _table(key=key, data={"url": url, "version": version, **shown}, on_look_change=changed)


def read_look(events: Mapping[str, Any]) -> Look | None:
    """The look in the table's event; None if there is none, or it has not its shape."""
    event = events.get("look")
    if not isinstance(event, dict):
        return None
    ids, find, sort, seq = (event.get(name) for name in ("ids", "find", "sort", "seq"))
    if not isinstance(ids, list) or not all(type(one) is int and 0 < one < 2**53 for one in ids):
        return None
    if not isinstance(find, str) or not isinstance(sort, str) or type(seq) is not int:
        return None
    return Look(tuple(ids), find[:LONGEST_SEARCH], sort[:LONGEST_SEARCH], seq)


def read_gates(events: Mapping[str, Any], shape: Sequence[int]) -> Gates | None:
    """All arms' skip gates in the newest of the diagram's events; (arm, block).

    None if there is no event, or it does not fit `shape` (blocks an arm): a browser may answer
    for a network that has been replaced meanwhile, or send anything at all.
    """
    found = [event for name in ("toggle", "skip_all") if (event := events.get(name))]
    found = [event for event in found if isinstance(event, dict)]
    if not found:
        return None
    gates = max(found, key=lambda event: _number(event.get("seq"))).get("gates")
    if not isinstance(gates, list) or not all(isinstance(row, list) for row in gates):
        return None
    if tuple(len(row) for row in gates) != tuple(shape):
        return None
    rows = tuple(tuple(_number(gate) for gate in row) for row in gates)
    return rows if all(abs(gate) <= GATE_LIMIT for row in rows for gate in row) else None


def read_command(events: Mapping[str, Any]) -> str | None:
    """The command in the transport's event, or None if there is none of COMMANDS."""
    event = events.get("command")
    name = cast(object, event.get("name")) if isinstance(event, dict) else None
    return name if isinstance(name, str) and name in COMMANDS else None


def _number(value: object) -> float:
    """`value` as a float; NaN, which no bound holds, if it is no number."""
    return float(value) if isinstance(value, int | float) else math.nan
