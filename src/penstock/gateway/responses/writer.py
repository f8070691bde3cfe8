"""Writing responses durably without holding up the event loop: what waits is written together."""

import asyncio

from penstock.core.home import Home
from penstock.gateway.responses import store
from penstock.gateway.responses.store import Row

BATCH_ROWS = 200
MAX_WAITING = 2_000


class Writer:
    """Writes rows of one event loop; a row is committed when `write` returns."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._waiting: list[tuple[Row, asyncio.Future[None]]] = []
        self._task: asyncio.Task[None] | None = None

    async def write(self, row: Row) -> bool:
        """Return once `row` is committed (also when the caller gives up); raises what writing raised.

        Returns False, with nothing written, when too many wait already.
        """
        if len(self._waiting) >= MAX_WAITING:
            return False
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((row, done))
        if self._task is None:
            self._task = asyncio.create_task(self._run())
        await asyncio.shield(done)
        return True

    async def close(self) -> None:
        """Wait until everything is written."""
        if self._task is not None:
            await self._task

    async def _run(self) -> None:
        try:
            while self._waiting:
                taken, self._waiting = self._waiting[:BATCH_ROWS], self._waiting[BATCH_ROWS:]
                await self._commit(taken)
        finally:
            self._task = None

    async def _commit(self, taken: list[tuple[Row, asyncio.Future[None]]]) -> None:
        try:
            await asyncio.to_thread(self._write, [row for row, _ in taken])
        except Exception as error:  # noqa: BLE001 - handed to everyone who waits
            for _, done in taken:
                done.set_exception(error)
                done.exception()  # a caller may have given up waiting: nobody else would look
            return
        for _, done in taken:
            done.set_result(None)

    def _write(self, rows: list[Row]) -> None:
        with self._home.begin() as uow:
            store.write(uow.conn, rows)
