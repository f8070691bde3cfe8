"""Waiting for a deployment that sleeps: the caller's request is kept until a replica is ready."""

import asyncio
from collections import Counter

from penstock.core import clock
from penstock.core.home import Home
from penstock.core.scope import Scope
from penstock.gateway.model import LOCAL
from penstock.gateway.ports import Asleep
from penstock.gateway.routing.gate import Overloaded
from penstock.gateway.routing.live import LiveProvider
from penstock.gateway.waiting import service
from penstock.gateway.watch import SnapshotWatch

MOST_WAITING = 1000
"""Callers that one process keeps waiting for one deployment."""
ASK_SECONDS = 1.0
LOOK_SECONDS = 0.05


class StillAsleep(Overloaded):
    """The caller has waited as long as the deployment lets them: waiting once more would not help."""

    code = "unavailable"


class Waker:
    """Lets callers wait, and serving know that they do."""

    def __init__(self, home: Home, watch: SnapshotWatch) -> None:
        self._home = home
        self._watch = watch
        self._waiting: Counter[tuple[Scope, str]] = Counter()
        self._asked: dict[tuple[Scope, str], float] = {}

    async def wait(self, provider: LiveProvider, asleep: Asleep) -> LiveProvider:
        """Return the provider once it may be worth asking again.

        Raises StillAsleep when that took longer than the deployment's patience, Overloaded when too many wait already.
        """
        key = (provider.scope, asleep.model)
        if self._waiting[key] >= MOST_WAITING:
            raise Overloaded(f"{MOST_WAITING} callers wait for {asleep.model!r} already.", retry_after=5)
        self._waiting[key] += 1
        try:
            return await self._wait(provider, asleep, key)
        finally:
            self._waiting[key] -= 1
            if not self._waiting[key]:
                del self._waiting[key]
                self._asked.pop(key, None)

    async def _wait(self, provider: LiveProvider, asleep: Asleep, key: tuple[Scope, str]) -> LiveProvider:
        deadline = clock.monotonic() + asleep.patience
        while clock.monotonic() < deadline:
            current = self._watch.current.table(provider.scope).providers.get(LOCAL, provider)
            if current is not provider:
                return current
            await self._ask(key)
            await asyncio.sleep(LOOK_SECONDS)
        raise StillAsleep(
            f"The deployment {asleep.model!r} did not start within {asleep.patience:g} seconds.",
            hint="See `penstock deploy status`.",
            retry_after=5,
        )

    async def _ask(self, key: tuple[Scope, str]) -> None:
        now = clock.monotonic()
        if now - self._asked.get(key, float("-inf")) < ASK_SECONDS:
            return
        self._asked[key] = now
        await asyncio.to_thread(self._write, key)

    def _write(self, key: tuple[Scope, str]) -> None:
        with self._home.begin() as uow:
            service.ask_endpoint(uow, key[1], key[0])
