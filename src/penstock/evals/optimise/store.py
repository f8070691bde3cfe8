"""SQL of prompt optimisations, their candidates and the rows these answered."""

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
    select,
    update,
)

from penstock.core.db import Json, UtcTime, metadata, upsert
from penstock.core.scope import Scope
from penstock.evals.optimise.model import Candidate, Optimisation, Row, SearchState, Spending

searches = Table(
    "evals_optimisations",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("tenant", String(64), nullable=False),
    Column("project", String(64), nullable=False),
    Column("key", String(200)),
    Column("prompt", String(200), nullable=False),
    Column("dataset", String(200), nullable=False),
    Column("metric", String(200), nullable=False),
    Column("spec", Json, nullable=False),
    Column("state", String(16), nullable=False),
    Column("stage", String(16), nullable=False),
    Column("steps", Json, nullable=False),
    Column("error", Text, nullable=False),
    Column("spent", Json, nullable=False),
    Column("best", String(16)),
    Column("pareto", Json, nullable=False),
    Column("cost_unit", String(16), nullable=False),
    Column("accepted", Json),
    Column("job_id", String(40)),
    Column("created_at", UtcTime, nullable=False),
    Column("started_at", UtcTime),
    Column("finished_at", UtcTime),
    UniqueConstraint("tenant", "project", "key"),
    Index("ix_evals_optimisations_scope", "tenant", "project", "id"),
)
candidates = Table(
    "evals_optimise_candidates",
    metadata,
    Column("optimisation_id", String(40), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("tenant", String(64), nullable=False),
    Column("project", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
    Column("candidate", Text, nullable=False),
)
rows = Table(
    "evals_optimise_rows",
    metadata,
    Column("optimisation_id", String(40), primary_key=True),
    Column("hash", String(64), primary_key=True),
    Column("sample_id", String(200), primary_key=True),
    Column("tenant", String(64), nullable=False),
    Column("project", String(64), nullable=False),
    Column("row", Text, nullable=False),
)

_encode = msgspec.json.Encoder().encode
_candidate = msgspec.json.Decoder(Candidate)
_row = msgspec.json.Decoder(Row)


def _in(table: Table, scope: Scope) -> ColumnElement[bool]:
    return (table.c.tenant == scope.tenant) & (table.c.project == scope.project)


def insert(conn: Connection, scope: Scope, one: Optimisation) -> bool:
    """Store a new optimisation; returns False when there is one of that key."""
    row = {
        "id": one.id,
        "tenant": scope.tenant,
        "project": scope.project,
        "key": one.key,
        "prompt": one.prompt,
        "dataset": one.dataset,
        "metric": one.metric,
        "spec": dict(one.spec),
        "state": str(one.state),
        "stage": one.stage,
        "steps": list(one.steps),
        "error": "",
        "spent": one.spent,
        "pareto": list(one.pareto),
        "cost_unit": one.cost_unit,
        "created_at": one.created_at,
    }
    return upsert(conn, searches, [row], keys=["tenant", "project", "key"]) > 0


def change(conn: Connection, scope: Scope, id: str, **values: Any) -> None:
    """Set columns of an optimisation."""
    if "error" in values:
        values["error"] = values["error"].replace("\x00", "�")
    conn.execute(update(searches).where(_in(searches, scope), searches.c.id == id).values(**values))


def _search(found: Any) -> Optimisation:
    return Optimisation(
        id=found.id,
        prompt=found.prompt,
        dataset=found.dataset,
        metric=found.metric,
        spec=found.spec,
        state=SearchState(found.state),
        stage=found.stage,
        steps=tuple(found.steps),
        error=found.error,
        spent=msgspec.convert(found.spent, Spending),
        best=found.best,
        pareto=tuple(found.pareto),
        cost_unit=found.cost_unit,
        accepted=found.accepted,
        key=found.key,
        job_id=found.job_id,
        created_at=found.created_at,
        started_at=found.started_at,
        finished_at=found.finished_at,
    )


def by_id(conn: Connection, scope: Scope, id: str) -> Optimisation | None:
    """Return the optimisation, or None."""
    found = conn.execute(select(searches).where(_in(searches, scope), searches.c.id == id)).one_or_none()
    return None if found is None else _search(found)


def by_key(conn: Connection, scope: Scope, key: str) -> Optimisation | None:
    """Return the optimisation of an idempotency key, or None."""
    found = conn.execute(select(searches).where(_in(searches, scope), searches.c.key == key)).one_or_none()
    return None if found is None else _search(found)


def page(
    conn: Connection, scope: Scope, *, prompt: str | None, before: str | None, limit: int
) -> list[Optimisation]:
    """Return optimisations, newest first, from ids below `before`; only those of `prompt` (a name) if it is given."""
    query = select(searches).where(_in(searches, scope))
    if prompt is not None:
        query = query.where(searches.c.prompt.startswith(f"{prompt}@", autoescape=True))
    if before is not None:
        query = query.where(searches.c.id < before)
    return [_search(found) for found in conn.execute(query.order_by(searches.c.id.desc()).limit(limit))]


def put_candidates(conn: Connection, scope: Scope, id: str, found: Sequence[Candidate]) -> None:
    """Store candidates in place of what was stored under their numbers."""
    made = [
        {
            "optimisation_id": id,
            "number": one.number,
            "tenant": scope.tenant,
            "project": scope.project,
            "hash": one.hash,
            "candidate": _encode(one).decode(),
        }
        for one in found
    ]
    upsert(conn, candidates, made, keys=["optimisation_id", "number"], update=["hash", "candidate"])


def candidates_of(conn: Connection, scope: Scope, id: str) -> list[Candidate]:
    """Return the candidates, in the order they were made."""
    query = select(candidates.c.candidate).where(_in(candidates, scope), candidates.c.optimisation_id == id)
    return [_candidate.decode(found.candidate) for found in conn.execute(query.order_by(candidates.c.number))]


def add_rows(conn: Connection, scope: Scope, id: str, hash: str, found: Sequence[Row]) -> None:
    """Store rows that a candidate answered; one stored before is left as it is."""
    made = [
        {
            "optimisation_id": id,
            "hash": hash,
            "sample_id": one.sample_id,
            "tenant": scope.tenant,
            "project": scope.project,
            "row": _encode(one).decode(),
        }
        for one in found
    ]
    upsert(conn, rows, made, keys=["optimisation_id", "hash", "sample_id"])


def rows_of(conn: Connection, scope: Scope, id: str, *, hash: str | None = None) -> list[tuple[str, Row]]:
    """Return (candidate's hash, row), of one candidate or of all."""
    query = select(rows.c.hash, rows.c.row).where(_in(rows, scope), rows.c.optimisation_id == id)
    if hash is not None:
        query = query.where(rows.c.hash == hash)
    found = conn.execute(query.order_by(rows.c.hash, rows.c.sample_id))
    return [(one.hash, _row.decode(one.row)) for one in found]
