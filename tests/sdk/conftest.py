"""The scripted server, and an SDK that points at it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from penstock.sdk import clock, quiet, runtime
from tests.sdk.fake_server import FakeServer, serving


@pytest.fixture(autouse=True)
def spool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where spans wait while no server answers; never the developer's own cache."""
    folder = tmp_path / "spool"
    monkeypatch.setenv("PENSTOCK_SPOOL", str(folder))
    return folder


@pytest.fixture(autouse=True)
def said() -> Iterator[None]:
    """Every test hears its own warnings, which are otherwise given once."""
    quiet._said.clear()
    yield


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with serving() as fake:
        yield fake


@pytest.fixture
def traced(server: FakeServer) -> Iterator[FakeServer]:
    """The scripted server as the process-wide one, taking spans."""
    server.answer("POST /v1/traces", {})
    runtime.configure(server.url, "psk_test", service="tests")
    yield server
    runtime.configure(server.url, "psk_test", tracing=False)


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The waits between attempts, none of which is really waited."""
    waited: list[float] = []
    monkeypatch.setattr(clock, "sleep", waited.append)
    return waited
