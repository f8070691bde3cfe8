"""The server's side of the composition root: builds the ASGI app and mounts the slices."""

from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Protocol

from fastapi import APIRouter, FastAPI

from penstock.core.home import Home
from penstock.datasets import api as datasets_api
from penstock.prompts import api as prompts_api
from penstock.version import __version__
from penstock.web import errors
from penstock.web.api import account, health, records

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

ROUTERS: tuple[APIRouter, ...] = (
    account.router,
    prompts_api.router,
    datasets_api.router,
    records.router,
)
"""Every slice's HTTP, mounted below /api/v1."""


class HotPath(Protocol):
    """A raw ASGI callable in front of the router."""

    def handles(self, path: str) -> bool:
        """Whether requests to `path` are its own."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""

    async def start(self) -> None:
        """Load what it needs; called once before the first request."""

    async def stop(self) -> None:
        """Finish what is under way; called once after the last request."""

    def why_not_ready(self) -> str | None:
        """Why it cannot serve, or None."""


def build_api(home: Home | None) -> FastAPI:
    """Return the management API; without a home it can only describe itself (openapi.json)."""
    app = FastAPI(
        title="Penstock",
        version=__version__,
        description="Management API. Errors are RFC 9457 problem documents; lists page by cursor.",
        openapi_url="/api/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
    )
    app.state.home = home
    app.state.ready_checks = []
    errors.install(app)
    app.include_router(health.router)
    for router in ROUTERS:
        app.include_router(router, prefix="/api/v1")
    return app


class Penstock:
    """The whole server as one ASGI callable: hot paths, management API, UI, in that order."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.api = build_api(home)
        self.hot: tuple[HotPath, ...] = ()
        self.api.state.ready_checks += [part.why_not_ready for part in self.hot]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the request to the part that handles its path."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        path = scope["path"]
        for part in self.hot:
            if part.handles(path):
                await part(scope, receive, send)
                return
        await self.api(scope, receive, send)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Start every part, and stop them in reverse order at the end."""
        async with AsyncExitStack() as stack:
            for part in self.hot:
                await part.start()
                stack.push_async_callback(part.stop)
            yield

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        async with self.running():
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await send({"type": "lifespan.shutdown.complete"})
