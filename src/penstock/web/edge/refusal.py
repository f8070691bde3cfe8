"""Refusing what was not read as a request: the error, and the bytes that tell the caller."""

import re

from penstock.core import ids
from penstock.core.errors import PenstockError
from penstock.core.http.families import Family, render_error

_REASONS = {400: b"Bad Request", 408: b"Request Timeout", 431: b"Request Header Fields Too Large",
            501: b"Not Implemented", 503: b"Service Unavailable"}  # fmt: skip
_GENERATING = re.compile(rb"/v1/models/[^?]+:[a-z]+(?:[A-Z][a-z]+)+(?:\?|$)")
"""Google's newer clients call models below `/v1`."""


class Refusal(PenstockError):
    """Raised inside the parser for a request that is refused; `reason` names it in the metrics."""

    code = "bad_http"
    status = 400

    def __init__(self, status: int, reason: str, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message, retry_after=retry_after, details={"code": reason})
        self.status = status  # type: ignore[misc]  # one class for every status
        self.reason = reason


def family_of(url: bytes) -> Family:
    """Return the API family that an address belongs to."""
    if url.startswith(b"/v1/messages"):
        return "anthropic"
    if url.startswith(b"/v1beta/") or _GENERATING.match(url):
        return "gemini"
    return "openai" if url.startswith(b"/v1/") else "problem"


def written(refusal: Refusal, url: bytes) -> bytes:
    """Return the whole answer, in the family of the address as far as it was read; the connection ends with it."""
    status, headers, body = render_error(refusal, family_of(url), ids.new_id("req"))
    head = b"".join(b"%b: %b\r\n" % pair for pair in headers)
    return b"HTTP/1.1 %d %b\r\n%bcontent-length: %d\r\nconnection: close\r\n\r\n%b" % (
        status,
        _REASONS[status],
        head,
        len(body),
        body,
    )
