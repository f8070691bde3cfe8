"""Who is asking, and whose data it is about."""

from dataclasses import dataclass
from enum import StrEnum

import msgspec


class Role(StrEnum):
    """What a key or person may do; each role includes the ones before it, except `gateway`."""

    GATEWAY = "gateway"
    """May call the gateway and send traces, nothing else."""
    VIEWER = "viewer"
    MEMBER = "member"
    ADMIN = "admin"
    OWNER = "owner"

    @property
    def rank(self) -> int:
        """The role's place in the order gateway < viewer < member < admin < owner."""
        return list(Role).index(self)


class Scope(msgspec.Struct, frozen=True):
    """The tenant and project a row belongs to; every query takes one."""

    tenant: str = "default"
    project: str = "default"


DEFAULT = Scope()


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """The key, person or part of the system on whose behalf something happens."""

    id: str
    name: str
    role: Role
    scope: Scope = DEFAULT
    any_project: bool = False
    """True for people and keys that are not bound to one project."""

    def within(self, project: str) -> "Actor":
        """Return the same actor working in `project` of its tenant."""
        return Actor(
            id=self.id,
            name=self.name,
            role=self.role,
            scope=Scope(self.scope.tenant, project),
            any_project=self.any_project,
        )


def system_actor(scope: Scope | None = None) -> Actor:
    """Return the actor for work that Penstock does by itself."""
    return Actor(id="system", name="penstock", role=Role.OWNER, scope=scope or Scope(), any_project=True)
