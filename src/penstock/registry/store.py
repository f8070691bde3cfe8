"""SQL of models, their versions and aliases."""

from collections.abc import Iterator
from dataclasses import dataclass
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
    exists,
    func,
    or_,
    select,
    update,
)

from penstock.core.db import Json, UtcTime, metadata, upsert
from penstock.core.lineage import Link
from penstock.core.scope import Scope
from penstock.registry.model import LATEST, AliasMove, FileEntry, Kind, Model, ModelVersion, Stage

models = Table(
    "registry_models",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("tenant", String(64), nullable=False),
    Column("project", String(64), nullable=False),
    Column("name", String(100), nullable=False),
    Column("description", Text, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    UniqueConstraint("tenant", "project", "name"),
)
versions = Table(
    "registry_versions",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("model_id", String(40), nullable=False),
    Column("number", Integer, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("base", String(120)),
    Column("files", Json, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("fingerprint", String(64), nullable=False),
    Column("stage", String(16), nullable=False),
    Column("metrics", Json, nullable=False),
    Column("card_extra", Json, nullable=False),
    Column("lineage", Json, nullable=False),
    Column("author", String(200), nullable=False),
    Column("created_at", UtcTime, nullable=False),
    UniqueConstraint("model_id", "number"),
    UniqueConstraint("model_id", "fingerprint"),
    Index("ix_registry_versions_stage", "model_id", "stage"),
)
tags = Table(
    "registry_tags",
    metadata,
    Column("model_id", String(40), primary_key=True),
    Column("tag", String(50), primary_key=True),
    Index("ix_registry_tags_tag", "tag"),
)
aliases = Table(
    "registry_aliases",
    metadata,
    Column("model_id", String(40), primary_key=True),
    Column("alias", String(50), primary_key=True),
    Column("number", Integer, nullable=False),
)
alias_moves = Table(
    "registry_alias_moves",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("model_id", String(40), nullable=False),
    Column("alias", String(50), nullable=False),
    Column("number", Integer, nullable=False),
    Column("previous", Integer),
    Column("actor", String(200), nullable=False),
    Column("at", UtcTime, nullable=False),
    Index("ix_registry_alias_moves_model", "model_id", "id"),
)


def _mine(scope: Scope) -> Any:
    return (models.c.tenant == scope.tenant) & (models.c.project == scope.project)


def insert_model(conn: Connection, scope: Scope, model: Model) -> bool:
    """Store a model; returns False when the project has one of that name."""
    row = {
        "id": model.id,
        "tenant": scope.tenant,
        "project": scope.project,
        "name": model.name,
        "description": model.description,
        "created_at": model.created_at,
    }
    return upsert(conn, models, [row], keys=["tenant", "project", "name"]) > 0


def _models(conn: Connection, rows: list[Any]) -> list[Model]:
    ids = [row.id for row in rows]
    pointers: dict[str, dict[str, int]] = {model_id: {} for model_id in ids}
    counting = select(versions.c.model_id, func.max(versions.c.number).label("last")).group_by(
        versions.c.model_id
    )
    for row in conn.execute(counting.where(versions.c.model_id.in_(ids))):
        pointers[row.model_id][LATEST] = row.last
    for row in conn.execute(select(aliases).where(aliases.c.model_id.in_(ids)).order_by(aliases.c.alias)):
        pointers[row.model_id][row.alias] = row.number
    carried: dict[str, list[str]] = {model_id: [] for model_id in ids}
    for row in conn.execute(select(tags).where(tags.c.model_id.in_(ids)).order_by(tags.c.tag)):
        carried[row.model_id].append(row.tag)
    return [
        Model(
            id=row.id,
            name=row.name,
            description=row.description,
            created_at=row.created_at,
            versions=pointers[row.id].get(LATEST, 0),
            aliases=pointers[row.id],
            tags=tuple(carried[row.id]),
        )
        for row in rows
    ]


def get_model(conn: Connection, scope: Scope, name: str) -> Model | None:
    """Return the model of that name with its aliases."""
    rows = list(conn.execute(select(models).where(_mine(scope), models.c.name == name)))
    return _models(conn, rows)[0] if rows else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which models a list shall show."""

    text: str = ""
    kind: Kind | None = None
    stage: Stage | None = None
    tags: tuple[str, ...] = ()


def list_models(conn: Connection, scope: Scope, wanted: Wanted, *, after: str, limit: int) -> list[Model]:
    """Return the models that are wanted by name, those after the name `after`."""
    query = select(models).where(_mine(scope), models.c.name > after)
    if wanted.text:
        pattern = "%" + wanted.text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
        tagged = exists().where(tags.c.model_id == models.c.id, tags.c.tag.ilike(pattern, escape="\\"))
        query = query.where(
            or_(
                models.c.name.ilike(pattern, escape="\\"),
                models.c.description.ilike(pattern, escape="\\"),
                tagged,
            )
        )
    for column, value in ((versions.c.kind, wanted.kind), (versions.c.stage, wanted.stage)):
        if value is not None:
            query = query.where(exists().where(versions.c.model_id == models.c.id, column == str(value)))
    for tag in wanted.tags:
        query = query.where(exists().where(tags.c.model_id == models.c.id, tags.c.tag == tag))
    return _models(conn, list(conn.execute(query.order_by(models.c.name).limit(limit))))


def add_tag(conn: Connection, model: Model, tag: str) -> bool:
    """Put a tag on the model; returns False when it was there."""
    return upsert(conn, tags, [{"model_id": model.id, "tag": tag}], keys=["model_id", "tag"]) > 0


def remove_tag(conn: Connection, model: Model, tag: str) -> bool:
    """Take a tag away; returns whether it was there."""
    return conn.execute(delete(tags).where(tags.c.model_id == model.id, tags.c.tag == tag)).rowcount > 0


def insert_version(conn: Connection, model: Model, version: ModelVersion, fingerprint: str) -> bool:
    """Store a version; returns False when another writer took its number."""
    row = {
        "id": version.id,
        "model_id": model.id,
        "number": version.number,
        "kind": str(version.kind),
        "base": version.base,
        "files": msgspec.to_builtins(version.files),
        "digest": version.digest,
        "fingerprint": fingerprint,
        "stage": str(version.stage),
        "metrics": version.metrics,
        "card_extra": version.card_extra,
        "lineage": msgspec.to_builtins(version.lineage),
        "author": version.author,
        "created_at": version.created_at,
    }
    return upsert(conn, versions, [row], keys=["model_id", "number"]) > 0


def _version(name: str, row: Any) -> ModelVersion:
    return ModelVersion(
        id=row.id,
        model=name,
        number=row.number,
        kind=Kind(row.kind),
        base=row.base,
        files=msgspec.convert(row.files, tuple[FileEntry, ...]),
        digest=row.digest,
        stage=Stage(row.stage),
        metrics=row.metrics,
        card_extra=row.card_extra,
        lineage=msgspec.convert(row.lineage, tuple[Link, ...]),
        author=row.author,
        created_at=row.created_at,
    )


def get_version(conn: Connection, model: Model, number: int) -> ModelVersion | None:
    """Return that version of the model."""
    query = select(versions).where(versions.c.model_id == model.id, versions.c.number == number)
    row = conn.execute(query).first()
    return None if row is None else _version(model.name, row)


def find_fingerprint(conn: Connection, model: Model, fingerprint: str) -> ModelVersion | None:
    """Return the version that was made of exactly this."""
    query = select(versions).where(versions.c.model_id == model.id, versions.c.fingerprint == fingerprint)
    row = conn.execute(query).first()
    return None if row is None else _version(model.name, row)


def find_digest(conn: Connection, scope: Scope, digest: str, kinds: tuple[Kind, ...]) -> ModelVersion | None:
    """Return the project's first version of exactly these files that is of one of the kinds."""
    query = select(versions, models.c.name.label("model_name"))
    query = query.join(models, models.c.id == versions.c.model_id)
    query = query.where(_mine(scope), versions.c.digest == digest, versions.c.kind.in_(map(str, kinds)))
    row = conn.execute(query.order_by(versions.c.id).limit(1)).first()
    return None if row is None else _version(row.model_name, row)


def list_versions(conn: Connection, model: Model, *, before: int | None, limit: int) -> list[ModelVersion]:
    """Return versions, newest first, with numbers below `before`."""
    query = select(versions).where(versions.c.model_id == model.id)
    if before is not None:
        query = query.where(versions.c.number < before)
    rows = conn.execute(query.order_by(versions.c.number.desc()).limit(limit))
    return [_version(model.name, row) for row in rows]


def count_versions(conn: Connection, scope: Scope) -> int:
    """Return how many versions the project's models have."""
    query = select(func.count()).select_from(versions).join(models, models.c.id == versions.c.model_id)
    return int(conn.execute(query.where(_mine(scope))).scalar_one())


def newest_version(conn: Connection, scope: Scope) -> ModelVersion | None:
    """Return the project's version that was registered last; ids grow with time."""
    query = select(versions, models.c.name.label("model_name"))
    query = query.join(models, models.c.id == versions.c.model_id).where(_mine(scope))
    row = conn.execute(query.order_by(versions.c.id.desc()).limit(1)).first()
    return None if row is None else _version(row.model_name, row)


def set_stage(conn: Connection, version: ModelVersion, stage: Stage) -> None:
    """Change the stage of a version."""
    conn.execute(update(versions).where(versions.c.id == version.id).values(stage=str(stage)))


def numbers_in(conn: Connection, model: Model, stage: Stage) -> list[int]:
    """Return the numbers of the model's versions that stand in the stage."""
    query = select(versions.c.number).where(versions.c.model_id == model.id, versions.c.stage == str(stage))
    return list(conn.execute(query.order_by(versions.c.number)).scalars())


def set_metrics(conn: Connection, version: ModelVersion, metrics: dict[str, Any]) -> None:
    """Replace the recorded metrics of a version."""
    conn.execute(update(versions).where(versions.c.id == version.id).values(metrics=metrics))


def move_alias(conn: Connection, model: Model, move: AliasMove, move_id: str) -> None:
    """Point the alias at the version and remember the move."""
    row = {"model_id": model.id, "alias": move.alias, "number": move.version}
    upsert(conn, aliases, [row], keys=["model_id", "alias"], update=["number"])
    conn.execute(
        alias_moves.insert().values(
            id=move_id,
            model_id=model.id,
            alias=move.alias,
            number=move.version,
            previous=move.previous,
            actor=move.actor,
            at=move.at,
        )
    )


def remove_alias(conn: Connection, model: Model, alias: str) -> bool:
    """Take an alias away; returns whether there was one."""
    where = (aliases.c.model_id == model.id, aliases.c.alias == alias)
    return conn.execute(delete(aliases).where(*where)).rowcount > 0


def alias_history(conn: Connection, model: Model, limit: int) -> list[AliasMove]:
    """Return the moves of all aliases, newest first."""
    query = select(alias_moves).where(alias_moves.c.model_id == model.id)
    return [
        AliasMove(alias=row.alias, version=row.number, previous=row.previous, actor=row.actor, at=row.at)
        for row in conn.execute(query.order_by(alias_moves.c.id.desc()).limit(limit))
    ]


def blobs_named(conn: Connection) -> Iterator[str]:
    """Yield the blobs of the files of every scope's versions."""
    for row in conn.execute(select(versions.c.files), execution_options={"yield_per": 200}):
        yield from (str(file["sha256"]) for file in row.files)
