"""The process around an engine library without a server of its own.

Run as: python -m penstock.serving.engines.hosted_child
Reads one JSON line from standard input (`backend`, `folder`, `name`, `options`), writes one to standard output (`url`,
or `error`), then serves until standard input closes, which the kernel does when the parent dies, however it dies.
"""

import importlib
import os
import socket
import sys
import threading
from typing import Any

import uvicorn

from penstock.serving.engines.openai_server import Server
from penstock.serving.engines.parent import host, read_message, say, wait_for_parent


def listen(port: int) -> socket.socket:
    """Return a listening socket; 0 picks a free port. Raises OSError."""
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.bind((host(), port))
    made.listen(1024)
    return made


def load(spec: dict[str, Any]) -> Any:
    """Load the model and return the application that serves it."""
    module = importlib.import_module(f"penstock.serving.engines.{spec['backend']}_backend")
    options = spec["options"]
    if hasattr(module, "application"):
        return module.application(spec)
    backend = module.load(spec["folder"], options)
    return Server(
        backend,
        name=spec["name"],
        slots=options["slots"],
        queue=options["queue"],
        longest=options["context"],
    )


def _end_with(parent: int) -> None:
    wait_for_parent(parent)
    # Libraries may wait for their threads for ever; there is nothing to save.
    os._exit(0)


def main() -> int:
    """Serve until the parent is gone; returns the exit code."""
    parent = os.getppid()
    spec = read_message()
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    # Libraries print what they like; the parent reads one line from the real standard output.
    answers, sys.stdout = sys.stdout, sys.stderr
    try:
        app = load(spec)
        listening = listen(spec["options"]["port"])
    except Exception as error:  # noqa: BLE001 - whatever it is, the person who deploys is told
        sys.stdout = answers
        say({"error": f"{type(error).__name__}: {error}"})
        return 1
    sys.stdout = answers
    say({"url": f"http://127.0.0.1:{listening.getsockname()[1]}"})
    sys.stdout = sys.stderr
    config = uvicorn.Config(app, log_level="warning", lifespan="off", access_log=False, server_header=False)
    uvicorn.Server(config).run(sockets=[listening])
    return 0


if __name__ == "__main__":
    sys.exit(main())
