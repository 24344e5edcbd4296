"""The route that the depth race's panels poll."""

import hashlib
import threading

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from explorer.spec import SpecError
from explorer.store import StoreError
from explorer.ui.lab import lab
from explorer.ui.live import answer, read_screen
from explorer.ui.race_state import read_race
from explorer.ui.race_view import RaceViews

LOCK = threading.Lock()
_views: list[RaceViews] = []


def race_views() -> RaceViews:
    """The process's one maker of views of races."""
    with LOCK:
        if not _views or _views[0].lab is not lab():
            _views[:] = [RaceViews(lab())]
        return _views[0]


def live_race(request: Request) -> Response:
    """The view as JSON; 304 while nothing has changed, 400 with one line for a bad address."""
    query = request.query_params
    try:
        choice = read_race(query)
        tag = _tag(choice.sweep, str(query))
        if tag and request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers={"ETag": tag})
        view = race_views().view(choice, read_screen(query))
    except SpecError as error:
        return JSONResponse({"error": str(error)}, status_code=400)
    except StoreError as error:
        return JSONResponse({"error": str(error)}, status_code=503)
    return answer(request, view, tag)


def _tag(sweep: str | None, query: str) -> str:
    """An ETag that is cheap to know: the change token of the sweep, or at rest of all runs."""
    store = race_views().lab.store
    token = store.sweeps.tag(sweep) if sweep else f"rest:{store.table.tag()}"
    return f'"{hashlib.sha256(f"{token}:{query}".encode()).hexdigest()[:16]}"'
