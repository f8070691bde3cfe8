"""The verbs of logs and of OpenTelemetry's metrics: part of the slice's service."""

from datetime import datetime, timedelta

from penstock.core import clock
from penstock.core.errors import Invalid, NotFound
from penstock.core.scope import Actor
from penstock.core.uow import UnitOfWork
from penstock.traces.log_model import LogFilters, LogPage, LogRecord
from penstock.traces.metric_model import MetricName, MetricPoint
from penstock.traces.store import logs, metrics

MAX_LOGS = 500
_LONGEST = timedelta(days=400)


def list_logs(
    uow: UnitOfWork,
    actor: Actor,
    *,
    filters: LogFilters | None = None,
    after: tuple[int, int] | None = None,
    limit: int = 100,
) -> LogPage:
    """Return log records of the actor's project, newest first; `after` is the `next` of the page before."""
    uow.may(actor, "traces.read")
    if not 1 <= limit <= MAX_LOGS:
        raise Invalid(f"limit must be 1 to {MAX_LOGS}, not {limit}.")
    return logs.list_logs(uow.conn, actor.scope, filters or LogFilters(), after=after, limit=limit)


def newest(
    uow: UnitOfWork, actor: Actor, *, filters: LogFilters | None = None, limit: int = 50
) -> list[LogRecord]:
    """Return the newest `limit` records that meet `filters`, however many pages they are on."""
    if limit < 1:
        raise Invalid(f"limit must be 1 or more, not {limit}.")
    found: list[LogRecord] = []
    after = None
    while True:
        asked = min(MAX_LOGS, limit - len(found))
        page = list_logs(uow, actor, filters=filters, after=after, limit=asked)
        found += page.items
        after = page.next
        if after is None or len(found) >= limit:
            return found


def metric_names(uow: UnitOfWork, actor: Actor) -> list[MetricName]:
    """Return the metrics that were reported to the actor's project by OpenTelemetry."""
    uow.may(actor, "traces.read")
    return metrics.names(uow.conn, actor.scope)


def metric_points(
    uow: UnitOfWork,
    actor: Actor,
    *,
    name: str,
    by: str = "",
    since: datetime | None = None,
    until: datetime | None = None,
) -> list[MetricPoint]:
    """Return a metric by hour, one point per value of the label `by`; by default the last 24 hours.

    Raises NotFound for a metric that was not reported, Invalid for an unknown label or more than 400 days.
    """
    uow.may(actor, "traces.read")
    if by and by not in metrics.LABELS:
        raise Invalid(f"There is no label {by!r}.", hint=f"Use one of {', '.join(metrics.LABELS)}.")
    until = until or clock.now() + timedelta(seconds=1)
    since = since or until - timedelta(days=1)
    if until - since > _LONGEST:
        raise Invalid("Metrics are read for 400 days at most.")
    found = metrics.points(uow.conn, actor.scope, name, by=by, since=since, until=until)
    if not found and name not in {one.name for one in metrics.names(uow.conn, actor.scope)}:
        raise NotFound(f"No metric {name!r} was reported.", hint="GET /api/v1/metrics/otlp lists them.")
    return found
