"""Where the server is and who is calling: arguments first, then the environment, then the default address."""

import os
from dataclasses import dataclass
from urllib.parse import urlsplit

from penstock.sdk.errors import ConfigError

DEFAULT_URL = "http://127.0.0.1:8600"


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """A server's address and the caller's key."""

    url: str = DEFAULT_URL
    """Base address, without a path at the end."""
    api_key: str = ""
    """A `psk_…` key, or empty (the server refuses most calls then)."""
    project: str = ""
    """Project of every call; empty means the key's own or `default`."""
    timeout: float = 30.0
    """Seconds for connecting and for each read."""
    max_retries: int = 4
    """How often 429, 503 and broken connections are tried again."""

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigError(f"{self.url!r} is not an address; it should look like {DEFAULT_URL}.")
        object.__setattr__(self, "url", self.url.rstrip("/"))

    def __repr__(self) -> str:
        key = f"{self.api_key[:4]}…" if self.api_key else ""
        return f"Config(url={self.url!r}, api_key={key!r}, project={self.project!r})"


def from_environment(
    url: str | None = None, api_key: str | None = None, project: str | None = None
) -> Config:
    """Return the configuration: each argument, or else PENSTOCK_URL, PENSTOCK_API_KEY, PENSTOCK_PROJECT."""
    return Config(
        url=url or os.environ.get("PENSTOCK_URL") or DEFAULT_URL,
        api_key=os.environ.get("PENSTOCK_API_KEY", "") if api_key is None else api_key,
        project=os.environ.get("PENSTOCK_PROJECT", "") if project is None else project,
    )
