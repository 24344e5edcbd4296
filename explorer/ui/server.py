"""The server around the pages: the routes that live panels poll, and the workers' lifetime."""

import contextlib
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import plotly
import streamlit as st
from starlette.responses import FileResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from explorer.registry import discover
from explorer.ui import gradients, inside, lab
from explorer.ui.inside.route import live_inside
from explorer.ui.live import live_view
from explorer.ui.live_race import live_race
from explorer.ui.live_sweeps import live_sweeps
from explorer.ui.runs_live import export_run, live_compare, live_runs

LOG = logging.getLogger(__name__)
HERE = Path(__file__).parent
SCRIPT = HERE / "router.py"
PLOTLY = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"
DAY = {"Cache-Control": "public, max-age=86400"}


class Assets(StaticFiles):
    """The panels' modules; browsers ask each time whether they changed, as after an upgrade."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        """The file, or 304."""
        response = super().file_response(*args, **kwargs)
        response.headers["Cache-Control"] = "no-cache"
        return response


def plotly_js(request: Any) -> Response:
    """The plotly.js of the installed plotly, so that live and still charts are one version."""
    return FileResponse(PLOTLY, media_type="text/javascript", headers=DAY)


@contextlib.asynccontextmanager
async def lifetime(app: st.App) -> AsyncIterator[dict[str, Any]]:
    """Warm the workers up when the server starts; end them when it stops."""
    lab.lab()
    try:
        yield {}
    finally:
        lab.close()


def explain(error: Exception) -> bool:
    """One line in place of a traceback, which goes to the server's log."""
    LOG.error("a page failed", exc_info=error)
    line = (str(error).splitlines() or [""])[0][:300] or type(error).__name__
    st.error(f"This page could not be drawn: {line}")
    return True


for package in (gradients, inside):
    discover(package)  # every page adds itself to what the route below knows

ROUTES = [
    Route("/live/view", live_view),
    Route("/live/runs", live_runs),
    Route("/live/compare", live_compare),
    Route("/export/{run:int}/{format}", export_run),
    Route("/live/race", live_race),
    Route("/live/sweeps", live_sweeps),
    Route("/live/inside/{page}", live_inside),
    Route("/assets/plotly.min.js", plotly_js),
    Mount("/assets", Assets(directory=HERE / "assets")),
]
