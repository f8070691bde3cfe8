"""The background's side of the composition root: wires events, jobs and the slices' regular work.

Apart from `server`, so that the background process does not load the web framework.
"""

import threading
from collections.abc import Callable

from penstock.core.events import Dispatcher, Subscriber
from penstock.core.home import Home
from penstock.core.jobs import Handler, Worker
from penstock.datasets import jobs as datasets_jobs

JOB_HANDLERS: dict[str, Handler] = {**datasets_jobs.HANDLERS}
"""Job kind → handler, of every slice."""

SUBSCRIBERS: dict[str, tuple[Subscriber, ...]] = {}
"""Event name → what upper slices do about it."""

JOB_WORKERS = 2


def background_loops(home: Home) -> dict[str, Callable[[threading.Event], None]]:
    """Return name → loop for the background process; each runs until its event is set."""
    loops: dict[str, Callable[[threading.Event], None]] = {"events": Dispatcher(home, SUBSCRIBERS).run}
    for number in range(1, JOB_WORKERS + 1):
        loops[f"jobs {number}"] = Worker(home, JOB_HANDLERS).run
    return loops
