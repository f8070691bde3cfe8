"""A whole server on a real socket, and an interpreter that has MLflow's client."""

import importlib.util
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from penstock.app.server import Penstock
from penstock.core.auth import service as auth
from penstock.core.home import Home
from penstock.core.scope import Actor, Role
from penstock.web.edge.server import EdgeServer
from penstock.web.edge.state import Edge

CLIENT = "PENSTOCK_TEST_MLFLOW"
"""An interpreter with MLflow installed, for tests of the real client; default: this one, when it has MLflow."""


class Running:
    """Penstock served on loopback."""

    def __init__(self, home: Home, actor: Actor) -> None:
        self.home = home
        self.actor = actor
        with home.begin() as uow:
            _, self.key = auth.create_key(uow, actor, name="mlflow", role=Role.MEMBER, any_project=True)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self._server = EdgeServer(Penstock(home), Edge(drain_seconds=2))
        self._thread = threading.Thread(target=self._server.run, args=([self._listener],), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}/mlflow"

    def start(self) -> None:
        self._thread.start()
        deadline = time.monotonic() + 20
        while not self._server.started and time.monotonic() < deadline:
            time.sleep(0.01)

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(timeout=20)
        self._listener.close()


@pytest.fixture
def running(home: Home, actor: Actor) -> Iterator[Running]:
    server = Running(home, actor)
    server.start()
    yield server
    server.stop()


def interpreter() -> str:
    """Return an interpreter that has MLflow, or skip."""
    found = os.environ.get(CLIENT)
    if found:
        return found
    if importlib.util.find_spec("mlflow") is None:
        pytest.skip(f"install mlflow-skinny, or name an interpreter that has MLflow in {CLIENT}")
    return sys.executable


@pytest.fixture
def client(running: Running, tmp_path: Path) -> Callable[..., str]:
    """Run a part of `client.py` with the real client against the server; returns what it printed."""
    python = interpreter()

    def run(part: str, *arguments: str, **environment: Any) -> str:
        env = {
            "PATH": os.environ.get("PATH", ""),
            "HOME": str(tmp_path),
            "MLFLOW_TRACKING_URI": running.url,
            "MLFLOW_TRACKING_TOKEN": running.key,
            "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "DO_NOT_TRACK": "true",
            "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
        } | {name: value for name, value in environment.items() if value is not None}
        if "MLFLOW_TRACKING_PASSWORD" in environment:
            del env["MLFLOW_TRACKING_TOKEN"]
        script = Path(__file__).with_name("client.py")
        done = subprocess.run(
            [python, str(script), part, *arguments],
            env=env, cwd=tmp_path, capture_output=True, text=True, timeout=200, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-6000:]
        return done.stdout

    return run
