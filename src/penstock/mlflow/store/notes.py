"""Notes about traces, their runs, and assessments."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, Text, cast, delete, select

from penstock.core.db import upsert
from penstock.core.scope import Scope
from penstock.mlflow.model import Assessment, TraceNote
from penstock.mlflow.store.tables import assessments, trace_runs, traces

_FIELDS = (
    "trace_id", "experiment_id", "at_ms", "duration_ms", "state", "metadata", "tags",
    "request_preview", "response_preview", "client_request_id", "applied",
)  # fmt: skip
_KEYS = ("tenant", "project", "trace_id")
_CHUNK = 500


def _in(table: Any, scope: Scope) -> Any:
    return (table.c.tenant == scope.tenant) & (table.c.project == scope.project)


def _scoped(scope: Scope, **values: Any) -> dict[str, Any]:
    return {"tenant": scope.tenant, "project": scope.project, **values}


def put_note(conn: Connection, scope: Scope, note: TraceNote, *, replace: bool = True) -> None:
    """Store a note; without `replace` one that is there stays."""
    row = _scoped(scope, **{name: getattr(note, name) for name in _FIELDS})
    update = [name for name in _FIELDS if name != "trace_id"] if replace else None
    upsert(conn, traces, [row], keys=_KEYS, update=update)


def notes_of(conn: Connection, scope: Scope, trace_ids: Sequence[str]) -> dict[str, TraceNote]:
    """Return trace id → note."""
    found = {}
    for at in range(0, len(trace_ids), _CHUNK):
        wanted = traces.c.trace_id.in_(trace_ids[at : at + _CHUNK])
        for row in conn.execute(select(traces).where(_in(traces, scope), wanted)):
            found[row.trace_id] = TraceNote(**{name: row._mapping[name] for name in _FIELDS})
    return found


def remove_note(conn: Connection, scope: Scope, trace_id: str) -> bool:
    """Remove what is known of a trace; returns whether there was a note."""
    for table in (trace_runs, assessments):
        conn.execute(delete(table).where(_in(table, scope), table.c.trace_id == trace_id))
    gone = conn.execute(delete(traces).where(_in(traces, scope), traces.c.trace_id == trace_id))
    return gone.rowcount > 0


def remove_notes(conn: Connection, scope: Scope, trace_ids: Sequence[str]) -> tuple[int, int]:
    """Remove what is known of traces; returns how many notes and how many assessments there were."""
    gone = dict.fromkeys((trace_runs, assessments, traces), 0)
    for at in range(0, len(trace_ids), _CHUNK):
        for table in gone:
            wanted = table.c.trace_id.in_(trace_ids[at : at + _CHUNK])
            gone[table] += conn.execute(delete(table).where(_in(table, scope), wanted)).rowcount
    return gone[traces], gone[assessments]


def naming(conn: Connection, scope: Scope, key: str, value: str) -> list[str]:
    """Return the traces whose note has `value` under `key` of its metadata."""
    # JSON is compared as text first, so that not every note is read; LIKE knows no case, so the value is looked at.
    said = msgspec.json.encode(value).decode()
    query = select(traces.c.trace_id, traces.c.metadata).where(
        _in(traces, scope), cast(traces.c.metadata, Text).contains(said, autoescape=True)
    )
    return [row.trace_id for row in conn.execute(query) if row.metadata.get(key) == value]


def trace_ids(
    conn: Connection, scope: Scope, *, experiment_id: str, until_ms: int | None, limit: int
) -> list[str]:
    """Return traces of an experiment, oldest first."""
    query = select(traces.c.trace_id).where(_in(traces, scope), traces.c.experiment_id == experiment_id)
    if until_ms is not None:
        query = query.where(traces.c.at_ms <= until_ms)
    return [row.trace_id for row in conn.execute(query.order_by(traces.c.at_ms).limit(limit))]


def link_run(conn: Connection, scope: Scope, run_id: str, ids: Iterable[str]) -> None:
    """Remember that traces belong to a run."""
    rows = [_scoped(scope, run_id=run_id, trace_id=one) for one in ids]
    upsert(conn, trace_runs, rows, keys=["tenant", "project", "run_id", "trace_id"])


def of_run(conn: Connection, scope: Scope, run_id: str, limit: int) -> list[str]:
    """Return traces of a run, newest first (trace ids made by Penstock and MLflow need not sort by time)."""
    query = (
        select(trace_runs.c.trace_id)
        .outerjoin(
            traces,
            (traces.c.trace_id == trace_runs.c.trace_id)
            & (traces.c.tenant == trace_runs.c.tenant)
            & (traces.c.project == trace_runs.c.project),
        )
        .where(_in(trace_runs, scope), trace_runs.c.run_id == run_id)
        .order_by(traces.c.at_ms.desc(), trace_runs.c.trace_id)
        .limit(limit)
    )
    return [row.trace_id for row in conn.execute(query)]


def put_assessment(conn: Connection, scope: Scope, one: Assessment) -> None:
    """Store an assessment, replacing one with its id."""
    row = _scoped(
        scope,
        id=one.id,
        trace_id=one.trace_id,
        name=one.name,
        body=one.body,
        feedback_id=one.feedback_id,
    )
    upsert(conn, assessments, [row], keys=["id"], update=["name", "body", "feedback_id"])


def remove_assessment(conn: Connection, scope: Scope, one: Assessment) -> None:
    """Remove an assessment."""
    conn.execute(delete(assessments).where(_in(assessments, scope), assessments.c.id == one.id))


def assessments_of(conn: Connection, scope: Scope, trace_ids: Sequence[str]) -> dict[str, list[Assessment]]:
    """Return trace id → its assessments, oldest first."""
    found: dict[str, list[Assessment]] = {trace_id: [] for trace_id in trace_ids}
    for at in range(0, len(trace_ids), _CHUNK):
        wanted = assessments.c.trace_id.in_(trace_ids[at : at + _CHUNK])
        query = select(assessments).where(_in(assessments, scope), wanted).order_by(assessments.c.id)
        for row in conn.execute(query):
            found[row.trace_id].append(
                Assessment(
                    id=row.id,
                    trace_id=row.trace_id,
                    name=row.name,
                    body=row.body,
                    feedback_id=row.feedback_id,
                )
            )
    return found
