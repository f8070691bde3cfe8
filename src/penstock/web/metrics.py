"""`GET /metrics`: what all processes of the installation counted, for Prometheus."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.concurrency import run_in_threadpool

from penstock.core import ids
from penstock.core.auth import service as auth
from penstock.core.errors import Denied, Invalid, PenstockError, Unauthenticated
from penstock.core.home import Home
from penstock.core.http import render_error
from penstock.core.http.dependencies import bearer
from penstock.core.metrics import CONTENT_TYPE, Publisher, render
from penstock.core.scope import Role, Scope
from penstock.core.settings import ServerSettings

PATH = "/metrics"
ACCESS = ("key", "open")

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class MetricsApp:
    """Serves the page.

    The numbers tell about every project, so a key opens it that is bound to none, or to `default`, whose
    providers and routes every project sees anyway.
    """

    def __init__(self, home: Home, publisher: Publisher) -> None:
        """Raises Invalid for a wrong setting."""
        self._home = home
        self._publisher = publisher
        self._access = home.settings.section(ServerSettings).metrics
        if self._access not in ACCESS:
            raise Invalid(f"server.metrics must be one of {', '.join(ACCESS)}, not {self._access!r}.")

    async def __call__(self, scope: Any, _receive: Any, send: Send) -> None:
        """Answer one request."""
        headers = dict(scope["headers"])
        try:
            page = await run_in_threadpool(self._page, headers)
            status, kind = 200, [(b"content-type", CONTENT_TYPE), (b"cache-control", b"no-store")]
        except PenstockError as error:
            status, kind, page = render_error(error, "problem", ids.new_id("req"))
        kind.append((b"content-length", b"%d" % len(page)))
        await send({"type": "http.response.start", "status": status, "headers": kind})
        await send({"type": "http.response.body", "body": page})

    def _page(self, headers: dict[bytes, bytes]) -> bytes:
        if self._access == "key":
            self._check(headers)
        return render(self._publisher.page())

    def _check(self, headers: dict[bytes, bytes]) -> None:
        secret = bearer(
            headers.get(b"authorization", b"").decode("latin-1"),
            headers.get(b"x-api-key", b"").decode("latin-1"),
        )
        if secret is None:
            raise Unauthenticated(
                "Send an API key as `Authorization: Bearer psk_…`.",
                hint='Or set server.metrics = "open", where only trusted machines can reach the port.',
            )
        with self._home.read() as uow:
            actor = auth.authenticate(uow, secret)
        everywhere = actor.any_project or actor.scope == Scope()
        if not everywhere or actor.role.rank < Role.VIEWER.rank:
            raise Denied(
                f"{actor.name} may not read the metrics of every project.",
                hint="Use a key of the project default with the role viewer or above.",
            )
