"""Making a batch's calls: a few at once, backing off when the gateway asks for it, recording each that ends."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from typing import Any

from penstock.core import clock, log
from penstock.core.errors import PenstockError
from penstock.gateway.batches import lines
from penstock.gateway.batches.calling import Answer, RunCall
from penstock.gateway.batches.lines import Item
from penstock.gateway.batches.model import Line

logger = log.get("gateway.batches")
WAIT = frozenset({429, 503, 507})
"""Not now: nothing was done, so waiting and asking again is always right."""
RETRY = frozenset({500, 502, 504})
WAITS = 12
"""How often a line waits before its refusal is its result; with the pauses that is about eight minutes."""
RETRIES = 2
LIMITED = b"x-penstock-limit"
"""The header of an answer that a rate limit of the gateway refused, not a provider."""
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
LOOK_SECONDS = 0.5


class Stop(StrEnum):
    """Why to stop before the end."""

    CANCELLED = "cancelled"
    EXPIRED = "expired"
    PAUSED = "paused"
    """The process is ending; another goes on later."""
    LOST = "lost"
    """Another worker has taken the batch over."""


PATIENCE = {Stop.CANCELLED: 60.0, Stop.EXPIRED: 60.0, Stop.PAUSED: 20.0, Stop.LOST: 0.0}
"""Seconds that calls in flight may still take."""
Record = Callable[[list[Line]], None]
"""Stores finished lines; called in a thread."""
Look = Callable[[], Stop | None]
"""Says whether to stop; called in a thread, twice a second."""


class Runner:
    """Works off the items of one batch; `concurrency` calls at once."""

    def __init__(
        self, call: RunCall, path: str, headers: Mapping[bytes, bytes], *, concurrency: int, record: Record
    ) -> None:
        self._call = call
        self._path = path
        self._headers = headers
        self._concurrency = concurrency
        self._record = record
        self._finished: list[Line] = []
        self._writing = asyncio.Lock()
        self._resume_at = 0.0
        """No call begins before this moment: one was told to come back later, which is meant for all."""
        self._stopping = asyncio.Event()

    async def run(self, todo: Iterator[Item], look: Look) -> Stop | None:
        """Make the calls; returns why it stopped early, or None when every item has its result recorded."""
        watcher = asyncio.create_task(self._watch(look))
        workers = [asyncio.create_task(self._work(todo)) for _ in range(self._concurrency)]
        try:
            working = asyncio.gather(*workers)
            either: list[asyncio.Future[Any]] = [working, watcher]
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if not watcher.done():
                await working
                return None
            stop = watcher.result()
            await asyncio.wait(workers, timeout=PATIENCE[stop])
            if working.done() and not working.cancelled() and (error := working.exception()) is not None:
                raise error
            return stop
        finally:
            for task in (watcher, *workers):
                task.cancel()
            await asyncio.gather(watcher, *workers, return_exceptions=True)

    async def _watch(self, look: Look) -> Stop:
        while (stop := await asyncio.to_thread(look)) is None:
            await asyncio.sleep(LOOK_SECONDS)
        self._stopping.set()
        return stop

    async def _work(self, todo: Iterator[Item]) -> None:
        while not self._stopping.is_set() and (item := next(todo, None)) is not None:
            line = await self._answer(item)
            if line is not None:
                self._finished.append(line)
                await self._store()

    async def _store(self) -> None:
        """Record what finished: what gathers while one call records is recorded together by the next."""
        async with self._writing:
            finished, self._finished = self._finished, []
            if finished:
                await asyncio.shield(asyncio.to_thread(self._record, finished))

    async def _answer(self, item: Item) -> Line | None:
        """Return the item's result; None when the batch stops before it has one."""
        waits = retries = 0
        while await self._may_begin():
            try:
                answer = await self._call(self._path, self._headers, item.body)
            except PenstockError as error:
                logger.warning("batch call failed", extra={"reason": error.code})
                return lines.unanswered(item, error.code, str(error))
            if LIMITED in answer.headers:
                # The gateway's own limit leaves no room beside other calls: for as long as that lasts.
                self._resume_at = max(self._resume_at, clock.monotonic() + _seconds(answer, 1))
            elif answer.status in WAIT and waits < WAITS:
                waits += 1
                self._resume_at = max(self._resume_at, clock.monotonic() + _seconds(answer, waits))
            elif answer.status in RETRY and retries < RETRIES:
                retries += 1
                await self._sleep(_seconds(answer, retries))
            else:
                return lines.answered(item, answer)
        return None

    async def _may_begin(self) -> bool:
        """Wait until calls may begin; returns False when the batch stops."""
        while (left := self._resume_at - clock.monotonic()) > 0 and not self._stopping.is_set():
            await self._sleep(left)
        return not self._stopping.is_set()

    async def _sleep(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)


def _seconds(answer: Answer, attempt: int) -> float:
    """Return how long to wait: as the answer says, else longer with each attempt."""
    try:
        asked = float(answer.headers.get(b"retry-after", b"0"))
    except ValueError:
        asked = 0.0
    return min(LONGEST_PAUSE, max(asked, FIRST_PAUSE * 2.0 ** (attempt - 1)))
