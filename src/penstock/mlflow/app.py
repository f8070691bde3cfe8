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
from starlette.responses import Response, StreamingResponse

from penstock.core import log
from penstock.core.auth import service as auth
from penstock.core.errors import Invalid, PenstockError, TooLarge, Unauthenticated, Unavailable
from penstock.core.home import Home
from penstock.core.scope import Actor, Role
from penstock.mlflow import (
    artifacts,
    experiments,
    logged,
    runs,
    server,
)
from penstock.mlflow.call import Call, Stream
from penstock.mlflow.errors import EndpointNotFound, render
from penstock.mlflow.routing import Route, find

logger = log.get("mlflow")

AsgiScope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

PREFIX = "/mlflow"
MAX_BODY = 64 << 20
"""Largest JSON or OTLP body in bytes; artifacts have no limit but the disk's."""
_PROJECT = re.compile(r"/projects/([^/]+)(/.*)")
_OPEN = frozenset({"/version", "/health"})
_NOBODY = Actor(id="", name="", role=Role.GATEWAY)
ROUTES: list[Route] = [
    route for part in (server, experiments, runs, logged, artifacts) for route in part.routes.routes
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

    def __init__(self, home: Home) -> None:
        self._home = home

    def handles(self, path: str) -> bool:
        """Whether requests for `path` belong here."""
        return path.startswith(PREFIX + "/")

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        request = Request(scope, receive)
        try:
            response = await self._answer(request)
        except ClientDisconnect:
            return
        except PenstockError as error:
            response = _refusal(error)
        except Exception:
            logger.exception("a request of an MLflow client failed", extra={"path": scope["path"]})
            response = _refusal(PenstockError("This failed inside Penstock.", hint="See the server's log."))
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        path = request.url.path.removeprefix(PREFIX).replace("/ajax-api/", "/api/", 1)
        project = None
        if named := _PROJECT.fullmatch(path):
            project, path = named.groups()
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

    async def _upload(self, route: Route, call: Call, given: dict[str, Any], request: Request) -> Response:
        call.args |= given
        folder = self._home.folder("work", "uploads")
        with tempfile.NamedTemporaryFile(dir=folder) as file:
            async for piece in request.stream():
                await run_in_threadpool(_write, file, piece)
            file.flush()
            call.file = Path(file.name)
            return _json(await run_in_threadpool(route.handler, call))


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
