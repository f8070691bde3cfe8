"""The verbs of traces: the only door into this slice."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import cast, get_args

from penstock.core import clock
from penstock.core.errors import Invalid, NotFound
from penstock.core.home import Home
from penstock.core.scope import Actor, Scope
from penstock.core.stopping import Stop
from penstock.core.uow import UnitOfWork
from penstock.traces import background, query, writer
from penstock.traces.find_service import facets, histogram, put_scores, remove_score, scores_of
from penstock.traces.model import (
    GroupBy,
    SeriesFilters,
    SeriesPoint,
    SpanRecord,
    Trace,
    TraceFilters,
    TracePage,
    UsageRow,
)
from penstock.traces.price_service import (
    delete_price,
    import_prices,
    list_prices,
    price_history,
    set_price,
    show_price,
)
from penstock.traces.prices import OwnPrice, Price
from penstock.traces.pricing import PriceTable
from penstock.traces.recorder import Recorder
from penstock.traces.settings import TracesSettings
from penstock.traces.store import erase as erasing
from penstock.traces.store import read, search, snippets, sums
from penstock.traces.store.deadline import limited
from penstock.traces.store.prepare import prepare
from penstock.traces.store.write import ScopeIds

MAX_PAGE = 1000
MAX_POINTS = 3000
_INGEST_GROUP = 2000


def ingest(home: Home, scope: Scope, spans: Iterable[SpanRecord]) -> None:
    """Store `spans` of one project; they are durable when this returns.

    Sending a span again changes nothing; sending another with the same trace and span id replaces it, and no
    sum counts it twice. Raises Invalid for malformed ids (nothing is stored then), StorageFull, Busy, Unavailable.
    """
    ready = [prepare(scope, span) for span in spans]
    known = ScopeIds()
    for start in range(0, len(ready), _INGEST_GROUP):
        writer.write(home, known, ready[start : start + _INGEST_GROUP])


def list_traces(
    uow: UnitOfWork,
    actor: Actor,
    *,
    filters: TraceFilters | None = None,
    after: tuple[int, int] | None = None,
    limit: int = 50,
    stop: Stop | None = None,
) -> TracePage:
    """Return traces of the actor's project, newest first; `after` is the `next` of the page before.

    Traces found by words carry a snippet. Raises Invalid for a wrong query, Unprocessable when it takes longer than
    `[traces] query_seconds`, Cancelled when `stop` was asked.
    """
    uow.may(actor, "traces.read")
    if not 1 <= limit <= MAX_PAGE:
        raise Invalid(f"limit must be 1 to {MAX_PAGE}, not {limit}.")
    node = query.of_filters(filters or TraceFilters())
    with limited(uow.conn, uow.home.settings.section(TracesSettings).query_seconds, stop) as deadline:
        page = search.list_traces(
            uow.conn, actor.scope, node, now=clock.now(), deadline=deadline, after=after, limit=limit
        )
        return snippets.added(uow.conn, actor.scope, page, node)


def _trace_key(trace_id: str) -> bytes:
    try:
        raw = bytes.fromhex(trace_id)
    except ValueError:
        raw = b""
    if len(raw) != 16:
        raise NotFound(f"There is no trace {trace_id!r}.", hint="A trace id is 32 hex digits.")
    return raw


def known(uow: UnitOfWork, actor: Actor, *, trace_ids: Iterable[str]) -> set[str]:
    """Return which of the traces are stored; raises NotFound for what is not a trace id."""
    uow.may(actor, "traces.read")
    return {t for t in trace_ids if read.trace_row(uow.conn, actor.scope, _trace_key(t)) is not None}


def get_trace(uow: UnitOfWork, actor: Actor, *, trace_id: str) -> Trace:
    """Return a trace with all its spans, without their bodies; raises NotFound."""
    uow.may(actor, "traces.read", trace_id)
    found = read.get_trace(uow.conn, actor.scope, _trace_key(trace_id))
    if found is None:
        raise NotFound(f"There is no trace {trace_id!r} in the project {actor.scope.project!r}.")
    return Trace(summary=found[1], spans=tuple(found[2]))


def get_span_body(uow: UnitOfWork, actor: Actor, *, trace_id: str, span_id: str) -> SpanRecord:
    """Return one span in full, with input, output, attributes, events, tags and metadata; raises NotFound."""
    uow.may(actor, "traces.read", trace_id)
    row = read.trace_row(uow.conn, actor.scope, _trace_key(trace_id))
    try:
        span = bytes.fromhex(span_id)
    except ValueError:
        span = b""
    found = None if row is None else next(read.records(uow.conn, row, trace_id.lower(), span), None)
    if found is None:
        raise NotFound(f"There is no span {span_id!r} in the trace {trace_id!r}.")
    return found


def spans_of(uow: UnitOfWork, actor: Actor, *, trace_id: str) -> list[SpanRecord]:
    """Return all spans of a trace in full, by start time; raises NotFound."""
    uow.may(actor, "traces.read", trace_id)
    row = read.trace_row(uow.conn, actor.scope, _trace_key(trace_id))
    if row is None:
        raise NotFound(f"There is no trace {trace_id!r} in the project {actor.scope.project!r}.")
    return list(read.records(uow.conn, row, trace_id.lower()))


def export_spans(
    home: Home, actor: Actor, *, filters: TraceFilters | None = None, limit: int | None = None
) -> Iterator[SpanRecord]:
    """Yield the spans of the matching traces in full, newest trace first, at most `limit` traces.

    Reads page by page in short transactions, so that a long export blocks nobody.
    """
    after: tuple[int, int] | None = None
    left = limit
    while left is None or left > 0:
        with home.read() as uow:
            size = 200 if left is None else min(200, left)
            page = list_traces(uow, actor, filters=filters, after=after, limit=size)
            found = [spans_of(uow, actor, trace_id=trace.trace_id) for trace in page.items]
        for spans in found:
            yield from spans
        after = page.next
        left = None if left is None else left - len(page.items)
        if after is None:
            return


def group_named(name: str) -> GroupBy:
    """Return `name` as a GroupBy; raises Invalid for anything that usage cannot be grouped by."""
    for known in get_args(GroupBy):
        if name == known:
            return cast(GroupBy, known)
    raise Invalid(f"Cannot group by {name!r}.", hint="Use model, kind, provider, user, key, route or day.")


def usage(
    uow: UnitOfWork,
    actor: Actor,
    *,
    group_by: GroupBy = "model",
    since: datetime | None = None,
    until: datetime | None = None,
) -> list[UsageRow]:
    """Return exact sums per group over spans that started in [since, until), the costliest first (days in order).

    Grouped by kind every span counts, otherwise only calls of models (kinds llm and embedding).
    """
    uow.may(actor, "traces.read")
    return sums.usage(
        uow.conn,
        actor.scope,
        group_by,
        since_ns=None if since is None else clock.to_ns(since),
        until_ns=None if until is None else clock.to_ns(until),
    )


def timeseries(
    uow: UnitOfWork,
    actor: Actor,
    *,
    since: datetime,
    until: datetime,
    bucket: timedelta | None = None,
    filters: SeriesFilters | None = None,
) -> list[SeriesPoint]:
    """Return calls, errors, tokens, cost and latency quantiles per `bucket` (default: fitting the range).

    The range is widened to whole buckets, which start at multiples of `bucket` since the epoch. Raises Invalid for a
    bucket that is neither a divisor of an hour nor whole hours or days, or for more than 3,000 of them.
    """
    uow.may(actor, "traces.read")
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
    wanted = filters or SeriesFilters()
    if sum(value is not None for value in (wanted.model, wanted.provider, wanted.route, wanted.key)) > 1:
        raise Invalid("A time series is by model, provider, route or key: give one of them.")
    return sums.timeseries(uow.conn, actor.scope, wanted, since_s=first, until_s=last, step=step)


def _fitting(seconds: int) -> int:
    for limit, step in ((2 * 3600, 60), (6 * 3600, 300), (8 * 86400, 3600)):
        if seconds <= limit:
            return step
    return 86400


def put_price(
    uow: UnitOfWork,
    actor: Actor,
    *,
    model: str,
    provider: str = "",
    input_per_mtok: float,
    output_per_mtok: float = 0.0,
) -> OwnPrice:
    """Set the project's price for models whose name matches `model`, of input and output alone (see `set_price`)."""
    price = Price(input=input_per_mtok, output=output_per_mtok)
    return set_price(uow, actor, model=model, provider=provider, price=price)


def delete_trace(uow: UnitOfWork, actor: Actor, *, trace_id: str) -> None:
    """Delete a trace and take it out of all sums; raises NotFound."""
    uow.may(actor, "traces.admin", trace_id)
    if not erasing.remove(uow.conn, actor.scope, _trace_key(trace_id)):
        raise NotFound(f"There is no trace {trace_id!r} in the project {actor.scope.project!r}.")
    uow.audit(actor, "traces.delete", trace_id)


def erase(home: Home, actor: Actor, *, user: str) -> int:
    """Delete every trace with a span of `user` and the user's sums; returns how many traces went.

    What the project spent stays in its sums, without the name.
    """
    background.roll_up(home)
    with home.begin() as uow:
        uow.may(actor, "traces.admin", "erase")
        removed = erasing.erase_user(uow.conn, actor.scope, user)
        uow.audit(actor, "traces.erase", "user", traces=removed)
    return removed


def export(home: Home, actor: Actor, *, user: str) -> Iterator[SpanRecord]:
    """Yield every span of every trace of `user`, in full."""
    return export_spans(home, actor, filters=TraceFilters(user=user))


__all__ = [
    "PriceTable",
    "Recorder",
    "delete_price",
    "delete_trace",
    "erase",
    "export",
    "export_spans",
    "facets",
    "get_span_body",
    "get_trace",
    "group_named",
    "histogram",
    "import_prices",
    "ingest",
    "known",
    "list_prices",
    "list_traces",
    "price_history",
    "put_price",
    "put_scores",
    "remove_score",
    "scores_of",
    "set_price",
    "show_price",
    "spans_of",
    "timeseries",
    "usage",
]
