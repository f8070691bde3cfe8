"""Reading traces: lists by filter, one trace, one span with its body."""

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError

from penstock.core import clock
from penstock.core.db import is_sqlite
from penstock.core.errors import Invalid
from penstock.core.scope import Scope
from penstock.traces import body, words
from penstock.traces.model import (
    KINDS,
    STATUSES,
    SpanRecord,
    SpanRow,
    TraceFilters,
    TracePage,
    TraceSummary,
)
from penstock.traces.store.prepare import READ_COLUMNS
from penstock.traces.store.sql import quoted

_SUMMARY = (
    "t.id, t.trace_id, t.at_ms, t.name, t.start_ns, t.end_ns, t.duration_ns, t.spans, t.calls, t.errors, "
    't.input_tokens, t.output_tokens, t.cached_tokens, t.cost_nano, t.model, t."user", t.session, t.route, '
    "t.key_id, t.environment, r.input_preview, r.output_preview"
)
_ROOT = "LEFT JOIN traces_spans r ON r.trace = t.id AND r.span_id = t.root"
_PROBE, _TEXT_CHUNK, _TEXT_ROUNDS = 2000, 4000, 8


def scope_id(conn: Connection, scope: Scope) -> int:
    """Return the number of `scope`; -1, which no row has, when nothing was ever stored there."""
    query = text("SELECT id FROM traces_scopes WHERE tenant = :tenant AND project = :project")
    found = conn.execute(query, {"tenant": scope.tenant, "project": scope.project}).scalar()
    return -1 if found is None else int(found)


def _summary(row: Any) -> TraceSummary:
    return TraceSummary(
        trace_id=bytes(row.trace_id).hex(),
        name=row.name,
        start_ns=row.start_ns,
        end_ns=row.end_ns,
        duration_ns=row.duration_ns,
        status="error" if row.errors else "ok",
        spans=row.spans,
        calls=row.calls,
        errors=row.errors,
        input_tokens=row.input_tokens,
        output_tokens=row.output_tokens,
        cached_tokens=row.cached_tokens,
        cost_usd=row.cost_nano / 1e9,
        model=row.model,
        user=row.user,
        session=row.session,
        route=row.route,
        key_id=row.key_id,
        environment=row.environment,
        input_preview=row.input_preview,
        output_preview=row.output_preview,
    )


def _facet_pairs(filters: TraceFilters) -> list[tuple[str, str]]:
    named = ("kind", "model", "provider", "user", "session", "key", "route", "environment", "prompt")
    pairs = [(name, str(getattr(filters, name))) for name in named if getattr(filters, name)]
    pairs.extend(("tag", tag) for tag in filters.tags)
    pairs.extend(("metadata." + key, value) for key, value in filters.metadata.items())
    if filters.status == "error":
        pairs.append(("status", "error"))
    return pairs


class _Conditions:
    """The conditions of a list, with the facets rarest first."""

    def __init__(self, conn: Connection, scope: Scope, filters: TraceFilters) -> None:
        self.values: dict[str, Any] = {"scope": scope_id(conn, scope)}
        self.impossible = False
        self.facets = self._resolve(conn, _facet_pairs(filters))
        self.where = ["t.scope_id = :scope"]
        self._times(filters)
        if filters.status == "ok":
            self.where.append("t.errors = 0")
        if filters.min_latency_ms is not None:
            self.where.append("t.duration_ns >= :slow")
            self.values["slow"] = int(filters.min_latency_ms * 1e6)

    def _resolve(self, conn: Connection, pairs: Sequence[tuple[str, str]]) -> list[str]:
        query = text(
            "SELECT id FROM traces_facet_names WHERE scope_id = :scope AND key = :key AND value = :value"
        )
        count = text(
            "SELECT count(*) FROM (SELECT 1 FROM traces_facets WHERE facet = :facet LIMIT :probe) AS found"
        )
        found: list[tuple[int, str]] = []
        for place, (key, value) in enumerate(pairs):
            number = conn.execute(query, {"scope": self.values["scope"], "key": key, "value": value}).scalar()
            if number is None:
                self.impossible = True
                return []
            self.values[f"f{place}"] = number
            size = (
                conn.execute(count, {"facet": number, "probe": _PROBE}).scalar_one() if len(pairs) > 1 else 0
            )
            found.append((size, f"f{place}"))
        return [name for _, name in sorted(found)]

    def _times(self, filters: TraceFilters) -> None:
        for name, moment, operator in (("since", filters.since, ">="), ("until", filters.until, "<")):
            if moment is not None:
                self.where.append(f"{{at}}.at_ms {operator} :{name}")
                self.values[name] = clock.to_ns(moment) // 1_000_000

    def holds(self, names: Sequence[str], alias: str, trace: str) -> list[str]:
        """Return one EXISTS per facet in `names`."""
        return [
            f"EXISTS (SELECT 1 FROM traces_facets g WHERE g.facet = :{name} AND g.at_ms = {alias}.at_ms "
            f"AND g.trace = {alias}.{trace})"
            for name in names
        ]


def list_traces(
    conn: Connection, scope: Scope, filters: TraceFilters, *, after: tuple[int, int] | None, limit: int
) -> TracePage:
    """Return up to `limit` traces, newest first, after the cursor `after`."""
    conditions = _Conditions(conn, scope, filters)
    if conditions.impossible:
        return TracePage(items=())
    if filters.q and filters.q.strip():
        return _search(conn, conditions, filters.q, after, limit)
    if after is not None:
        conditions.values |= {"after_at": after[0], "after_id": after[1]}
    rows = conn.execute(
        text(_list_statement(conn, conditions, after is not None)), conditions.values | {"limit": limit + 1}
    ).all()
    following = (rows[limit - 1].at_ms, rows[limit - 1].id) if len(rows) > limit else None
    return TracePage(items=tuple(_summary(row) for row in rows[:limit]), next=following)


def _list_statement(conn: Connection, conditions: _Conditions, after: bool) -> str:
    where = list(conditions.where)
    if conditions.facets:
        # CROSS JOIN keeps SQLite from starting at the other table: the facet's range is in list order already.
        source, at, key = f"traces_facets f CROSS JOIN traces_traces t {_ROOT}", "f", "f.trace"
        where += [f"f.facet = :{conditions.facets[0]}", "t.id = f.trace"]
        where += conditions.holds(conditions.facets[1:], "f", "trace")
    else:
        source, at, key = f"traces_traces t {_ROOT}", "t", "t.id"
        if "slow" in conditions.values and not _common(conn, conditions.values):
            # Few are that slow: start from them. The plus keeps the planner from the index in time order.
            at = "+t"
    if after:
        where.append(f"({at}.at_ms, {key}) < (:after_at, :after_id)")
    condition = " AND ".join(where).replace("{at}", at)
    return (
        f"SELECT {_SUMMARY} FROM {source} WHERE {condition} ORDER BY {at}.at_ms DESC, {key} DESC LIMIT :limit"
    )


def _common(conn: Connection, values: dict[str, Any]) -> bool:
    query = text(
        "SELECT count(*) FROM (SELECT 1 FROM traces_traces WHERE scope_id = :scope AND duration_ns >= :slow "
        "LIMIT :probe) AS found"
    )
    return int(conn.execute(query, values | {"probe": _PROBE}).scalar_one()) >= _PROBE


def _match(conn: Connection, wanted: Sequence[str]) -> tuple[str, str]:
    """Return (condition on traces_text, its parameter) for all of the words."""
    if is_sqlite(conn):
        return "traces_text MATCH :match", " AND ".join(f'"{word}"' for word in wanted)
    return "words @@ plainto_tsquery('simple', :match)", " ".join(wanted)


def _search(
    conn: Connection, conditions: _Conditions, q: str, after: tuple[int, int] | None, limit: int
) -> TracePage:
    """Walk the matching spans newest first; a trace is shown where its newest match stands."""
    wanted = words.wanted(q, conditions.values["scope"])
    if not wanted:
        return TracePage(items=())
    condition, match = _match(conn, wanted)
    number = "rowid" if is_sqlite(conn) else "id"
    query = text(
        f"SELECT x.id AS span, s.trace FROM (SELECT {number} AS id FROM traces_text WHERE {condition} "
        f"AND {number} < :below ORDER BY {number} DESC LIMIT :chunk) x JOIN traces_spans s ON s.id = x.id "
        "ORDER BY x.id DESC"
    )
    start = after[1] if after else 1 << 62
    below, seen, items = start, set[int](), list[TraceSummary]()
    earlier = text(
        f"SELECT 1 FROM traces_text WHERE {condition} AND {number} IN "
        "(SELECT id FROM traces_spans WHERE trace = :trace AND id >= :start)"
    )
    for turn in range(_TEXT_ROUNDS):
        chunk = min(2 * limit * 4**turn, _TEXT_CHUNK)
        try:
            hits = conn.execute(query, {"match": match, "below": below, "chunk": chunk}).all()
        except OperationalError as error:
            raise Invalid("The search words cannot be understood.", hint="Search for plain words.") from error
        if not hits:
            return TracePage(items=tuple(items))
        found = _meeting(conn, conditions, [hit.trace for hit in hits])
        for hit in hits:
            below = hit.span
            if hit.trace in seen or hit.trace not in found:
                continue
            seen.add(hit.trace)
            if after and conn.execute(earlier, {"match": match, "trace": hit.trace, "start": start}).first():
                continue
            items.append(found[hit.trace])
            if len(items) == limit:
                return TracePage(items=tuple(items), next=(0, below))
    return TracePage(items=tuple(items), next=(0, below))


def _meeting(conn: Connection, conditions: _Conditions, rows: Sequence[int]) -> dict[int, TraceSummary]:
    """Return those of the traces (row numbers) that meet the conditions."""
    where = [*conditions.where, *conditions.holds(conditions.facets, "t", "id")]
    condition = " AND ".join(where).replace("{at}", "t")
    numbers = ", ".join(str(int(row)) for row in dict.fromkeys(rows))
    query = text(f"SELECT {_SUMMARY} FROM traces_traces t {_ROOT} WHERE {condition} AND t.id IN ({numbers})")
    return {row.id: _summary(row) for row in conn.execute(query, conditions.values)}


def _span_fields(row: Any) -> dict[str, Any]:
    fields = {name: getattr(row, name) for name in READ_COLUMNS if name != "cost_nano"}
    fields["span_id"] = bytes(row.span_id).hex()
    fields["parent_id"] = None if row.parent_id is None else bytes(row.parent_id).hex()
    fields["kind"], fields["status"] = KINDS[row.kind], STATUSES[row.status]
    fields["tokens_estimated"] = bool(row.tokens_estimated)
    fields["cost_usd"] = None if row.cost_nano is None else row.cost_nano / 1e9
    return fields


def get_trace(
    conn: Connection, scope: Scope, trace_id: bytes
) -> tuple[int, TraceSummary, list[SpanRow]] | None:
    """Return (row number, summary, spans by start time) of a trace."""
    query = text(
        f"SELECT {_SUMMARY} FROM traces_traces t {_ROOT} WHERE t.scope_id = :scope AND t.trace_id = :id"
    )
    found = conn.execute(query, {"scope": scope_id(conn, scope), "id": trace_id}).first()
    if found is None:
        return None
    spans = text(
        f"SELECT {quoted(READ_COLUMNS)} FROM traces_spans WHERE trace = :trace ORDER BY start_ns, id"
    )
    rows = [SpanRow(**_span_fields(row)) for row in conn.execute(spans, {"trace": found.id})]
    return found.id, _summary(found), rows


def records(
    conn: Connection, trace: int, trace_id: str, span_id: bytes | None = None
) -> Iterator[SpanRecord]:
    """Yield the spans of the trace with row number `trace` in full, by start time; or only the one `span_id`."""
    only = "" if span_id is None else "AND s.span_id = :span"
    query = text(
        f"SELECT {', '.join(f's.{quoted([name])}' for name in READ_COLUMNS)}, b.data FROM traces_spans s "
        f"JOIN traces_bodies b ON b.id = s.id WHERE s.trace = :trace {only} ORDER BY s.start_ns, s.id"
    )
    values = {"trace": trace} if span_id is None else {"trace": trace, "span": span_id}
    for row in conn.execute(query, values):
        fields = _span_fields(row)
        del fields["input_preview"], fields["output_preview"]
        rest = body.unpack(bytes(row.data))
        yield SpanRecord(
            trace_id=trace_id,
            **{name: getattr(rest, name) for name in body.BODY_FIELDS},
            **fields,
        )


def trace_row(conn: Connection, scope: Scope, trace_id: bytes) -> int | None:
    """Return the row number of a trace."""
    query = text("SELECT id FROM traces_traces WHERE scope_id = :scope AND trace_id = :id")
    return conn.execute(query, {"scope": scope_id(conn, scope), "id": trace_id}).scalar()
