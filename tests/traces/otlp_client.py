"""Speaks to the OTLP door without a socket."""

import asyncio
from typing import Any

from penstock.traces.otlp_app import OtlpApp

PROTOBUF = {"content-type": "application/x-protobuf"}
JSON = {"content-type": "application/json"}


class Answer:
    """What the door said."""

    def __init__(self, messages: list[Any]) -> None:
        self.status = messages[0]["status"]
        self.headers = {name.decode(): value.decode() for name, value in messages[0]["headers"]}
        self.body = b"".join(message.get("body", b"") for message in messages[1:])


def post(
    app: OtlpApp,
    body: bytes,
    headers: dict[str, str],
    *,
    method: str = "POST",
    parts: int = 1,
    path: str = "/v1/traces",
) -> Answer:
    """Send one request, its body in `parts` pieces."""

    async def run() -> Answer:
        step = -(-len(body) // parts) or 1
        pieces = [body[at : at + step] for at in range(0, len(body), step)] or [b""]
        incoming = [
            {"type": "http.request", "body": piece, "more_body": number < len(pieces) - 1}
            for number, piece in enumerate(pieces)
        ]
        sent: list[Any] = []

        async def receive() -> Any:
            return incoming.pop(0)

        async def send(message: Any) -> None:
            sent.append(message)

        raw = [(name.encode(), value.encode()) for name, value in headers.items()]
        await app({"type": "http", "method": method, "path": path, "headers": raw}, receive, send)
        return Answer(sent)

    return asyncio.run(run())
