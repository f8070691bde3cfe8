"""Workers that die at a job until it is given up, as `kill -9` would have it."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from penstock.app.work import SUBSCRIBERS
from penstock.core import clock, jobs
from penstock.core.errors import Cancelled
from penstock.core.events import Dispatcher
from penstock.core.home import Home
from penstock.core.jobs import runner


class Died(BaseException):
    """Stands for kill -9: nothing of the worker's own code runs after it."""


def die(*_: Any) -> None:
    raise Died


def wear_out(home: Home, job_id: str, handlers: Mapping[str, jobs.Handler]) -> str:
    """Let every attempt at the job die until it is given up, and its events be heard; returns the reason."""
    moment = clock.now()
    for _ in range(runner.MAX_ATTEMPTS):
        with clock.frozen(moment), pytest.raises(Died):
            jobs.run_inline(home, job_id, handlers)
        moment += timedelta(seconds=runner.LEASE_SECONDS + 1)
    with clock.frozen(moment), pytest.raises(Cancelled, match="Given up") as given_up:
        jobs.run_inline(home, job_id, handlers)
    with clock.frozen(moment + timedelta(seconds=1)):
        while Dispatcher(home, SUBSCRIBERS).tick():
            pass
    return given_up.value.message
