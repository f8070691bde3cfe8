"""Sending stored spans to another OpenTelemetry backend: OTLP over HTTP, in batches, to an address that is checked."""

import gzip
import http.client
import socket
import ssl
import threading
from collections.abc import Iterable, Mapping
from typing import NamedTuple
from urllib.parse import SplitResult, urlsplit

from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # protobuf ships no types
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from penstock.core import net
from penstock.core.errors import Invalid, Unavailable, Upstream
from penstock.traces import otlp_out
from penstock.traces.exporter import batches
from penstock.traces.model import SpanRecord

_BATCH, _TRIES, _TIMEOUT, _LONGEST_WAIT = 200, 5, 30.0, 30.0
_MAX_ANSWER = 1 << 20
_AGAIN = frozenset({408, 429, 502, 503, 504})
"""Statuses after which OTLP says to send again."""


class Replayed(NamedTuple):
    """What a replay sent, and how many spans the receiver refused."""

    sent: int
    rejected: int


def replay(
    found: Iterable[SpanRecord], url: str, *, headers: Mapping[str, str] | None = None, allow_private: bool
) -> Replayed:
    """Send `found` to the OTLP/HTTP traces endpoint `url` (protobuf, gzip).

    Waits when the receiver says to come back. Raises Denied or Invalid for addresses that may not be called, Upstream
    when it refuses, Unavailable when it cannot be reached.
    """
    for name, value in (headers or {}).items():
        if not name or any(c in name + value for c in "\r\n\0"):
            raise Invalid(f"{name!r} is not a header.")
    sender = _Sender(url, headers or {}, allow_private)
    sent = rejected = 0
    try:
        for batch in batches(found, _BATCH):
            rejected += sender.send(otlp_out.as_protobuf(batch))
            sent += len(batch)
    finally:
        sender.close()
    return Replayed(sent, rejected)


class _Sender:
    """One connection, made again when it breaks."""

    def __init__(self, url: str, headers: Mapping[str, str], allow_private: bool) -> None:
        net.check_url(url, allow_private=allow_private, resolve_host=False)
        self._parts: SplitResult = urlsplit(url)
        self._headers = {"content-type": "application/x-protobuf", "content-encoding": "gzip", **headers}
        self._allow_private = allow_private
        self._connection: http.client.HTTPConnection | None = None

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def send(self, body: bytes) -> int:
        """Send one request; returns how many of its spans were rejected."""
        packed = gzip.compress(body, 1)
        for attempt in range(1, _TRIES + 1):
            try:
                status, answer, wait = self._post(packed)
            except (OSError, http.client.HTTPException) as error:
                self.close()
                if attempt == _TRIES:
                    raise Unavailable(f"The receiver cannot be reached: {type(error).__name__}.") from error
                status, answer, wait = 503, b"", None
            if status == 200:
                return _rejected(answer)
            if status not in _AGAIN or attempt == _TRIES:
                said = answer[:200].decode("utf-8", "replace")
                raise Upstream(
                    f"The receiver answered {status}: {said}", hint="Check the address and its key."
                )
            threading.Event().wait(min(_LONGEST_WAIT, 0.25 * 2**attempt if wait is None else wait))
        return 0

    def _post(self, body: bytes) -> tuple[int, bytes, float | None]:
        connection = self._connected()
        path = self._parts.path or "/"
        target = f"{path}?{self._parts.query}" if self._parts.query else path
        connection.request("POST", target, body, dict(self._headers))
        with connection.getresponse() as response:
            answer = response.read(_MAX_ANSWER)
            if response.read(1):
                raise http.client.HTTPException("the answer is too large")
            after = response.getheader("retry-after") or ""
            return response.status, answer, float(after) if after.isdigit() else None

    def _connected(self) -> http.client.HTTPConnection:
        if self._connection is not None:
            return self._connection
        secure, host = self._parts.scheme == "https", self._parts.hostname or ""
        port = self._parts.port or (443 if secure else 80)
        addresses = net.resolve(host, port)
        for address in addresses:
            net.check_address(address, allow_private=self._allow_private)
        # The address that was checked is the one that is connected to, whatever the name says by then.
        sock = socket.create_connection((addresses[0], port), timeout=_TIMEOUT)
        try:
            if secure:
                sock = ssl.create_default_context().wrap_socket(sock, server_hostname=host)
        except BaseException:
            sock.close()
            raise
        connection = http.client.HTTPConnection(host, port, timeout=_TIMEOUT)
        connection.sock = sock
        self._connection = connection
        return connection


def _rejected(answer: bytes) -> int:
    """Return how many spans a 200 says were rejected; an answer in another encoding says nothing."""
    try:
        return int(ExportTraceServiceResponse.FromString(answer).partial_success.rejected_spans)
    except DecodeError:
        return 0
