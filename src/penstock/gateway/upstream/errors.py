"""What can go wrong between the gateway and a provider, below HTTP.

::

    core.errors.Upstream
    ├── ConnectFailed       no connection: refused, unresolvable, TLS or proxy trouble; nothing was sent
    ├── Dropped             the connection ended before the answer did
    ├── BadAnswer           the answer is not HTTP/1.1, or its headers are too large
    └── core.errors.UpstreamTimeout
        └── TimedOut        connect, first byte or silence took longer than allowed; `phase` says which
    core.errors.Unavailable
    └── PoolExhausted       every allowed connection to the provider is in use
    core.errors.Cancelled
    └── Abandoned           this side gave the call up (its caller left)
"""

from penstock.core.errors import Cancelled, Unavailable, Upstream, UpstreamTimeout

SENT = "The request had been sent to the provider."
"""A note on the cancellation of a call that a provider may be working on."""
UNTOLD = "The provider may have worked on the request."
"""A note on the failure of an attempt that may be billed although nobody knows what came of it."""


class ConnectFailed(Upstream):
    """No connection could be made; nothing was sent, so another target may be tried."""

    code = "upstream_unreachable"


class Dropped(Upstream):
    """The provider closed the connection before its answer was complete."""

    code = "upstream_dropped"


class BadAnswer(Upstream):
    """The provider answered with something that is not HTTP/1.1 as we accept it."""

    code = "upstream_bad_answer"


class TimedOut(UpstreamTimeout):
    """The provider took too long; `phase` is connect, first byte or silence."""

    def __init__(self, message: str, *, phase: str) -> None:
        super().__init__(message, hint="Raise the route's or provider's timeout if the model is slow.")
        self.phase = phase


class PoolExhausted(Unavailable):
    """All connections allowed to one provider are in use and none came free in time."""

    code = "upstream_busy"


class Abandoned(Cancelled):
    """The caller went away, so the call to the provider was cut."""

    code = "abandoned"
