"""One thread that writes: whatever comes up while it is busy goes into the next transaction together."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from penstock.core import clock
from penstock.core.errors import Busy, StorageFull, Unavailable
from penstock.core.home import Home
from penstock.core.scope import Scope
from penstock.core.uow import UnitOfWork
from penstock.evals import store
from penstock.evals.calls import store as calls
from penstock.evals.calls.model import Call, Paid
from penstock.evals.model import Attempt, SampleResult

PATIENCE = 8
"""How often a transaction is tried while the database is busy; waits double from 0.25 s, half a minute in all."""

AfterResults = Callable[[UnitOfWork, Scope, list[SampleResult]], None]


@dataclass(slots=True)
class Batch:
    """What one transaction writes, in this order."""

    reserved: list[Call] = field(default_factory=list)
    released: list[Call] = field(default_factory=list)
    paid: list[Paid] = field(default_factory=list)
    kept: list[Paid] = field(default_factory=list)
    attempts: list[Attempt] = field(default_factory=list)
    results: list[SampleResult] = field(default_factory=list)
    progress: dict[str, Any] | None = None
    waiting: list["asyncio.Future[None]"] = field(default_factory=list)


class Journal:
    """Group commit for one run on one event loop: `await put(...)` returns when it is durable."""

    def __init__(self, home: Home, scope: Scope, run_id: str, after_results: AfterResults) -> None:
        self._home, self._scope, self._run_id = home, scope, run_id
        self._after_results = after_results
        self._loop = asyncio.get_running_loop()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="evals-journal")
        self._batch = Batch()
        self._writing: asyncio.Task[None] | None = None

    @property
    def batch(self) -> Batch:
        """The transaction being gathered: add to its lists, then await `written`."""
        return self._batch

    def written(self) -> "asyncio.Future[None]":
        """Return a future that is done when what the batch holds now is durable; it raises what writing raises."""
        future: asyncio.Future[None] = self._loop.create_future()
        self._batch.waiting.append(future)
        if self._writing is None:
            self._writing = self._loop.create_task(self._write())
        return future

    async def _write(self) -> None:
        # Lets everything that is ready to run add to the batch first.
        await asyncio.sleep(0)
        while self._batch.waiting:
            batch, self._batch = self._batch, Batch()
            try:
                await self._stored(batch)
            except Exception as error:  # noqa: BLE001 - handed to everyone who waits for this transaction
                for waiter in batch.waiting:
                    if not waiter.done():
                        waiter.set_exception(error)
            else:
                for waiter in batch.waiting:
                    if not waiter.done():
                        waiter.set_result(None)
            await asyncio.sleep(0)
        self._writing = None

    async def _stored(self, batch: Batch) -> None:
        for attempt in range(PATIENCE):
            try:
                return await self._loop.run_in_executor(self._pool, self._store, batch)
            except (Busy, Unavailable) as error:
                if isinstance(error, StorageFull) or attempt == PATIENCE - 1:
                    raise
                await asyncio.sleep(0.25 * 2**attempt)
        return None

    def _store(self, batch: Batch) -> None:
        now, scope, run_id = clock.now(), self._scope, self._run_id
        with self._home.begin() as uow:
            conn = uow.conn
            if batch.paid:
                calls.commit(conn, scope, batch.paid, now)
            if batch.kept:
                calls.keep(conn, scope, run_id, batch.kept, now)
            if batch.released:
                calls.release(conn, scope, run_id, batch.released)
            if batch.reserved:
                calls.reserve(conn, scope, run_id, batch.reserved, now)
            if batch.attempts:
                store.add_attempts(conn, scope, run_id, batch.attempts)
            if batch.results:
                store.add_results(conn, scope, batch.results)
                self._after_results(uow, scope, batch.results)
            if batch.progress is not None:
                store.update_run(conn, scope, run_id, progress=batch.progress)

    async def close(self) -> None:
        """Wait for what is being written and stop the thread."""
        if self._writing is not None:
            await asyncio.wait([self._writing])
        self._pool.shutdown()
