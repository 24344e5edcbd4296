"""Record the profiles that ship with the program: `python -m explorer.experiments.record`.

They are shown, labelled as recorded, for the seconds in which a new server imports torch.
"""

import json
import os
import platform
from datetime import UTC, datetime
from pathlib import Path

import torch

from explorer.experiments.arms import PRESETS
from explorer.flow import flow
from explorer.training import one_thread

FILE = Path(__file__).parents[1] / "recorded" / "flows.json"


def record() -> None:
    """Measure every preset's arms on this machine's CPU and write FILE."""
    one_thread()
    specs = {spec.start_key: spec for preset in PRESETS for spec in preset.specs}
    today = datetime.now(UTC).date().isoformat()
    machine = f"{platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__}"
    record = {
        "where": f"{today}, {machine}",
        "command": "python -m explorer.experiments.record",
        "flows": {key: flow(spec, device="cpu").to_json() for key, spec in specs.items()},
    }
    FILE.write_text(json.dumps(record) + "\n", encoding="utf-8")


if __name__ == "__main__":
    record()
