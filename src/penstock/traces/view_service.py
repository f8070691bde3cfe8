"""The verbs on saved views: queries with a name, one's own or shared with the project."""

from collections.abc import Sequence

from penstock.core import clock
from penstock.core.errors import Invalid, NotFound
from penstock.core.scope import Actor
from penstock.core.uow import UnitOfWork
from penstock.traces import query as language
from penstock.traces.model import View
from penstock.traces.store import views as store

MAX_NAME, MAX_COLUMNS, MAX_COLUMN = 100, 50, 100


def list_views(uow: UnitOfWork, actor: Actor) -> list[View]:
    """Return the actor's own views and those shared in the project, by name."""
    uow.may(actor, "traces.read")
    return store.visible(uow.conn, actor)


def get_view(uow: UnitOfWork, actor: Actor, *, name: str) -> View:
    """Return the actor's own view `name`, else a shared one; raises NotFound."""
    uow.may(actor, "traces.read", name)
    return _named(uow, actor, name)[1]


def _named(uow: UnitOfWork, actor: Actor, name: str) -> tuple[str, View]:
    found = store.named(uow.conn, actor, name)
    if found is None:
        raise NotFound(f"There is no view {name!r} in the project {actor.scope.project!r}.")
    return found


def put_view(
    uow: UnitOfWork,
    actor: Actor,
    *,
    name: str,
    query: str,
    columns: Sequence[str] = (),
    shared: bool = False,
) -> View:
    """Save the actor's own view `name`, in the place of an earlier one; raises Invalid for a wrong query or name."""
    uow.may(actor, "traces.write" if shared else "traces.read", name)
    if not name.strip() or len(name) > MAX_NAME or not name.isprintable() or "/" in name:
        raise Invalid(f"A view's name has 1 to {MAX_NAME} printable characters without a slash.")
    if len(columns) > MAX_COLUMNS or any(not 0 < len(column) <= MAX_COLUMN for column in columns):
        raise Invalid(f"A view has at most {MAX_COLUMNS} columns of 1 to {MAX_COLUMN} characters.")
    language.parse(query)
    now = clock.now()
    view = View(
        name=name, query=query, columns=tuple(columns), shared=shared, owner=actor.name, changed_at=now
    )
    store.put(uow.conn, actor, view, at=now)
    uow.audit(actor, "traces.view", name, query=query, shared=shared)
    return view


def delete_view(uow: UnitOfWork, actor: Actor, *, name: str) -> None:
    """Delete the actor's own view `name`, else the shared one, for which it takes an administrator.

    Raises NotFound, Denied.
    """
    uow.may(actor, "traces.read", name)
    owner, _ = _named(uow, actor, name)
    if owner != actor.id:
        uow.may(actor, "traces.admin", name)
    store.remove(uow.conn, actor.scope, owner, name)
    uow.audit(actor, "traces.view_delete", name)
