"""What the gateway tells the slices above."""

from dataclasses import dataclass
from typing import ClassVar

from penstock.core.events import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteChanged(Event):
    """A route was made, changed or deleted."""

    name: ClassVar[str] = "gateway.route_changed"

    route: str
    deleted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderChanged(Event):
    """A provider was made, changed or deleted."""

    name: ClassVar[str] = "gateway.provider_changed"

    provider: str
    deleted: bool = False
