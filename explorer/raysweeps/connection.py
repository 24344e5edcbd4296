"""A Ray of this process: a cluster that is joined, or one on this machine that is started here.

Ray is imported here only, and only once it is asked for. It takes much upon itself in the
process that it is in, so it is kept quiet: standard output is for our own words.
"""

import contextlib
import functools
import importlib
import logging
import math
import os
import re
import secrets
import shutil
import socket
import tempfile
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from explorer.raysweeps.messages import first_line
from explorer.spec import SpecError

PACKAGE = Path(__file__).parents[1]
MISSING = "ray: it is not installed; pip install 'residual-explorer[ray]'"
JOINING = 20.0  # seconds in which a cluster that is there must take us in
STARTING = 90.0  # seconds for a Ray of our own: a busy machine takes a while
ENDING = 10.0  # seconds to leave, or to end what was started
KNOCKING = 5.0  # seconds for the door of a cluster to open
CLIENT_PORT = 10001  # Ray's own
OBJECTS = 150 * 2**20  # bytes of shared memory; checkpoints beyond it go by way of the disk
ADDRESS = re.compile(r"(ray://)?(\[[0-9a-fA-F:]+\]|[A-Za-z0-9._-]+)(?::(\d{1,5}))?")


class Connection:
    """Ray, ready for use as `ray`; RuntimeError, one line, if it cannot be had.

    `address` None starts one here with `cores` cores, which ends with `close`.
    """

    def __init__(self, address: str | None, cores: int | None = None) -> None:
        self.address = address
        self.cores = cores
        self.ray: Any = None
        self.trouble = ""
        self._folder = ""
        self._up = threading.Event()
        self._close = threading.Event()
        _check(address)
        with _surroundings(local=address is None):
            self._connect()
        if self.trouble:
            self.close()
            raise RuntimeError(f"ray: {self.trouble}")

    @property
    def local(self) -> bool:
        """Whether it was started here."""
        return self.address is None

    def _connect(self) -> None:
        seconds = STARTING if self.local else JOINING
        # One thread starts, holds and ends it: Ray's processes die with the thread they are from.
        self._thread = threading.Thread(target=self._hold, daemon=True, name="ray")
        self._thread.start()
        if not self._up.wait(seconds):
            self.trouble = f"it gave no answer at {self._place} within {seconds:.0f} s"

    @property
    def _place(self) -> str:
        return f"'{self.address}'" if self.address else "this machine"

    def _hold(self) -> None:
        ours = False
        try:
            self.ray = _quiet_ray(self.local)
            _knock(self.address)
            ours = not self.ray.is_initialized()  # else it is somebody else's to end
            self.ray.init(**self._options())
        except Exception as error:  # whatever Ray fails of is told in one line
            self.trouble = self._explained(error)
            self._up.set()
        else:
            self._up.set()
            self._close.wait()
        if ours:
            with contextlib.suppress(Exception):
                self.ray.shutdown()
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _options(self) -> dict[str, Any]:
        quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.CRITICAL}
        if self.address is not None:
            return {
                **quiet,
                "address": self.address,
                # What is installed on the nodes may be another version of this package, or none.
                "runtime_env": {"py_modules": [str(PACKAGE)]},
            }
        # Short, for the names of sockets have a limit; everything of Ray's lies in it.
        short = "/tmp" if os.path.isdir("/tmp") else None
        self._folder = tempfile.mkdtemp(prefix="explorer-ray-", dir=short)
        return {
            **quiet,
            "address": "local",
            "num_cpus": self.cores,
            "include_dashboard": False,
            "object_store_memory": OBJECTS,
            "_temp_dir": self._folder,
        }

    def _explained(self, error: Exception) -> str:
        if isinstance(error, ImportError):
            return MISSING.removeprefix("ray: ")
        if self.local:
            return f"it cannot be started here ({first_line(error)})"
        if self.address == "auto":
            return f"no cluster was found from this machine ({first_line(error)})"
        return f"there is no cluster to join at {self._place} ({first_line(error)})"

    def most(self, needs: dict[str, float]) -> int:
        """How many at once the nodes have room for that need so much CPU and GPU each."""
        rooms = (
            min(math.floor(node["Resources"].get(kind, 0.0) / need) for kind, need in needs.items())
            for node in self._nodes()
        )
        return sum(rooms)

    def require(self, name: str, kind: str, share: float) -> None:
        """SpecError, on the field `name`, unless some node has so much CPU or GPU."""
        largest = max((node["Resources"].get(kind, 0.0) for node in self._nodes()), default=0.0)
        if share > largest:
            where = "this machine" if self.local else "the largest node of the cluster"
            raise SpecError(name, share, f"{where} has {largest:g} {kind}s for Ray")

    def _nodes(self) -> list[dict[str, Any]]:
        return [node for node in self.ray.nodes() if node["Alive"]]

    def close(self) -> None:
        """Leave the cluster, or end the Ray that was started here."""
        self._close.set()
        self._thread.join(0 if self.ray is None or not self._up.is_set() else ENDING)


def _check(address: str | None) -> None:
    if address not in (None, "auto") and not ADDRESS.fullmatch(address or ""):
        raise SpecError("address", address, "write auto, HOST:PORT or ray://HOST:PORT")


def _knock(address: str | None) -> None:
    """OSError if nothing answers there: Ray itself would try for a minute, or abort."""
    match = ADDRESS.fullmatch(address or "")
    if match is None or address == "auto":
        return
    port = int(match[3] or CLIENT_PORT)
    socket.create_connection((match[2].strip("[]"), port), timeout=KNOCKING).close()


def _quiet_ray(local: bool) -> Any:
    """Ray; where somebody imported it before, it is told again what _surroundings say."""
    ray: Any = importlib.import_module("ray")
    worker: Any = importlib.import_module("ray._private.worker")
    logging.getLogger("ray").setLevel(logging.CRITICAL)
    warnings.filterwarnings("ignore", module="ray")
    worker._worker_logs_enabled = False  # it prints what befalls workers on standard output
    if local:
        constants: Any = importlib.import_module("ray._private.ray_constants")
        constants.ENABLE_RAY_CLUSTER = False
    with contextlib.suppress(Exception):  # a part of it that some versions do not have
        importlib.import_module("ray._raylet").Config.initialize("")
    return ray


@contextlib.contextmanager
def _surroundings(local: bool) -> Iterator[None]:
    """While open, the environment is one in which Ray keeps to itself.

    A Ray of our own listens on 127.0.0.1 alone, and answers those who have its token only.
    """
    wanted = {"RAY_USAGE_STATS_ENABLED": "0"}
    if local:
        wanted |= {
            "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # despite its name: loopback, anywhere
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": _token(),
        }
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@functools.cache
def _token() -> str:
    """One for this process, since Ray reads it once."""
    return secrets.token_hex(32)
