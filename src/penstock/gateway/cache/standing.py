"""How embedders stand: one that was too slow rests, and the log tells when one fails and when it is back."""

from penstock.core import clock, log
from penstock.core.errors import PenstockError, Unavailable, UpstreamTimeout
from penstock.core.scope import Scope
from penstock.gateway.cache.model import Embedder

REST_SECONDS = 10.0
"""How long an embedder that made a caller wait in vain is asked by nobody; then by one call, before all ask again."""
_log = log.get("gateway")

Key = tuple[Scope, Embedder]
"""(project whose call it was, embedder)"""


class Standing:
    """What this process knows of the embedders that are providers' models."""

    def __init__(self) -> None:
        self._rests: dict[Key, float] = {}
        """Until when an embedder rests."""
        self._failing: set[Key] = set()

    def worth_asking(self, key: Key) -> bool:
        """Return whether to ask; of the calls after a rest one tries, and the others go on as if it rested still."""
        until = self._rests.get(key)
        if until is None:
            return True
        now = clock.monotonic()
        if now < until:
            return False
        self._rests[key] = now + REST_SECONDS
        return True

    def failed(self, key: Key, error: PenstockError) -> None:
        """Note a failure: one that cost time, or says that there is nobody, gives the embedder a rest."""
        if isinstance(error, UpstreamTimeout | Unavailable):
            self._rests[key] = clock.monotonic() + REST_SECONDS
        if key not in self._failing:
            self._failing.add(key)
            _log.warning("the cache's embedder %s fails, exact matches go on: %s", _named(key), error)

    def worked(self, key: Key) -> None:
        """Note that the embedder answered."""
        self._rests.pop(key, None)
        if key in self._failing:
            self._failing.discard(key)
            _log.warning("the cache's embedder %s answers again", _named(key))


def _named(key: Key) -> str:
    scope, embedder = key
    return f"{embedder.provider}/{embedder.model} of {scope.project}"
