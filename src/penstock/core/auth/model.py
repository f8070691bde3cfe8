"""Nouns of authentication."""

import hashlib
from dataclasses import dataclass
from datetime import datetime

from penstock.core.scope import Actor, Role, Scope


def digest(secret: str) -> str:
    """Return the SHA-256 of a key or token as hex: all that is stored of it.

    A fast hash is right here because the secrets are 256 random bits, not passwords.
    """
    return hashlib.sha256(secret.encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """An API key without its secret."""

    id: str
    name: str
    hint: str
    """The first characters of the secret, to recognise it by."""
    owner: str
    role: Role
    scope: Scope
    any_project: bool
    created_at: datetime
    models: tuple[str, ...] = ()
    """Names of the models that calls with it may use, `*` and `?` standing for anything; empty: all."""
    expires_at: datetime | None = None
    revoked_at: datetime | None = None

    def active(self, at: datetime) -> bool:
        """Whether the key lets anyone in at the moment `at`."""
        return self.revoked_at is None and (self.expires_at is None or at < self.expires_at)

    def actor(self) -> Actor:
        """Return the actor that calls made with this key are made by."""
        return Actor(
            id=self.id, name=self.name, role=self.role, scope=self.scope, any_project=self.any_project
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody who signs in to the web UI."""

    id: str
    tenant: str
    name: str
    role: Role
    created_at: datetime

    def actor(self) -> Actor:
        """Return the actor for what this person does."""
        return Actor(id=self.id, name=self.name, role=self.role, scope=Scope(self.tenant), any_project=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """A named space for data inside a tenant."""

    name: str
    description: str
    created_at: datetime
