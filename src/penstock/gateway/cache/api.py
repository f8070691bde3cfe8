"""HTTP of the gateway's cache, under /api/v1/cache."""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from penstock.core.http import CurrentActor, Page, ReadUow, WriteUow
from penstock.gateway.cache import service
from penstock.gateway.cache.model import HASHED, CachePolicy, CacheStats, Embedder, NamedPolicy

router = APIRouter(prefix="/cache", tags=["gateway"])

RouteName = Annotated[
    str, Path(min_length=1, max_length=200, description="Route, or `*` for all without their own")
]


class EmbedderModel(BaseModel):
    """The model that measures texts."""

    model_config = ConfigDict(extra="forbid")

    provider: str = HASHED
    model: str = ""


class PolicyModel(BaseModel):
    """What a route keeps of its answers."""

    model_config = ConfigDict(extra="forbid")

    mode: Literal["exact", "semantic"] = "exact"
    ttl: float = Field(
        default=3600, ge=1, le=366 * 86_400, description="Seconds an answer may be given again"
    )
    scope: Literal["key", "project"] = "key"
    max_entry_kb: int = Field(default=256, ge=1, le=16 * 1024)
    threshold: float = Field(default=0.95, ge=0.5, le=1, description="Least cosine similarity (semantic)")
    embedder: EmbedderModel = EmbedderModel()


class NamedPolicyModel(PolicyModel):
    """A policy and its route."""

    route: str
    updated_at: datetime


class StatsModel(BaseModel):
    """What the project keeps, and what the web process that answers did since it started."""

    entries: int
    bytes: int
    process: dict[str, int] | None = Field(description="Counters of this process; null where no gateway runs")


class PurgedModel(BaseModel):
    """How many answers were thrown away."""

    purged: int


def _named(found: NamedPolicy) -> NamedPolicyModel:
    fields: dict[str, Any] = msgspec.to_builtins(found.policy)
    return NamedPolicyModel(route=found.route, updated_at=found.updated_at, **fields)


@router.get("/stats")
def cache_stats(uow: ReadUow, actor: CurrentActor, request: Request) -> StatsModel:
    """Show what the project keeps, and how often it was of use in this process."""
    entries, size = service.totals(uow, actor)
    read = getattr(request.app.state, "cache_stats", None)
    found: CacheStats | None = None if read is None else read(actor.scope)
    process = None
    if found is not None:
        fields: dict[str, int] = msgspec.to_builtins(found)
        process = {name: value for name, value in fields.items() if name not in ("entries", "bytes")}
    return StatsModel(entries=entries, bytes=size, process=process)


@router.delete("")
def purge_cache(
    uow: WriteUow, actor: CurrentActor, route: Annotated[str | None, Query(max_length=200)] = None
) -> PurgedModel:
    """Throw away what the project keeps, or what one route of it does."""
    return PurgedModel(purged=service.purge(uow, actor, route))


@router.get("/policies")
def list_policies(uow: ReadUow, actor: CurrentActor) -> Page[NamedPolicyModel]:
    """List the routes that keep answers."""
    return Page(items=[_named(each) for each in service.list_policies(uow, actor)])


@router.put("/policies/{route:path}")
def put_policy(uow: WriteUow, actor: CurrentActor, route: RouteName, given: PolicyModel) -> NamedPolicyModel:
    """Let a route keep answers."""
    fields = given.model_dump(exclude={"embedder"})
    policy = CachePolicy(**fields, embedder=Embedder(**given.embedder.model_dump()))
    return _named(service.put_policy(uow, actor, route, policy))


@router.delete("/policies/{route:path}", status_code=204)
def delete_policy(uow: WriteUow, actor: CurrentActor, route: RouteName) -> None:
    """Let a route keep nothing."""
    service.delete_policy(uow, actor, route)
