"""Artifacts: paths below a root, and the blobs they name."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, or_, select

from penstock.core.db import upsert
from penstock.core.scope import Scope
from penstock.tracking.model import Artifact
from penstock.tracking.store.tables import artifacts


def _under(scope: Scope, root: str) -> Any:
    table = artifacts.c
    return (table.tenant == scope.tenant) & (table.project == scope.project) & (table.root == root)


def put(conn: Connection, scope: Scope, root: str, artifact: Artifact, at: datetime) -> None:
    """Store a file's entry; one at the same path is replaced."""
    row = {
        "tenant": scope.tenant,
        "project": scope.project,
        "root": root,
        "path": artifact.path,
        "sha256": artifact.sha256,
        "size": artifact.size,
        "updated_at": at,
    }
    keys = ["tenant", "project", "root", "path"]
    upsert(conn, artifacts, [row], keys=keys, update=["sha256", "size", "updated_at"])


def get(conn: Connection, scope: Scope, root: str, path: str) -> Artifact | None:
    """Return the file at the path."""
    row = conn.execute(select(artifacts).where(_under(scope, root), artifacts.c.path == path)).first()
    return None if row is None else Artifact(path=row.path, size=row.size, sha256=row.sha256)


def tree(conn: Connection, scope: Scope, root: str, path: str = "") -> list[Artifact]:
    """Return all files below the folder `path`, by path."""
    query = select(artifacts).where(_under(scope, root))
    if path:
        query = query.where(artifacts.c.path.startswith(path + "/", autoescape=True))
    rows = conn.execute(query.order_by(artifacts.c.path))
    return [Artifact(path=row.path, size=row.size, sha256=row.sha256) for row in rows]


def remove(conn: Connection, scope: Scope, root: str, path: str) -> int:
    """Remove the file, or all files of the folder (`""`: the root); returns how many."""
    where = _under(scope, root)
    if path:
        below = artifacts.c.path.startswith(path + "/", autoescape=True)
        where &= or_(artifacts.c.path == path, below)
    return conn.execute(delete(artifacts).where(where)).rowcount


def blobs_named(conn: Connection) -> Iterator[str]:
    """Yield the blob of every artifact of every scope."""
    yield from conn.execute(select(artifacts.c.sha256), execution_options={"yield_per": 1000}).scalars()
