"""What is sent: an origin, a request, and how long each phase may take."""

from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import SplitResult, urlsplit

from penstock.core.errors import Invalid

DEFAULT_PORTS = {"http": 80, "https": 443}


class Origin(NamedTuple):
    """Where connections go: they are pooled per origin."""

    scheme: str
    host: str
    port: int
    verify: bool = True
    """False skips certificate checks; only for `https`."""
    ca_file: str = ""
    """PEM file of the authority to trust instead of the system's."""
    allow_private: bool = True
    """Whether the connected address may be private or loopback, checked again after name resolution."""

    @property
    def host_header(self) -> bytes:
        """The `Host` value: the port is named only when it is not the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return (host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}").encode("ascii")

    def __str__(self) -> str:
        return f"{self.scheme}://{self.host_header.decode()}"


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds allowed to each phase of a call."""

    connect: float = 5.0
    first_byte: float = 300.0
    """From the request being written to the first byte of the answer."""
    idle: float = 300.0
    """Longest silence inside an answer."""
    pool: float = 10.0
    """Longest wait for a free connection when the pool is full."""


DEFAULT_TIMEOUTS = Timeouts()


class Request(NamedTuple):
    """One HTTP request. `headers` is a ready block of `name: value\\r\\n` lines, `Host` included."""

    origin: Origin
    target: bytes
    """Path and query, as sent on the request line."""
    headers: bytes
    body: bytes = b""
    method: bytes = b"POST"


def _parts(url: str) -> SplitResult:
    # Before parsing: urlsplit silently drops line ends.
    if any(character <= " " or character == "\x7f" for character in url):
        raise Invalid(f"{url!r} holds characters that must be percent-encoded.")
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise Invalid(f"{url!r} is not a URL.", hint="Write it like https://api.example.com/v1.") from error
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname:
        raise Invalid(
            f"{url!r} is not an http or https URL.", hint="Write it like https://api.example.com/v1."
        )
    if parts.username or parts.query or parts.fragment:
        raise Invalid(f"{url!r} may not carry a user, a query or a fragment.", hint="Give keys as api_key.")
    return parts


def split_base_url(
    url: str, *, verify: bool = True, ca_file: str = "", allow_private: bool = True
) -> tuple[Origin, str]:
    """Return the origin and the path prefix (no trailing slash) of a provider's base URL.

    Raises Invalid for anything that is not a plain http(s) URL, or whose host or path holds
    characters that cannot be sent (they could smuggle a second request).
    """
    parts = _parts(url)
    host = parts.hostname or ""
    try:
        host = host.encode("idna").decode("ascii") if not host.isascii() else host
    except UnicodeError as error:
        raise Invalid(f"{host!r} is not a host name.") from error
    path = parts.path.rstrip("/")
    if any(character <= " " or character >= "\x7f" for character in host + path):
        raise Invalid(f"{url!r} holds characters that must be percent-encoded.")
    port = parts.port or DEFAULT_PORTS[parts.scheme]
    return Origin(parts.scheme, host, port, verify, ca_file, allow_private), path
