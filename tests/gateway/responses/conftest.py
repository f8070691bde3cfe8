"""A gateway of the Responses API alone: its storage is the real one, the provider a script."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import msgspec
import openai
import pytest

from penstock.core import ids
from penstock.core.errors import PenstockError
from penstock.core.home import Home
from penstock.core.http.families import render_error
from penstock.core.scope import Actor, Role, Scope
from penstock.gateway.batches.app import Request
from penstock.gateway.cache.replay_responses import response as events_of
from penstock.gateway.dialects.envelope import Envelope
from penstock.gateway.responses.app import ResponsesApp
from penstock.gateway.responses.storing import ResponseStore

KEYS = {"psk_one": Scope(), "psk_two": Scope("acme", "default"), "psk_three": Scope("default", "other")}


def answer_to(body: dict[str, Any]) -> dict[str, Any]:
    """What the scripted provider answers: how many items it was given, and a thought without content."""
    given = body["input"] if isinstance(body["input"], list) else [body["input"]]
    part = {"type": "output_text", "text": f"item {len(given)}", "annotations": []}
    message = {
        "type": "message",
        "id": ids.new_id("msg"),
        "role": "assistant",
        "status": "completed",
        "content": [part],
    }
    return {
        "id": "resp_upstream", "object": "response", "created_at": 1, "status": "completed", "model": body["model"],
        "output": [{"type": "reasoning", "id": ids.new_id("rs"), "summary": []}, message],
        "previous_response_id": None, "store": body.get("store", True), "tools": [], "tool_choice": "auto",
        "parallel_tool_calls": True,
    }  # fmt: skip


class Gateway:
    """The ASGI app; `seen` are the bodies that reached the provider."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.store = ResponseStore(home)
        self.responses = ResponsesApp(home)
        self.seen: list[dict[str, Any]] = []
        self.step = 100_000
        """Bytes of a stream sent at a time."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        headers = dict(scope["headers"])
        key = headers[b"authorization"].decode().removeprefix("Bearer ")
        actor = Actor(id=f"key_{key}", name=key, role=Role.GATEWAY, scope=KEYS[key])
        try:
            if self.responses.handles(scope["path"]):
                request = Request(scope["method"], scope["path"], scope["query_string"], headers, receive)
                await self.responses.handle(request, send, actor, [(b"x-request-id", b"req_1")])
            else:
                await self._create(actor, (await receive())["body"], send)
        except PenstockError as error:
            status, told, body = render_error(error, "openai", "req_1")
            await send({"type": "http.response.start", "status": status, "headers": told})
            await send({"type": "http.response.body", "body": body})

    async def _create(self, actor: Actor, body: bytes, send: Any) -> None:
        prepared = await self.store.prepare(actor.scope, actor.id, Envelope(body))
        send = prepared.sending(send)
        asked = msgspec.json.decode(prepared.envelope.body)
        self.seen.append(asked)
        answer = answer_to(asked)
        if prepared.envelope.stream:
            head = [(b"content-type", b"text/event-stream; charset=utf-8")]
            await send({"type": "http.response.start", "status": 200, "headers": head})
            out = b"".join(events_of(answer, False))
            for at in range(0, len(out), self.step):
                piece, more = out[at : at + self.step], at + self.step < len(out)
                await send({"type": "http.response.body", "body": piece, "more_body": more})
            return
        out = msgspec.json.encode(answer)
        head = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(out))]
        await send({"type": "http.response.start", "status": 200, "headers": head})
        await send({"type": "http.response.body", "body": out})


class Clients:
    """openai clients of `app`, one per call; each call in an event loop of its own, as in another process."""

    def __init__(self, app: Gateway) -> None:
        self.app = app

    def run(self, work: Any, key: str = "psk_one") -> Any:
        """Return what `work(client)` comes to."""

        async def inner() -> Any:
            self.app.store = ResponseStore(self.app.home)
            async with self._client(key) as client:
                found = await work(client)
            await self.app.store.close()
            return found

        return asyncio.run(inner())

    def _client(self, key: str) -> openai.AsyncOpenAI:
        inner = httpx2.AsyncClient(transport=httpx2.ASGITransport(self.app))
        return openai.AsyncOpenAI(base_url="http://gw/v1", api_key=key, max_retries=0, http_client=inner)

    def create(self, key: str = "psk_one", **body: Any) -> Any:
        return self.run(
            lambda client: client.responses.create(**{"model": "m", "input": "Hello", **body}), key
        )

    def get(self, name: str, key: str = "psk_one") -> Any:
        return self.run(lambda client: client.responses.retrieve(name), key)

    def delete(self, name: str, key: str = "psk_one") -> Any:
        return self.run(lambda client: client.responses.delete(name), key)

    def stream(self, **body: Any) -> list[Any]:
        """Return all events of a stream."""

        async def work(client: openai.AsyncOpenAI) -> list[Any]:
            events: AsyncIterator[Any] = await client.responses.create(
                **{"model": "m", "input": "Hello", "stream": True, **body}
            )
            return [event async for event in events]

        return self.run(work)


@pytest.fixture
def gateway(home: Home) -> Gateway:
    return Gateway(home)


@pytest.fixture
def clients(gateway: Gateway) -> Clients:
    return Clients(gateway)
