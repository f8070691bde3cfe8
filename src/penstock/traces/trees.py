"""The verbs that read large traces: page by page, or as a compact tree."""

from collections.abc import Sequence
from typing import Any

import msgspec

from penstock.core.errors import Invalid, NotFound
from penstock.core.scope import Actor
from penstock.core.uow import UnitOfWork
from penstock.traces.model import KINDS, STATUSES, SpanRow, TraceSummary
from penstock.traces.outline import outline
from penstock.traces.store import scores, spans

MAX_PAGE, MAX_OUTLINE = 10_000, 200_000

Cursor = tuple[int, int]


class TraceOutline(msgspec.Struct, frozen=True, kw_only=True):
    """A trace as columns of equal length, in the order in which its tree is drawn (see `outline`)."""

    trace_id: str
    start_ns: int
    spans: int
    """How many spans the trace has; the columns hold the first 200,000 by start time."""
    partial: bool
    """Sampling let go of spans of it that came earlier."""
    names: list[str]
    kinds: Sequence[str] = KINDS
    statuses: Sequence[str] = STATUSES
    models: list[str]
    span_id: list[str]
    parent: list[int]
    """Place of the parent in these columns; -1 at the top."""
    depth: list[int]
    name: list[int]
    """Place in `names`; `kind`, `status` and `model` likewise, -1 for no model."""
    kind: list[int]
    status: list[int]
    model: list[int]
    start: list[int]
    """Nanoseconds from `start_ns`."""
    duration: list[int]
    tokens: list[int]
    cost_usd: list[float | None]


def _found(uow: UnitOfWork, actor: Actor, trace_id: str) -> tuple[int, TraceSummary]:
    uow.may(actor, "traces.read", trace_id)
    found = spans.summary(uow.conn, actor.scope, trace_id)
    if found is None:
        raise NotFound(
            f"There is no trace {trace_id!r} in the project {actor.scope.project!r}.",
            hint="A trace id is 32 hex digits.",
        )
    return found[0], scores.marked(uow.conn, actor.scope, [found[1]])[0]


def get_summary(uow: UnitOfWork, actor: Actor, *, trace_id: str) -> TraceSummary:
    """Return what a list shows of a trace, however many spans it has; raises NotFound."""
    return _found(uow, actor, trace_id)[1]


def is_partial(uow: UnitOfWork, actor: Actor, *, trace_id: str) -> bool:
    """Return whether sampling let go of spans of the trace that came earlier; False for what is no trace."""
    uow.may(actor, "traces.read", trace_id)
    return scores.partial(uow.conn, actor.scope, bytes.fromhex(trace_id))


def last_call(uow: UnitOfWork, actor: Actor, *, trace_id: str) -> str | None:
    """Return the id of the model call of a trace that ended last among those that did not fail; raises NotFound."""
    row, _ = _found(uow, actor, trace_id)
    return spans.last_good_call(uow.conn, actor.scope, row)


def good_calls(uow: UnitOfWork, actor: Actor, *, trace_id: str) -> list[str]:
    """Return the ids of the model calls of a trace that did not fail, by start time; raises NotFound."""
    row, _ = _found(uow, actor, trace_id)
    return spans.good_calls(uow.conn, actor.scope, row)


def root_of(uow: UnitOfWork, actor: Actor, *, trace_id: str) -> str | None:
    """Return the id of a trace's root, None while it has not arrived; raises NotFound."""
    row, _ = _found(uow, actor, trace_id)
    return spans.first_root(uow.conn, actor.scope, row)


def first_span(uow: UnitOfWork, actor: Actor, *, trace_id: str) -> str | None:
    """Return the id of the span of a trace that began first; raises NotFound."""
    row, _ = _found(uow, actor, trace_id)
    return spans.first(uow.conn, actor.scope, row)


def models_of(uow: UnitOfWork, actor: Actor, *, trace_id: str) -> list[str]:
    """Return the models that answered in a trace, by name; raises NotFound."""
    row, _ = _found(uow, actor, trace_id)
    return spans.models(uow.conn, actor.scope, row)


def page_of_spans(
    uow: UnitOfWork, actor: Actor, *, trace_id: str, after: Cursor | None = None, limit: int = 5000
) -> tuple[TraceSummary, list[SpanRow], Cursor | None]:
    """Return (summary, spans by start time, cursor behind them); raises NotFound."""
    if not 1 <= limit <= MAX_PAGE:
        raise Invalid(f"limit must be 1 to {MAX_PAGE}, not {limit}.")
    row, summary = _found(uow, actor, trace_id)
    return summary, *spans.page(uow.conn, actor.scope, row, after=after, limit=limit)


def get_outline(uow: UnitOfWork, actor: Actor, *, trace_id: str) -> TraceOutline:
    """Return the tree of a trace as columns; raises NotFound."""
    number, summary = _found(uow, actor, trace_id)
    rows = spans.narrow(uow.conn, actor.scope, number, limit=MAX_OUTLINE)
    tree = outline([(row["span_id"], row["parent_id"]) for row in rows])
    place = [0] * len(rows)
    for position, index in enumerate(tree.order):
        place[index] = position
    drawn = [rows[index] for index in tree.order]
    names: dict[str, int] = {}
    models: dict[str, int] = {}
    return TraceOutline(
        trace_id=summary.trace_id,
        start_ns=summary.start_ns,
        spans=summary.spans,
        partial=summary.partial,
        name=[_known(names, row["name"]) for row in drawn],
        model=[_known(models, row["model"]) for row in drawn],
        names=list(names),
        models=list(models),
        span_id=[row["span_id"] for row in drawn],
        parent=[place[above] if (above := tree.parent[index]) >= 0 else -1 for index in tree.order],
        depth=[tree.depth[index] for index in tree.order],
        kind=[KINDS.index(row["kind"]) for row in drawn],
        status=[STATUSES.index(row["status"]) for row in drawn],
        start=[row["start_ns"] - summary.start_ns for row in drawn],
        duration=[row["duration_ns"] for row in drawn],
        tokens=[row["tokens"] for row in drawn],
        cost_usd=[row["cost_usd"] for row in drawn],
    )


def _known(values: dict[str, int], value: Any) -> int:
    return -1 if value is None else values.setdefault(value, len(values))
