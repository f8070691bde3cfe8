"""The gateway's durable work: batches, and the sweep of files whose time is over."""

import threading

from penstock.core.home import Home
from penstock.core.jobs import Handler
from penstock.gateway.batches import jobs as batches
from penstock.gateway.batches import service
from penstock.gateway.batches.jobs import OpenGateway

SWEEP_SECONDS = 60.0


def batch_handlers(open_gateway: OpenGateway) -> dict[str, Handler]:
    """Return the handlers of batches; give them to workers of their own, since a batch may take a day."""
    return batches.handlers(open_gateway)


def sweep(home: Home, stop: threading.Event) -> None:
    """Remove expired files, every minute until `stop`."""
    while not stop.wait(SWEEP_SECONDS):
        while service.sweep(home):
            pass
