"""Remote guards' way out: the gateway's own client, with its check of connected addresses."""

import asyncio
from collections.abc import Mapping
from typing import Protocol
from urllib.parse import urlsplit

from penstock.core import net
from penstock.core.errors import Unavailable
from penstock.gateway.upstream.request import DEFAULT_TIMEOUTS, Request, Timeouts, split_base_url
from penstock.gateway.upstream.response import Response

MAX_REPLY = 4 * 1024 * 1024
"""Bytes of a guard's answer."""


class Client(Protocol):
    """What carries requests: `upstream.client.UpstreamClient`."""

    async def send(self, request: Request, timeouts: Timeouts = DEFAULT_TIMEOUTS) -> Response:
        """Send `request` and return as soon as the answer's headers are there."""
        ...


class GuardTransport:
    """Implements `guardrails.ports.Transport`."""

    def __init__(self, client: Client | None = None) -> None:
        self.client = client
        """None while the gateway is not started."""

    async def post(
        self, url: str, body: bytes, headers: Mapping[str, str], *, timeout: float, allow_private: bool
    ) -> tuple[int, bytes]:
        """Return status and body; raises a PenstockError when there is no answer in `timeout` seconds."""
        net.check_url(url, allow_private=allow_private, resolve_host=False)
        parts = urlsplit(url)
        base = f"{parts.scheme}://{parts.netloc}{parts.path}"
        origin, path = split_base_url(base, allow_private=allow_private)
        path = path if not parts.path.endswith("/") else f"{path}/"
        target = f"{path or '/'}?{parts.query}" if parts.query else path or "/"
        lines = {"accept": "application/json", "accept-encoding": "identity", **headers}
        block = b"Host: " + origin.host_header + b"\r\n"
        block += b"".join(f"{name}: {_clean(value)}\r\n".encode() for name, value in lines.items())
        try:
            async with asyncio.timeout(timeout):
                return await self._post(Request(origin, _clean(target).encode(), block, body))
        except TimeoutError as error:
            raise Unavailable(f"{origin} did not answer in {timeout:g} seconds.", retry_after=1) from error

    async def _post(self, request: Request) -> tuple[int, bytes]:
        if self.client is None:
            raise Unavailable("The gateway is not started.", retry_after=1)
        response = await self.client.send(request)
        try:
            return response.status, await response.read(MAX_REPLY)
        finally:
            response.close()


def _clean(value: str) -> str:
    return "".join(character for character in value if character >= " " and character != "\x7f")
