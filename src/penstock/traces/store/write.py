"""Writing spans: one transaction keeps rows, bodies, facets and trace summaries together."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, text

from penstock.core.db import is_sqlite
from penstock.core.scope import Scope
from penstock.traces.store import logs, read, responses, rollup, scores
from penstock.traces.store.logs import PreparedLog
from penstock.traces.store.prepare import (
    AT,
    CALL_KINDS,
    ERROR,
    READ_COLUMNS,
    SPAN_COLUMNS,
    Prepared,
    facets_of,
)
from penstock.traces.store.sql import WRITERS_LOCK, insert_rows, placeholder, quoted, returning_rows

_TRACE_COLUMNS = (
    "scope_id",
    "trace_id",
    "at_ms",
    "start_ns",
    "end_ns",
    "duration_ns",
    "name",
    "root",
    "spans",
    "calls",
    "errors",
    "input_tokens",
    "output_tokens",
    "cached_tokens",
    "cost_nano",
    "model",
    "user",
    "session",
    "route",
    "key_id",
    "environment",
)
_ADDED = ("spans", "calls", "errors", "input_tokens", "output_tokens", "cached_tokens", "cost_nano")
_FIRST = ("model", "user", "session", "route", "key_id", "environment")
_SPANS = ("id", "scope_id", "trace", *SPAN_COLUMNS)
_NAME, _PARENT, _KIND, _STATUS = AT["name"], AT["parent_id"], AT["kind"], AT["status"]
_START, _END, _SPAN_ID, _COST = AT["start_ns"], AT["end_ns"], AT["span_id"], AT["cost_nano"]
_TOKEN_PLACES = (AT["input_tokens"], AT["output_tokens"], AT["cached_tokens"])
_FIRST_PLACES = tuple(AT[name] for name in _FIRST)


class _Summary:
    """A trace's summary while its spans are folded together."""

    __slots__ = ("calls", "end", "errors", "first", "name", "root", "spans", "start", "sums")

    def __init__(self, row: Sequence[Any]) -> None:
        self.start, self.end = row[_START], row[_END]
        self.name, self.root = row[_NAME], None
        self.spans = self.calls = self.errors = 0
        self.sums = [0, 0, 0, 0]
        self.first: list[Any] = [None] * len(_FIRST)

    def add(self, row: Sequence[Any], *, duplicate: bool = False) -> None:
        """Take in one span; a duplicate of another one's call adds nothing to the sums."""
        self.start, self.end = min(self.start, row[_START]), max(self.end, row[_END])
        self.spans += 1
        if row[_PARENT] is None:
            self.name, self.root = row[_NAME], row[_SPAN_ID]
        if row[_STATUS] == ERROR:
            self.errors += 1
        if row[_KIND] in CALL_KINDS and not duplicate:
            self.calls += 1
            for place, column in enumerate(_TOKEN_PLACES):
                self.sums[place] += row[column]
            self.sums[3] += row[_COST] or 0
        for place, column in enumerate(_FIRST_PLACES):
            if self.first[place] is None:
                self.first[place] = row[column]

    def values(self) -> tuple[Any, ...]:
        """Return start … environment in the order of `_TRACE_COLUMNS`."""
        return (
            self.start,
            self.end,
            self.end - self.start,
            self.name,
            self.root,
            self.spans,
            self.calls,
            self.errors,
            *self.sums,
            *self.first,
        )


class ScopeIds:
    """Remembers the small numbers of scopes and facets that are certainly committed."""

    def __init__(self, limit: int = 200_000) -> None:
        self.scopes: dict[Scope, int] = {}
        self.facets: dict[tuple[int, str, str], int] = {}
        self._limit = limit
        self._removals = -1

    def check(self, conn: Connection) -> None:
        """Forget the facets' numbers when names were removed since: they hold in no scope any more."""
        removals = rollup.mark(conn, "facet_names")
        if removals != self._removals:
            self.facets.clear()
            self._removals = removals

    def remember(self, scopes: Mapping[Scope, int], facets: Mapping[tuple[int, str, str], int]) -> None:
        """Keep what a transaction that has committed looked up."""
        self.scopes.update(scopes)
        if len(self.facets) + len(facets) > self._limit:
            self.facets.clear()
        self.facets.update(facets)


class Writing:
    """One batch in one transaction; call `write`, commit, then `settle`."""

    def __init__(self, conn: Connection, known: ScopeIds) -> None:
        self._conn = conn
        self._known = known
        self._scopes: dict[Scope, int] = {}
        self._facets: dict[tuple[int, str, str], int] = {}
        self._outdated: dict[int, set[tuple[str, str]]] = {}
        """Trace → facets that its replaced spans had."""

    def settle(self) -> None:
        """Remember the looked-up numbers; only after the commit."""
        self._known.remember(self._scopes, self._facets)

    def write(self, batch: Iterable[Prepared], events: Sequence[PreparedLog] = ()) -> None:
        """Store spans and log records; a span that is there already is left alone when equal, else replaced.

        Log events and the spans they belong to are joined, whichever of the two comes first.
        """
        logs.lock(self._conn, alone=any(event.joins for event in events))
        for scope in {event.scope for event in events}:
            self.scope_id(scope)
        logs.insert(self._conn, self._scopes, events)
        self._write_spans(batch)
        found = responses.given_spans(self._conn, self._scopes, events)
        changed = logs.join_stored(self._conn, self._scopes, found)
        if changed:
            self._write_facets(changed, self._homes(changed))
            scores.put_told(self._conn, changed)

    def _homes(self, changed: Iterable[Prepared]) -> dict[tuple[int, bytes], tuple[int, int]]:
        """Return (row, at_ms) of the traces of stored spans."""
        query = text("SELECT id, at_ms FROM traces_traces WHERE scope_id = :scope AND trace_id = :trace")
        return {
            (number, trace): tuple(self._conn.execute(query, {"scope": number, "trace": trace}).one())
            for number, trace in {(self._scopes[span.scope], span.trace_id) for span in changed}
        }

    def _write_spans(self, batch: Iterable[Prepared]) -> None:
        # One order for everybody, so that concurrent writers on PostgreSQL cannot wait for each other in a ring.
        unique = {(span.scope, span.trace_id, span.row[_SPAN_ID]): span for span in batch}
        if not unique:
            return
        ordered = sorted(
            unique.values(),
            key=lambda span: (span.scope.tenant, span.scope.project, span.trace_id, span.row[0]),
        )
        conn = self._conn
        if not is_sqlite(conn):
            conn.execute(text("SELECT pg_advisory_xact_lock_shared(:key)"), {"key": WRITERS_LOCK})
        self._known.check(conn)
        for scope in {span.scope for span in ordered}:
            self.scope_id(scope)
        responses.take(conn, self._scopes, ordered)
        ordered = logs.with_logs(conn, self._scopes, ordered)
        homes = self._upsert_traces(ordered)
        ids = _allocate(conn, len(ordered))
        rows, bodies = [], []
        for number, span in zip(ids, ordered, strict=True):
            scope_id = self._scopes[span.scope]
            rows.append((number, scope_id, homes[scope_id, span.trace_id][0], *span.row))
            bodies.append((number, span.body))
        if insert_rows(conn, "traces_spans", _SPANS, rows, keys=("trace", "span_id")) < len(rows):
            kept = self._settle_known(rows, bodies)
            bodies = [pair for pair in bodies if pair[0] in kept]
        insert_rows(conn, "traces_bodies", ("id", "data"), bodies, keys=("id",))
        self._write_facets(ordered, homes)
        scores.put_told(conn, ordered)
        for trace, pairs in self._outdated.items():
            for record in read.records(conn, trace, ""):
                pairs.difference_update(facets_of(record))
            remove_facets(conn, trace, pairs)

    def scope_id(self, scope: Scope) -> int:
        """Return the number of `scope`, made if need be."""
        found = self._known.scopes.get(scope) or self._scopes.get(scope)
        if found is None:
            row = {"tenant": scope.tenant, "project": scope.project}
            self._conn.execute(
                text(
                    "INSERT INTO traces_scopes (tenant, project) VALUES (:tenant, :project) "
                    "ON CONFLICT (tenant, project) DO NOTHING"
                ),
                row,
            )
            query = "SELECT id FROM traces_scopes WHERE tenant = :tenant AND project = :project"
            found = int(self._conn.execute(text(query), row).scalar_one())
        self._scopes[scope] = found
        return found

    def _upsert_traces(self, ordered: Sequence[Prepared]) -> dict[tuple[int, bytes], tuple[int, int]]:
        """Add the batch to the summaries as if all of it were new; returns (row, at_ms) per trace."""
        summaries: dict[tuple[int, bytes], _Summary] = {}
        for span in ordered:
            key = (self._scopes[span.scope], span.trace_id)
            summary = summaries.get(key)
            if summary is None:
                summary = summaries[key] = _Summary(span.row)
            summary.add(span.row)
        rows = [
            (scope_id, trace_id, summary.start // 1_000_000, *summary.values())
            for (scope_id, trace_id), summary in summaries.items()
        ]
        returned = returning_rows(
            self._conn, "traces_traces", _TRACE_COLUMNS, rows, _upsert_clause(self._conn)
        )
        return {(found[2], bytes(found[3])): (found[0], found[1]) for found in returned}

    def _settle_known(self, rows: list[tuple[Any, ...]], bodies: list[tuple[int, bytes]]) -> set[int]:
        """Handle spans that were stored before; returns the numbers that are in the table now."""
        conn = self._conn
        numbers = [row[0] for row in rows]
        fresh = {
            found[0]
            for found in conn.execute(
                text("SELECT id FROM traces_spans WHERE id BETWEEN :low AND :high"),
                {"low": min(numbers), "high": max(numbers)},
            )
        } & set(numbers)
        packed = dict(bodies)
        repeated: dict[int, list[tuple[Any, ...]]] = {}
        changed: set[int] = set()
        for row in rows:
            if row[0] in fresh:
                continue
            if self._replace(row, packed[row[0]]):
                fresh.add(row[0])
                changed.add(row[2])
            else:
                repeated.setdefault(row[2], []).append(row)
        for trace, same in repeated.items():
            if trace not in changed:
                _take_back(conn, trace, same)
        for trace in changed:
            recompute(conn, trace)
        return fresh

    def _replace(self, row: tuple[Any, ...], packed: bytes) -> bool:
        """Put `row` in the place of the stored span with its ids, unless they are equal."""
        conn = self._conn
        query = text(
            f"SELECT {quoted(_SPANS)}, (SELECT data FROM traces_bodies b WHERE b.id = s.id) FROM traces_spans s "
            "WHERE trace = :trace AND span_id = :span"
        )
        old = conn.execute(query, {"trace": row[2], "span": row[3]}).one()
        same = tuple(_plain(value) for value in old[3:-1]) == tuple(_plain(value) for value in row[3:])
        if same and bytes(old[-1]) == packed:
            return False
        outdated = self._outdated.setdefault(row[2], set())
        for record in read.records(conn, row[2], "", row[3]):
            outdated.update(facets_of(record))
        scores.forget_told(conn, row[2], row[3])
        rollup.retract(conn, old[0])
        forget(conn, [old[0]])
        insert_rows(conn, "traces_spans", _SPANS, [row], keys=("trace", "span_id"))
        return True

    def _write_facets(
        self, ordered: Sequence[Prepared], homes: Mapping[tuple[int, bytes], tuple[int, int]]
    ) -> None:
        wanted: dict[tuple[int, int, int], None] = {}
        names: list[tuple[tuple[int, str, str], tuple[int, int]]] = []
        for span in ordered:
            scope_id = self._scopes[span.scope]
            home = homes[scope_id, span.trace_id]
            names.extend(((scope_id, key, value), home) for key, value in span.facets)
        self._facet_ids(dict.fromkeys(name for name, _ in names))
        known = self._facets
        for name, (trace, at_ms) in names:
            wanted[known[name], at_ms, trace] = None
        insert_rows(
            self._conn,
            "traces_facets",
            ("facet", "at_ms", "trace"),
            sorted(wanted),
            keys=("facet", "at_ms", "trace"),
        )

    def _facet_ids(self, names: Iterable[tuple[int, str, str]]) -> None:
        missing = []
        for name in names:
            found = self._known.facets.get(name)
            if found is None:
                missing.append(name)
            else:
                self._facets[name] = found
        if not missing:
            return
        missing.sort()
        columns = ("scope_id", "key", "value")
        insert_rows(self._conn, "traces_facet_names", columns, missing, keys=columns)
        mark = placeholder(self._conn)
        query = (
            f"SELECT id FROM traces_facet_names WHERE scope_id = {mark} AND key = {mark} AND value = {mark}"
        )
        for name in missing:
            self._facets[name] = int(self._conn.exec_driver_sql(query, name).scalar_one())


def _plain(value: Any) -> Any:
    return bytes(value) if isinstance(value, memoryview) else int(value) if isinstance(value, bool) else value


def _allocate(conn: Connection, count: int) -> list[int]:
    """Return `count` row numbers that no span has or had, ascending."""
    if is_sqlite(conn):
        query = text("SELECT seq FROM sqlite_sequence WHERE name = 'traces_spans'")
        last = int(conn.execute(query).scalar() or 0)
        return list(range(last + 1, last + 1 + count))
    query = text("SELECT nextval('traces_spans_id_seq') FROM generate_series(1, :count)")
    return sorted(int(row[0]) for row in conn.execute(query, {"count": count}))


def _upsert_clause(conn: Connection) -> str:
    low, high = ("min", "max") if is_sqlite(conn) else ("least", "greatest")
    start = f"{low}(traces_traces.start_ns, excluded.start_ns)"
    end = f"{high}(traces_traces.end_ns, excluded.end_ns)"
    sets = [f"start_ns = {start}", f"end_ns = {end}", f"duration_ns = {end} - {start}"]
    sets.append("name = CASE WHEN excluded.root IS NULL THEN traces_traces.name ELSE excluded.name END")
    sets.append("root = coalesce(excluded.root, traces_traces.root)")
    sets.extend(f"{name} = traces_traces.{name} + excluded.{name}" for name in _ADDED)
    sets.extend(f'"{name}" = coalesce(traces_traces."{name}", excluded."{name}")' for name in _FIRST)
    return f" ON CONFLICT (scope_id, trace_id) DO UPDATE SET {', '.join(sets)} RETURNING id, at_ms, scope_id, trace_id"


def recompute(conn: Connection, trace: int) -> None:
    """Make the summary of the trace with row number `trace` anew from its spans; delete it when it has none."""
    query = text(f"SELECT {quoted(READ_COLUMNS)} FROM traces_spans WHERE trace = :trace ORDER BY id")
    rows = conn.execute(query, {"trace": trace}).all()
    if not rows:
        conn.execute(text("DELETE FROM traces_traces WHERE id = :trace"), {"trace": trace})
        return
    summary = _Summary(rows[0])
    for row in rows:
        summary.add(row, duplicate=row.duplicate_of is not None)
    columns = _TRACE_COLUMNS[3:]
    sets = ", ".join(f'"{name}" = :{name}' for name in columns)
    values = dict(zip(columns, summary.values(), strict=True)) | {"trace_row": trace}
    conn.execute(text(f"UPDATE traces_traces SET {sets} WHERE id = :trace_row"), values)


def _take_back(conn: Connection, trace: int, rows: Sequence[tuple[Any, ...]]) -> None:
    """Take spans that were counted in the summary of their trace a second time out of it again."""
    summary = _Summary(rows[0][3:])
    for row in rows:
        summary.add(row[3:])
    counted = dict(zip(_TRACE_COLUMNS[3:], summary.values(), strict=True))
    sets = ", ".join(f"{name} = {name} - :{name}" for name in _ADDED)
    values = {name: counted[name] for name in _ADDED} | {"trace": trace}
    conn.execute(text(f"UPDATE traces_traces SET {sets} WHERE id = :trace"), values)


def forget(conn: Connection, numbers: Sequence[int], said: Sequence[rollup.Said] | None = None) -> None:
    """Delete the spans with these row numbers, their bodies and their words; sums are the caller's business.

    Their sessions lose them. `said` is what the index was told of them, where the caller knows it.
    """
    rollup.unindex(conn, numbers, said)
    rollup.leave(conn, numbers)
    if numbers:
        for table in ("traces_bodies", "traces_spans"):
            statement = f"DELETE FROM {table} WHERE id = {placeholder(conn)}"
            conn.exec_driver_sql(statement, [(number,) for number in numbers])


def remove_facets(conn: Connection, trace: int, pairs: Iterable[tuple[str, str]]) -> None:
    """Stop the trace with row number `trace` (every scope has its own) from being found by `pairs` (key, value)."""
    head = conn.execute(text("SELECT scope_id, at_ms FROM traces_traces WHERE id = :id"), {"id": trace}).one()
    query = text(
        "DELETE FROM traces_facets WHERE at_ms = :at AND trace = :trace AND facet = "
        "(SELECT id FROM traces_facet_names WHERE scope_id = :scope AND key = :key AND value = :value)"
    )
    for key, value in pairs:
        values = {"at": head.at_ms, "trace": trace, "scope": head.scope_id, "key": key, "value": value}
        conn.execute(query, values)
