"""The SQL of saved views."""

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, delete, or_, select

from penstock.core.db import upsert
from penstock.core.scope import Actor, Scope
from penstock.traces.model import View
from penstock.traces.store.tables import views


def _at(scope: Scope) -> ColumnElement[bool]:
    return (views.c.tenant == scope.tenant) & (views.c.project == scope.project)


def _view(row: Any) -> View:
    return View(
        name=row.name,
        query=row.query,
        columns=tuple(row.columns),
        shared=bool(row.shared),
        owner=row.owner_name,
        changed_at=row.changed_at,
    )


def visible(conn: Connection, actor: Actor) -> list[View]:
    """Return the actor's own views and those shared in the project, by name, own ones first."""
    theirs = or_(views.c.owner == actor.id, views.c.shared)
    query = select(views).where(_at(actor.scope), theirs)
    rows = conn.execute(query.order_by(views.c.name, views.c.owner != actor.id, views.c.owner))
    return [_view(row) for row in rows]


def named(conn: Connection, actor: Actor, name: str) -> tuple[str, View] | None:
    """Return (owner's id, view) of the actor's own view `name`, else of a shared one."""
    theirs = or_(views.c.owner == actor.id, views.c.shared)
    query = select(views).where(_at(actor.scope), theirs, views.c.name == name)
    row = conn.execute(query.order_by(views.c.owner != actor.id, views.c.owner)).first()
    return None if row is None else (row.owner, _view(row))


def put(conn: Connection, actor: Actor, view: View, *, at: datetime) -> None:
    """Store the actor's own view."""
    row = {
        "tenant": actor.scope.tenant,
        "project": actor.scope.project,
        "name": view.name,
        "owner": actor.id,
        "owner_name": actor.name,
        "query": view.query,
        "columns": list(view.columns),
        "shared": view.shared,
        "changed_at": at,
    }
    keys = ("tenant", "project", "name", "owner")
    upsert(conn, views, [row], keys=keys, update=[name for name in row if name not in keys])


def remove(conn: Connection, scope: Scope, owner: str, name: str) -> None:
    """Delete a view."""
    conn.execute(delete(views).where(_at(scope), views.c.owner == owner, views.c.name == name))
