"""Who opened a socket that was left open: Python's warning of it comes from wherever the collector happened to run."""

import os
import socket
import sys
from collections.abc import Iterator
from typing import Any

import pytest

FRAMES = 12
_opened: dict[int, str] = {}


def _here() -> str:
    """Return the running test and the callers, the nearest first."""
    frame, places = sys._getframe(2), []
    while frame is not None and len(places) < FRAMES:
        name = frame.f_code.co_filename.rpartition("/")[2]
        places.append(f"{name}:{frame.f_lineno}")
        frame = frame.f_back
    return f"{os.environ.get('PYTEST_CURRENT_TEST', 'no test')}, {' < '.join(places)}"


@pytest.fixture(autouse=True, scope="session")
def named_sockets() -> Iterator[None]:
    """Let a socket's representation, and so the warning of one that was not closed, say who opened it."""
    init, shown = socket.socket.__init__, socket.socket.__repr__

    def opened(self: socket.socket, *args: Any, **more: Any) -> None:
        init(self, *args, **more)
        _opened[id(self)] = _here()

    def named(self: socket.socket) -> str:
        return f"{shown(self)} opened in {_opened.get(id(self), 'another process')}"

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "__init__", opened)
        patch.setattr(socket.socket, "__repr__", named)
        yield
