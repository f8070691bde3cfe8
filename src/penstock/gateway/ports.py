"""What a provider plug-in is (entry-point group `penstock.providers`)."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

from penstock.core.errors import Unavailable
from penstock.gateway.dialects.base import Dialect
from penstock.gateway.model import Operation
from penstock.gateway.upstream.client import Transport
from penstock.gateway.upstream.request import Request


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderConfig:
    """What a provider is made from: its row with the key opened."""

    name: str
    base_url: str = ""
    api_key: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    allow_private: bool = True
    """Whether it may connect to private and loopback addresses."""
    endpoints: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Deployment name → live addresses; only for the kind `local`."""
    patience: Mapping[str, float] = field(default_factory=dict)
    """Deployment name → seconds that callers wait when it has no address; only for the kind `local`."""


class Asleep(Unavailable):
    """The deployment has no replica now, and starts one when somebody waits for it."""

    def __init__(self, model: str, patience: float) -> None:
        super().__init__(f"The deployment {model!r} is asleep.", retry_after=2)
        self.model = model
        self.patience = patience
        """Seconds to wait at most."""


class Provider(Protocol):
    """A way to reach models. Built once per configuration and used by every call: cheap and without I/O.

    The class takes a `ProviderConfig`; it raises Invalid for a bad URL or option, saying what would be right.
    """

    OPTIONS: ClassVar[Mapping[str, type]]
    """Names and types of the options it knows."""

    def __init__(self, config: ProviderConfig) -> None:
        """Build from `config`."""
        ...

    def dialect(self, operation: Operation) -> Dialect | None:
        """Return how `operation` is carried there, or None when it cannot be."""
        ...

    def request(self, operation: Operation, model: str, body: bytes, *, stream: bool = False) -> Request:
        """Return the HTTP request for a body made by the dialect; raises Unavailable when nothing is there to ask.

        `stream` says that the caller wants a stream: some APIs have another path for it.
        """
        ...

    def probe(self) -> Request | None:
        """Return a cheap request that shows whether address and key are right, or None when there is none."""
        ...


class Preparing(Protocol):
    """A provider that needs I/O before `request` and `probe`: to fetch an access token, say."""

    async def prepare(self, client: Transport) -> None:
        """Get ready; called before every request, so it must cost nothing when there is nothing to do."""
        ...


def prepare_of(plugin: Any) -> Callable[[Transport], Awaitable[None]] | None:
    """Return the `prepare` of a plug-in that is `Preparing`, None for any other."""
    found: Callable[[Transport], Awaitable[None]] | None = getattr(plugin, "prepare", None)
    return found
