"""Reading for a caller who may leave: the work is told, and stops."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Annotated, TypeVar

from fastapi import Depends, Request
from starlette.concurrency import run_in_threadpool

from penstock.core.http.dependencies import HomeDep
from penstock.core.stopping import Stop
from penstock.core.uow import UnitOfWork

T = TypeVar("T")


class Reader:
    """Does reading work in a thread, on a snapshot, while watching whether the caller is still there."""

    def __init__(self, request: Request, home: HomeDep) -> None:
        self._request = request
        self._home = home

    async def __call__(self, work: Callable[[UnitOfWork, Stop], T]) -> T:
        """Return what `work` returns; its `Stop` is asked when the caller leaves."""

        def read(stop: Stop) -> T:
            with self._home.read() as uow:
                return work(uow, stop)

        return await self.stopping(read)

    async def stopping(self, work: Callable[[Stop], T]) -> T:
        """Return what `work` returns, which reads by itself; its `Stop` is asked when the caller leaves."""
        stop = Stop()
        watching = asyncio.create_task(self._watch(stop))
        try:
            return await run_in_threadpool(work, stop)
        finally:
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching

    async def _watch(self, stop: Stop) -> None:
        while (await self._request.receive())["type"] != "http.disconnect":
            pass
        # On PostgreSQL this talks to the server: not on the loop.
        await run_in_threadpool(stop.ask)


def get_reader(request: Request, home: HomeDep) -> Reader:
    """Return a reader for this request."""
    return Reader(request, home)


PatientRead = Annotated[Reader, Depends(get_reader)]
"""For reads that may take long: call it with the work."""
