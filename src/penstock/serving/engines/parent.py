"""What every engine child does: read its start message, tell its address, and end with the process that started it."""

import json
import os
import select
import sys
from typing import Any

from penstock.serving.ports import HOST_VARIABLE

_LOOK_SECONDS = 1.0


def host() -> str:
    """Return the address to listen on: loopback, unless the person who started a container says otherwise."""
    return os.environ.get(HOST_VARIABLE, "127.0.0.1")


def read_message() -> dict[str, Any]:
    """Return the start message, one JSON line on standard input."""
    found: dict[str, Any] = json.loads(sys.stdin.readline())
    return found


def say(message: dict[str, Any]) -> None:
    """Write one JSON line to the parent."""
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def wait_for_parent(parent: int) -> None:
    """Return when standard input closes, as the kernel does when the parent dies, or when the parent is gone."""
    while os.getppid() == parent:
        ready, _, _ = select.select([sys.stdin], [], [], _LOOK_SECONDS)
        if ready and not os.read(sys.stdin.fileno(), 4096):
            return
