"""The verbs around finding traces: counts over time, fields and values, and the scores that queries ask for."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from penstock.core import clock
from penstock.core.errors import Invalid
from penstock.core.scope import Actor, Scope
from penstock.core.stopping import Stop
from penstock.core.suggest import did_you_mean
from penstock.core.uow import UnitOfWork
from penstock.traces import query
from penstock.traces.model import FacetCount, HistogramBar, PromptScore, TraceFilters, TraceScore
from penstock.traces.query.fields import ALIASES, FIELDS
from penstock.traces.settings import TracesSettings
from penstock.traces.store import counting
from penstock.traces.store import scores as score_store
from penstock.traces.store.deadline import limited
from penstock.traces.store.prepare import SERVICE

MAX_BUCKETS, MAX_VALUES = 500, 100
_STORED = {"guard": ("tag", "guard:"), "service": (f"metadata.{SERVICE}", "")}
"""Fields whose values are kept under another key, with a beginning."""


def _seconds(uow: UnitOfWork) -> float:
    return uow.home.settings.section(TracesSettings).query_seconds


def histogram(
    uow: UnitOfWork, actor: Actor, *, filters: TraceFilters, buckets: int = 60, stop: Stop | None = None
) -> list[HistogramBar]:
    """Return how many matching traces began in each of `buckets` equal stretches of the range.

    The range is that of the filters; where they leave an end open, that of everything stored. Raises Invalid,
    Unprocessable when it takes too long, Cancelled when `stop` was asked.
    """
    uow.may(actor, "traces.read")
    if not 1 <= buckets <= MAX_BUCKETS:
        raise Invalid(f"buckets must be 1 to {MAX_BUCKETS}, not {buckets}.")
    node = query.of_filters(filters)
    with limited(uow.conn, _seconds(uow), stop) as deadline:
        return counting.histogram(
            uow.conn, actor.scope, node, now=clock.now(), deadline=deadline, buckets=buckets
        )


def facets(
    uow: UnitOfWork,
    actor: Actor,
    *,
    key: str = "",
    prefix: str = "",
    limit: int = 20,
    stop: Stop | None = None,
) -> list[FacetCount]:
    """Return values of the field `key` that begin with `prefix`; without a key, the fields there are.

    Values come with the number of their traces (counted up to 1,000), the most frequent first; fields, `metadata.…`,
    `attributes.…` and `score.…` included, with 0. Raises Invalid for an unknown field.
    """
    uow.may(actor, "traces.read")
    if not 1 <= limit <= MAX_VALUES:
        raise Invalid(f"limit must be 1 to {MAX_VALUES}, not {limit}.")
    with limited(uow.conn, _seconds(uow), stop):
        if not key:
            return [FacetCount(value=name, traces=0) for name in _names(uow, actor.scope, prefix)][:limit]
        return _values(uow, actor.scope, key, prefix=prefix, limit=limit)


def _names(uow: UnitOfWork, scope: Scope, prefix: str) -> list[str]:
    names = [name for name, field in FIELDS.items() if not field.keyed]
    names += counting.keys(uow.conn, scope, start="metadata.")
    if prefix.startswith("attributes"):
        start = prefix.removeprefix("attributes").removeprefix(".")
        found = counting.values(uow.conn, scope, "attributes", prefix=start, limit=MAX_VALUES)
        names += [f"attributes.{item.value}" for item in found]
    else:
        names.append("attributes.")
    names += [f"score.{name}" for name in counting.score_names(uow.conn, scope)]
    return [name for name in names if name.startswith(prefix)]


def _values(uow: UnitOfWork, scope: Scope, key: str, *, prefix: str, limit: int) -> list[FacetCount]:
    name, _, rest = key.partition(".")
    name = ALIASES.get(name, name)
    field = FIELDS.get(name)
    if field is None:
        raise Invalid(f"There is no field {name!r}.", hint=did_you_mean(name, FIELDS))
    if name == "feedback":
        known = ["up", "down", *counting.score_names(uow.conn, scope)]
        return [FacetCount(value=one, traces=0) for one in known if one.startswith(prefix)][:limit]
    if name == "status":
        return [FacetCount(value=one, traces=0) for one in field.values if one.startswith(prefix)]
    if field.holds != "label" or name in ("attributes", "requested_model"):
        return []
    stored, start = _STORED.get(name, (f"metadata.{rest}" if field.keyed else name, ""))
    return counting.values(uow.conn, scope, stored, prefix=prefix, limit=limit, start=start)


def put_scores(uow: UnitOfWork, scope: Scope, *, scores: Iterable[TraceScore]) -> None:
    """Keep what the calling slice knows of traces, in its own transaction, so that queries can ask for it.

    The traces may arrive later. A score with the trace and `ref` of an earlier one takes its place. What has no
    trace id as OpenTelemetry writes it (an answer of a target that is not traced) is left out.
    """
    valid = [score for score in scores if _is_trace_id(score.trace_id)]
    if valid:
        score_store.put(uow.conn, scope, valid)


def _is_trace_id(text: str) -> bool:
    return len(text) == 32 and all(char in "0123456789abcdef" for char in text)


def remove_score(uow: UnitOfWork, scope: Scope, *, trace_id: str, ref: str) -> None:
    """Forget a score; nothing happens when there is none."""
    if _is_trace_id(trace_id):
        score_store.remove(uow.conn, scope, bytes.fromhex(trace_id), ref)


def scores_of(uow: UnitOfWork, actor: Actor, *, trace_id: str) -> list[TraceScore]:
    """Return the scores of a trace, by name; none for what is not a trace id."""
    uow.may(actor, "traces.read", trace_id)
    return (
        score_store.of_trace(uow.conn, actor.scope, bytes.fromhex(trace_id)) if _is_trace_id(trace_id) else []
    )


def scores_by_prompt(
    uow: UnitOfWork,
    actor: Actor,
    *,
    prompts: Sequence[str],
    since: datetime | None = None,
    until: datetime | None = None,
) -> list[PromptScore]:
    """Return what scores say of the traces, begun in [since, until), that used one of `prompts` (`name@version`).

    A trace that used several versions counts for each.
    """
    uow.may(actor, "traces.read")
    with limited(uow.conn, _seconds(uow)):
        return score_store.by_prompt(
            uow.conn,
            actor.scope,
            prompts,
            since_ms=0 if since is None else clock.to_ns(since) // 10**6,
            until_ms=None if until is None else clock.to_ns(until) // 10**6,
        )
