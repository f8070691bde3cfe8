"""One engine in the foreground, for containers: `python -m penstock.serving.standalone --model triage@3 …`.

Fetches the model from the registry that the settings name, serves it on `--host` and `--port`, and ends when the
engine does or on SIGTERM. Exit code 0 when it was asked to end, 1 when the engine failed.
"""

import argparse
import json
import os
import signal
import sys
import tempfile
import threading
from pathlib import Path
from types import FrameType

from penstock.core.errors import PenstockError
from penstock.core.home import Home
from penstock.core.scope import Scope, system_actor
from penstock.registry import service as registry
from penstock.serving import probe, service
from penstock.serving.ports import HOST_VARIABLE, EngineProcess, Launch

START_SECONDS = 1800.0
FIRST_TOKEN_SECONDS = 300.0
_LOOK_SECONDS = 0.5


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    made = argparse.ArgumentParser(prog="penstock.serving.standalone", description=__doc__)
    made.add_argument("--model", required=True, help="registry reference, name@number")
    made.add_argument("--engine", required=True)
    made.add_argument("--name", required=True, help="the model name it answers to")
    made.add_argument("--options", type=json.loads, default={}, help="the engine's options as JSON")
    made.add_argument("--project", default="default")
    made.add_argument("--tenant", default="default")
    made.add_argument("--host", default="127.0.0.1")
    made.add_argument("--port", type=int, default=8000)
    return made


def start(home: Home, given: argparse.Namespace, log: Path, stop: threading.Event) -> EngineProcess:
    """Fetch the model and start its engine; returns once it has generated a token."""
    plugin = service.load_engine(given.engine)
    options = plugin.check({**given.options, "port": given.port})
    folder = registry.materialize(home, system_actor(Scope(given.tenant, given.project)), ref=given.model)
    launch = Launch(
        name=given.name,
        options=options,
        log=log,
        timeout=START_SECONDS,
        cancelled=stop.is_set,
        extra={HOST_VARIABLE: given.host},
    )
    process = plugin.start(folder, launch)
    try:
        probe.generate_one(f"http://127.0.0.1:{given.port}", given.name, FIRST_TOKEN_SECONDS)
    except PenstockError:
        process.stop()
        raise
    return process


def main() -> int:
    """Serve until told to end; returns the exit code."""
    given = parser().parse_args()
    stop = threading.Event()

    def end(_signal: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    with (
        Home.open(os.environ.get("PENSTOCK_HOME"), upgrade=False) as home,
        tempfile.TemporaryDirectory() as made,
    ):
        try:
            process = start(home, given, Path(made) / "engine.log", stop)
        except PenstockError as error:
            sys.stderr.write(f"{error}\n")
            return 0 if stop.is_set() else 1
        sys.stderr.write(f"{given.name} is ready on {given.host}:{given.port}\n")
        while not stop.wait(_LOOK_SECONDS):
            reason = process.exit_reason()
            if reason is not None:
                process.stop()
                sys.stderr.write(f"{reason}\n")
                return 1
        process.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
