"""Sending: one pooled client, patience with overload, and no address that the guard forbids."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from penstock.core import clock
from penstock.core.errors import Cancelled, Invalid, Unavailable, Upstream, UpstreamTimeout
from penstock.core.net import check_address, check_url
from penstock.evals.calls.pacing import Pace
from penstock.gateway.upstream.client import UpstreamClient
from penstock.gateway.upstream.request import Request, Timeouts, split_base_url
from penstock.gateway.upstream.response import Response

OVERLOADED = frozenset({429, 503, 529})
RETRYABLE = frozenset({408, 429, 500, 502, 503, 504, 529})
MAX_WAIT_S = 20.0
MAX_ANSWER_BYTES = 64 * 2**20
Hearing = Callable[[], Callable[[bytes], bool]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer, or why there is none."""

    status: int = 0
    body: bytes = b""
    headers: Mapping[bytes, bytes]
    error: str | None = None
    seconds: float = 0.0
    """From the last request to the end of its answer."""
    first_s: float | None = None
    """To the first piece that `heard` called the first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long and how often a call is tried."""

    timeout_s: float = 120.0
    retries: int = 2
    """After 408, 5xx and broken connections; 0 tries nothing twice."""
    overload_s: float = 600.0
    """How long, waits added up, an endpoint that says it is overloaded (429, 503, 529) is waited for."""


class Sender:
    """Posts JSON to one base URL. Raises Invalid and Denied for addresses that may not be called."""

    def __init__(
        self,
        base_url: str,
        *,
        allow_private: bool,
        patience: Patience,
        pace: Pace,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        check_url(base_url, allow_private=allow_private)
        parts = urlsplit(base_url)
        # Some servers know an address only with its last slash.
        self._slash = "/" if parts.path.endswith("/") or not parts.path else ""
        query = parts.query
        self._origin, self._path = split_base_url(base_url.partition("?")[0], allow_private=allow_private)
        self._query = f"?{query}" if query else ""
        self._patience, self._pace = patience, pace
        fixed = {"accept-encoding": "identity", "content-type": "application/json", **(headers or {})}
        lines = [f"host: {self._origin.host_header.decode()}", *(f"{k}: {v}" for k, v in fixed.items())]
        if any("\r" in line or "\n" in line for line in lines):
            raise Invalid("A header must not hold a line break.")
        self._head = ("\r\n".join(lines) + "\r\n").encode()
        self._timeouts = Timeouts(
            connect=min(10.0, patience.timeout_s), first_byte=patience.timeout_s, idle=patience.timeout_s
        )
        self._client: UpstreamClient | None = None

    async def post(self, path: str, body: bytes, *, key: str, heard: Hearing | None = None) -> Reply:
        """Send `body` and return the reply, after as many tries as patience allows; nothing is raised.

        `key` goes along as `idempotency-key`: a server that knows it answers a repeated call without a second bill.
        `heard` makes, for each try, a function that is given the pieces of the answer until it says that the first
        token was in one.
        """
        target = (self._path + (path or self._slash) + self._query).encode()
        head = self._head + f"idempotency-key: {key}\r\n".encode()
        request = Request(self._origin, target, head, body)
        failures, refused, waited = 0, 0, 0.0
        while True:
            await self._pace.turn()
            reply, wait = await self._try(request, failures + refused, heard)
            if wait is None or self._patience.retries == 0:
                return reply
            if reply.status in OVERLOADED:
                refused += 1
                waited += wait
                if waited > self._patience.overload_s:
                    return reply
                self._pace.hold(wait)
                continue
            failures += 1
            if failures > self._patience.retries:
                return reply
            await asyncio.sleep(wait)

    async def _try(
        self, request: Request, failures: int, heard: Hearing | None
    ) -> tuple[Reply, float | None]:
        """Return the reply, and seconds to wait before trying again (None: it is final)."""
        if self._client is None:
            self._client = UpstreamClient(
                check_address=lambda ip, private: check_address(ip, allow_private=private)
            )
        wait = min(MAX_WAIT_S, 0.5 * 2 ** min(failures, 8))
        began = clock.monotonic()
        try:
            response = await self._client.send(request, self._timeouts)
            return await self._read(response, began, wait, heard() if heard else None)
        except UpstreamTimeout:
            return Reply(headers={}, error=f"no answer within {self._patience.timeout_s:g} s"), None
        except (Upstream, Unavailable, Cancelled, OSError) as error:
            return Reply(headers={}, error=f"{type(error).__name__}: {error}"), wait

    async def _read(
        self, response: Response, began: float, wait: float, heard: Callable[[bytes], bool] | None
    ) -> tuple[Reply, float | None]:
        try:
            headers = dict(response.headers)
            first, parts, size = None, [], 0
            while (part := await response.next()) is not None:
                if heard is not None and first is None and heard(part):
                    first = clock.monotonic() - began
                parts.append(part)
                size += len(part)
                if size > MAX_ANSWER_BYTES:
                    return Reply(headers=headers, error="the answer is larger than 64 MiB"), None
        finally:
            response.close()
        reply = Reply(
            status=response.status,
            body=b"".join(parts),
            headers=headers,
            seconds=clock.monotonic() - began,
            first_s=first,
        )
        if response.status not in RETRYABLE:
            return reply, None
        return reply, retry_after(headers) or wait

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.close()
            self._client = None


def retry_after(headers: Mapping[bytes, bytes]) -> float:
    """Return the seconds of `retry-after-ms` or `retry-after`; 0 without one, or for a date."""
    for name, scale in ((b"retry-after-ms", 0.001), (b"retry-after", 1.0)):
        try:
            return max(0.0, min(3600.0, float(headers.get(name, b"")) * scale))
        except ValueError:
            continue
    return 0.0


def base_headers(key: str, **more: Any) -> dict[str, str]:
    """Return the headers of a call with a bearer key."""
    return {**({"authorization": f"Bearer {key}"} if key else {}), **{k: str(v) for k, v in more.items()}}
