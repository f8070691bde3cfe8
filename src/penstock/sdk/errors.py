"""Every error the SDK raises.

::

    SdkError
    ├── ConfigError          the address or the key is missing or malformed
    ├── ConnectionFailed     nobody answered at the address
    ├── RenderError          a prompt cannot be filled in: a variable is missing
    └── ApiError             the server answered with an error: `status`, `code`, `detail`, `request_id`
        ├── Invalid          400, 422
        ├── Unauthenticated  401
        ├── Denied           403
        ├── NotFound         404
        ├── Conflict         409
        ├── RateLimited      429  `retry_after` seconds
        └── ServerError      5xx
            └── Unavailable  503  `retry_after` seconds

Tracing raises none of them: a missing or failing server never breaks the traced program.
"""

from collections.abc import Mapping
from typing import Any


class SdkError(Exception):
    """Base of everything the SDK raises on purpose."""


class ConfigError(SdkError):
    """The address or the key is missing or malformed."""


class ConnectionFailed(SdkError):
    """Nobody answered at the address, or the connection broke."""


class RenderError(SdkError):
    """A prompt cannot be filled in."""


class ApiError(SdkError):
    """The server answered with an error."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        code: str = "",
        request_id: str = "",
        retry_after: float | None = None,
        problem: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        """HTTP status."""
        self.detail = detail
        """One sentence from the server, what to do included."""
        self.code = code
        """The server's name for the error, such as `not_found`."""
        self.request_id = request_id
        """What to look for in the server's log."""
        self.retry_after = retry_after
        """Seconds after which trying again makes sense, or None."""
        self.problem = dict(problem or {})
        """The whole RFC 9457 problem document."""

    def __str__(self) -> str:
        suffix = f", request {self.request_id}" if self.request_id else ""
        return f"{self.detail} (HTTP {self.status}{suffix})"


class Invalid(ApiError):
    """400 or 422: the request is wrong."""


class Unauthenticated(ApiError):
    """401: no key, or one the server does not know."""


class Denied(ApiError):
    """403: the key may not do this."""


class NotFound(ApiError):
    """404."""


class Conflict(ApiError):
    """409: exists already, or changed meanwhile."""


class RateLimited(ApiError):
    """429, after the retries were used up."""


class ServerError(ApiError):
    """Any 5xx."""


class Unavailable(ServerError):
    """503, after the retries were used up."""


_BY_STATUS: dict[int, type[ApiError]] = {
    400: Invalid,
    401: Unauthenticated,
    403: Denied,
    404: NotFound,
    409: Conflict,
    422: Invalid,
    429: RateLimited,
    503: Unavailable,
}


def error_for(
    status: int, problem: Mapping[str, Any], *, request_id: str = "", retry_after: float | None = None
) -> ApiError:
    """Return the exception for an answer of `status` with the problem document `problem` (RFC 9457)."""
    kind = _BY_STATUS.get(status) or (ServerError if status >= 500 else ApiError)
    detail = problem.get("detail") or problem.get("title") or f"The server answered {status}."
    hint = problem.get("hint")
    if isinstance(hint, str) and hint and hint not in str(detail):
        detail = f"{detail} {hint}"
    return kind(
        status,
        str(detail),
        code=str(problem.get("code") or ""),
        request_id=request_id,
        retry_after=retry_after,
        problem=problem,
    )
