"""Evaluation datasets as MLflow has them: named, with records that change."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, delete, func, select, update

from penstock.core.db import upsert
from penstock.core.scope import Scope
from penstock.mlflow.model import EvalRecord, EvalSet
from penstock.mlflow.store.tables import datasets, records

_FIELDS = (
    "id", "name", "tags", "schema", "profile", "experiments", "created_by", "updated_by", "created_at", "updated_at",
)  # fmt: skip
_CHUNK = 500


def _in(scope: Scope) -> Any:
    return (datasets.c.tenant == scope.tenant) & (datasets.c.project == scope.project)


def _set(row: Any) -> EvalSet:
    return EvalSet(**{name: row._mapping[name] for name in _FIELDS})


def insert(conn: Connection, scope: Scope, made: EvalSet) -> None:
    """Store a dataset."""
    values = {name: getattr(made, name) for name in _FIELDS}
    conn.execute(datasets.insert().values(tenant=scope.tenant, project=scope.project, **values))


def get(conn: Connection, scope: Scope, id: str) -> EvalSet | None:
    """Return a dataset."""
    row = conn.execute(select(datasets).where(_in(scope), datasets.c.id == id)).first()
    return None if row is None else _set(row)


def everything(conn: Connection, scope: Scope) -> list[EvalSet]:
    """Return all datasets, newest first."""
    rows = conn.execute(select(datasets).where(_in(scope)).order_by(datasets.c.id.desc()))
    return [_set(row) for row in rows]


def change(conn: Connection, scope: Scope, found: EvalSet, **values: Any) -> None:
    """Change columns of a dataset."""
    conn.execute(update(datasets).where(_in(scope), datasets.c.id == found.id).values(**values))


def remove(conn: Connection, scope: Scope, found: EvalSet) -> None:
    """Delete a dataset with its records."""
    conn.execute(delete(records).where(records.c.dataset_id == found.id))
    conn.execute(delete(datasets).where(_in(scope), datasets.c.id == found.id))


def put_records(conn: Connection, found: EvalSet, items: Sequence[EvalRecord]) -> None:
    """Store records; one with the same inputs is replaced."""
    rows = [{"dataset_id": found.id, "hash": one.hash, "id": one.id, "body": one.body} for one in items]
    upsert(conn, records, rows, keys=["dataset_id", "hash"], update=["body"])


def records_by_hash(conn: Connection, found: EvalSet, hashes: Sequence[str]) -> dict[str, EvalRecord]:
    """Return hash of the inputs → record."""
    held = {}
    for at in range(0, len(hashes), _CHUNK):
        wanted = records.c.hash.in_(hashes[at : at + _CHUNK])
        for row in conn.execute(select(records).where(records.c.dataset_id == found.id, wanted)):
            held[row.hash] = EvalRecord(id=row.id, hash=row.hash, body=row.body)
    return held


def list_records(conn: Connection, found: EvalSet, *, after: str, limit: int) -> list[EvalRecord]:
    """Return records in the order they came, after the id `after`."""
    query = select(records).where(records.c.dataset_id == found.id, records.c.id > after)
    rows = conn.execute(query.order_by(records.c.id).limit(limit))
    return [EvalRecord(id=row.id, hash=row.hash, body=row.body) for row in rows]


def remove_records(conn: Connection, found: EvalSet, ids: Sequence[str]) -> int:
    """Delete records by id; returns how many."""
    gone = 0
    for at in range(0, len(ids), _CHUNK):
        wanted = records.c.id.in_(ids[at : at + _CHUNK])
        gone += conn.execute(delete(records).where(records.c.dataset_id == found.id, wanted)).rowcount
    return gone


def count(conn: Connection, found: EvalSet) -> int:
    """Return how many records there are."""
    query = select(func.count()).select_from(records).where(records.c.dataset_id == found.id)
    return int(conn.execute(query).scalar_one())
