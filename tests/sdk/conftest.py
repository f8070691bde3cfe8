"""The scripted server, and an SDK that points at it."""

from collections.abc import Iterator

import pytest

from penstock.sdk import clock, runtime
from tests.sdk.fake_server import FakeServer, serving


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
