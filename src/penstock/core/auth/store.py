"""SQL of keys, projects, people, sign-in links and sessions."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    String,
    Table,
    Text,
    UniqueConstraint,
    delete,
    select,
    update,
)

from penstock.core.auth.model import Key, Person, Project
from penstock.core.db import Json, UtcTime, metadata, upsert
from penstock.core.scope import Role, Scope

keys = Table(
    "core_keys",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("digest", String(64), nullable=False, unique=True),
    Column("hint", String(16), nullable=False),
    Column("name", String(200), nullable=False),
    Column("owner", String(64), nullable=False),
    Column("role", String(16), nullable=False),
    Column("tenant", String(64), nullable=False),
    Column("project", String(64), nullable=False),
    Column("any_project", Boolean, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime),
    Column("revoked_at", UtcTime),
    Column("previous_digest", String(64), index=True),
    Column("previous_until", UtcTime),
    Column("models", Json, nullable=False),
)
projects = Table(
    "core_projects",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("name", String(64), primary_key=True),
    Column("description", Text, nullable=False),
    Column("created_at", UtcTime, nullable=False),
)
people = Table(
    "core_people",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("tenant", String(64), nullable=False),
    Column("name", String(200), nullable=False),
    Column("role", String(16), nullable=False),
    Column("created_at", UtcTime, nullable=False),
    UniqueConstraint("tenant", "name"),
)
sign_ins = Table(
    "core_sign_ins",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("person", String(40), nullable=False),
    Column("expires_at", UtcTime, nullable=False),
    Column("used_at", UtcTime),
)
sessions = Table(
    "core_sessions",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("person", String(40), nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime, nullable=False),
)


def _key(row: Any) -> Key:
    return Key(
        id=row.id,
        name=row.name,
        hint=row.hint,
        owner=row.owner,
        role=Role(row.role),
        scope=Scope(row.tenant, row.project),
        any_project=row.any_project,
        created_at=row.created_at,
        models=tuple(row.models),
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
    )


def _as_before(row: Any) -> Key:
    """Return the key as the secret it had before its last rotation opens it: until the grace is over."""
    key = _key(row)
    ends = row.previous_until if key.expires_at is None else min(key.expires_at, row.previous_until)
    return replace(key, expires_at=ends)


def insert_key(conn: Connection, key: Key, digest: str) -> None:
    """Store `key` under the digest of its secret."""
    conn.execute(
        keys.insert().values(
            id=key.id,
            digest=digest,
            hint=key.hint,
            name=key.name,
            owner=key.owner,
            role=str(key.role),
            tenant=key.scope.tenant,
            project=key.scope.project,
            any_project=key.any_project,
            created_at=key.created_at,
            models=list(key.models),
            expires_at=key.expires_at,
            revoked_at=key.revoked_at,
        )
    )


def key_by_digest(conn: Connection, digest: str) -> Key | None:
    """Return the key with that digest, revoked or not; a secret rotated away opens it until its grace is over."""
    row = conn.execute(select(keys).where(keys.c.digest == digest)).first()
    if row is not None:
        return _key(row)
    row = conn.execute(select(keys).where(keys.c.previous_digest == digest)).first()
    return None if row is None else _as_before(row)


def owners(conn: Connection, tenant: str, key_ids: list[str]) -> dict[str, str]:
    """Return key id → id of who made the key, for those of the ids that are keys of the tenant."""
    query = select(keys.c.id, keys.c.owner).where(keys.c.tenant == tenant, keys.c.id.in_(key_ids))
    return {row.id: row.owner for row in conn.execute(query)}


def all_active(conn: Connection) -> list[tuple[str, Key]]:
    """Return (digest, key) of every key that is not revoked, of all tenants: for the in-memory table."""
    rows = list(conn.execute(select(keys).where(keys.c.revoked_at.is_(None))))
    before = [(row.previous_digest, _as_before(row)) for row in rows if row.previous_digest is not None]
    return before + [(row.digest, _key(row)) for row in rows]


def list_keys(conn: Connection, scope: Scope) -> Sequence[Key]:
    """Return the keys of the project and those for any project of the tenant, newest first."""
    query = select(keys).where(_at(scope)).order_by(keys.c.id.desc())
    return [_key(row) for row in conn.execute(query)]


def _at(scope: Scope) -> Any:
    """Those of the project, and those for any project of the tenant."""
    return (keys.c.tenant == scope.tenant) & ((keys.c.project == scope.project) | keys.c.any_project)


def get_key(conn: Connection, scope: Scope, key_id: str) -> Key | None:
    """Return the key of the project (or for any project of the tenant) with that id, revoked or not."""
    row = conn.execute(select(keys).where(keys.c.id == key_id, _at(scope))).first()
    return None if row is None else _key(row)


def rotate_key(conn: Connection, key: Key, digest: str, hint: str, until: datetime | None) -> None:
    """Give the key a new secret; the present one opens it until then, or not at all."""
    values: dict[str, Any] = {"digest": digest, "hint": hint, "previous_until": until}
    values["previous_digest"] = keys.c.digest if until else None
    conn.execute(update(keys).where(keys.c.id == key.id).values(**values))


def revoke_key(conn: Connection, scope: Scope, key_id: str, at: datetime) -> bool:
    """Mark the key revoked; returns whether there was an active one."""
    query = update(keys).where(keys.c.id == key_id, _at(scope), keys.c.revoked_at.is_(None))
    return conn.execute(query.values(revoked_at=at)).rowcount > 0


def add_project(conn: Connection, tenant: str, project: Project) -> bool:
    """Store the project unless it exists; returns whether it is new."""
    row = {
        "tenant": tenant,
        "name": project.name,
        "description": project.description,
        "created_at": project.created_at,
    }
    return upsert(conn, projects, [row], keys=["tenant", "name"]) > 0


def list_projects(conn: Connection, tenant: str) -> list[Project]:
    """Return the tenant's projects by name."""
    query = select(projects).where(projects.c.tenant == tenant).order_by(projects.c.name)
    return [
        Project(name=r.name, description=r.description, created_at=r.created_at) for r in conn.execute(query)
    ]


def project_exists(conn: Connection, tenant: str, name: str) -> bool:
    """Whether the tenant has the project."""
    query = select(projects.c.name).where(projects.c.tenant == tenant, projects.c.name == name)
    return conn.execute(query).first() is not None


def _person(row: Any) -> Person:
    return Person(id=row.id, tenant=row.tenant, name=row.name, role=Role(row.role), created_at=row.created_at)


def insert_person(conn: Connection, person: Person) -> None:
    """Store a person."""
    conn.execute(
        people.insert().values(
            id=person.id,
            tenant=person.tenant,
            name=person.name,
            role=str(person.role),
            created_at=person.created_at,
        )
    )


def person_named(conn: Connection, tenant: str, name: str) -> Person | None:
    """Return the person of that name."""
    row = conn.execute(select(people).where(people.c.tenant == tenant, people.c.name == name)).first()
    return None if row is None else _person(row)


def insert_sign_in(conn: Connection, digest: str, person: str, expires_at: datetime) -> None:
    """Store a one-time sign-in token."""
    conn.execute(sign_ins.insert().values(digest=digest, person=person, expires_at=expires_at))


def use_sign_in(conn: Connection, digest: str, at: datetime) -> str | None:
    """Mark the token used; returns the person's id, or None when it is unknown, expired or used."""
    valid = (sign_ins.c.digest == digest) & (sign_ins.c.expires_at > at) & sign_ins.c.used_at.is_(None)
    if conn.execute(update(sign_ins).where(valid).values(used_at=at)).rowcount == 0:
        return None
    return str(conn.execute(select(sign_ins.c.person).where(sign_ins.c.digest == digest)).scalar_one())


def insert_session(
    conn: Connection, digest: str, person: str, created_at: datetime, expires_at: datetime
) -> None:
    """Store a browser session, and drop those that are over."""
    conn.execute(delete(sessions).where(sessions.c.expires_at < created_at))
    conn.execute(
        sessions.insert().values(digest=digest, person=person, created_at=created_at, expires_at=expires_at)
    )


def session_person(conn: Connection, digest: str, at: datetime) -> Person | None:
    """Return who is signed in with that session."""
    query = (
        select(people)
        .join(sessions, sessions.c.person == people.c.id)
        .where(sessions.c.digest == digest, sessions.c.expires_at > at)
    )
    row = conn.execute(query).first()
    return None if row is None else _person(row)


def all_sessions(conn: Connection, at: datetime) -> list[tuple[str, Person]]:
    """Return (digest, person) of every live session: for the gateway's in-memory table."""
    query = (
        select(sessions.c.digest, people)
        .join(people, sessions.c.person == people.c.id)
        .where(sessions.c.expires_at > at)
    )
    return [(row.digest, _person(row)) for row in conn.execute(query)]


def delete_session(conn: Connection, digest: str) -> None:
    """End the session."""
    conn.execute(delete(sessions).where(sessions.c.digest == digest))
