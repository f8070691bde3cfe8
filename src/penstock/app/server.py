"""The server's side of the composition root: builds the ASGI app and mounts the slices."""

import threading
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import asynccontextmanager
from typing import Any

from fastapi import APIRouter, FastAPI
from starlette.concurrency import run_in_threadpool

from penstock.app import policies
from penstock.app.described import ManagementApi
from penstock.app.subjects import HANDLERS
from penstock.core.home import Home
from penstock.core.metrics import Publisher
from penstock.datasets import api as datasets_api
from penstock.evals import api as evals_api
from penstock.feedback import api as feedback_api
from penstock.gateway import api as gateway_api
from penstock.gateway.app import GatewayApp
from penstock.guardrails import api as guardrails_api
from penstock.mlflow.app import MlflowApp
from penstock.optimise import api as optimise_api
from penstock.pipelines import api as pipelines_api
from penstock.prompts import api as prompts_api
from penstock.registry import api as registry_api
from penstock.release import api as release_api
from penstock.serving import api as serving_api
from penstock.serving.service import forget_ended
from penstock.traces import api as traces_api
from penstock.traces.intake import Intake
from penstock.traces.otlp_app import OtlpApp, grpc_door
from penstock.traces.recorder import Recorder
from penstock.tracking import api as tracking_api
from penstock.training import api as training_api
from penstock.training import recipes_api as training_recipes_api
from penstock.version import __version__
from penstock.web import errors
from penstock.web import metrics as metrics_page
from penstock.web.api import account, health, loop, records, subjects
from penstock.web.api import prompts as prompts_joined
from penstock.web.metrics import MetricsApp
from penstock.web.static import StaticApp

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

ROUTERS: tuple[APIRouter, ...] = (
    account.router,
    loop.router,
    prompts_api.router,
    prompts_joined.router,
    datasets_api.router,
    registry_api.router,
    traces_api.router,
    tracking_api.router,
    gateway_api.router,
    guardrails_api.router,
    feedback_api.router,
    evals_api.router,
    training_recipes_api.router,
    training_api.router,
    serving_api.router,
    optimise_api.router,
    serving_api.quota_router,
    release_api.router,
    pipelines_api.router,
    records.router,
    subjects.router,
)
"""Every slice's HTTP, mounted below /api/v1."""

API_PREFIX = "/api/"
HEALTH = frozenset({"/healthz", "/readyz"})


def build_api(home: Home | None) -> FastAPI:
    """Return the management API; without a home it can only describe itself (openapi.json)."""
    app = ManagementApi(
        title="Penstock",
        version=__version__,
        description="Management API. Errors are RFC 9457 problem documents; lists page by cursor.",
        openapi_url="/api/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
    )
    policies.install()
    app.state.home = home
    app.state.ready_checks = []
    app.state.subjects = HANDLERS
    errors.install(app)
    app.include_router(health.router)
    for router in ROUTERS:
        app.include_router(router, prefix="/api/v1")
    return app


class Penstock:
    """The whole server as one ASGI callable: hot paths, management API, UI, in that order."""

    def __init__(self, home: Home, *, intake: bool = True) -> None:
        """`intake=False` where a background process moves recorded spans into the database."""
        self.home = home
        self._stop = threading.Event()
        self._intake = (
            threading.Thread(target=Intake(home).run, args=(self._stop,), daemon=True) if intake else None
        )
        self.api = build_api(home)
        self.recorder = Recorder(home)
        self.gateway = GatewayApp(home, self.recorder)
        self.api.state.cache_stats = self.gateway.cache.stats
        self.otlp = OtlpApp(home)
        self.grpc = grpc_door(home, self.otlp.receiver)
        self.mlflow = MlflowApp(home, self.otlp)
        self.ui = StaticApp()
        self._publisher = Publisher(home, "web")
        self.metrics = MetricsApp(home, self._publisher)
        self._serving = self._draining = False
        self.api.state.ready_checks.append(self._why_not_ready)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the request to the part that handles its path."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        path = scope["path"]
        if self.gateway.handles(path):
            await self.gateway(scope, receive, send)
        elif self.otlp.handles(path):
            await self.otlp(scope, receive, send)
        elif self.mlflow.handles(path):
            await self.mlflow(scope, receive, send)
        elif path.startswith(API_PREFIX) or path in HEALTH:
            await self.api(scope, receive, send)
        elif path == metrics_page.PATH:
            await self.metrics(scope, receive, send)
        else:
            await self.ui(scope, receive, send)

    def begin_drain(self, *, retiring: bool = False) -> None:
        """Say on /readyz that this process takes no new work.

        Work of minutes that a caller waits for is stopped at once, unless the process is `retiring` for a successor:
        then it has the time for draining too.
        """
        self._draining = self.api.state.draining = True
        self.api.state.stopping = not retiring

    def _why_not_ready(self) -> str | None:
        if self._draining:
            return "this process is draining"
        return None if self._serving else "the gateway has not loaded its routes and keys"

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Start every part; at the end stop them and write what was recorded."""
        await run_in_threadpool(forget_ended, self.home)
        await self.gateway.start()
        if self._intake is not None:
            self._intake.start()
        self._publisher.start()
        if self.grpc is not None:
            self.grpc.start()
        self._serving = True
        try:
            yield
        finally:
            self._serving = False
            self.api.state.stopping = True
            await self.gateway.stop()
            await run_in_threadpool(self._close)

    def _close(self) -> None:
        if self.grpc is not None:
            self.grpc.stop()
        self.otlp.close()
        self.recorder.close()
        self._publisher.stop()
        self._stop.set()
        if self._intake is not None:
            self._intake.join()

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        async with self.running():
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await send({"type": "lifespan.shutdown.complete"})
