"""The verbs of reports: what calls cost, how many there were, how long they took."""

from datetime import datetime, timedelta
from typing import get_args

from penstock.core import clock
from penstock.core.auth import service as auth
from penstock.core.errors import Invalid
from penstock.core.scope import Actor, Scope
from penstock.core.stopping import Stop
from penstock.core.uow import UnitOfWork
from penstock.traces.model import METADATA, GroupBy, SeriesFilters, SeriesPoint, UsageRow
from penstock.traces.settings import TracesSettings
from penstock.traces.store import sums

MAX_POINTS = 3000
MAX_GROUPS = 50
MAX_TOP = 1000


OPEN_GROUPS = 100
"""Groups told apart where there may be any number of them, unless more or fewer are asked for."""


def group_named(name: str) -> str:
    """Return what to group by, `metadata:KEY` as `metadata.KEY`; raises Invalid for what usage cannot be grouped by."""
    if name.startswith((METADATA, "metadata:")) and len(name) > len(METADATA):
        return METADATA + name[len(METADATA) :]
    if name in get_args(GroupBy):
        return name
    raise Invalid(f"Cannot group by {name!r}.", hint=f"Use {', '.join(get_args(GroupBy))} or metadata.KEY.")


def _open(group_by: str) -> bool:
    return group_by == "session" or group_by.startswith(METADATA)


def _seconds(uow: UnitOfWork) -> float:
    return uow.home.settings.section(TracesSettings).query_seconds


def _scopes(uow: UnitOfWork, actor: Actor, group_by: str | None) -> list[Scope]:
    """Return whose sums are asked for: by project those of every project the actor may enter, else its own."""
    if group_by != "project":
        return [actor.scope]
    names = {project.name for project in auth.list_projects(uow, actor)} | {actor.scope.project}
    return [Scope(actor.scope.tenant, name) for name in sorted(names)]


def usage(
    uow: UnitOfWork,
    actor: Actor,
    *,
    group_by: str = "model",
    since: datetime | None = None,
    until: datetime | None = None,
    filters: SeriesFilters | None = None,
    top: int | None = None,
    stop: Stop | None = None,
) -> list[UsageRow]:
    """Return exact sums per group over spans that started in [since, until), the costliest first (days in order).

    Grouped by kind every span counts, otherwise only calls of models (kinds llm and embedding). By project: every
    project that the actor may enter. `top` keeps the costliest groups and sums up all other calls as the group None; by
    session and by metadata it is 100 unless given. Raises Unprocessable when single spans must be read and that takes
    longer than `[traces] query_seconds`, Cancelled when `stop` was asked.
    """
    uow.may(actor, "traces.read")
    group_by = group_named(group_by)
    if top is not None and (group_by in ("day", "kind") or not 1 <= top <= MAX_TOP):
        raise Invalid(f"top must be 1 to {MAX_TOP}, and cannot be used by day or kind.")
    return sums.usage(
        uow.conn,
        _scopes(uow, actor, group_by),
        group_by,
        filters or SeriesFilters(),
        since_ns=None if since is None else clock.to_ns(since),
        until_ns=None if until is None else clock.to_ns(until),
        seconds=_seconds(uow),
        top=OPEN_GROUPS if top is None and _open(group_by) else top,
        stop=stop,
    )


def timeseries(
    uow: UnitOfWork,
    actor: Actor,
    *,
    since: datetime,
    until: datetime,
    bucket: timedelta | None = None,
    filters: SeriesFilters | None = None,
    by: str | None = None,
    top: int = 10,
    stop: Stop | None = None,
) -> list[SeriesPoint]:
    """Return calls, errors, tokens, cost and latency quantiles per `bucket` (default: fitting the range).

    The range is widened to whole buckets, which start at multiples of `bucket` since the epoch. `by` splits the series
    into its `top` costliest groups and, where there are more, all others together. Raises Invalid for a bucket that is
    neither a divisor of an hour nor whole hours or days, or for more than 3,000 of them; Cancelled when
    `stop` was asked.
    """
    uow.may(actor, "traces.read")
    first, last, step = _steps(since, until, bucket)
    by = None if by is None else group_named(by)
    if by == "day":
        raise Invalid("A time series cannot be split by day.", hint="Give a bucket of 86400 seconds.")
    if not 1 <= top <= MAX_GROUPS:
        raise Invalid(f"top must be 1 to {MAX_GROUPS}, not {top}.")
    return sums.timeseries(
        uow.conn,
        _scopes(uow, actor, by),
        filters or SeriesFilters(),
        since_s=first,
        until_s=last,
        step=step,
        seconds=_seconds(uow),
        by=by,
        top=top,
        stop=stop,
    )


def _steps(since: datetime, until: datetime, bucket: timedelta | None) -> tuple[int, int, int]:
    since_s, until_s = clock.to_ns(since) // 10**9, -(-clock.to_ns(until) // 10**9)
    if since_s >= until_s:
        raise Invalid("`since` must be before `until`.")
    step = int(bucket.total_seconds()) if bucket else _fitting(until_s - since_s)
    if step <= 0 or (3600 % step and step % 3600) or (step > 86400 and step % 86400):
        raise Invalid(
            f"A bucket of {step} seconds is not possible.", hint="Use 60, 300, 900, 3600 or 86400 seconds."
        )
    first, last = since_s - since_s % step, -(-until_s // step) * step
    if (last - first) // step > MAX_POINTS:
        raise Invalid(f"That would be more than {MAX_POINTS} points.", hint="Choose a larger bucket.")
    return first, last, step


def _fitting(seconds: int) -> int:
    for limit, step in ((2 * 3600, 60), (6 * 3600, 300), (8 * 86400, 3600)):
        if seconds <= limit:
            return step
    return 86400
