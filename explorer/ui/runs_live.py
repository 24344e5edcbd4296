"""The routes of the Runs page: the table and the comparison that panels poll, and exports."""

import hashlib
import threading
from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from explorer.spec import SpecError
from explorer.store import StoreError
from explorer.ui.drawing import Screen
from explorer.ui.lab import lab
from explorer.ui.live import as_text
from explorer.ui.runs_view import RunsViews
from explorer.ui.selection import MOST_COMPARED

LOCK = threading.Lock()
_views: list[RunsViews] = []


def views() -> RunsViews:
    """The process's one maker of these views."""
    with LOCK:
        if not _views or _views[0].store is not lab().store:
            _views[:] = [RunsViews(lab().store)]
        return _views[0]


def live_runs(request: Request) -> Response:
    """All runs as lines of a table; 304 while nothing has changed."""
    try:
        tag = lab().store.table.tag()
        return _answer(request, tag, lambda: views().table(tag))
    except StoreError as error:
        return JSONResponse({"error": str(error)}, status_code=503)


def live_compare(request: Request) -> Response:
    """The runs named by `id` in charts; 304 while nothing has changed, 400 for no such ids."""
    query = request.query_params
    try:
        ids = read_ids(query.getlist("id"))
        screen = Screen("dark" if query.get("theme") == "dark" else "light")
        screen = Screen(screen.theme, query.get("narrow") == "1")
        tag = f"{views().tag(ids)}:{query}"
        return _answer(request, tag, lambda: views().compare(ids, screen))
    except SpecError as error:
        return JSONResponse({"error": str(error)}, status_code=400)
    except StoreError as error:
        return JSONResponse({"error": str(error)}, status_code=503)


def read_ids(texts: list[str]) -> list[int]:
    """Run ids out of an address; SpecError for what is no id, and for too many."""
    if len(texts) > MOST_COMPARED:
        raise SpecError("id", f"{len(texts)} runs", f"at most {MOST_COMPARED}")
    for text in texts:
        if not (text.isascii() and text.isdigit() and len(text) < 16):
            raise SpecError("id", text, "a run's number")
    return [int(text) for text in texts]


def export_run(request: Request) -> Response:
    """One run as a file of the format in the address; one line of text if that cannot be."""
    from explorer.exports import export

    path = request.path_params
    try:
        name, content = export(lab().store, int(path["run"]), path["format"])
    except (ValueError, StoreError) as error:
        return PlainTextResponse(f"{error}\n", status_code=400)
    return Response(
        content,
        media_type="application/octet-stream",
        headers={"Content-Disposition": f'attachment; filename="{_ascii(name)}"'},
    )


def _ascii(name: str) -> str:
    """A file name that no header can misread."""
    return "".join(c if c.isascii() and (c.isalnum() or c in "-_.") else "_" for c in name)


def _answer(request: Request, token: str, make: Callable[[], dict[str, Any]]) -> Response:
    """What `make` gives as JSON; 304 where the browser has that of `token`."""
    tag = f'"{hashlib.sha256(token.encode()).hexdigest()[:16]}"'
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers={"ETag": tag})
    return Response(as_text(make()), media_type="application/json", headers={"ETag": tag})
