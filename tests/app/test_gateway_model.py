"""The gateway as the model that labels rows: its key, what it sends, what it tries again."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from penstock.app.gateway_model import GatewayModel
from penstock.core.auth import service as auth
from penstock.core.errors import Invalid, Upstream
from penstock.core.home import Home
from tests.conftest import owner_of

MESSAGES = [{"role": "system", "content": "label"}, {"role": "user", "content": "x"}]


class Server(ThreadingHTTPServer):
    """Answers what it is told to, and keeps what it was asked."""

    daemon_threads = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: list[tuple[int, Any]] = []
        self.asked: list[tuple[str, str, Any]] = []


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.asked.append((self.path, self.headers["authorization"], body))
        status, answer = self.server.answers.pop(0)
        data = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("x-penstock-cost-usd", "0.000125")
        self.send_header("retry-after", "0")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    with Server() as made:
        thread = threading.Thread(target=made.serve_forever)
        thread.start()
        monkeypatch.setenv("PENSTOCK_URL", f"http://127.0.0.1:{made.server_port}")
        try:
            yield made
        finally:
            made.shutdown()
            thread.join()


def test_it_asks_with_a_key_of_its_own_and_revokes_it(sqlite_home: Home, server: Server) -> None:
    owner = owner_of(sqlite_home)
    model = GatewayModel(sqlite_home, owner)
    server.answers = [(503, {}), (200, {"choices": [{"message": {"content": "billing"}}]})]
    reply = model.ask("chat", MESSAGES, temperature=0.0, max_tokens=5)
    assert (reply.text, reply.cost_usd) == ("billing", 0.000125)
    path, key, body = server.asked[1]
    assert path == "/v1/chat/completions"
    assert key.startswith("Bearer psk_")
    assert body == {"model": "chat", "messages": MESSAGES, "temperature": 0.0, "max_tokens": 5}
    model.close()
    with sqlite_home.read() as uow:
        keys = [key for key in auth.list_keys(uow, owner) if key.name.startswith("labels for")]
    assert keys == [] or all(key.revoked_at is not None for key in keys)


def test_what_trying_again_cannot_mend_fails_at_once(sqlite_home: Home, server: Server) -> None:
    model = GatewayModel(sqlite_home, owner_of(sqlite_home))
    try:
        server.answers = [(404, {"error": {"message": "no route"}})]
        with pytest.raises(Upstream, match="HTTP 404"):
            model.ask("chat", MESSAGES, temperature=0.0, max_tokens=5)
        server.answers = [(200, {"choices": []})]
        with pytest.raises(Upstream, match="cannot be read"):
            model.ask("chat", MESSAGES, temperature=0.0, max_tokens=5)
        assert len(server.asked) == 2
    finally:
        model.close()


def test_without_an_address_it_says_so(sqlite_home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PENSTOCK_URL", raising=False)
    monkeypatch.setenv("PENSTOCK_SERVER__PORT", "0")
    with Home.open(sqlite_home.path) as home, pytest.raises(Invalid, match="not fixed"):
        GatewayModel(home, owner_of(home))
