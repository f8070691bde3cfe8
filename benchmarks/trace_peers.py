"""Arize Phoenix and MLflow as receivers of OTLP, each in an environment of its own, measured beside Penstock."""

import http.client
import json
import os
import sqlite3
import subprocess
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import peers

QUIET = {
    "PHOENIX_TELEMETRY_ENABLED": "false",
    "PHOENIX_ALLOW_EXTERNAL_RESOURCES": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
}


@dataclass
class Receiver:
    """A running receiver: its process, where it listens, what a client must say, and how to count what it stored."""

    name: str
    process: subprocess.Popen
    port: int
    headers: dict[str, str]
    database: Path
    count: str

    def stored(self) -> int:
        """Return how many spans its database holds."""
        with closing(sqlite3.connect(self.database, timeout=60)) as raw:
            return raw.execute(self.count).fetchone()[0]


def start_phoenix(folder: Path, port: int) -> Receiver:
    """Start Phoenix with SQLite, its own default; it answers before it stores."""
    python = peers.environment("phoenix", "arize-phoenix")
    work = folder / "phoenix"
    work.mkdir()
    places = {
        "PHOENIX_WORKING_DIR": str(work),
        "PHOENIX_HOST": "127.0.0.1",
        "PHOENIX_PORT": str(port),
        "PHOENIX_GRPC_PORT": str(port + 1),
    }
    process = subprocess.Popen(
        [str(python), "-m", "phoenix.server.main", "serve"],
        env=os.environ | QUIET | places,
        stdout=(folder / "phoenix.log").open("w"),
        stderr=subprocess.STDOUT,
    )
    wait(port, process, 900)
    name = f"phoenix {peers.version(python, 'arize-phoenix')}"
    return Receiver(name, process, port, {}, work / "phoenix.db", "SELECT count(*) FROM spans")


def start_mlflow(folder: Path, port: int) -> Receiver:
    """Start MLflow's server with SQLite and one worker."""
    python = peers.environment("mlflow", "mlflow")
    database = folder / "mlflow.db"
    command = [str(python.with_name("mlflow")), "server", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--workers", "1", "--backend-store-uri", f"sqlite:///{database}"]
    process = subprocess.Popen(
        [*command, "--default-artifact-root", str(folder / "artifacts")],
        env=os.environ | QUIET,
        cwd=folder,
        stdout=(folder / "mlflow.log").open("w"),
        stderr=subprocess.STDOUT,
    )
    wait(port, process, 900)
    conn = http.client.HTTPConnection("127.0.0.1", port)
    body = json.dumps({"name": "bench"})
    conn.request("POST", "/api/2.0/mlflow/experiments/create", body, {"content-type": "application/json"})
    experiment = json.loads(conn.getresponse().read())["experiment_id"]
    conn.close()
    name = f"mlflow {peers.version(python, 'mlflow')}"
    headers = {"x-mlflow-experiment-id": experiment}
    return Receiver(name, process, port, headers, database, "SELECT count(*) FROM spans")


def wait(port: int, process: subprocess.Popen, seconds: float) -> None:
    """Wait until the port answers a request; ends the run when it does not."""
    until = time.monotonic() + seconds
    while time.monotonic() < until and process.poll() is None:
        try:
            conn = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            conn.request("GET", "/")
            conn.getresponse().read()
            conn.close()
            return
        except (OSError, http.client.HTTPException):
            time.sleep(0.3)
    process.kill()
    process.wait()
    raise SystemExit(f"nothing answers on {port}")


def family(pid: int) -> list[int]:
    """Return the process and all of its descendants."""
    found = [pid]
    for one in found:
        for task in Path(f"/proc/{one}/task").glob("*/children"):
            found += [int(child) for child in task.read_text().split()]
    return found
