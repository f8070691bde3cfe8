"""Every error of the management API as an RFC 9457 problem document."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from penstock.core import ids, log
from penstock.core.errors import NotFound, PenstockError, Unprocessable
from penstock.core.http import render_error

logger = log.get("web")


class _Plain(PenstockError):
    """An HTTP error that the framework raised (404, 405, …)."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status  # type: ignore[misc]  # one class for every status
        self.code = "http_error"  # type: ignore[misc]  # one class for every status


def _answer(error: PenstockError) -> Response:
    status, headers, body = render_error(error, "problem", ids.new_id("req"))
    return Response(body, status, {name.decode(): value.decode() for name, value in headers})


def _where(location: tuple[Any, ...]) -> str:
    return ".".join(str(part) for part in location if part not in ("body", "query", "path", "header"))


def install(app: FastAPI) -> None:
    """Register the handlers on `app`."""

    async def deliberate(_: Request, error: Exception) -> Response:
        assert isinstance(error, PenstockError)
        return _answer(error)

    async def invalid(_: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        first = error.errors()[0]
        problems = [{"field": _where(e["loc"]), "message": e["msg"]} for e in error.errors()[:50]]
        message = f"{_where(first['loc']) or 'The body'}: {first['msg']}."
        return _answer(
            Unprocessable(message, details={"fields": json.loads(json.dumps(problems, default=str))})
        )

    async def framework(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        if error.status_code == 404:
            return _answer(NotFound(f"There is nothing at {request.url.path}.", hint="See /api/v1/docs."))
        return _answer(_Plain(error.status_code, f"{error.detail}: {request.method} {request.url.path}."))

    async def unexpected(request: Request, error: Exception) -> Response:
        logger.error(
            "request failed", exc_info=error, extra={"path": request.url.path, "method": request.method}
        )
        return _answer(
            PenstockError("Something went wrong here; it was logged.", hint="See the server's log.")
        )

    handlers: dict[Any, Callable[[Request, Exception], Awaitable[Response]]] = {
        PenstockError: deliberate,
        RequestValidationError: invalid,
        HTTPException: framework,
        Exception: unexpected,
    }
    for kind, handler in handlers.items():
        app.add_exception_handler(kind, handler)
