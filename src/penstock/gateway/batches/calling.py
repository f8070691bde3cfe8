"""Calling an ASGI application inside this process, without a socket."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

from penstock.core.errors import Upstream

App = Callable[[Any, Any, Any], Awaitable[None]]


class Answer(NamedTuple):
    """An answer, whole; header names are in lower case."""

    status: int
    headers: Mapping[bytes, bytes]
    body: bytes


RunCall = Callable[[str, Mapping[bytes, bytes], bytes], Awaitable[Answer]]
"""(path, headers, body) → the answer of a POST."""


async def call(
    app: App, path: str, headers: Mapping[bytes, bytes], body: bytes, *, extra: Mapping[str, Any]
) -> Answer:
    """POST `body` to `path` of `app`; `extra` members of the ASGI scope tell it what no caller outside can say.

    Raises Upstream when the application ends without an answer.
    """
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [
            (b"host", b"penstock.internal"),
            (b"content-length", b"%d" % len(body)),
            *headers.items(),
        ],
        "client": None,
        "server": None,
        "state": {},
        **extra,
    }
    exchange = _Exchange(body)
    await app(scope, exchange.receive, exchange.send)
    return exchange.answer()


class _Exchange:
    """The two ends that the application sees."""

    def __init__(self, body: bytes) -> None:
        self._body: bytes | None = body
        self._status = 0
        self._headers: dict[bytes, bytes] = {}
        self._parts: list[bytes] = []
        self._complete = False

    async def receive(self) -> dict[str, Any]:
        if self._body is None:
            # The application asks again to learn whether the caller left: this one never does.
            await asyncio.get_running_loop().create_future()
        body, self._body = self._body, None
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(self, message: Mapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            self._headers = {name.lower(): value for name, value in message.get("headers", ())}
            return
        self._parts.append(message.get("body", b""))
        self._complete = not message.get("more_body", False)

    def answer(self) -> Answer:
        if not self._complete:
            raise Upstream("The gateway ended the call without a whole answer.")
        return Answer(self._status, self._headers, b"".join(self._parts))
