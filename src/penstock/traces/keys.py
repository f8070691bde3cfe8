"""API keys in memory, for the path that cannot ask the database on every request."""

import threading

from penstock.core import clock
from penstock.core.auth import service as auth
from penstock.core.auth.model import Key, digest
from penstock.core.errors import Unauthenticated
from penstock.core.home import Home
from penstock.core.scope import Actor

_FRESH_SECONDS, _UNKNOWN_SECONDS = 1.0, 0.05


class KeyTable:
    """Looks keys up by digest; notices new and revoked keys within a second, unknown ones at once."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._lock = threading.Lock()
        self._keys: dict[str, Key] = {}
        self._actors: dict[tuple[str, str], Actor] = {}
        self._revision = -1
        self._looked = float("-inf")

    def actor(self, secret: str | None, project: str | None) -> Actor:
        """Return who may send traces with `secret` into `project` (None: the key's own); may read the database.

        Raises Unauthenticated, Denied or NotFound.
        """
        if not secret:
            raise Unauthenticated("No API key was sent.", hint="Send it as `Authorization: Bearer psk_…`.")
        hashed = digest(secret)
        if clock.monotonic() - self._looked > _FRESH_SECONDS or (
            hashed not in self._keys and clock.monotonic() - self._looked > _UNKNOWN_SECONDS
        ):
            self._refresh()
        key = self._keys.get(hashed)
        if key is None or not key.active(clock.now()):
            raise Unauthenticated(
                "The API key is not valid.", hint="Make one with `penstock keys create --name NAME`."
            )
        known = self._actors.get((hashed, project or ""))
        return known or self._enter(hashed, key, project)

    def _enter(self, hashed: str, key: Key, project: str | None) -> Actor:
        with self._home.read() as uow:
            actor = auth.enter_project(uow, key.actor(), project)
            uow.may(actor, "traces.call", actor.scope.project)
        self._actors[hashed, project or ""] = actor
        return actor

    def _refresh(self) -> None:
        with self._lock:
            revision = self._home.revision(auth.TOPIC)
            if revision != self._revision:
                self._keys = auth.active_keys(self._home)
                self._actors = {}
                self._revision = revision
            self._looked = clock.monotonic()
