"""Where this program keeps its files: one folder, and nothing is written outside it."""

import os
from pathlib import Path

from platformdirs import user_data_path


def home() -> Path:
    """The data folder: `EXPLORER_HOME`, or the platform's own place; made when missing."""
    chosen = os.environ.get("EXPLORER_HOME")
    path = Path(chosen).expanduser() if chosen else user_data_path("residual-explorer")
    path.mkdir(parents=True, exist_ok=True)
    return path
