"""The verbs of traces: the only door into this slice."""

from collections.abc import Iterable, Iterator, Mapping

import msgspec

from penstock.core import clock
from penstock.core.errors import Invalid, NotFound
from penstock.core.home import Home
from penstock.core.scope import Actor, Scope
from penstock.core.settings import CoreSettings
from penstock.core.stopping import Stop
from penstock.core.uow import UnitOfWork
from penstock.traces import exporter, query, writer
from penstock.traces.erasure import Pace, delete_trace, erase_traces, trace_key
from penstock.traces.find_service import (
    facets,
    histogram,
    put_scores,
    remove_score,
    scores_by_prompt,
    scores_of,
)
from penstock.traces.importer import import_traces
from penstock.traces.model import (
    SpanRecord,
    Trace,
    TraceFilters,
    TracePage,
)
from penstock.traces.naming import names, traces_of
from penstock.traces.policy_service import MaskTable, get_policies, let_go, put_policies
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
from penstock.traces.redaction import redact_traces
from penstock.traces.replay import Replayed, replay
from penstock.traces.reports import group_named, timeseries, usage
from penstock.traces.settings import TracesSettings
from penstock.traces.store import read, scores, search, snippets
from penstock.traces.store.deadline import limited
from penstock.traces.store.prepare import prepare
from penstock.traces.store.write import ScopeIds
from penstock.traces.trees import first_span, get_summary, good_calls, last_call, models_of, root_of

MAX_PAGE = 1000
_INGEST_GROUP = 2000


def ingest(home: Home, scope: Scope, spans: Iterable[SpanRecord]) -> None:
    """Store `spans` of one project; they are durable when this returns.

    Sending a span again changes nothing; sending another with the same trace and span id replaces it, and no
    sum counts it twice. Raises Invalid for malformed ids (nothing is stored then), StorageFull, Busy, Unavailable.
    """
    masks = MaskTable(home)
    ready = [prepare(scope, masks.masked(scope, span)) for span in spans]
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
        page = msgspec.structs.replace(page, items=scores.marked(uow.conn, actor.scope, page.items))
        return snippets.added(uow.conn, actor.scope, page, node)


def known(uow: UnitOfWork, actor: Actor, *, trace_ids: Iterable[str]) -> set[str]:
    """Return which of the traces are stored; raises NotFound for what is not a trace id."""
    uow.may(actor, "traces.read")
    return {t for t in trace_ids if read.trace_row(uow.conn, actor.scope, trace_key(t)) is not None}


def get_trace(uow: UnitOfWork, actor: Actor, *, trace_id: str) -> Trace:
    """Return a trace with all its spans, without their bodies; raises NotFound."""
    uow.may(actor, "traces.read", trace_id)
    found = read.get_trace(uow.conn, actor.scope, trace_key(trace_id))
    if found is None:
        raise NotFound(f"There is no trace {trace_id!r} in the project {actor.scope.project!r}.")
    (summary,) = scores.marked(uow.conn, actor.scope, [found[1]])
    return Trace(summary=summary, spans=tuple(found[2]))


def get_span_body(uow: UnitOfWork, actor: Actor, *, trace_id: str, span_id: str) -> SpanRecord:
    """Return one span in full, with input, output, attributes, events, tags and metadata; raises NotFound."""
    uow.may(actor, "traces.read", trace_id)
    row = read.trace_row(uow.conn, actor.scope, trace_key(trace_id))
    try:
        span = bytes.fromhex(span_id)
    except ValueError:
        span = b""
    found = None if row is None else next(read.records(uow.conn, row, trace_id.lower(), span), None)
    if found is None:
        raise NotFound(f"There is no span {span_id!r} in the trace {trace_id!r}.")
    return found


def find_response(uow: UnitOfWork, actor: Actor, *, response_id: str) -> tuple[str, str] | None:
    """Return (trace id, span id) of the newest stored call whose answer had this `id`, or None."""
    uow.may(actor, "traces.read")
    return read.span_of_response(uow.conn, actor.scope, response_id)


def spans_of(uow: UnitOfWork, actor: Actor, *, trace_id: str) -> list[SpanRecord]:
    """Return all spans of a trace in full, by start time; raises NotFound."""
    uow.may(actor, "traces.read", trace_id)
    row = read.trace_row(uow.conn, actor.scope, trace_key(trace_id))
    if row is None:
        raise NotFound(f"There is no trace {trace_id!r} in the project {actor.scope.project!r}.")
    return list(read.records(uow.conn, row, trace_id.lower()))


def export_spans(
    home: Home, actor: Actor, *, filters: TraceFilters | None = None, limit: int | None = None
) -> Iterator[SpanRecord]:
    """Yield the spans of the matching traces in full, newest trace first, at most `limit` traces.

    Reads in short transactions and holds little at once, so that a long export blocks nobody.
    """
    return exporter.spans(home, actor, filters=filters, limit=limit)


def replay_traces(
    home: Home,
    actor: Actor,
    *,
    url: str,
    headers: Mapping[str, str] | None = None,
    filters: TraceFilters | None = None,
) -> Replayed:
    """Send the spans of the matching traces to another OTLP/HTTP endpoint; see `replay.replay` for what it raises."""
    with home.begin() as uow:
        uow.may(actor, "traces.admin", "replay")
        uow.audit(actor, "traces.replay", url[:300])
    allowed = home.settings.section(CoreSettings).allow_private_urls
    return replay(export_spans(home, actor, filters=filters), url, headers=headers, allow_private=allowed)


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


def erase(home: Home, actor: Actor, *, user: str) -> int:
    """Delete every trace with a span of `user` and the user's sums; returns how many traces went.

    What the project spent stays in its sums, without the name.
    """
    return erase_traces(home, actor, user=user).traces


def export(home: Home, actor: Actor, *, user: str) -> Iterator[SpanRecord]:
    """Yield every span of every trace of `user`, in full."""
    return export_spans(home, actor, filters=TraceFilters(user=user))


__all__ = [
    "Pace",
    "PriceTable",
    "Recorder",
    "delete_price",
    "delete_trace",
    "erase",
    "erase_traces",
    "export",
    "export_spans",
    "facets",
    "first_span",
    "get_policies",
    "get_span_body",
    "get_summary",
    "get_trace",
    "good_calls",
    "group_named",
    "histogram",
    "import_prices",
    "import_traces",
    "ingest",
    "known",
    "last_call",
    "let_go",
    "list_prices",
    "list_traces",
    "models_of",
    "names",
    "price_history",
    "put_policies",
    "put_price",
    "put_scores",
    "redact_traces",
    "remove_score",
    "replay_traces",
    "root_of",
    "scores_by_prompt",
    "scores_of",
    "set_price",
    "show_price",
    "spans_of",
    "timeseries",
    "traces_of",
    "usage",
]
