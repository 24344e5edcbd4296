"""The route that the panels of the sweeps' page poll."""

import hashlib
import json
import threading

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from explorer.spec import SpecError
from explorer.store import StoreError
from explorer.ui.lab import lab
from explorer.ui.live import answer, read_screen
from explorer.ui.sweeps_state import SweepChoice, read_sweeps
from explorer.ui.sweeps_view import SweepsViews

LOCK = threading.Lock()
_views: list[SweepsViews] = []


def sweeps_views() -> SweepsViews:
    """The process's one maker of views of sweeps."""
    with LOCK:
        if not _views or _views[0].lab is not lab():
            _views[:] = [SweepsViews(lab())]
        return _views[0]


def live_sweeps(request: Request) -> Response:
    """The view as JSON; 304 while nothing has changed, 400 with one line for a bad address."""
    query = request.query_params
    try:
        choice = read_sweeps(query, query.getlist("grid"))
        tag = _tag(choice, str(query))
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers={"ETag": tag})
        view = sweeps_views().view(choice, read_screen(query))
    except SpecError as error:
        return JSONResponse({"error": str(error)}, status_code=400)
    except StoreError as error:
        return JSONResponse({"error": str(error)}, status_code=503)
    return answer(request, view, tag)


def _tag(choice: SweepChoice, query: str) -> str:
    """An ETag of the list, and of the attached sweep or at rest of all runs."""
    store = sweeps_views().lab.store
    token = store.sweeps.tag(choice.sweep) if choice.sweep else ""
    said = json.dumps([token or store.table.tag(), sweeps_views().listed(), query])
    return f'"{hashlib.sha256(said.encode()).hexdigest()[:16]}"'
