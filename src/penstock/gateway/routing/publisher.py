"""Telling the other processes how this one's targets are, and merging what all of them say."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import timedelta

from penstock.core import clock, ids, log
from penstock.core.errors import PenstockError
from penstock.core.home import Home
from penstock.core.scope import Actor, Scope
from penstock.core.uow import UnitOfWork
from penstock.gateway import metrics
from penstock.gateway.outage import Outage
from penstock.gateway.routing import store
from penstock.gateway.routing.health import HealthRegistry, TargetHealth

_log = log.get("gateway")
PUBLISH_SECONDS = 2.0
REPEAT_SECONDS = 8.0
"""How long what has not changed is not written again."""
STALE_SECONDS = 15.0
"""What a process said longer ago counts no more: it is gone."""
FORGOTTEN = timedelta(hours=1)
_WORST = ("closed", "half_open", "open")
_GAUGES = (metrics.BREAKER, metrics.TARGET_IN_FLIGHT, metrics.TARGET_LATENCY)
NEVER = clock.from_ns(0)
Found = dict[Scope, list[TargetHealth]]


class HealthPublisher:
    """Writes the health of this process's targets every two seconds; between `start` and `stop`, in a thread's time."""

    def __init__(self, home: Home, registry: HealthRegistry, *, seconds: float = PUBLISH_SECONDS) -> None:
        self._home = home
        self._registry = registry
        self._seconds = seconds
        self._worker = ids.new_id("wrk")
        self._task: asyncio.Task[None] | None = None
        self._said: Found = {}
        self._said_at = 0.0
        self._outage = Outage(_log, "the health of targets cannot be written")
        self._counted: set[tuple[str, str, str]] = set()
        """(project, target) of the metrics."""

    async def start(self) -> None:
        """Write from now on."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="gateway health")

    async def stop(self) -> None:
        """Stop writing and take back what was written."""
        task, self._task = self._task, None
        if task is None:
            return
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await asyncio.to_thread(self._guarded, self._forget)
        self._drop(self._counted)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._seconds)
            await asyncio.to_thread(self._guarded, self.publish)

    def _guarded(self, write: Callable[[], None]) -> None:
        try:
            write()
            self._outage.over()
        except PenstockError as error:
            self._outage.failed(error)
        except Exception:  # noqa: BLE001 - health is told again in two seconds; calls go on without it
            _log.exception("the health of targets cannot be written")

    def publish(self) -> None:
        """Write what is known now, unless it was just written like this."""
        found: Found = defaultdict(list)
        known: set[tuple[str, str, str]] = set()
        for scope, target in self._registry.snapshot():
            found[scope].append(target)
            state = float(_WORST.index(target.state))
            labels = scope.tenant, scope.project, f"{target.provider}/{target.model}"
            known.add(labels)
            metrics.BREAKER.set(state, *labels)
            metrics.TARGET_IN_FLIGHT.set(float(target.in_flight), *labels)
            metrics.TARGET_LATENCY.set(target.ewma_ms / 1000, *labels)
        self._drop(self._counted - known)
        self._counted = known
        now = self._registry.monotonic()
        if not found or (found == self._said and now - self._said_at < REPEAT_SECONDS):
            return
        with self._home.begin() as uow:
            store.put_health(uow.conn, self._worker, found, clock.now())
        self._said, self._said_at = found, now

    @staticmethod
    def _drop(counted: set[tuple[str, str, str]]) -> None:
        for labels in counted:
            for gauge in _GAUGES:
                gauge.drop(*labels)

    def _forget(self) -> None:
        with self._home.begin() as uow:
            store.forget_health(uow.conn, self._worker, clock.now() - FORGOTTEN)


def target_health(uow: UnitOfWork, actor: Actor) -> list[TargetHealth]:
    """Return the health of the project's and the shared providers' targets, over all live web processes."""
    uow.may(actor, "providers.read")
    since = clock.now() - timedelta(seconds=STALE_SECONDS)
    shared = Scope(actor.scope.tenant)
    found = store.list_health(uow.conn, actor.scope, since)
    if actor.scope != shared:
        found += store.list_health(uow.conn, shared, since)
    return merged(found)


def merged(found: Iterable[TargetHealth]) -> list[TargetHealth]:
    """Return one health per target: sums, the worst state, the slowest latency, the newest error and success."""
    by_target: dict[tuple[str, str], list[TargetHealth]] = defaultdict(list)
    for each in found:
        by_target[each.provider, each.model].append(each)
    out = []
    for (provider, model), group in sorted(by_target.items()):
        failed = [one for one in group if one.last_error_at is not None]
        newest = max(failed, key=lambda one: one.last_error_at or NEVER, default=group[0])
        out.append(
            TargetHealth(
                provider=provider,
                model=model,
                state=max((one.state for one in group), key=_WORST.index),
                in_flight=sum(one.in_flight for one in group),
                ewma_ms=max(one.ewma_ms for one in group),
                requests=sum(one.requests for one in group),
                errors=sum(one.errors for one in group),
                last_error=newest.last_error,
                last_error_at=newest.last_error_at,
                last_ok_at=max((one.last_ok_at for one in group if one.last_ok_at), default=None),
            )
        )
    return out
