"""Waiting until a deployment answers, for commands and pipelines."""

import threading
from collections.abc import Callable

from penstock.core import clock
from penstock.core.errors import Cancelled, Unavailable
from penstock.core.home import Home
from penstock.core.scope import Actor
from penstock.serving import service
from penstock.serving.model import ReplicaState, Status

_LOOK_SECONDS = 0.1
_GIVE_UP_AFTER = 3


def _never() -> bool:
    return False


def until_ready(
    home: Home,
    actor: Actor,
    *,
    name: str,
    number: int | None = None,
    timeout: float = 120.0,
    cancelled: Callable[[], bool] = _never,
) -> Status:
    """Return once a replica of version `number` (default: production) is ready.

    Needs a running reconciler (`penstock up`). Raises Unavailable with the replica's reason when it failed three
    times or nothing happened within `timeout` seconds, NotFound, Cancelled.
    """
    deadline, pause = clock.monotonic() + timeout, threading.Event()
    while True:
        with home.read() as uow:
            status = service.status(uow, actor, name=name)
        wanted = status.deployment.production if number is None else number
        seen = status.of(wanted)
        if seen.ready:
            return status
        failed = [replica for replica in seen.replicas if replica.state is ReplicaState.FAILED]
        if any(replica.restarts >= _GIVE_UP_AFTER for replica in failed):
            raise Unavailable(f"{status.deployment.endpoint(wanted)} does not start: {failed[0].reason}")
        if cancelled():
            raise Cancelled(f"Waiting for {name!r} was cancelled.")
        if clock.monotonic() > deadline:
            why = failed[0].reason if failed else "no engine has been started"
            raise Unavailable(
                f"{status.deployment.endpoint(wanted)} was not ready within {timeout:g} seconds: {why}.",
                hint="Is `penstock up` running for this home?",
            )
        pause.wait(_LOOK_SECONDS)
