"""The verbs of stored suites."""

from penstock.core import clock
from penstock.core.errors import Conflict, Invalid, NotFound
from penstock.core.scope import Actor
from penstock.core.uow import UnitOfWork
from penstock.evals.suite import Suite, parse_suite, to_spec
from penstock.evals.suites import store
from penstock.evals.suites.model import StoredSuite


def put(uow: UnitOfWork, actor: Actor, *, name: str, suite: Suite) -> StoredSuite:
    """Keep a suite under its name, in place of an earlier one; runs keep the suite they were made with.

    Raises Invalid when the suite names itself otherwise.
    """
    uow.may(actor, "evals.write", name)
    if suite.name != name:
        raise Invalid(f"The suite calls itself {suite.name!r}, not {name!r}.")
    stored = StoredSuite(name=name, spec=to_spec(suite), updated_at=clock.now(), updated_by=actor.name)
    store.put(uow.conn, actor.scope, stored)
    uow.audit(actor, "evals.put_suite", name)
    return stored


def get(uow: UnitOfWork, actor: Actor, *, name: str) -> StoredSuite:
    """Return the suite; raises NotFound."""
    uow.may(actor, "evals.read", name)
    found = store.by_name(uow.conn, actor.scope, name)
    if found is None:
        raise NotFound(f"There is no suite {name!r}.", hint="See `penstock evals suites`.")
    return found


def list_suites(uow: UnitOfWork, actor: Actor, *, after: str = "", limit: int = 100) -> list[StoredSuite]:
    """Return suites by name."""
    uow.may(actor, "evals.read")
    return store.page(uow.conn, actor.scope, after=after, limit=limit)


def remove(uow: UnitOfWork, actor: Actor, *, name: str) -> None:
    """Forget the suite; its runs stay. Raises NotFound."""
    uow.may(actor, "evals.write", name)
    if not store.remove(uow.conn, actor.scope, name):
        raise NotFound(f"There is no suite {name!r}.")
    uow.audit(actor, "evals.remove_suite", name)


def load(uow: UnitOfWork, actor: Actor, name: str) -> Suite:
    """Return the stored suite, ready to run; raises NotFound."""
    return parse_suite(get(uow, actor, name=name).spec)


def pinned(uow: UnitOfWork, actor: Actor, *, ref: str) -> tuple[Suite, str]:
    """Return the stored suite that `name` or `name@version` means, and its `name@version`.

    Raises NotFound, and Conflict when the suite that is stored now is another version.
    """
    name, _, wanted = ref.partition("@")
    stored = get(uow, actor, name=name)
    if wanted and wanted != stored.version:
        raise Conflict(
            f"The suite {name!r} is not the version {wanted!r} any more.",
            hint=f"It is {name}@{stored.version} now, put by {stored.updated_by}.",
        )
    return parse_suite(stored.spec), f"{name}@{stored.version}"
