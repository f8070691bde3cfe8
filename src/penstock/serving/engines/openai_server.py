"""An OpenAI-compatible server around a backend: a raw ASGI application for one engine process."""

import asyncio
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import parse_qs

import msgspec

from penstock.core import clock, ids, log
from penstock.serving.engines import requests
from penstock.serving.engines.generation import Backend, Job, Outcome, Refused

logger = log.get("engine")
MAX_BODY = 16 * 1024 * 1024
_SHAPES = {"/v1/chat/completions": "chat", "/v1/completions": "completions"}


class Server:
    """Answers chat and completions, at most `slots` at a time; more wait, at most `queue` of them."""

    def __init__(self, backend: Backend, *, name: str, slots: int, queue: int, longest: int) -> None:
        self._backend = backend
        self._name = name
        self._adapters: set[str] = set()
        self._slots = slots
        self._queue = queue
        self._longest = longest
        self._pool = ThreadPoolExecutor(slots, thread_name_prefix="generate")
        self._lock = threading.Lock()
        self._admitted = self._running = self._done = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        try:
            await self._dispatch(scope, receive, send)
        except Refused as error:
            await answer(send, 400, error_body(str(error), "invalid_request_error"))
        except Exception as error:
            logger.exception("the engine failed")
            await answer(send, 500, error_body(f"The engine failed: {error}", "server_error"))

    async def _dispatch(self, scope: Any, receive: Any, send: Any) -> None:
        place = (scope["method"], scope["path"])
        if place == ("GET", "/load"):
            await answer(send, 200, self._load())
        elif place == ("GET", "/v1/models"):
            names = [self._name, *sorted(self._adapters)]
            listed = [{"id": name, "object": "model", "created": 0, "owned_by": "local"} for name in names]
            await answer(send, 200, {"object": "list", "data": listed})
        elif place == ("DELETE", "/adapters"):
            await self._remove_adapter(parse_qs(scope["query_string"].decode()).get("name", [""])[0])
            await answer(send, 200, {})
        elif scope["method"] == "POST" and is_json(scope):
            await self._post(scope["path"], await read_body(receive), receive, send)
        else:
            await answer(send, 404, error_body("There is nothing here.", "not_found"))

    async def _post(self, path: str, body: bytes, receive: Any, send: Any) -> None:
        if path == "/adapters":
            wanted = msgspec.json.decode(body, type=dict[str, str])
            await asyncio.to_thread(self._backend.add_adapter, wanted["name"], wanted["folder"])
            self._adapters.add(wanted["name"])
            await answer(send, 200, {})
        elif path in _SHAPES:
            await self._generate(_SHAPES[path], requests.read(body), receive, send)
        else:
            await answer(send, 404, error_body(f"There is nothing at {path}.", "not_found"))

    async def _remove_adapter(self, name: str) -> None:
        self._adapters.discard(name)
        await asyncio.to_thread(self._backend.remove_adapter, name)

    def _load(self) -> dict[str, int]:
        with self._lock:
            return {"running": self._running, "waiting": self._admitted - self._running, "done": self._done}

    def _job(self, shape: str, asked: requests.Asked) -> Job:
        adapter = asked.model if asked.model in self._adapters else None
        prompt = (
            self._backend.chat_prompt(requests.messages(asked)) if shape == "chat" else requests.prompt(asked)
        )
        return Job(prompt, requests.sampling(asked, shape, self._longest), adapter)

    async def _generate(self, shape: str, asked: requests.Asked, receive: Any, send: Any) -> None:
        if self._admitted >= self._slots + self._queue:
            await answer(send, 503, error_body(f"{self._admitted} requests wait already.", "overloaded"))
            return
        job = self._job(shape, asked)
        with self._lock:
            self._admitted += 1
        watcher = asyncio.create_task(_until_gone(receive, job))
        pieces = self._pieces(job)
        reply = Reply(shape, asked.model or self._name)
        try:
            if asked.stream:
                await _stream(send, reply, pieces, asked.include_usage)
            else:
                await answer(send, 200, await reply.whole(pieces))
        finally:
            job.cancelled.set()
            watcher.cancel()
            await pieces.aclose()
            with self._lock:
                self._admitted -= 1
                self._done += 1

    async def _pieces(self, job: Job) -> Any:
        """Yield text as it comes and the outcome at the end; raises what the backend raises."""
        loop = asyncio.get_running_loop()
        queue: asyncio.Queue[str | None] = asyncio.Queue()

        def emit(text: str) -> None:
            loop.call_soon_threadsafe(queue.put_nowait, text)

        def work() -> Outcome:
            with self._lock:
                self._running += 1
            try:
                return self._backend.generate(job, emit)
            finally:
                with self._lock:
                    self._running -= 1
                loop.call_soon_threadsafe(queue.put_nowait, None)

        future = loop.run_in_executor(self._pool, work)
        try:
            while (piece := await queue.get()) is not None:
                yield piece
            yield await future
        finally:
            job.cancelled.set()
            await asyncio.gather(future, return_exceptions=True)


class Reply:
    """The JSON of one answer."""

    def __init__(self, shape: str, model: str) -> None:
        self._shape = shape
        prefix = "chatcmpl" if shape == "chat" else "cmpl"
        self._head = {"id": ids.new_id(prefix), "created": clock.now_ns() // 10**9, "model": model}

    async def whole(self, pieces: AsyncIterator[Any]) -> dict[str, Any]:
        """Return the whole answer."""
        text: list[str] = []
        outcome = None
        async for piece in pieces:
            if isinstance(piece, Outcome):
                outcome = piece
            else:
                text.append(piece)
        assert outcome is not None
        choice: dict[str, Any] = {"index": 0, "logprobs": None, "finish_reason": outcome.finish}
        if self._shape == "chat":
            choice["message"] = {"role": "assistant", "content": "".join(text)}
        else:
            choice["text"] = "".join(text)
        kind = "chat.completion" if self._shape == "chat" else "text_completion"
        return {**self._head, "object": kind, "choices": [choice], "usage": _usage(outcome)}

    def chunk(self, text: str | None, finish: str | None = None) -> dict[str, Any]:
        """Return one event of a stream."""
        choice: dict[str, Any] = {"index": 0, "logprobs": None, "finish_reason": finish}
        if self._shape == "chat":
            choice["delta"] = {} if text is None else {"role": "assistant", "content": text}
        else:
            choice["text"] = text or ""
        return {**self._head, "object": self._kind, "choices": [choice]}

    def usage(self, outcome: Outcome) -> dict[str, Any]:
        """Return the last event of a stream whose caller asked for usage."""
        return {**self._head, "object": self._kind, "choices": [], "usage": _usage(outcome)}

    @property
    def _kind(self) -> str:
        return "chat.completion.chunk" if self._shape == "chat" else "text_completion"


async def _stream(send: Any, reply: Reply, pieces: Any, include_usage: bool) -> None:
    """Send server-sent events; the headers wait for the first token, so that a refusal keeps its status."""
    begun = False
    async for piece in pieces:
        if not begun:
            begun = True
            headers = [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-store")]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
        if not isinstance(piece, Outcome):
            await _event(send, reply.chunk(piece))
            continue
        await _event(send, reply.chunk(None, piece.finish))
        if include_usage:
            await _event(send, reply.usage(piece))
    await send({"type": "http.response.body", "body": b"data: [DONE]\n\n"})


async def _event(send: Any, content: dict[str, Any]) -> None:
    data = b"data: " + msgspec.json.encode(content) + b"\n\n"
    await send({"type": "http.response.body", "body": data, "more_body": True})


async def _until_gone(receive: Any, job: Job) -> None:
    while (await receive())["type"] != "http.disconnect":
        continue
    job.cancelled.set()


async def read_body(receive: Any) -> bytes:
    """Return the whole body; raises Refused for one that is too large or cut."""
    parts: list[bytes] = []
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Refused("The caller went away.")
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > MAX_BODY:
            raise Refused(f"The request is larger than {MAX_BODY} bytes.")
        more = message.get("more_body", False)
    return b"".join(parts)


def is_json(scope: Any) -> bool:
    """Whether the body is declared as JSON, which pages of other sites cannot send without being asked first."""
    kind: bytes = dict(scope["headers"]).get(b"content-type", b"")
    return kind.startswith(b"application/json")


async def answer(send: Any, status: int, content: dict[str, Any]) -> None:
    """Send a JSON answer."""
    body = msgspec.json.encode(content)
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def error_body(message: str, kind: str) -> dict[str, Any]:
    """Return an error in OpenAI's shape."""
    return {"error": {"message": message, "type": kind, "param": None, "code": None}}


def _usage(outcome: Outcome) -> dict[str, int] | None:
    if outcome.prompt_tokens is None or outcome.completion_tokens is None:
        return None
    total = outcome.prompt_tokens + outcome.completion_tokens
    return {
        "prompt_tokens": outcome.prompt_tokens,
        "completion_tokens": outcome.completion_tokens,
        "total_tokens": total,
    }
