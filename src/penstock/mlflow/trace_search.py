"""MLflow's trace filters over traces: what indexes can answer narrows the list, the rest is checked on each trace.

Grammar: https://mlflow.org/docs/latest/genai/tracing/search-traces. One difference: `trace.text LIKE '%…%'` and
`span.content` look for whole words through the text index instead of reading every span.
"""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from penstock.core import clock
from penstock.core.errors import Invalid, NotFound
from penstock.core.home import Home
from penstock.core.scope import Actor
from penstock.core.uow import UnitOfWork
from penstock.mlflow import trace_info
from penstock.mlflow.model import (
    NAME_TAG,
    PROMPTS_TAG,
    RUN_KEY,
    SESSION_KEY,
    USER_KEY,
    Assessment,
    TraceNote,
)
from penstock.mlflow.otlp import EXPERIMENT_KEY
from penstock.mlflow.store import notes
from penstock.traces import service as traces
from penstock.traces.model import SpanRecord, TraceFilters, TraceSummary
from penstock.tracking.service import Clause, Order, holds, parse_filter, parse_order

ENTITIES = {
    **dict.fromkeys(("trace", "traces", "attribute", "attributes"), "attribute"),
    **dict.fromkeys(("tag", "tags"), "tag"),
    **dict.fromkeys(("metadata", "request_metadata", "trace_metadata"), "metadata"),
    **dict.fromkeys(("span", "spans"), "span"),
    **dict.fromkeys(("feedback", "assessment", "assessments"), "feedback"),
    "expectation": "expectation",
}
_ALIASES = {
    "timestamp": "timestamp_ms",
    "execution_time": "execution_time_ms",
    "end_time": "end_time_ms",
    "trace_id": "request_id",
    "state": "status",
}
_KNOWN = (
    "request_id", "timestamp_ms", "execution_time_ms", "end_time_ms", "status", "client_request_id", "name",
    "run_id", "prompt", "text", "experiment_id",
)  # fmt: skip
DEADLINE_SECONDS = 20.0
MAX_SORTED = 10_000
"""Most traces that are put into another order than by time."""
_PAGE = 200
_LABEL = 150
"""Longer values are cut in the index."""


@dataclass(frozen=True, slots=True)
class Match:
    """A trace that was found."""

    note: TraceNote
    assessments: tuple[Assessment, ...]


def _normal(clause: Clause) -> Clause:
    """Return the condition under the names the rest of this module knows."""
    if clause.kind == "span" and clause.key == "content":
        return Clause("attribute", "text", clause.op, clause.value)
    if clause.kind != "attribute":
        return clause
    key = _ALIASES.get(clause.key.lower(), clause.key.lower())
    if key not in _KNOWN:
        raise Invalid(
            f"{clause.key!r} of traces cannot be searched.", hint=f"Use one of {', '.join(_KNOWN)}."
        )
    return Clause("attribute", key, clause.op, clause.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What to search for."""

    experiments: tuple[str, ...]
    default: str
    clauses: tuple[Clause, ...]
    orders: tuple[Order, ...]
    limit: int
    token: str

    @classmethod
    def parse(
        cls,
        experiments: Sequence[str],
        default: str,
        text: str,
        *,
        order_by: list[str],
        limit: int,
        token: str,
    ) -> "Query":
        """Return the query; raises Invalid for what cannot be read."""
        orders = [
            Order(one.kind, _ALIASES.get(one.key, one.key), one.descending)
            for one in parse_order(order_by, ENTITIES)
        ]
        if orders and orders[0].key == "timestamp_ms" and orders[0].descending:
            orders = []  # as listed
        return cls(
            experiments=tuple(experiments),
            default=default,
            clauses=tuple(_normal(one) for one in parse_filter(text, ENTITIES)),
            orders=tuple(orders),
            limit=limit,
            token=token,
        )

    def equal(self, kind: str, key: str) -> Any:
        """Return the value that `kind.key` must equal, or None."""
        for clause in self.clauses:
            if (clause.kind, clause.key, clause.op) == (kind, key, "="):
                return clause.value
        return None

    def filters(self) -> TraceFilters:
        """Return what the indexes of traces can answer."""
        since, until = self._times()
        metadata = {}
        if len(self.experiments) == 1 and self.experiments[0] != self.default:
            metadata[EXPERIMENT_KEY] = self.experiments[0]
        for clause in self.clauses:
            if clause.kind == "metadata" and _indexed(clause):
                metadata[clause.key] = str(clause.value)
        tags = tuple(
            f"{clause.key}={clause.value}"
            for clause in self.clauses
            if clause.kind == "tag" and _indexed(clause)
        )
        return TraceFilters(
            since=since,
            until=until,
            status="error" if self.equal("attribute", "status") == "ERROR" else None,
            user=self.equal("metadata", USER_KEY),
            session=self.equal("metadata", SESSION_KEY),
            tags=tags,
            metadata=metadata,
            q=self._words(),
        )

    def _times(self) -> tuple[Any, Any]:
        since: Any = None
        until: Any = None
        for clause in self.clauses:
            if (clause.kind, clause.key) == ("attribute", "timestamp_ms") and abs(_number(clause)) < 1e14:
                moment = clock.from_ns(int(_number(clause) * 1_000_000))
                if clause.op in (">", ">=", "="):
                    since = moment if since is None else max(since, moment)
                if clause.op in ("<", "<=", "="):
                    later = clock.from_ns(int((_number(clause) + 1) * 1_000_000))
                    until = later if until is None else min(until, later)
        return since, until

    def _words(self) -> str | None:
        words: list[str] = []
        for clause in self.clauses:
            if (clause.kind, clause.key) == ("attribute", "text"):
                if clause.op not in ("LIKE", "ILIKE", "="):
                    raise Invalid(f"trace.text cannot be compared by {clause.op}.", hint="Use LIKE.")
                words += re.findall(r"\w+", str(clause.value).replace("%", " "))
        return " ".join(words) or None


def _number(clause: Clause) -> float:
    try:
        return float(clause.value)
    except (TypeError, ValueError):
        raise Invalid(f"{clause.key!r} is compared with a number, not {clause.value!r}.") from None


def _indexed(clause: Clause) -> bool:
    """Whether the condition is one that the root span carries whole (see `trace_info.enrich`)."""
    short = len(clause.key) + len(str(clause.value)) < _LABEL
    return clause.op == "=" and short and not clause.key.startswith("mlflow.")


class Search:
    """One search, bounded in time: what was found until then, and where to go on."""

    def __init__(self, home: Home, actor: Actor, query: Query) -> None:
        self._home = home
        self._actor = actor
        self._query = query
        self._until = clock.monotonic() + DEADLINE_SECONDS

    def run(self) -> tuple[list[Match], str]:
        """Return a page of traces and the token of the next one ("" at the end)."""
        query = self._query
        if query.orders or query.equal("attribute", "run_id") is not None:
            return self._sorted()
        after = _place(query.token)
        found: list[Match] = []
        filters = query.filters()
        while True:
            with self._home.read() as uow:
                # A page never holds more than is still wanted, so its end is where the next search goes on.
                size = min(_PAGE, query.limit - len(found))
                page = traces.list_traces(uow, self._actor, filters=filters, after=after, limit=size)
                found += self._matching(uow, page.items)
            after = page.next
            if after is None:
                return found, ""
            if len(found) >= query.limit or clock.monotonic() > self._until:
                return found, f"{after[0]},{after[1]}"

    def _sorted(self) -> tuple[list[Match], str]:
        query = self._query
        offset = int(query.token) if query.token.isdecimal() else 0
        every = list(self._all())
        for order in reversed(query.orders):
            every.sort(key=lambda one: _sort_key(one.note, order), reverse=order.descending)
        following = offset + query.limit
        return every[offset:following], str(following) if following < len(every) else ""

    def _all(self) -> Iterator[Match]:
        """Yield every match, newest first; raises Invalid when there are too many to sort."""
        run_id = self._query.equal("attribute", "run_id")
        if run_id is not None:
            with self._home.read() as uow:
                ids = notes.of_run(uow.conn, self._actor.scope, str(run_id), MAX_SORTED)
                for at in range(0, len(ids), _PAGE):
                    yield from self._matching(uow, self._summaries(uow, ids[at : at + _PAGE]))
            return
        after, seen = None, 0
        filters = self._query.filters()
        while True:
            with self._home.read() as uow:
                page = traces.list_traces(uow, self._actor, filters=filters, after=after, limit=_PAGE)
                matching = self._matching(uow, page.items)
            yield from matching
            seen += len(matching)
            after = page.next
            if after is None:
                return
            if seen > MAX_SORTED or clock.monotonic() > self._until:
                raise Invalid(
                    "There are too many traces to sort.",
                    hint="Narrow the filter, or order by timestamp DESC.",
                )

    def _summaries(self, uow: UnitOfWork, ids: Sequence[str]) -> list[TraceSummary]:
        found = []
        for trace_id in ids:
            try:
                found.append(traces.get_summary(uow, self._actor, trace_id=trace_id))
            except NotFound:
                continue  # deleted, or its spans have not arrived
        return found

    def _matching(self, uow: UnitOfWork, summaries: Sequence[TraceSummary]) -> list[Match]:
        ids = [one.trace_id for one in summaries]
        known = notes.notes_of(uow.conn, self._actor.scope, ids)
        judged = notes.assessments_of(uow.conn, self._actor.scope, ids)
        found = []
        for summary in summaries:
            trace_id = summary.trace_id
            note = known.get(trace_id) or trace_info.blank(trace_id, self._query.default)
            if note.experiment_id not in self._query.experiments:
                continue
            candidate = Match(trace_info.complete(note, summary), tuple(judged[trace_id]))
            if self._meets(uow, candidate):
                found.append(candidate)
        return found

    def _meets(self, uow: UnitOfWork, one: Match) -> bool:
        spans: list[SpanRecord] | None = None
        for clause in sorted(self._query.clauses, key=lambda clause: clause.kind == "span"):
            if clause.kind == "span":
                if spans is None:
                    spans = traces.spans_of(uow, self._actor, trace_id=one.note.trace_id)
                if not any(holds(clause, _of_span(span, clause.key)) for span in spans):
                    return False
            elif not self._holds(clause, one):
                return False
        return True

    def _holds(self, clause: Clause, one: Match) -> bool:
        note = one.note
        if clause.kind == "tag":
            return holds(clause, note.tags.get(clause.key))
        if clause.kind == "metadata":
            return holds(clause, note.metadata.get(clause.key))
        if clause.kind in ("feedback", "expectation"):
            return _judged(clause, one.assessments)
        if clause.key == "text" or (clause.key == "run_id" and clause.op == "="):
            return True  # the list of candidates was made by it
        if clause.key == "prompt":
            return _linked(clause, note)
        value = _attribute(note, clause.key)
        return holds(clause, value)


def _place(token: str) -> tuple[int, int] | None:
    if not token:
        return None
    try:
        at, number = token.split(",")
        return int(at), int(number)
    except ValueError:
        raise Invalid("The page token is not valid.") from None


def _attribute(note: TraceNote, key: str) -> Any:
    if key == "request_id":
        return f"tr-{note.trace_id}"
    ended = None if note.duration_ms is None else note.at_ms + note.duration_ms
    return {
        "timestamp_ms": note.at_ms,
        "execution_time_ms": note.duration_ms,
        "end_time_ms": ended,
        "status": note.state,
        "client_request_id": note.client_request_id or None,
        "name": note.tags.get(NAME_TAG),
        "run_id": note.metadata.get(RUN_KEY),
        "experiment_id": note.experiment_id,
    }[key]


def _sort_key(note: TraceNote, order: Order) -> tuple[bool, Any]:
    if order.kind != "attribute" or order.key not in _KNOWN or order.key in ("text", "prompt"):
        raise Invalid(f"Traces cannot be ordered by {order.kind}.{order.key}.")
    value = _attribute(note, order.key)
    missing = value is None
    return (missing != order.descending, 0 if missing else value)


def _linked(clause: Clause, note: TraceNote) -> bool:
    """`prompt = 'name/version'`."""
    try:
        linked = msgspec.json.decode(note.tags.get(PROMPTS_TAG, "[]"), type=list[dict[str, Any]])
    except (msgspec.DecodeError, msgspec.ValidationError):
        linked = []
    return any(holds(clause, f"{one.get('name')}/{one.get('version')}") for one in linked)


def _of_span(span: SpanRecord, key: str) -> Any:
    if key.startswith("attributes."):
        name = key.removeprefix("attributes.")
        value = span.attributes.get(name)
        if value is None:
            value = {"model": span.model, "mlflow.llm.model": span.model}.get(name)
        return value if value is None or isinstance(value, str) else msgspec.json.encode(value).decode()
    if key == "name":
        return span.name
    if key == "type":
        return str(span.attributes.get("mlflow.spanType") or span.kind.upper())
    if key == "status":
        return {"ok": "OK", "error": "ERROR", "unset": "UNSET"}[span.status]
    raise Invalid(f"{key!r} of spans cannot be searched.", hint="Use name, type, status or attributes.NAME.")


def value_of(one: Assessment) -> Any:
    """Return an assessment's value: of feedback, or of an expectation in either of its two forms."""
    said = one.body.get("feedback") or one.body.get("expectation") or {}
    if "serialized_value" in said:
        return said["serialized_value"].get("value")
    return said.get("value")


def _judged(clause: Clause, assessments: Sequence[Assessment]) -> bool:
    values = [
        value_of(one)
        for one in assessments
        if one.name == clause.key and clause.kind in one.body and one.body.get("valid", True)
    ]
    if clause.op == "IS NULL":
        return not values
    return any(holds(clause, _plain(value)) for value in values)


def _plain(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and math.isfinite(value) and value == int(value):
        return int(value)
    return (
        value
        if value is None or isinstance(value, str | int | float)
        else msgspec.json.encode(value).decode()
    )


__all__ = ["Match", "Query", "Search", "value_of"]
