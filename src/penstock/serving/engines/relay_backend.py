"""The relay to an OpenAI-compatible server: the same bytes with another model name and the server's own key."""

import asyncio
import http.client
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import msgspec

from penstock.serving.engines.openai_server import answer, error_body, is_json, read_body

_PIECE = 65_536


def application(spec: dict[str, Any]) -> "Relay":
    """Return the relay."""
    return Relay(spec["name"], spec["options"])


class Relay:
    """A raw ASGI application."""

    def __init__(self, name: str, options: dict[str, Any]) -> None:
        self._name = name
        self._options = options
        parts = urlsplit(options["url"])
        kinds = {"http": http.client.HTTPConnection, "https": http.client.HTTPSConnection}
        self._connect: type[http.client.HTTPConnection] = kinds[parts.scheme]
        self._place = parts.netloc
        self._path = parts.path.rstrip("/")
        key = os.environ.get(options["key_env"], "") if options["key_env"] else ""
        self._headers = {"content-type": "application/json", "accept-encoding": "identity"}
        if key:
            self._headers["authorization"] = f"Bearer {key}"
        self._pool = ThreadPoolExecutor(options["slots"], thread_name_prefix="relay")
        self._running = self._done = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        place = (scope["method"], scope["path"])
        if place == ("GET", "/load"):
            waiting = max(0, self._running - self._options["slots"])
            load = {"running": self._running - waiting, "waiting": waiting, "done": self._done}
            await answer(send, 200, load)
        elif scope["method"] == "POST" and scope["path"].startswith("/v1/") and is_json(scope):
            await self._carry(scope["path"][3:], receive, send)
        else:
            await answer(send, 404, error_body("There is nothing here.", "not_found"))

    async def _carry(self, path: str, receive: Any, send: Any) -> None:
        if self._running >= self._options["slots"] + self._options["queue"]:
            await answer(send, 503, error_body(f"{self._running} requests wait already.", "overloaded"))
            return
        content = msgspec.json.decode(await read_body(receive), type=dict[str, Any])
        body = msgspec.json.encode({**content, "model": self._options["model"]})
        self._running += 1
        gone = threading.Event()
        watcher = asyncio.create_task(_until_gone(receive, gone))
        try:
            await self._forward(path, body, send, gone)
        finally:
            watcher.cancel()
            self._running -= 1
            self._done += 1

    async def _forward(self, path: str, body: bytes, send: Any, gone: threading.Event) -> None:
        loop = asyncio.get_running_loop()
        connection = self._connect(self._place, timeout=self._options["timeout"])
        begun = False

        def ask() -> http.client.HTTPResponse:
            connection.request("POST", f"{self._path}{path}", body, self._headers)
            return connection.getresponse()

        try:
            response = await loop.run_in_executor(self._pool, ask)
            kind = (response.getheader("content-type") or "application/json").encode()
            await send(
                {
                    "type": "http.response.start",
                    "status": response.status,
                    "headers": [(b"content-type", kind)],
                }
            )
            begun = True
            while piece := await loop.run_in_executor(self._pool, response.read1, _PIECE):
                if gone.is_set():
                    return
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        except (OSError, http.client.HTTPException) as error:
            if begun:
                raise  # the caller sees a cut answer, which it is
            why = f"The server behind this deployment does not answer: {error or type(error).__name__}."
            await answer(send, 502, error_body(why, "upstream_error"))
        finally:
            connection.close()


async def _until_gone(receive: Any, gone: threading.Event) -> None:
    while (await receive())["type"] != "http.disconnect":
        continue
    gone.set()
