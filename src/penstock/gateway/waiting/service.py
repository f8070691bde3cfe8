"""Who waits for which deployment: written by gateways, read by serving."""

from datetime import datetime

from penstock.core import clock
from penstock.core.scope import Scope
from penstock.core.uow import UnitOfWork
from penstock.gateway import store

ASKED = "gateway.asked"


def ask_endpoint(uow: UnitOfWork, name: str, scope: Scope) -> None:
    """Tell serving that somebody waits for the deployment `name`, which has no address now."""
    store.ask_endpoint(uow.conn, scope, name, clock.now())
    uow.bump(ASKED)


def list_asked(uow: UnitOfWork, since: datetime) -> dict[tuple[Scope, str], datetime]:
    """Return (scope, deployment name) → when somebody last waited for it, not before `since`; of every project.

    The revision of the topic `ASKED` grows with every entry.
    """
    return store.list_asked(uow.conn, since)
