"""SQL of prompts and their versions; that of labels is in `labels.store`."""

from typing import Any

import msgspec
from sqlalchemy import (
    Column,
    Connection,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
    cast,
    exists,
    func,
    or_,
    select,
)

from penstock.core.db import Json, UtcTime, metadata, upsert
from penstock.core.scope import Scope
from penstock.prompts.labels.store import labels, protected
from penstock.prompts.model import LATEST, Body, Prompt, PromptVersion, Reference

prompts = Table(
    "prompts",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("tenant", String(64), nullable=False),
    Column("project", String(64), nullable=False),
    Column("name", String(100), nullable=False),
    Column("description", Text, nullable=False),
    Column("tags", Json, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    UniqueConstraint("tenant", "project", "name"),
)
versions = Table(
    "prompts_versions",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("prompt_id", String(40), nullable=False),
    Column("number", Integer, nullable=False),
    Column("body", Json, nullable=False),
    Column("hash", String(64), nullable=False),
    Column("note", Text, nullable=False),
    Column("author", String(200), nullable=False),
    Column("created_at", UtcTime, nullable=False),
    UniqueConstraint("prompt_id", "number"),
)
includes = Table(
    "prompts_includes",
    metadata,
    Column("version_id", String(40), primary_key=True),
    Column("reference", String(160), primary_key=True),
    Column("place", Integer, nullable=False),
    Column("prompt_id", String(40), nullable=False),
    Column("number", Integer, nullable=False),
    Column("tenant", String(64), nullable=False),
    Column("project", String(64), nullable=False),
    Column("included", String(100), nullable=False),
    Index("ix_prompts_includes_included", "tenant", "project", "included"),
)


def _mine(scope: Scope) -> Any:
    return (prompts.c.tenant == scope.tenant) & (prompts.c.project == scope.project)


def insert_prompt(conn: Connection, scope: Scope, prompt: Prompt) -> bool:
    """Store a prompt; returns False when the project has one of that name."""
    row = {
        "id": prompt.id,
        "tenant": scope.tenant,
        "project": scope.project,
        "name": prompt.name,
        "description": prompt.description,
        "tags": list(prompt.tags),
        "created_at": prompt.created_at,
    }
    return upsert(conn, prompts, [row], keys=["tenant", "project", "name"]) > 0


def _prompts(conn: Connection, rows: list[Any]) -> list[Prompt]:
    ids = [row.id for row in rows]
    counts: dict[str, int] = {}
    pointers: dict[str, dict[str, int]] = {prompt_id: {} for prompt_id in ids}
    counting = select(versions.c.prompt_id, func.max(versions.c.number).label("last")).group_by(
        versions.c.prompt_id
    )
    for row in conn.execute(counting.where(versions.c.prompt_id.in_(ids))):
        counts[row.prompt_id] = row.last
        pointers[row.prompt_id][LATEST] = row.last
    for row in conn.execute(select(labels).where(labels.c.prompt_id.in_(ids)).order_by(labels.c.label)):
        pointers[row.prompt_id][row.label] = row.number
    guarded: dict[str, list[str]] = {prompt_id: [] for prompt_id in ids}
    for row in conn.execute(
        select(protected).where(protected.c.prompt_id.in_(ids)).order_by(protected.c.label)
    ):
        guarded[row.prompt_id].append(row.label)
    return [
        Prompt(
            id=row.id,
            name=row.name,
            description=row.description,
            tags=tuple(row.tags),
            created_at=row.created_at,
            versions=counts.get(row.id, 0),
            labels=pointers[row.id],
            protected=tuple(guarded[row.id]),
        )
        for row in rows
    ]


def get_prompt(conn: Connection, scope: Scope, name: str, *, or_id: bool = False) -> Prompt | None:
    """Return the prompt of that name (with `or_id`: or else of that id) with its labels."""
    named = prompts.c.name == name
    query = select(prompts).where(_mine(scope), or_(named, prompts.c.id == name) if or_id else named)
    rows = list(conn.execute(query.order_by(named.desc())))
    return _prompts(conn, rows)[0] if rows else None


def _containing(text: str) -> str:
    return "%" + text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"


def _quoted(text: str) -> str:
    """Return `text` as it stands inside JSON."""
    return msgspec.json.encode(text).decode()


def list_prompts(
    conn: Connection, scope: Scope, *, search: str, tags: tuple[str, ...] = (), after: str, limit: int
) -> list[Prompt]:
    """Return prompts by name, those after the name `after`, with all of `tags`.

    `search` is found in names, descriptions, tags and in what the newest version says.
    """
    query = select(prompts).where(_mine(scope), prompts.c.name > after)
    tagged = cast(prompts.c.tags, Text)
    for tag in tags:
        query = query.where(tagged.like(_containing(_quoted(tag)), escape="\\"))
    if search:
        newest = select(func.max(versions.c.number)).where(versions.c.prompt_id == prompts.c.id)
        inside = _containing(_quoted(search)[1:-1])
        says = exists().where(
            versions.c.prompt_id == prompts.c.id,
            versions.c.number == newest.correlate(prompts).scalar_subquery(),
            cast(versions.c.body, Text).ilike(inside, escape="\\"),
        )
        said = (
            column.ilike(_containing(search), escape="\\")
            for column in (prompts.c.name, prompts.c.description)
        )
        query = query.where(or_(*said, tagged.ilike(inside, escape="\\"), says))
    return _prompts(conn, list(conn.execute(query.order_by(prompts.c.name).limit(limit))))


def update_prompt(conn: Connection, prompt: Prompt, *, description: str, tags: tuple[str, ...]) -> None:
    """Change what is said about the prompt."""
    conn.execute(
        prompts.update().where(prompts.c.id == prompt.id).values(description=description, tags=list(tags))
    )


def insert_version(conn: Connection, scope: Scope, prompt: Prompt, version: PromptVersion) -> bool:
    """Store a version; returns False when another writer took its number."""
    row = {
        "id": version.id,
        "prompt_id": prompt.id,
        "number": version.number,
        "body": msgspec.to_builtins(version.body),
        "hash": version.hash,
        "note": version.note,
        "author": version.author,
        "created_at": version.created_at,
    }
    if upsert(conn, versions, [row], keys=["prompt_id", "number"]) == 0:
        return False
    lines = [
        {
            "version_id": version.id,
            "reference": reference,
            "place": place,
            "prompt_id": prompt.id,
            "number": version.number,
            "tenant": scope.tenant,
            "project": scope.project,
            "included": Reference.read(reference).name,
        }
        for place, reference in enumerate(version.includes)
    ]
    if lines:
        conn.execute(includes.insert(), lines)
    return True


def _versions(conn: Connection, name: str, rows: list[Any]) -> list[PromptVersion]:
    found: dict[str, list[str]] = {row.id: [] for row in rows}
    query = select(includes).where(includes.c.version_id.in_(found)).order_by(includes.c.place)
    for row in conn.execute(query) if rows else ():
        found[row.version_id].append(row.reference)
    return [
        PromptVersion(
            id=row.id,
            prompt=name,
            number=row.number,
            body=msgspec.convert(row.body, Body),
            hash=row.hash,
            note=row.note,
            author=row.author,
            created_at=row.created_at,
            includes=tuple(found[row.id]),
        )
        for row in rows
    ]


def get_version(conn: Connection, prompt: Prompt, number: int) -> PromptVersion | None:
    """Return that version of the prompt."""
    query = select(versions).where(versions.c.prompt_id == prompt.id, versions.c.number == number)
    found = _versions(conn, prompt.name, list(conn.execute(query)))
    return found[0] if found else None


def list_versions(conn: Connection, prompt: Prompt, *, before: int | None, limit: int) -> list[PromptVersion]:
    """Return versions, newest first, with numbers below `before`."""
    query = select(versions).where(versions.c.prompt_id == prompt.id)
    if before is not None:
        query = query.where(versions.c.number < before)
    found = list(conn.execute(query.order_by(versions.c.number.desc()).limit(limit)))
    return _versions(conn, prompt.name, found)


def including(
    conn: Connection, scope: Scope, name: str, *, after: tuple[str, int, str], limit: int
) -> list[tuple[str, int, str]]:
    """Return (prompt, version, reference) of versions that include the prompt, newest first within each prompt."""
    beyond = or_(
        prompts.c.name > after[0],
        (prompts.c.name == after[0]) & (includes.c.number < after[1]),
        (prompts.c.name == after[0]) & (includes.c.number == after[1]) & (includes.c.reference > after[2]),
    )
    query = (
        select(prompts.c.name, includes.c.number, includes.c.reference)
        .join(prompts, prompts.c.id == includes.c.prompt_id)
        .where(
            includes.c.tenant == scope.tenant,
            includes.c.project == scope.project,
            includes.c.included == name,
        )
        .where(beyond)
        .order_by(prompts.c.name, includes.c.number.desc(), includes.c.reference)
        .limit(limit)
    )
    return [(row.name, row.number, row.reference) for row in conn.execute(query)]
