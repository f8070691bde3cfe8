"""How remote guards are called."""

import asyncio
from typing import Any

import pytest

from penstock.core.errors import Denied, Unavailable
from penstock.gateway.guarding.transport import GuardTransport
from penstock.gateway.upstream.request import DEFAULT_TIMEOUTS, Request, Timeouts


class _Response:
    status = 200
    closed = False

    async def read(self, limit: int) -> bytes:
        assert limit > 0
        return b'{"action":"allow"}'

    def close(self) -> None:
        self.closed = True


class _Client:
    def __init__(self, *, hangs: bool = False) -> None:
        self.hangs = hangs
        self.requests: list[Request] = []
        self.response = _Response()

    async def send(self, request: Request, timeouts: Timeouts = DEFAULT_TIMEOUTS) -> Any:
        assert timeouts
        self.requests.append(request)
        if self.hangs:
            await asyncio.sleep(60)
        return self.response


def _post(client: Any, url: str, *, timeout: float = 5, allow_private: bool = False, **headers: str) -> Any:
    carrier = GuardTransport(client)
    return asyncio.run(carrier.post(url, b"{}", headers, timeout=timeout, allow_private=allow_private))


def test_a_guard_is_asked_over_the_gateways_client() -> None:
    client = _Client()
    assert _post(client, "https://guard.example.com:8443/judge/?v=2", authorization="Bearer a\r\nx: y") == (
        200,
        b'{"action":"allow"}',
    )
    (request,) = client.requests
    assert (request.target, request.body) == (b"/judge/?v=2", b"{}")
    assert request.headers.startswith(b"Host: guard.example.com:8443\r\n")
    assert b"authorization: Bearer ax: y\r\n" in request.headers  # no line of its own
    assert not request.origin.allow_private
    assert client.response.closed


def test_private_addresses_are_refused() -> None:
    client = _Client()
    with pytest.raises(Denied):
        _post(client, "http://127.0.0.1/judge")
    assert client.requests == []
    _post(client, "http://127.0.0.1/judge", allow_private=True)
    assert client.requests[0].origin.allow_private


def test_a_guard_that_hangs_or_has_no_client_is_unavailable() -> None:
    with pytest.raises(Unavailable):
        _post(_Client(hangs=True), "https://guard.example.com/", timeout=0.05)
    with pytest.raises(Unavailable):
        _post(None, "https://guard.example.com/")
