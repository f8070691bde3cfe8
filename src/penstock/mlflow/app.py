"""`/mlflow`: MLflow's server as its clients see it, one ASGI callable.

Every request is answered in a thread; the key is the bearer token (MLFLOW_TRACKING_TOKEN) or the password
(MLFLOW_TRACKING_PASSWORD). The project is the key's own, or the one named by the header `x-penstock-project`, by
MLflow's workspace (MLFLOW_WORKSPACE), or by the address `…/mlflow/projects/NAME`.
"""

import base64
import binascii
import re
import tempfile
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response, StreamingResponse

from penstock.core import log
from penstock.core.auth import service as auth
from penstock.core.errors import Invalid, PenstockError, TooLarge, Unauthenticated, Unavailable
from penstock.core.home import Home
from penstock.core.scope import Actor, Role
from penstock.mlflow import (
    artifacts,
    assessments,
    evalsets,
    experiments,
    logged,
    otlp,
    registered,
    runs,
    server,
    trace_info,
    traces,
    versions,
)
from penstock.mlflow.call import Call, Stream
from penstock.mlflow.errors import EndpointNotFound, render
from penstock.mlflow.routing import Route, find
from penstock.mlflow.store import notes

logger = log.get("mlflow")

AsgiScope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

Asgi = Callable[[AsgiScope, Receive, Send], Awaitable[None]]

PREFIX = "/mlflow"
OTLP_PATH = "/v1/traces"
MAX_BODY = 64 << 20
"""Largest JSON or OTLP body in bytes; artifacts have no limit but the disk's."""
_PROJECT = re.compile(r"/projects/([^/]+)(/.*)")
_OPEN = frozenset({"/version", "/health"})
_NOBODY = Actor(id="", name="", role=Role.GATEWAY)
ROUTES: list[Route] = [
    route
    for part in (
        server,
        experiments,
        runs,
        logged,
        artifacts,
        traces,
        assessments,
        registered,
        versions,
        evalsets,
    )
    for route in part.routes.routes
]


def _basic(encoded: str) -> str | None:
    """Return the password of HTTP basic authentication."""
    try:
        text = base64.b64decode(encoded, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None
    return text.partition(":")[2] or None


def secret_of(authorization: str | None, api_key: str | None) -> str | None:
    """Return the key that a request carries: bearer token, password or x-api-key."""
    scheme, _, value = (authorization or "").partition(" ")
    if scheme.lower() == "bearer" and value.strip():
        return value.strip()
    if scheme.lower() == "basic" and (found := _basic(value.strip())):
        return found
    return api_key or None


class MlflowApp:
    """Answers MLflow's clients for every project of `home`."""

    def __init__(self, home: Home, otlp: Asgi) -> None:
        """`otlp` answers `POST /v1/traces`: spans take the way all spans take."""
        self._home = home
        self._otlp = otlp

    def handles(self, path: str) -> bool:
        """Whether requests for `path` belong here."""
        return path == PREFIX or path.startswith(PREFIX + "/")

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        request = Request(scope, receive)
        try:
            project, path = _place(request)
            if path == OTLP_PATH and request.method == "POST":
                await self._spans(request, project, send)
                return
            response = await self._answer(request, project, path)
        except ClientDisconnect:
            return
        except PenstockError as error:
            response = _refusal(error)
        except Exception:
            logger.exception("a request of an MLflow client failed", extra={"path": scope["path"]})
            response = _refusal(PenstockError("This failed inside Penstock.", hint="See the server's log."))
        await response(scope, receive, send)

    async def _answer(self, request: Request, project: str | None, path: str) -> Response:
        if path in ("", "/") and request.method == "GET":
            # The client prints links into MLflow's own UI; Penstock's is here.
            return RedirectResponse("/", status_code=302)
        found = find(ROUTES, request.method, path)
        if found is None:
            raise EndpointNotFound(f"Penstock has no endpoint {request.method} {path}.")
        route, given = found
        if path in _OPEN:
            return _json(route.handler(Call(home=self._home, actor=_NOBODY, args={})))
        actor = await run_in_threadpool(self._actor, request, project)
        call = Call(home=self._home, actor=actor, args=_query(request), headers=request.headers)
        if route.body == "file":
            return await self._upload(route, call, given, request)
        body = await _body(request)
        if route.body == "bytes":
            call.body = body
        elif body:
            call.args |= _decoded(body)
        call.args |= given
        return _json(await run_in_threadpool(route.handler, call))

    def _actor(self, request: Request, project: str | None) -> Actor:
        headers = request.headers
        secret = secret_of(headers.get("authorization"), headers.get("x-api-key"))
        if secret is None:
            raise Unauthenticated(
                "No API key was sent.", hint="Set MLFLOW_TRACKING_TOKEN to a Penstock key (psk_…)."
            )
        chosen = project or headers.get("x-penstock-project") or headers.get("x-mlflow-workspace")
        with self._home.read() as uow:
            return auth.enter_project(uow, auth.authenticate(uow, secret), chosen or None)

    async def _spans(self, request: Request, project: str | None, send: Send) -> None:
        """Hand spans to the OTLP receiver; when it has them, bring what the client told onto the root spans."""
        actor = await run_in_threadpool(self._actor, request, project)
        body, roots = await _body(request), list[str]()
        plain = "protobuf" in request.headers.get("content-type", "protobuf")
        if plain and request.headers.get("content-encoding", "identity") == "identity":
            shown = request.headers.get(otlp.EXPERIMENT_HEADER, "")
            call = Call(home=self._home, actor=actor, args={})
            body, roots = await run_in_threadpool(_with_experiment, call, body, shown)
        status = 0

        async def receive() -> MutableMapping[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def watched(message: MutableMapping[str, Any]) -> None:
            nonlocal status
            status = message.get("status", status)
            if message["type"] == "http.response.body" and status == 200 and roots:
                await run_in_threadpool(_enrich, self._home, actor, roots)
            await send(message)

        await self._otlp(_forwarded(request, actor.scope.project, len(body)), receive, watched)

    async def _upload(self, route: Route, call: Call, given: dict[str, Any], request: Request) -> Response:
        call.args |= given
        folder = self._home.folder("work", "uploads")
        with tempfile.NamedTemporaryFile(dir=folder) as file:
            async for piece in request.stream():
                await run_in_threadpool(_write, file, piece)
            file.flush()
            call.file = Path(file.name)
            return _json(await run_in_threadpool(route.handler, call))


def _place(request: Request) -> tuple[str | None, str]:
    """Return (project named by the address, path in MLflow's API)."""
    path = request.url.path.removeprefix(PREFIX).replace("/ajax-api/", "/api/", 1)
    named = _PROJECT.fullmatch(path)
    return (None, path) if named is None else (named.group(1), named.group(2))


def _with_experiment(call: Call, body: bytes, shown: str) -> tuple[bytes, list[str]]:
    experiment = experiments.own_id(call, shown) if shown else ""
    changed, roots = otlp.prepared(body, experiment)
    if experiment and roots:
        with call.home.begin() as uow:
            for trace_id in roots:
                note = trace_info.blank(trace_id, experiment)
                notes.put_note(uow.conn, call.actor.scope, note, replace=False)
    return changed, roots


def _enrich(home: Home, actor: Actor, roots: list[str]) -> None:
    for trace_id in roots:
        trace_info.enrich(home, actor, trace_id)


def _forwarded(request: Request, project: str, size: int) -> AsgiScope:
    """Return the request as the OTLP receiver reads it: its path, a bearer token, the project."""
    secret = secret_of(request.headers.get("authorization"), request.headers.get("x-api-key")) or ""
    kept = (b"content-type", b"content-encoding", b"user-agent")
    headers = [(name, value) for name, value in request.scope["headers"] if name in kept]
    headers += [
        (b"authorization", f"Bearer {secret}".encode()),
        (b"x-penstock-project", project.encode()),
        (b"content-length", str(size).encode()),
    ]
    return {**request.scope, "path": OTLP_PATH, "raw_path": OTLP_PATH.encode(), "headers": headers}


def _write(file: Any, piece: bytes) -> None:
    try:
        file.write(piece)
    except OSError as error:
        raise Unavailable(f"The upload could not be kept: {error}.") from error


async def _body(request: Request) -> bytes:
    parts, size = [], 0
    async for piece in request.stream():
        size += len(piece)
        if size > MAX_BODY:
            raise TooLarge(f"The request is larger than {MAX_BODY >> 20} MB.")
        parts.append(piece)
    return b"".join(parts)


def _query(request: Request) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in request.query_params.multi_items():
        found.setdefault(key, []).append(value)
    return found


def _decoded(body: bytes) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Invalid(f"The request body is not JSON: {error}.") from error
    if not isinstance(found, dict):
        raise Invalid("The request body must be a JSON object.")
    return found


def _json(answer: Any) -> Response:
    if isinstance(answer, Stream):
        headers = {"x-content-type-options": "nosniff", "content-disposition": "attachment"}
        if answer.size is not None:
            headers["content-length"] = str(answer.size)
        return StreamingResponse(iter(answer.pieces), media_type=answer.kind, headers=headers)
    if isinstance(answer, bytes | str):
        return Response(
            answer, media_type="text/plain" if isinstance(answer, str) else "application/x-protobuf"
        )
    return Response(msgspec.json.encode(answer or {}), media_type="application/json")


def _refusal(error: PenstockError) -> Response:
    status, body = render(error)
    headers = {} if error.retry_after is None else {"retry-after": str(max(1, round(error.retry_after)))}
    if status == 401:
        headers["www-authenticate"] = "Bearer"
    return Response(body, status_code=status, media_type="application/json", headers=headers)
