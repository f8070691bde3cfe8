"""The gateway's durable work: batches, and the sweep of files and responses whose time is over."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Protocol

from penstock.core import clock
from penstock.core.deferred import deferred
from penstock.core.home import Home
from penstock.core.jobs import Handler
from penstock.core.scope import Actor, Scope
from penstock.gateway import forgetting
from penstock.gateway.alerting import jobs as alerting_jobs
from penstock.gateway.alerting import service as alerts
from penstock.gateway.batches import calling, jobs, service
from penstock.gateway.batches.calling import Answer, RunCall
from penstock.gateway.limits import sweeping
from penstock.gateway.limits.events import BudgetAlerted, BudgetExhausted
from penstock.gateway.responses import service as responses
from penstock.gateway.settings import GatewaySettings
from penstock.traces.model import SpanRecord

if TYPE_CHECKING:
    from penstock.gateway import app
else:  # loads the web framework, which the background process needs for batches alone
    app = deferred("penstock.gateway.app")

SWEEP_SECONDS = 60.0
LEDGER_SECONDS = 3600.0
HANDLERS: dict[str, Handler] = {**alerting_jobs.HANDLERS, **forgetting.HANDLERS}
"""Job kind → handler, but for batches, which have workers of their own."""
SUBSCRIBERS = {BudgetAlerted.name: (alerts.take,), BudgetExhausted.name: (alerts.take,)}
"""Event name → what the gateway does about it."""


class ClosingRecorder(Protocol):
    """A recorder of spans that the one who made it closes."""

    def record(self, scope: Scope, span: SpanRecord) -> None:
        """Record a span without waiting."""

    def close(self) -> None:
        """Write what was recorded, and stop."""


def batch_handlers(make_recorder: Callable[[Home], ClosingRecorder]) -> dict[str, Handler]:
    """Return the handlers of batches; their calls are traced by what `make_recorder` makes.

    Give them to workers of their own (`batch_workers` says how many): a batch may take a day.
    """
    return jobs.handlers(opener(make_recorder, yields=True))


def opener(make_recorder: Callable[[Home], ClosingRecorder], *, yields: bool = False) -> jobs.OpenGateway:
    """Return what opens the gateway in the running event loop, for the calls of a job in its creator's name.

    Those of one that `yields` leave a part of all limits to others (`batch_leaves`).
    """

    @asynccontextmanager
    async def open_gateway(home: Home, actor: Actor) -> AsyncIterator[RunCall]:
        recorder = make_recorder(home)
        leave = home.settings.section(GatewaySettings).batch_leaves if yields else 0.0
        gateway = app.GatewayApp(home, recorder, leave=leave)
        try:
            await gateway.start()
            extra = {app.INTERNAL: await gateway.caller_of(actor)}

            async def run(path: str, headers: Mapping[bytes, bytes], body: bytes) -> Answer:
                return await calling.call(gateway, path, headers, body, extra=extra)

            yield run
        finally:
            await gateway.stop()
            await asyncio.to_thread(recorder.close)

    return open_gateway


def batch_workers(home: Home) -> int:
    """Return how many batches are to be worked off at once."""
    return home.settings.section(GatewaySettings).batch_workers


def sweep(home: Home, stop: threading.Event) -> None:
    """Remove expired files and responses every minute, and what limits need no more every hour, until `stop`."""
    swept_at = clock.monotonic()
    while not stop.wait(SWEEP_SECONDS):
        if clock.monotonic() - swept_at > LEDGER_SECONDS:
            swept_at = clock.monotonic()
            # What is left below a full batch comes and goes with the calls.
            while sweeping.sweep(home) >= sweeping.TOGETHER and not stop.is_set():
                pass
        while service.sweep(home):
            pass
        while any(responses.sweep(home)):
            pass
