"""A gateway on a real socket, with scripted providers behind it."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from penstock.core.auth import service as auth
from penstock.core.home import Home
from penstock.core.scope import Actor, Role, Scope
from penstock.gateway import service, snapshot
from penstock.gateway.app import GatewayApp
from penstock.traces.model import SpanRecord
from penstock.web.edge.server import EdgeServer
from penstock.web.edge.state import Edge
from tests.conftest import owner_of
from tests.fakes import anthropic as fake_anthropic
from tests.fakes import openai as fake_openai


class ListRecorder:
    """A recorder that keeps what it is given."""

    def __init__(self) -> None:
        self.spans: list[tuple[Scope, SpanRecord]] = []

    def record(self, scope: Scope, span: SpanRecord) -> None:
        self.spans.append((scope, span))

    def last(self, count: int = 1) -> SpanRecord:
        """Return the newest span, once there are `count`: spans come just after the answer."""
        deadline = time.monotonic() + 60
        while len(self.spans) < count:
            assert time.monotonic() < deadline, f"{len(self.spans)} of {count} spans came"
            time.sleep(0.01)
        return self.spans[-1][1]


class Running:
    """A gateway served by uvicorn in a thread."""

    def __init__(self, home: Home, actor: Actor) -> None:
        self.home = home
        self.actor = actor
        self.recorder = ListRecorder()
        self.app = GatewayApp(home, self.recorder)
        with home.begin() as uow:
            key, self.key = auth.create_key(uow, actor, name="test", role=Role.MEMBER)
        self.key_id = key.id
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        # A machine that is busy with other things is not the point: no call is shed.
        self._server = EdgeServer(self._asgi, Edge(drain_seconds=2, shed_lag_seconds=0))
        self._thread = threading.Thread(target=self._run, daemon=True)

    async def _asgi(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await self.app.stop()
            await send({"type": "lifespan.shutdown.complete"})
            return
        await self.app(scope, receive, send)

    def _run(self) -> None:
        self._server.run([self._listener])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    @property
    def connections(self) -> int:
        """How many callers are connected."""
        return len(self._server.server_state.connections)

    def start(self) -> None:
        self._thread.start()
        deadline = time.monotonic() + 60
        while not self._server.started:
            assert time.monotonic() < deadline, "the gateway did not start"
            time.sleep(0.01)

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(10)
        self._listener.close()

    def configure(self, providers: dict[str, Any], routes: dict[str, Any]) -> None:
        """Apply a configuration and wait until the gateway has it."""
        with self.home.begin() as uow:
            service.apply(uow, self.actor, {"providers": providers, "routes": routes})
        time.sleep(0.6)  # what looks at the same time as the configuration, such as limits, has had its turn
        deadline = time.monotonic() + 60
        while self.app._watch.running and self.app._watch.current.revisions != snapshot.revisions(self.home):
            assert time.monotonic() < deadline, "the gateway did not read its configuration"
            time.sleep(0.02)


@pytest.fixture
def openai_upstream() -> Iterator[fake_openai.MockUpstream]:
    with fake_openai.MockUpstream() as server:
        yield server


@pytest.fixture
def anthropic_upstream() -> Iterator[fake_anthropic.AnthropicUpstream]:
    with fake_anthropic.AnthropicUpstream() as server:
        yield server


OPENAI_MODELS = [
    "gpt-fake", "bytewise", "at-once", "cut", "slow", "silent", "hang", "cut-head", "no-length", "error-first",
    "error-in-stream", *fake_openai.FAILURES,
]  # fmt: skip
ANTHROPIC_MODELS = ["claude-fake", "at-once", "overloaded", "limited", "error-in-stream"]


def routes_for(provider: str, prefix: str, models: list[str]) -> dict[str, Any]:
    """Return a single-target route `<prefix><model>` for each model."""
    return {
        f"{prefix}{model}": {
            "strategy": "weighted",
            "targets": [{"provider": provider, "model": model}],
            "retries": 0,
        }
        for model in models
    }


@pytest.fixture
def gateway(
    sqlite_home: Home,
    openai_upstream: fake_openai.MockUpstream,
    anthropic_upstream: fake_anthropic.AnthropicUpstream,
) -> Iterator[Running]:
    """A gateway with routes `oa-<model>` and `an-<model>` for everything the fakes can do."""
    actor = owner_of(sqlite_home)
    providers = {
        "oa": {"kind": "openai", "base_url": openai_upstream.base_url, "api_key": fake_openai.KEY},
        "an": {"kind": "anthropic", "base_url": anthropic_upstream.url, "api_key": fake_anthropic.KEY},
        "down": {"kind": "openai", "base_url": "http://127.0.0.1:9/v1"},
    }
    routes = routes_for("oa", "oa-", OPENAI_MODELS) | routes_for("an", "an-", ANTHROPIC_MODELS)
    routes["chat"] = routes["oa-gpt-fake"]
    routes["down"] = {"strategy": "weighted", "targets": [{"provider": "down", "model": "x"}], "retries": 0}
    with sqlite_home.begin() as uow:
        service.apply(uow, actor, {"providers": providers, "routes": routes})
    running = Running(sqlite_home, actor)
    running.start()
    yield running
    running.stop()


Waiter = Callable[[Callable[[], bool]], None]


@pytest.fixture
def eventually() -> Waiter:
    """Wait until a condition holds, at most a minute."""

    def wait(condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 60
        while not condition():
            assert time.monotonic() < deadline, "it never came true"
            time.sleep(0.01)

    return wait
