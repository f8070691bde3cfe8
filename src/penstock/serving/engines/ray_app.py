"""A deployment inside Ray Serve: every Serve replica holds one engine process and hands requests to it.

`serve deploy` of a manifest made by Penstock imports `build` from here (docs.ray.io, Serve config file).
"""

import http.client
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ray import serve
from starlette.concurrency import iterate_in_threadpool, run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from penstock.core.home import Home
from penstock.core.scope import Scope, system_actor
from penstock.registry import service as registry
from penstock.serving import probe, service
from penstock.serving.ports import Launch

START_SECONDS = 1800.0
READ_SECONDS = 600.0
_PIECE = 65_536


class Engine:
    """One engine and its model."""

    def __init__(self, **given: Any) -> None:
        plugin = service.load_engine(given["engine"])
        actor = system_actor(Scope(given["tenant"], given["project"]))
        with Home.open(upgrade=False) as home:
            folder = registry.materialize(home, actor, ref=given["model"])
        launch = Launch(
            name=given["name"],
            options=plugin.check({**given["options"], "port": 0}),
            log=Path(tempfile.mkdtemp(prefix="penstock-engine-")) / "engine.log",
            timeout=START_SECONDS,
            cancelled=lambda: False,
        )
        self._process = plugin.start(folder, launch)
        probe.generate_one(self._process.url, given["name"], START_SECONDS)
        self._place = urlsplit(self._process.url).netloc

    def check_health(self) -> None:
        """Tell Ray when the engine has ended, so that it starts another replica."""
        reason = self._process.exit_reason()
        if reason is not None:
            raise RuntimeError(reason)

    def __del__(self) -> None:
        if hasattr(self, "_process"):
            self._process.stop()

    async def __call__(self, request: Request) -> Response:
        """Hand a request to the engine and its answer back as it comes."""
        path = request.url.path.removeprefix(request.scope.get("root_path", ""))
        body = await request.body()
        connection = http.client.HTTPConnection(self._place, timeout=READ_SECONDS)
        kind = request.headers.get("content-type", "application/json")

        def ask() -> http.client.HTTPResponse:
            connection.request(request.method, path, body or None, {"content-type": kind})
            return connection.getresponse()

        def pieces(response: http.client.HTTPResponse) -> Iterator[bytes]:
            try:
                while piece := response.read1(_PIECE):
                    yield piece
            finally:
                connection.close()

        try:
            response = await run_in_threadpool(ask)
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            return Response(f"The engine does not answer: {error}", status_code=502)
        media = response.getheader("content-type") or "application/json"
        return StreamingResponse(
            iterate_in_threadpool(pieces(response)), status_code=response.status, media_type=media
        )


def build(args: dict[str, Any]) -> Any:
    """Return the application for the arguments of a manifest."""
    deployed: Any = serve.deployment(Engine, name="Engine")
    return deployed.bind(**args)
