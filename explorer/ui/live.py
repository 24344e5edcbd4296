"""The route that live panels poll: the view of the arms or the run that the address names."""

import hashlib
import json
import math
import threading
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from explorer.experiments.arms import DEFAULT, MOST_ARMS, Arms
from explorer.figures import Theme
from explorer.reproduction import Outcome
from explorer.spec import SpecError, parse
from explorer.store import StoreError
from explorer.ui.drawing import Screen
from explorer.ui.lab import lab
from explorer.ui.view import Views

MOST_FIGURES = 8
LOCK = threading.Lock()
_views: list[Views] = []


def views() -> Views:
    """The process's one maker of views."""
    with LOCK:
        if not _views or _views[0].lab is not lab():
            _views[:] = [Views(lab())]
        return _views[0]


def live_view(request: Request) -> Response:
    """The view as JSON; 304 while nothing has changed, 400 with one line for a bad address."""
    query = request.query_params
    try:
        arms = _arms(query.getlist("arm"))
        screen = read_screen(query)
        run = query.get("run", "")[:40]
        tag = _tag(run, str(query))
        if tag and request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers={"ETag": tag})
        expected = Outcome.parse(query.get("expect", ""), query.get("made", ""), len(arms))
        view = views().view(arms, run, screen, expected)
    except SpecError as error:
        return JSONResponse({"error": str(error)}, status_code=400)
    except StoreError as error:
        return JSONResponse({"error": str(error)}, status_code=503)
    return answer(request, view, tag)


def answer(request: Request, view: dict[str, Any], tag: str) -> Response:
    """The view as a response; 304 if the panel has it. Without a tag its text is one."""
    text = as_text(view)
    tag = tag or f'"{hashlib.sha256(text.encode()).hexdigest()[:16]}"'
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers={"ETag": tag})
    return Response(text, media_type="application/json", headers={"ETag": tag})


def as_text(view: dict[str, Any]) -> str:
    """The view as panels get it; numbers that JSON cannot hold are null."""
    return json.dumps(_finite(view), separators=(",", ":"))


def _arms(texts: list[str]) -> Arms:
    """The arms of the address, or the default's; SpecError for one that cannot be."""
    if len(texts) > MOST_ARMS:
        raise SpecError("arm", f"{len(texts)} arms", f"at most {MOST_ARMS}")
    return tuple(parse(text) for text in texts) or DEFAULT.specs


def read_screen(query: Any) -> Screen:
    theme: Theme = "dark" if query.get("theme") == "dark" else "light"
    show = tuple(query.get("show", "profile,curves,heatmap")[:200].split(","))[:MOST_FIGURES]
    return Screen(theme, query.get("narrow") == "1", show)


def _tag(run: str, query: str) -> str:
    """An ETag that is cheap to know: the store's change token; empty for a view at rest."""
    token = views().lab.store.tag(run) if run else ""
    digest = hashlib.sha256(f"{token}:{query}".encode()).hexdigest()[:16]
    queue = views().lab.executor.queue_position(run) if run else 0
    return f'"{digest}-{queue}"' if token else ""


def _finite(value: Any) -> Any:
    """`value` with every number that JSON cannot hold as null."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
