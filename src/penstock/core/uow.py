"""A unit of work: one transaction and everything a service verb needs with it."""

from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import Connection

from penstock.core import audit, lineage, policy, revisions
from penstock.core.blobs import Blobs
from penstock.core.db import Database
from penstock.core.events import Event, publish
from penstock.core.lineage import Link
from penstock.core.scope import Actor, Scope
from penstock.core.settings import Settings
from penstock.core.vault import Vault


class OpenedHome(Protocol):
    """What verbs may use of the home they work on; `core.home.Home` is the one there is."""

    path: Path
    settings: Settings
    db: Database
    blobs: Blobs
    vault: Vault


class UnitOfWork:
    """The caller's transaction (`conn`) on a `home`; what it publishes or records commits with it."""

    __slots__ = ("conn", "home")

    def __init__(self, home: OpenedHome, conn: Connection) -> None:
        self.home = home
        self.conn = conn

    def may(self, actor: Actor, action: str, resource: str = "") -> None:
        """Raise Denied unless `actor` may do `action` (see core.policy)."""
        policy.require(self, actor, action, resource)

    def publish(self, event: Event, scope: Scope) -> str:
        """Write `event` into the outbox; returns its id."""
        return publish(self.conn, event, scope)

    def audit(self, actor: Actor, action: str, target: str, **detail: Any) -> None:
        """Append to the audit log."""
        audit.record(self.conn, actor, action, target, detail)

    def bump(self, topic: str) -> None:
        """Tell every process that `topic`'s configuration changed."""
        revisions.bump(self.conn, topic)

    def link(self, scope: Scope, child: tuple[str, str], parents: list[Link]) -> None:
        """Record lineage edges from `parents` to `child` (kind, ref)."""
        lineage.connect(self.conn, scope, child, parents)
