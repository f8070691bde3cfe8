"""Keeps the snapshot fresh: polls the revision counters, and looks again at once when something is missing."""

import asyncio
from collections.abc import Callable, Sequence

from penstock.core import log
from penstock.core.errors import PenstockError
from penstock.core.home import Home
from penstock.gateway import snapshot
from penstock.gateway.outage import Outage
from penstock.gateway.routing.health import HealthRegistry
from penstock.gateway.snapshot import Snapshot

POLL_SECONDS = 0.25
SPACING_SECONDS = 0.05
_log = log.get("gateway")


class SnapshotWatch:
    """Holds the current snapshot of a home; the store is only ever read in a thread."""

    def __init__(self, home: Home, *, also: Sequence[Callable[[], object]] = ()) -> None:
        """Load the first snapshot; raises what opening the store raises. Every look calls `also`, in a thread."""
        self._also = also
        self._outage = Outage(_log, "the configuration cannot be read, the last one stays in force")
        self._home = home
        self.health = HealthRegistry()
        """What is known of targets, whatever the snapshot."""
        self.current: Snapshot = snapshot.load(home, self.health)
        self._task: asyncio.Task[None] | None = None
        self._look: asyncio.Event | None = None
        self._looked: asyncio.Future[None] | None = None

    @property
    def running(self) -> bool:
        """Whether the poll task is alive."""
        return self._task is not None and not self._task.done()

    async def start(self) -> None:
        """Bring the snapshot up to date and keep it so."""
        if self.running:
            return
        self._look = asyncio.Event()
        self._looked = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._run(), name="gateway snapshot")
        await self.fresh()

    async def fresh(self) -> Snapshot:
        """Return a snapshot at least as new as this call; many callers share one look at the store."""
        if self._look is not None and self._looked is not None and self.running:
            self._look.set()
            await asyncio.shield(self._looked)
        return self.current

    async def _run(self) -> None:
        assert self._look is not None
        loop = asyncio.get_running_loop()
        while True:
            self._look.clear()
            waiting, self._looked = self._looked, loop.create_future()
            try:
                await asyncio.to_thread(self._refresh)
                self._outage.over()
            except PenstockError as error:
                self._outage.failed(error)
            except Exception:  # noqa: BLE001 - a poll that dies would leave revoked keys working
                _log.exception("the configuration cannot be read, the last one stays in force")
            if waiting is not None and not waiting.done():
                waiting.set_result(None)
            await asyncio.sleep(SPACING_SECONDS)
            try:
                async with asyncio.timeout(POLL_SECONDS - SPACING_SECONDS):
                    await self._look.wait()
            except TimeoutError:
                continue

    def _refresh(self) -> None:
        if snapshot.revisions(self._home) != self.current.revisions:
            self.current = snapshot.load(self._home, self.health)
        for look in self._also:
            look()

    async def stop(self) -> None:
        """End the poll task."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        if self._looked is not None and not self._looked.done():
            self._looked.cancel()
