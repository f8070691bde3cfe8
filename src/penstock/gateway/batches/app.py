"""`/v1/files` and `/v1/batches` as OpenAI's API has them, for the gateway's raw ASGI app."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar
from urllib.parse import parse_qsl

import msgspec

from penstock.core import ids
from penstock.core.errors import Invalid, NotFound, PenstockError
from penstock.core.home import Home
from penstock.core.scope import Actor
from penstock.gateway.batches import service
from penstock.gateway.batches.model import StoredFile
from penstock.gateway.batches.upload import Upload, receive_upload
from penstock.gateway.settings import GatewaySettings

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
T = TypeVar("T")

_PATH = re.compile(r"/v1/(files|batches)(?:/([^/]+))?(?:/(content|cancel))?/?")
MAX_JSON = 1 << 20


class MethodNotAllowed(PenstockError):
    """The path is known, the method is not for it."""

    code = "method_not_allowed"
    status = 405


class Request(NamedTuple):
    """One request, as far as files and batches need it."""

    method: str
    path: str
    query: bytes
    headers: Mapping[bytes, bytes]
    receive: Receive


class NewBatch(msgspec.Struct, frozen=True):
    """The body that creates a batch."""

    input_file_id: str
    endpoint: str
    completion_window: str
    metadata: dict[str, str] | None = None
    output_expires_after: dict[str, Any] | None = None


class FilesApp:
    """Answers for paths it `handles`; the caller has found out who asks, and renders the errors raised."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._settings = home.settings.section(GatewaySettings)
        self._verbs: dict[tuple[str, str, bool, str], Callable[..., Awaitable[Any]]] = {
            ("files", "POST", False, ""): self._create_file,
            ("files", "GET", False, ""): self._list_files,
            ("files", "GET", True, ""): self._get_file,
            ("files", "DELETE", True, ""): self._delete_file,
            ("files", "GET", True, "content"): self._content,
            ("batches", "POST", False, ""): self._create_batch,
            ("batches", "GET", False, ""): self._list_batches,
            ("batches", "GET", True, ""): self._get_batch,
            ("batches", "POST", True, "cancel"): self._cancel_batch,
        }

    @staticmethod
    def handles(path: str) -> bool:
        """Whether `path` is about files or batches."""
        return _PATH.fullmatch(path) is not None

    async def handle(
        self, request: Request, send: Send, actor: Actor, headers: list[tuple[bytes, bytes]]
    ) -> None:
        """Answer one request with `headers` besides its own; raises PenstockErrors before anything was sent."""
        found = _PATH.fullmatch(request.path)
        assert found is not None
        noun, name, verb = found[1], found[2], found[3] or ""
        act = self._verbs.get((noun, request.method, name is not None, verb))
        if act is None:
            self._refuse(request, noun, name is not None, verb)
        assert act is not None
        shown = await (act(request, actor) if name is None else act(request, actor, name))
        if isinstance(shown, StoredFile):
            await self._send_content(shown, send, headers)
            return
        body = msgspec.json.encode(shown)
        head = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body)), *headers]
        await send({"type": "http.response.start", "status": 200, "headers": head})
        await send({"type": "http.response.body", "body": body})

    def _refuse(self, request: Request, noun: str, named: bool, verb: str) -> None:
        methods = sorted(m for (n, m, has, v) in self._verbs if (n, has, v) == (noun, named, verb))
        if not methods:
            raise NotFound(f"There is nothing at {request.path}.", details={"code": "unknown_url"})
        raise MethodNotAllowed(
            f"{request.path} does not take {request.method}.", hint=f"Use {', '.join(methods)}."
        )

    async def _write(self, work: Callable[..., T], *given: Any, **named: Any) -> T:
        """Run a verb in a write transaction, in a thread."""

        def run() -> T:
            with self._home.begin() as uow:
                return work(uow, *given, **named)

        return await asyncio.to_thread(run)

    async def _read(self, work: Callable[..., T], *given: Any, **named: Any) -> T:
        def run() -> T:
            with self._home.read() as uow:
                return work(uow, *given, **named)

        return await asyncio.to_thread(run)

    # -- files ---------------------------------------------------------------------------------------------

    async def _create_file(self, request: Request, actor: Actor) -> Any:
        path = self._home.folder("uploads") / ids.new_id("upload")
        try:
            upload = await receive_upload(
                request.headers.get(b"content-type", b""),
                request.receive,
                path,
                begin=partial(service.begin_file, actor, purpose=""),
                limit=self._settings.file_mb * 1024 * 1024,
            )
            return (await asyncio.to_thread(self._keep, actor, upload, path)).shown()
        finally:
            path.unlink(missing_ok=True)

    def _keep(self, actor: Actor, upload: Upload, path: Path) -> StoredFile:
        purpose = upload.fields.get("purpose", "")
        service.check_purpose(purpose)
        file = replace(upload.file, purpose=purpose)
        life = _life(upload.fields)
        if life is not None:
            file = replace(file, expires_at=service.expiry(file.created_at, life))
        with self._home.read() as uow:  # before the costly part
            service.check_room(uow, actor, upload.size)
        ref = self._home.blobs.put_file(path)
        with self._home.begin() as uow:
            return service.keep_file(uow, actor, replace(file, size=upload.size, sha256=ref.sha256))

    async def _list_files(self, request: Request, actor: Actor) -> Any:
        query = dict(parse_qsl(request.query.decode("latin-1")))
        limit = _limit(query, 1000, 10_000)
        window = service.window_for(
            actor,
            after=query.get("after"),
            limit=limit + 1,
            ascending=query.get("order") == "asc",
            purpose=query.get("purpose"),
        )
        return _listed([file.shown() for file in await self._read(service.list_files, actor, window)], limit)

    async def _get_file(self, _: Request, actor: Actor, name: str) -> Any:
        return (await self._read(service.get_file, actor, name)).shown()

    async def _delete_file(self, _: Request, actor: Actor, name: str) -> Any:
        file = await self._write(service.delete_file, actor, name)
        await asyncio.to_thread(self._home.blobs.delete, file.sha256)
        return {"id": name, "object": "file", "deleted": True}

    async def _content(self, _: Request, actor: Actor, name: str) -> StoredFile:
        return await self._read(service.get_file, actor, name)

    async def _send_content(self, file: StoredFile, send: Send, headers: list[tuple[bytes, bytes]]) -> None:
        pieces = service.content(self._home, file)
        piece = await asyncio.to_thread(next, pieces, None)  # raises while an error can still be answered
        name = re.sub(rb"[^0-9A-Za-z._ -]", b"_", file.filename.encode())
        head = [
            (b"content-type", b"application/octet-stream"),
            (b"content-length", b"%d" % file.size),
            (b"content-disposition", b'attachment; filename="%b"' % name),
            (b"x-content-type-options", b"nosniff"),
            *headers,
        ]
        await send({"type": "http.response.start", "status": 200, "headers": head})
        while piece is not None:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            piece = await asyncio.to_thread(next, pieces, None)
        await send({"type": "http.response.body", "body": b""})

    # -- batches -------------------------------------------------------------------------------------------

    async def _create_batch(self, request: Request, actor: Actor) -> Any:
        try:
            given = msgspec.json.decode(await _json_body(request.receive), type=NewBatch)
        except msgspec.ValidationError as error:
            raise Invalid(f"The body is not right: {error}.", details={"code": "invalid_value"}) from error
        except msgspec.DecodeError as error:
            raise Invalid("The body is not valid JSON.", details={"code": "invalid_json"}) from error
        life = (given.output_expires_after or {}).get("seconds")
        if life is not None and not isinstance(life, int):
            raise Invalid("output_expires_after.seconds must be a whole number.")
        batch = await self._write(
            service.create_batch,
            actor,
            input_file=given.input_file_id,
            endpoint=given.endpoint,
            window=given.completion_window,
            metadata=given.metadata,
            output_seconds=life,
        )
        return batch.shown()

    async def _list_batches(self, request: Request, actor: Actor) -> Any:
        query = dict(parse_qsl(request.query.decode("latin-1")))
        limit = _limit(query, 20, 100)
        window = service.window_for(actor, after=query.get("after"), limit=limit + 1)
        found = await self._read(service.list_batches, actor, window)
        return _listed([batch.shown() for batch in found], limit)

    async def _get_batch(self, _: Request, actor: Actor, name: str) -> Any:
        return (await asyncio.to_thread(service.settle_batch, self._home, actor, name)).shown()

    async def _cancel_batch(self, _: Request, actor: Actor, name: str) -> Any:
        return (await self._write(service.cancel_batch, actor, name)).shown()


def _life(fields: Mapping[str, str]) -> int | None:
    """Return the life that a file is uploaded with, in seconds."""
    given = fields.get("expires_after[seconds]")
    if given is None:
        return None
    if not given.isdecimal():
        raise Invalid("expires_after[seconds] must be a whole number.")
    service.check_life(int(given), "expires_after.seconds")
    return int(given)


def _limit(query: Mapping[str, str], default: int, most: int) -> int:
    text = query.get("limit", str(default))
    if not text.isdecimal() or not 1 <= int(text) <= most:
        raise Invalid(f"limit must be 1 to {most}.", details={"param": "limit", "code": "invalid_value"})
    return int(text)


def _listed(items: list[dict[str, Any]], limit: int) -> dict[str, Any]:
    more, shown = len(items) > limit, items[:limit]
    first, last = (shown[0]["id"], shown[-1]["id"]) if shown else (None, None)
    return {"object": "list", "data": shown, "first_id": first, "last_id": last, "has_more": more}


async def _json_body(receive: Receive) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise asyncio.CancelledError
        body += message.get("body", b"")
        if len(body) > MAX_JSON:
            raise Invalid("The body is too large.")
        if not message.get("more_body", False):
            return bytes(body)
