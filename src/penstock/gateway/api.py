"""HTTP of the gateway's configuration, under /api/v1/providers and /api/v1/routes."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict, Field

from penstock.core.http import CurrentActor, HomeDep, Page, ReadUow, WriteUow
from penstock.gateway import probe, service
from penstock.gateway.alerting import api as alerting_api
from penstock.gateway.cache import api as cache_api
from penstock.gateway.limits import api as limits_api
from penstock.gateway.model import NamedRoute, Provider, Route
from penstock.gateway.routing import api as routing_api

router = APIRouter(tags=["gateway"])
router.include_router(routing_api.router)
router.include_router(limits_api.router)
router.include_router(alerting_api.router)
router.include_router(cache_api.router)


class KeyReference(BaseModel):
    """Where a provider's key is read from."""

    model_config = ConfigDict(extra="forbid")

    env: str = Field(min_length=1, description="Environment variable of the server")


class NewProvider(BaseModel):
    """A provider to make or change."""

    model_config = ConfigDict(extra="forbid")

    kind: str = Field(description="Plug-in: openai, anthropic, local, …")
    base_url: str = ""
    api_key: str | KeyReference | None = Field(
        default=None, description="Secret (stored encrypted, never returned); null keeps the stored one"
    )
    options: dict[str, Any] = Field(default_factory=dict)


class ProviderModel(BaseModel):
    """A provider without its key."""

    name: str
    kind: str
    base_url: str
    has_key: bool
    key_env: str
    options: dict[str, Any]
    updated_at: datetime | None


class TargetModel(BaseModel):
    """A model at a provider, or another route."""

    model_config = ConfigDict(extra="forbid")

    provider: str = ""
    model: str = ""
    weight: float = Field(default=1.0, ge=0)
    route: str = Field(default="", description="Go on with this route, instead of provider and model")


class BreakerModel(BaseModel):
    """When a target counts as broken."""

    model_config = ConfigDict(extra="forbid")

    failures: int = Field(default=10, ge=0, description="Failures in a row; 0 never opens it")
    error_rate: float = Field(default=0.5, ge=0, le=1, description="Share of failures; 0 never opens it")
    min_calls: int = Field(default=20, ge=1)
    window: float = Field(default=30.0, ge=1, description="Seconds")
    seconds: float = Field(default=10.0, gt=0, description="Rest before the first probe")
    probes: int = Field(default=1, ge=1)


class ShadowModel(BaseModel):
    """Where copies of calls go."""

    model_config = ConfigDict(extra="forbid")

    provider: str
    model: str
    share: float = Field(default=1.0, ge=0, le=1)
    max_in_flight: int = Field(default=10, ge=1)
    usd_per_day: float | None = Field(default=None, ge=0)
    bill_key: bool = Field(default=False, description="Count copies on the budgets of the caller's key, too")


class ArmModel(BaseModel):
    """One side of an A/B test."""

    model_config = ConfigDict(extra="forbid")

    name: str
    targets: list[TargetModel]
    weight: float = Field(default=1.0, ge=0)


class NewRoute(BaseModel):
    """A route to make or change."""

    model_config = ConfigDict(extra="forbid")

    strategy: str = "weighted"
    targets: list[TargetModel] = Field(default_factory=list)
    retries: int = Field(default=1, ge=0, le=10)
    timeout: float | None = Field(default=None, gt=0, description="Seconds to the first byte")
    first_token_timeout: float | None = Field(default=None, gt=0)
    connect_timeout: float | None = Field(default=None, gt=0)
    idle_timeout: float | None = Field(default=None, gt=0)
    sticky_by: str = Field(default="user", description="user, session or key")
    hedge_after_ms: float | None = Field(default=None, gt=0)
    max_concurrent: int | None = Field(default=None, ge=1)
    queue: int = Field(default=0, ge=0)
    queue_seconds: float = Field(default=10.0, ge=0)
    breaker: BreakerModel = Field(default_factory=BreakerModel)
    shadow: ShadowModel | None = None
    arms: list[ArmModel] = Field(default_factory=list)
    params: dict[str, Any] = Field(
        default_factory=dict, description="Members that every request is given, whatever the caller says"
    )


class RouteModel(NewRoute):
    """A route under its name."""

    name: str
    updated_at: datetime


class ProbeModel(BaseModel):
    """What came of asking a provider."""

    ok: bool
    status: int | None
    latency_ms: float
    message: str


ProviderName = Annotated[str, Path(description="The provider's name")]
RouteName = Annotated[str, Path(description="The route's public model name; may hold slashes")]


def _provider(provider: Provider) -> ProviderModel:
    return ProviderModel.model_validate(msgspec.to_builtins(provider))


def _route(named: NamedRoute) -> RouteModel:
    return RouteModel(name=named.name, updated_at=named.updated_at, **msgspec.to_builtins(named.route))


@router.get("/providers")
def list_providers(uow: ReadUow, actor: CurrentActor) -> Page[ProviderModel]:
    """List providers by name, without their keys."""
    return Page(items=[_provider(provider) for provider in service.list_providers(uow, actor)])


@router.put("/providers/{name}")
def put_provider(uow: WriteUow, actor: CurrentActor, name: ProviderName, new: NewProvider) -> ProviderModel:
    """Make or change a provider."""
    key = new.api_key.model_dump() if isinstance(new.api_key, KeyReference) else new.api_key
    return _provider(service.put_provider(uow, actor, name, new.kind, new.base_url, key, new.options))


@router.delete("/providers/{name}", status_code=204)
def delete_provider(uow: WriteUow, actor: CurrentActor, name: ProviderName) -> None:
    """Delete a provider that no route uses."""
    service.delete_provider(uow, actor, name)


@router.post("/providers/{name}/test")
def test_provider(home: HomeDep, actor: CurrentActor, name: ProviderName) -> ProbeModel:
    """Ask the provider for its models, to see whether address and key are right."""
    found = probe.probe(home, actor, name)
    return ProbeModel(ok=found.ok, status=found.status, latency_ms=found.latency_ms, message=found.message)


@router.get("/routes")
def list_routes(uow: ReadUow, actor: CurrentActor) -> Page[RouteModel]:
    """List routes by name."""
    return Page(items=[_route(named) for named in service.list_routes(uow, actor)])


@router.get("/routes/{name:path}")
def get_route(uow: ReadUow, actor: CurrentActor, name: RouteName) -> RouteModel:
    """Return one route."""
    return _route(service.get_route(uow, actor, name))


@router.put("/routes/{name:path}")
def put_route(uow: WriteUow, actor: CurrentActor, name: RouteName, new: NewRoute) -> RouteModel:
    """Make or change a route; every web process follows within a second."""
    route = msgspec.convert(new.model_dump(), Route)
    return _route(service.put_route(uow, actor, name, route))


@router.delete("/routes/{name:path}", status_code=204)
def delete_route(uow: WriteUow, actor: CurrentActor, name: RouteName) -> None:
    """Delete a route."""
    service.delete_route(uow, actor, name)
