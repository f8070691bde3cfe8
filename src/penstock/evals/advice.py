"""A local model that scorers consult: questions go to a child process as lines, replies come back as reports."""

import asyncio
import itertools
import os
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec

from penstock.core.children import run_child
from penstock.core.errors import ChildFailed, PenstockError, Unprocessable

Reply = Mapping[str, Any]


class Advice:
    """Asks the plug-in `adviser` of `penstock.advisers` (see ports.Adviser), many questions at once.

    Made and used on one event loop. A child that ended is not started again: what ended it is every reply from then on.
    """

    def __init__(self, adviser: str, options: Mapping[str, Any], workdir: Path) -> None:
        self._loop = asyncio.get_running_loop()
        self._numbers = itertools.count()
        self._waiting: dict[int, asyncio.Future[Reply]] = {}
        self._ended: PenstockError | None = None
        self._stop = threading.Event()
        read_end, write_end = os.pipe()
        self._lines = os.fdopen(write_end, "wb", buffering=0)
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="evals-advice")
        self._driver = threading.Thread(
            target=self._drive, args=(adviser, dict(options), workdir, read_end), daemon=True
        )
        self._driver.start()

    def _drive(self, adviser: str, options: dict[str, Any], workdir: Path, stdin: int) -> None:
        ended: PenstockError = ChildFailed(f"{adviser} ended before it had replied.")
        try:
            run_child(
                "advisers",
                adviser,
                options,
                workdir=workdir,
                on_progress=lambda report: self._soon(self._replied, report),
                cancelled=self._stop.is_set,
                stdin=stdin,
            )
        except PenstockError as error:
            ended = error
        self._soon(self._end, ended)

    def _soon(self, function: Any, value: Any) -> None:
        self._loop.call_soon_threadsafe(function, value)

    def _replied(self, report: Mapping[str, Any]) -> None:
        future = self._waiting.pop(report["id"], None)
        if future is None or future.done():
            return
        if "error" in report:
            future.set_exception(Unprocessable(str(report["error"])))
        else:
            future.set_result(report["reply"])

    def _end(self, error: PenstockError) -> None:
        self._ended = error
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(error)
        self._waiting.clear()

    async def ask(self, question: Mapping[str, Any]) -> Reply:
        """Return the reply; raises Unprocessable when there is none to this question, and what ended the child."""
        if self._ended is not None:
            raise self._ended
        number = next(self._numbers)
        future: asyncio.Future[Reply] = self._loop.create_future()
        self._waiting[number] = future
        line = msgspec.json.encode({**question, "id": number}) + b"\n"
        try:
            await self._loop.run_in_executor(self._writer, self._write, line)
            return await future
        finally:
            self._waiting.pop(number, None)

    def _write(self, line: bytes) -> None:
        # A pipe takes what it has room for; a child that is gone ends the waiting future with its own reason.
        left = memoryview(line)
        try:
            while left:
                left = left[self._lines.write(left) :]
        except BrokenPipeError:
            return

    async def close(self) -> None:
        """Stop the child and wait for its end."""
        self._stop.set()
        await self._loop.run_in_executor(None, self._driver.join)
        self._writer.shutdown()
        self._lines.close()
