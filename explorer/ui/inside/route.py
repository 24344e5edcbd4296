"""The route that the panels of these pages poll: questions asked, then drawn when they change."""

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from explorer import comparison
from explorer.figures import Arm, alt_text, make_arms
from explorer.inquiry import Inquiry
from explorer.registry import Registry
from explorer.spec import SpecError
from explorer.store import StoreError
from explorer.ui.asking import Asking, Found, asking, how_far, where_recorded
from explorer.ui.drawing import Screen, as_json
from explorer.ui.inside.state import InsideChoice, read_inside
from explorer.ui.lab import lab
from explorer.ui.live import answer, read_screen
from explorer.weights import Weights, find

Json = dict[str, Any]
PATIENCE = 2.0  # seconds that a quick answer is waited for, so that it needs no second look


@dataclass(frozen=True)
class Ask:
    """A question of a page; `slow` ones wait for each other, and are kept in the store."""

    inquiry: Inquiry
    slow: bool = True


@dataclass(frozen=True)
class Scene:
    """What a page has to draw from: the choice, its networks as arms, and what is known."""

    choice: InsideChoice
    weights: tuple[Weights, ...]
    arms: tuple[Arm, ...]
    found: Mapping[str, Found]
    screen: Screen

    def answer(self, name: str) -> Json | None:
        """The answer to the question of that name, if it is there."""
        found = self.found.get(name)
        return found.answer if found else None


@dataclass(frozen=True)
class Page:
    """A page's questions by name, and the view that it makes of the answers.

    A view has `figures`, Plotly figures by name (None for one that is not there), and whatever
    else the page's panels read.
    """

    questions: Callable[[InsideChoice, tuple[Weights, ...]], Mapping[str, Ask]]
    view: Callable[[Scene], Json]


PAGES: Registry[Page] = Registry("page")


def live_inside(request: Request) -> Response:
    """The page's view as JSON; 304 while nothing has changed, 400 or 503 with one line."""
    query = request.query_params
    try:
        name = request.path_params["page"]
        page = _page(name)
        choice = read_inside(query, query.getlist("net"))
        weights = networks(name, choice)
        asks = page.questions(choice, weights)
        found = _asked(asking(lab()), asks)
        tag = _tag(found, str(query), weights)
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers={"ETag": tag})
        arms = tuple(arms_of(weights))
        view = _whole(page.view(Scene(choice, weights, arms, found, read_screen(query))), found)
    except SpecError as error:
        return JSONResponse({"error": str(error)}, status_code=400)
    except StoreError as error:
        return JSONResponse({"error": str(error)}, status_code=503)
    return answer(request, view, tag)


def _page(name: str) -> Page:
    if name not in PAGES:
        raise SpecError("page", name, f"choose one of {', '.join(PAGES)}")
    return PAGES[name]


def networks(page: str, choice: InsideChoice) -> tuple[Weights, ...]:
    """The networks that the page shows; SpecError or StoreError, one line, if one is not there."""
    return tuple(find(lab().store, net) for net in choice.nets_on(page))


def arms_of(weights: tuple[Weights, ...]) -> list[Arm]:
    """The networks as arms, in the colours they have on every page; steps are told apart."""
    labels = [one.label for one in weights]
    specs = list(dict.fromkeys(one.spec for one in weights))
    if len(set(labels)) < len(specs):  # then what differs tells them apart
        told = dict(zip(specs, comparison.names(specs), strict=True))
        labels = [told[one.spec] for one in weights]
    names = [
        f"{label}, step {one.step}" if labels.count(label) > 1 else label
        for label, one in zip(labels, weights, strict=True)
    ]
    if len(set(names)) < len(names):
        names = [f"{name} ({number})" for number, name in enumerate(names, 1)]
    return make_arms(names, [one.spec.network.shortcut == "none" for one in weights])


def _asked(answers: Asking, asks: Mapping[str, Ask]) -> dict[str, Found]:
    """What is known; quick questions are all put before the first is waited for, and the slow.

    PATIENCE is for all of them together.
    """
    for ask in asks.values():
        answers.get(ask.inquiry, slow=ask.slow)
    end = time.monotonic() + PATIENCE
    return {
        name: answers.get(
            ask.inquiry, 0.0 if ask.slow else max(0.0, end - time.monotonic()), ask.slow
        )
        for name, ask in asks.items()
    }


def _tag(found: Mapping[str, Found], query: str, weights: tuple[Weights, ...]) -> str:
    states = [[name, one.state, one.done, one.error] for name, one in found.items()]
    said = json.dumps([states, query, [one.key for one in weights]])
    return f'"{hashlib.sha256(said.encode()).hexdigest()[:16]}"'


def _whole(view: Json, found: Mapping[str, Found]) -> Json:
    """The page's view, with how far its questions are, and its figures as JSON."""
    drawn = {name: figure for name, figure in view.pop("figures", {}).items() if figure}
    return {
        **progress(found),
        **view,
        "figures": {name: as_json(figure) for name, figure in drawn.items()},
        "alts": {name: alt_text(figure) for name, figure in drawn.items()},
    }


def progress(found: Mapping[str, Found]) -> Json:
    """How far the questions are, as the transport and the charts take it."""
    open_ones = {name: one for name, one in found.items() if one.busy}
    ended = [one for one in found.values() if one.state in ("cancelled", "failed")]
    errors = {one.error for one in ended if one.state == "failed"}
    recorded = sum(one.state == "recorded" for one in found.values())
    part = " in part" if recorded < len(found) else ""
    said = f"Recorded{part}: {where_recorded()}" if recorded else ""
    if open_ones:
        name, first = next(iter(open_ones.items()))
        said = f"{name}: {how_far(first)}"
        said += f"; {len(open_ones) - 1} more after it" if len(open_ones) > 1 else ""
    elif ended:
        said = "Not all could be computed" if errors else "Cancelled; Compute starts it again"
    state = "running" if open_ones else "stopped" if ended else "done"
    controls = {"play": False, "stop": True} if open_ones else {"resume": True} if ended else {}
    return {
        "busy": bool(open_ones),
        "state": state,
        "step": sum(one.done / one.all for one in open_ones.values() if one.all)
        + len(found)
        - len(open_ones)
        - len(ended),
        "steps": len(found),
        "progress": said or "Computed on this machine",
        "message": "; ".join(sorted(errors)),
        "controls": controls,
        "words": {"play": "Computing", "resume": "Compute", "stop": "Cancel"},
    }
