"""SQL of prompts, their versions and labels."""

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
    delete,
    func,
    or_,
    select,
)

from penstock.core.db import Json, UtcTime, metadata, upsert
from penstock.core.scope import Scope
from penstock.prompts.model import LATEST, Body, LabelMove, Prompt, PromptVersion

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
labels = Table(
    "prompts_labels",
    metadata,
    Column("prompt_id", String(40), primary_key=True),
    Column("label", String(50), primary_key=True),
    Column("number", Integer, nullable=False),
)
label_moves = Table(
    "prompts_label_moves",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("prompt_id", String(40), nullable=False),
    Column("label", String(50), nullable=False),
    Column("number", Integer, nullable=False),
    Column("previous", Integer),
    Column("actor", String(200), nullable=False),
    Column("at", UtcTime, nullable=False),
    Index("ix_prompts_label_moves_prompt", "prompt_id", "id"),
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
    return [
        Prompt(
            id=row.id,
            name=row.name,
            description=row.description,
            tags=tuple(row.tags),
            created_at=row.created_at,
            versions=counts.get(row.id, 0),
            labels=pointers[row.id],
        )
        for row in rows
    ]


def get_prompt(conn: Connection, scope: Scope, name: str) -> Prompt | None:
    """Return the prompt of that name with its labels."""
    rows = list(conn.execute(select(prompts).where(_mine(scope), prompts.c.name == name)))
    return _prompts(conn, rows)[0] if rows else None


def list_prompts(conn: Connection, scope: Scope, *, search: str, after: str, limit: int) -> list[Prompt]:
    """Return prompts by name, those after the name `after`, whose name or description holds `search`."""
    query = select(prompts).where(_mine(scope), prompts.c.name > after)
    if search:
        pattern = "%" + search.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
        query = query.where(
            or_(prompts.c.name.ilike(pattern, escape="\\"), prompts.c.description.ilike(pattern, escape="\\"))
        )
    return _prompts(conn, list(conn.execute(query.order_by(prompts.c.name).limit(limit))))


def insert_version(conn: Connection, prompt: Prompt, version: PromptVersion) -> bool:
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
    return upsert(conn, versions, [row], keys=["prompt_id", "number"]) > 0


def _version(name: str, row: Any) -> PromptVersion:
    return PromptVersion(
        id=row.id,
        prompt=name,
        number=row.number,
        body=msgspec.convert(row.body, Body),
        hash=row.hash,
        note=row.note,
        author=row.author,
        created_at=row.created_at,
    )


def get_version(conn: Connection, prompt: Prompt, number: int) -> PromptVersion | None:
    """Return that version of the prompt."""
    query = select(versions).where(versions.c.prompt_id == prompt.id, versions.c.number == number)
    row = conn.execute(query).first()
    return None if row is None else _version(prompt.name, row)


def list_versions(conn: Connection, prompt: Prompt, *, before: int | None, limit: int) -> list[PromptVersion]:
    """Return versions, newest first, with numbers below `before`."""
    query = select(versions).where(versions.c.prompt_id == prompt.id)
    if before is not None:
        query = query.where(versions.c.number < before)
    return [
        _version(prompt.name, row)
        for row in conn.execute(query.order_by(versions.c.number.desc()).limit(limit))
    ]


def move_label(conn: Connection, prompt: Prompt, move: LabelMove, move_id: str) -> None:
    """Point the label at the version and remember the move."""
    row = {"prompt_id": prompt.id, "label": move.label, "number": move.version}
    upsert(conn, labels, [row], keys=["prompt_id", "label"], update=["number"])
    conn.execute(
        label_moves.insert().values(
            id=move_id,
            prompt_id=prompt.id,
            label=move.label,
            number=move.version,
            previous=move.previous,
            actor=move.actor,
            at=move.at,
        )
    )


def remove_label(conn: Connection, prompt: Prompt, label: str) -> bool:
    """Take a label away; returns whether there was one."""
    where = (labels.c.prompt_id == prompt.id, labels.c.label == label)
    return conn.execute(delete(labels).where(*where)).rowcount > 0


def label_history(conn: Connection, prompt: Prompt, limit: int) -> list[LabelMove]:
    """Return the moves of all labels, newest first."""
    query = (
        select(label_moves)
        .where(label_moves.c.prompt_id == prompt.id)
        .order_by(label_moves.c.id.desc())
        .limit(limit)
    )
    return [
        LabelMove(label=row.label, version=row.number, previous=row.previous, actor=row.actor, at=row.at)
        for row in conn.execute(query)
    ]
