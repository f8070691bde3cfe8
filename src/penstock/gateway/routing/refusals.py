"""What a provider's refusal means: the error the caller gets, and whether asking again makes sense."""

import re
from collections.abc import Iterable
from datetime import UTC
from email.utils import parsedate_to_datetime

from penstock.core import clock
from penstock.core.errors import (
    Conflict,
    Invalid,
    LimitExceeded,
    NotFound,
    PenstockError,
    TooLarge,
    Unavailable,
    Unprocessable,
    Upstream,
    UpstreamTimeout,
)
from penstock.gateway.dialects.base import Fault
from penstock.gateway.routing.gate import Overloaded
from penstock.gateway.upstream.errors import PoolExhausted, TimedOut
from penstock.gateway.upstream.response import Response

_SHAPES: dict[int, type[PenstockError]] = {
    404: NotFound,
    409: Conflict,
    413: TooLarge,
    422: Unprocessable,
    429: LimitExceeded,
    503: Unavailable,
    529: Unavailable,
}
"""A provider's status → the error the caller gets; other 4xx are Invalid, other 5xx Upstream."""
_CREDENTIALS = frozenset({401, 402, 403})
_BAD_KEY = "API_KEY_INVALID"
"""Google's code for a wrong key: it comes with the status 400."""
LONGEST_RETRY_AFTER = 3600.0


REDACTED = "[redacted]"
_TOKENS = re.compile(
    r"(?i)\b(?:bearer\s+[\w.~+/=-]{8,}|(?:sk|gsk|xai|psk|hf|AIza|AKIA)[-_]?[A-Za-z0-9_-]{16,})"
)


def clean(fault: Fault, secrets: Iterable[str] = ()) -> Fault:
    """Return what a provider said without our credentials: some repeat in errors what they were sent."""
    message = fault.message
    for secret in secrets:
        message = message.replace(secret, REDACTED)
    return fault._replace(message=_TOKENS.sub(REDACTED, message))


def refusal(status: int, fault: Fault, provider: str, retry_after: float | None = None) -> PenstockError:
    """Return the error for a provider's refusal. Refused credentials are ours, so they are no 401 to the caller."""
    details = {name: value for name in ("type", "code", "param") if (value := getattr(fault, name))}
    if status in _CREDENTIALS or fault.code == _BAD_KEY:
        return Upstream(
            f"The provider {provider!r} refused Penstock's credentials: {fault.message}",
            upstream_status=status if status in _CREDENTIALS else 401,
            hint="An administrator must check its api_key.",
        )
    if status in (408, 504):
        return UpstreamTimeout(fault.message, upstream_status=status)
    shape = _SHAPES.get(status)
    if shape is not None:
        return shape(fault.message, details=details, retry_after=retry_after)
    if 400 <= status < 500:
        return Invalid(fault.message, details=details)
    return Upstream(fault.message, upstream_status=status, retry_after=retry_after)


def retry_after_of(response: Response) -> float | None:
    """Return the seconds that the provider's retry-after headers ask for, an hour for all that is longer.

    `retry-after` is seconds or a date (RFC 9110, 10.2.3).
    """
    for name, scale in ((b"retry-after-ms", 0.001), (b"retry-after", 1.0)):
        told = response.header(name)
        try:
            seconds = float(told) * scale
        except ValueError:
            seconds = _until(told)
        if seconds >= 0:
            return min(seconds, LONGEST_RETRY_AFTER)
    return None


def _until(told: bytes) -> float:
    """Return the seconds until an HTTP date, 0 for one that has passed; -1 for what is no date."""
    try:
        date = parsedate_to_datetime(told.decode("latin-1"))
    except ValueError:
        return -1.0
    date = date if date.tzinfo is not None else date.replace(tzinfo=UTC)
    return max(0.0, date.timestamp() - clock.now_ns() * 1e-9)


def blames_target(error: PenstockError) -> bool:
    """Return whether a failure says that the target is not well (and not the call, or this side)."""
    if isinstance(error, PoolExhausted | Overloaded):
        return False
    return isinstance(error, Upstream | Unavailable)


def may_go_elsewhere(error: PenstockError) -> bool:
    """Return whether another target may do better."""
    return isinstance(error, LimitExceeded | NotFound | Upstream | Unavailable)


def may_ask_again(error: PenstockError) -> bool:
    """Return whether the same target may do better after a pause, so far as the kind of failure tells."""
    if isinstance(error, LimitExceeded):
        return error.retry_after is not None
    if isinstance(error, Upstream):
        if error.upstream_status in _CREDENTIALS:
            return False
        if isinstance(error, UpstreamTimeout):
            return isinstance(error, TimedOut) and error.phase == "connect"
        return True
    return isinstance(error, Unavailable) and not isinstance(error, Overloaded)
