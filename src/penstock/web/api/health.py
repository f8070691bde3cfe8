"""Liveness and readiness, outside /api/v1 and without a key."""

from collections.abc import Callable
from typing import cast

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from penstock.core.errors import PenstockError
from penstock.core.home import Home

router = APIRouter(tags=["operations"])

ReadyCheck = Callable[[], str | None]
"""Returns why this process cannot serve, or None."""


@router.get("/healthz", include_in_schema=False)
async def healthz() -> Response:
    """Answer 200 while the process runs."""
    return Response("ok\n", media_type="text/plain")


def _why_not(home: Home, checks: list[ReadyCheck]) -> str | None:
    try:
        home.revision("auth")
    except PenstockError as error:
        return str(error)
    return next((reason for check in checks if (reason := check()) is not None), None)


@router.get("/readyz", include_in_schema=False)
async def readyz(request: Request) -> Response:
    """Answer 200 when requests are really served: the database answers and every part has loaded."""
    state = request.app.state
    reason = await run_in_threadpool(_why_not, state.home, cast(list[ReadyCheck], state.ready_checks))
    if reason is None:
        return Response("ready\n", media_type="text/plain")
    return Response(f"not ready: {reason}\n", 503, {"retry-after": "1"}, media_type="text/plain")
