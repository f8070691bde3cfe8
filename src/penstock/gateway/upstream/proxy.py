"""Forward proxies named by the environment: HTTP_PROXY, HTTPS_PROXY, NO_PROXY (either case)."""

import base64
import ipaddress
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from penstock.core.errors import Invalid
from penstock.gateway.upstream.request import Origin


class Proxy(NamedTuple):
    """Where the proxy listens, and what to tell it."""

    host: str
    port: int
    authorization: bytes = b""
    """A ready `proxy-authorization: …\\r\\n` line, or nothing."""


def parse(url: str) -> Proxy:
    """Return the proxy that `url` names; raises Invalid unless it is a plain http proxy."""
    parts = urlsplit(url if "://" in url else f"http://{url}")
    if parts.scheme != "http" or not parts.hostname:
        raise Invalid(f"The proxy {parts.hostname or url!r} is not supported.", hint="Use http://host:port.")
    authorization = b""
    if parts.username:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
        authorization = b"proxy-authorization: Basic %b\r\n" % base64.b64encode(pair)
    return Proxy(parts.hostname, parts.port or 80, authorization)


def _local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _exempt(origin: Origin, no_proxy: str) -> bool:
    for entry in (part.strip().lower() for part in no_proxy.split(",")):
        name, _, port = entry.partition(":") if entry.count(":") == 1 else (entry, "", "")
        if not name or (port and port != str(origin.port)):
            continue
        suffix = name.removeprefix("*").removeprefix(".")
        if name == "*" or origin.host == suffix or origin.host.endswith(f".{suffix}"):
            return True
    return False


def proxy_for(origin: Origin, environ: Mapping[str, str]) -> Proxy | None:
    """Return the proxy to use for `origin`, or None for a direct connection.

    Loopback addresses are never sent to a proxy (as in Go's net/http): it could not reach them.
    """
    name = f"{origin.scheme}_proxy"
    url = environ.get(name) or environ.get(name.upper())
    if not url or _local(origin.host):
        return None
    if _exempt(origin, environ.get("no_proxy") or environ.get("NO_PROXY") or ""):
        return None
    return parse(url)
