"""Every error Penstock raises on purpose.

::

    PenstockError
    ├── Invalid              400  the request or file is wrong; says where and what would be right
    │   └── Unprocessable    422  well-formed, but refused by a rule
    ├── Unauthenticated      401  no key or session, or one that is not valid
    ├── Denied               403  known, but not allowed
    ├── NotFound             404
    ├── Conflict             409  already exists, or changed meanwhile
    │   └── Busy             409  another process holds the lock
    ├── TooLarge             413
    ├── LimitExceeded        429  rate, concurrency or budget; `retry_after` seconds
    ├── Cancelled            499  the caller or an operator stopped it
    ├── MissingExtra         501  an optional dependency is not installed
    ├── Upstream             502  a provider answered with an error or garbage
    ├── Unavailable          503  not now; `retry_after` seconds
    │   └── StorageFull      507  disk full or read-only
    ├── UpstreamTimeout      504
    └── ChildFailed          500  a child process crashed or was killed

A message is one sentence for the person who met it; `hint` says what to do next.
HTTP bodies are made in one place, `core.http.families`.
"""

from typing import Any, ClassVar


class PenstockError(Exception):
    """Base of all deliberate errors: `message` (one sentence), `hint` (what to do), `details` (for machines)."""

    code: ClassVar[str] = "internal_error"
    status: ClassVar[int] = 500

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        details: dict[str, Any] | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.details = details or {}
        self.retry_after = retry_after
        """Seconds after which trying again makes sense, or None."""

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".rstrip()


class Invalid(PenstockError):
    """The request or file is wrong."""

    code = "invalid"
    status = 400


class Unprocessable(Invalid):
    """Well-formed, but a rule refuses it."""

    code = "unprocessable"
    status = 422


class Unauthenticated(PenstockError):
    """No key or session was given, or it is not valid."""

    code = "unauthenticated"
    status = 401


class Denied(PenstockError):
    """The caller is known but may not do this."""

    code = "denied"
    status = 403


class NotFound(PenstockError):
    """Nothing by that name or id in this project."""

    code = "not_found"
    status = 404


class Conflict(PenstockError):
    """It exists already or changed meanwhile."""

    code = "conflict"
    status = 409


class Busy(Conflict):
    """Another process holds what this one needs."""

    code = "busy"


class TooLarge(PenstockError):
    """The body or file is over a limit."""

    code = "too_large"
    status = 413


class LimitExceeded(PenstockError):
    """A rate, concurrency or budget limit was reached."""

    code = "limit_exceeded"
    status = 429


class Cancelled(PenstockError):
    """The caller or an operator stopped it."""

    code = "cancelled"
    status = 499


class MissingExtra(PenstockError):
    """An optional dependency is not installed."""

    code = "missing_extra"
    status = 501

    def __init__(self, extra: str, what: str) -> None:
        super().__init__(
            f"{what} needs the optional dependencies [{extra}].", hint=f"Run: pip install 'penstock[{extra}]'"
        )
        self.extra = extra


class Upstream(PenstockError):
    """A provider answered with an error or with something unreadable."""

    code = "upstream_error"
    status = 502

    def __init__(
        self,
        message: str,
        *,
        upstream_status: int | None = None,
        body: bytes = b"",
        hint: str = "",
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, hint=hint, retry_after=retry_after)
        self.upstream_status = upstream_status
        self.body = body


class UpstreamTimeout(Upstream):
    """A provider did not answer in time."""

    code = "upstream_timeout"
    status = 504


class Unavailable(PenstockError):
    """Not possible right now; try again after `retry_after` seconds."""

    code = "unavailable"
    status = 503


class StorageFull(Unavailable):
    """The disk is full or read-only; nothing was written."""

    code = "storage_full"
    status = 507


class ChildFailed(PenstockError):
    """A child process crashed, was killed or ran out of memory; the message holds the tail of its log."""

    code = "child_failed"
    status = 500
