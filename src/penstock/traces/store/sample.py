"""The SQL of sampling: what there is to decide about, and what rules ask."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, bindparam, text

from penstock.core.scope import Scope
from penstock.traces.store import read
from penstock.traces.store.prepare import clean

_COLUMNS = (
    "t.id, t.trace_id, t.at_ms, t.end_ns, t.root, t.errors, t.duration_ns, t.cost_nano, t.scope_id, n.tenant, "
    "n.project "
    "FROM traces_traces t JOIN traces_scopes n ON n.id = t.scope_id"
)
_FACET_OF = {"service": "metadata.service.name"}
_EVENT, _NAME, _VALUE = (
    "gen_ai.evaluation.result",
    "gen_ai.evaluation.name",
    "gen_ai.evaluation.score.value",
)


class Candidate(NamedTuple):
    """A trace to decide about."""

    row: int
    scope: Scope
    scope_id: int
    trace_id: bytes
    at_ms: int
    end_ms: int
    """End of the last span that came."""
    complete: bool
    """Its root has come."""
    errors: int
    duration_ns: int
    cost_nano: int


def _candidate(row: Any) -> Candidate:
    return Candidate(
        row=row.id,
        scope=Scope(row.tenant, row.project),
        scope_id=row.scope_id,
        trace_id=bytes(row.trace_id),
        at_ms=row.at_ms,
        end_ms=row.end_ns // 1_000_000,
        complete=row.root is not None,
        errors=row.errors,
        duration_ns=row.duration_ns,
        cost_nano=row.cost_nano,
    )


def candidates(conn: Connection, *, after: int, up_to: int, limit: int) -> list[Candidate]:
    """Return traces of every scope, in the order in which they came."""
    query = text(f"SELECT {_COLUMNS} WHERE t.id > :after AND t.id <= :up_to ORDER BY t.id LIMIT :limit")
    rows = conn.execute(query, {"after": after, "up_to": up_to, "limit": limit})
    return [_candidate(row) for row in rows]


def named(conn: Connection, rows: Sequence[int]) -> list[Candidate]:
    """Return traces, of every scope, by their row numbers."""
    query = text(f"SELECT {_COLUMNS} WHERE t.id IN :rows ORDER BY t.id").bindparams(
        bindparam("rows", expanding=True)
    )
    return [_candidate(row) for row in conn.execute(query, {"rows": list(rows)})]


def holds(conn: Connection, candidate: Candidate, where: Mapping[str, str]) -> bool:
    """Return whether for every condition some span of the trace (of every scope: it carries its own) has the value."""
    query = text(
        "SELECT 1 FROM traces_facet_names n JOIN traces_facets f ON f.facet = n.id "
        "WHERE n.scope_id = :scope AND n.key = :key AND n.value = :value AND f.at_ms = :at AND f.trace = :trace"
    )
    for key, value in where.items():
        values = {"scope": candidate.scope_id, "key": _FACET_OF.get(key, key), "value": clean(value, 200)}
        found = conn.execute(query, values | {"at": candidate.at_ms, "trace": candidate.row}).first()
        if found is None:
            return False
    return True


def scores(conn: Connection, candidate: Candidate) -> Iterator[tuple[str, float | None]]:
    """Yield what upper slices know of the trace, and its own evaluation results; of every scope: it carries its own."""
    told = text("SELECT name, value FROM traces_scores WHERE scope_id = :scope AND trace_id = :trace")
    for row in conn.execute(told, {"scope": candidate.scope_id, "trace": candidate.trace_id}):
        yield row.name, row.value
    for record in read.records(conn, candidate.row, candidate.trace_id.hex()):
        for verdict in record.evaluations:
            yield verdict.name, verdict.score
        carriers = [event.attributes for event in record.events if event.name == _EVENT]
        for attributes in (*carriers, record.attributes):
            name, value = attributes.get(_NAME), attributes.get(_VALUE)
            if isinstance(name, str):
                yield name, float(value) if isinstance(value, int | float) else None
