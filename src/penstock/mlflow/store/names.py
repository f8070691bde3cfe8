"""MLflow's names of prompts and models, and notes about their versions."""

from typing import Any

from sqlalchemy import Connection, delete, select

from penstock.core.db import upsert
from penstock.core.scope import Scope
from penstock.mlflow.model import Named, VersionNote
from penstock.mlflow.store.tables import names, versions

_NAMED = ("kind", "name", "target", "description", "tags", "hidden", "created_at", "updated_at")
_NOTED = (
    "kind", "target", "number", "description", "tags", "source", "run_id", "model_id", "hidden", "updated_at",
)  # fmt: skip
_NAME_KEYS = ("tenant", "project", "kind", "name")
_NOTE_KEYS = ("tenant", "project", "kind", "target", "number")


def _in(table: Any, scope: Scope, kind: str) -> Any:
    mine = (table.c.tenant == scope.tenant) & (table.c.project == scope.project)
    return mine & (table.c.kind == kind)


def _row(scope: Scope, noun: Named | VersionNote, fields: tuple[str, ...]) -> dict[str, Any]:
    return {
        "tenant": scope.tenant,
        "project": scope.project,
        **{name: getattr(noun, name) for name in fields},
    }


def put_name(conn: Connection, scope: Scope, named: Named) -> None:
    """Store a name, replacing what was known of it."""
    update = [name for name in _NAMED if name not in _NAME_KEYS]
    upsert(conn, names, [_row(scope, named, _NAMED)], keys=_NAME_KEYS, update=update)


def remove_name(conn: Connection, scope: Scope, named: Named) -> None:
    """Forget a name."""
    conn.execute(delete(names).where(_in(names, scope, named.kind), names.c.name == named.name))


def get_name(conn: Connection, scope: Scope, kind: str, name: str) -> Named | None:
    """Return what is known of a name."""
    row = conn.execute(select(names).where(_in(names, scope, kind), names.c.name == name)).first()
    return None if row is None else Named(**{field: row._mapping[field] for field in _NAMED})


def list_names(conn: Connection, scope: Scope, kind: str) -> list[Named]:
    """Return all names, hidden ones included."""
    rows = conn.execute(select(names).where(_in(names, scope, kind)).order_by(names.c.name))
    return [Named(**{field: row._mapping[field] for field in _NAMED}) for row in rows]


def put_version(conn: Connection, scope: Scope, note: VersionNote) -> None:
    """Store a note about a version, replacing the one that is there."""
    update = [name for name in _NOTED if name not in _NOTE_KEYS]
    upsert(conn, versions, [_row(scope, note, _NOTED)], keys=_NOTE_KEYS, update=update)


def versions_of(conn: Connection, scope: Scope, kind: str, target: str) -> dict[int, VersionNote]:
    """Return number → note of a prompt's or model's versions."""
    rows = conn.execute(select(versions).where(_in(versions, scope, kind), versions.c.target == target))
    return {row.number: VersionNote(**{field: row._mapping[field] for field in _NOTED}) for row in rows}
