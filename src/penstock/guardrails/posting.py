"""A plain carrier of remote guards' calls, for where no gateway runs: a connection per call, to a checked address."""

import asyncio
import http.client
import socket
import ssl
from collections.abc import Mapping
from urllib.parse import urlsplit

from penstock.core import clock, net
from penstock.core.errors import Unavailable, UpstreamTimeout

MAX_REPLY = 4 * 1024 * 1024
_STEP = 65_536


class Posting:
    """`ports.Transport` by the standard library."""

    async def post(
        self, url: str, body: bytes, headers: Mapping[str, str], *, timeout: float, allow_private: bool
    ) -> tuple[int, bytes]:
        """Return status and body; follows no redirect. Raises Denied for addresses that may not be called."""
        return await asyncio.to_thread(_post, url, body, headers, timeout, allow_private)


def _post(
    url: str, body: bytes, headers: Mapping[str, str], timeout: float, allow_private: bool
) -> tuple[int, bytes]:
    net.check_url(url, allow_private=allow_private, resolve_host=False)
    parts = urlsplit(url)
    secure, host = parts.scheme == "https", parts.hostname or ""
    port = parts.port or (443 if secure else 80)
    until = clock.monotonic() + timeout
    addresses = net.resolve(host, port)
    for address in addresses:
        net.check_address(address, allow_private=allow_private)
    try:
        # The address that was checked is the one that is connected to, whatever the name says by then.
        sock = socket.create_connection((addresses[0], port), timeout=timeout)
        connection = http.client.HTTPConnection(host, port, timeout=timeout)
        connection.sock = (
            ssl.create_default_context().wrap_socket(sock, server_hostname=host) if secure else sock
        )
        try:
            target = parts.path or "/"
            connection.request(
                "POST", f"{target}?{parts.query}" if parts.query else target, body, dict(headers)
            )
            with connection.getresponse() as response:  # one that says "close" would outlive its connection
                return response.status, _read(response, until)
        finally:
            connection.close()
    except TimeoutError as error:
        raise UpstreamTimeout(f"The guard did not answer within {timeout:g} seconds.") from error
    except (OSError, http.client.HTTPException) as error:
        raise Unavailable(f"The guard could not be called: {type(error).__name__}.") from error


def _read(response: http.client.HTTPResponse, until: float) -> bytes:
    found = b""
    while part := response.read1(_STEP):
        found += part
        if len(found) > MAX_REPLY:
            raise Unavailable("The guard's answer is too large.")
        if clock.monotonic() > until:
            raise TimeoutError
    return found
