"""The job that works a batch off: check, call, write the result files. A killed one goes on where it was.

What a killed worker had in flight (at most `batch_concurrency` calls) is called again; finished lines never are.
"""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import msgspec

from penstock.core import clock, jobs, log
from penstock.core.errors import Cancelled, Conflict, NotFound, PenstockError
from penstock.core.home import Home
from penstock.core.jobs import Handler, JobContext, Postponed
from penstock.core.scope import Actor, system_actor
from penstock.gateway.batches import lines, service, store
from penstock.gateway.batches.calling import RunCall
from penstock.gateway.batches.model import OUTPUT, Batch, BatchState, Line, StoredFile
from penstock.gateway.batches.running import Runner, Stop
from penstock.gateway.settings import GatewaySettings

logger = log.get("gateway.batches")
OpenGateway = Callable[[Home, Actor], AbstractAsyncContextManager[RunCall]]
"""Opens the gateway in the running event loop, for calls on behalf of a batch's creator.

Raises Unauthenticated when the key that created the batch is no longer valid.
"""
_REASONS = {
    Stop.EXPIRED: (
        "batch_expired",
        "This request could not be executed before the completion window expired.",
    ),
    Stop.CANCELLED: ("batch_cancelled", "This request was not executed because the batch was cancelled."),
}
_ENDS = {None: BatchState.COMPLETED, Stop.EXPIRED: BatchState.EXPIRED, Stop.CANCELLED: BatchState.CANCELLED}


def handlers(open_gateway: OpenGateway) -> dict[str, Handler]:
    """Return the handler of batches, which makes its calls through `open_gateway`."""

    def handle(context: JobContext) -> dict[str, Any]:
        work = _Work(context, open_gateway)
        try:
            return work.run()
        finally:
            work.path.unlink(missing_ok=True)

    return {service.JOB: handle}


class _Work:
    """One attempt at a batch."""

    def __init__(self, context: JobContext, open_gateway: OpenGateway) -> None:
        self._context = context
        self._home = context.home
        self._open = open_gateway
        self._settings = context.home.settings.section(GatewaySettings)
        self._batch = self._load()
        self._longest = self._settings.batch_line_mb * 1024 * 1024
        self.path = context.home.folder("cache", "batches") / f"{self._batch.id}.jsonl"

    def _load(self) -> Batch:
        with self._home.read() as uow:
            scope = self._context.actor.scope
            batch = store.batch_by_id(uow.conn, scope, self._context.spec["batch"])
        if batch is None:
            raise NotFound("The batch is gone.")
        return batch

    def _move(self, state: BatchState, **values: Any) -> None:
        """Move the batch on from where it is now; a cancel that came in between wins over what is not an end."""
        self._batch = self._load()
        if (
            self._batch.state is BatchState.CANCELLING
            and not state.ended
            and state is not BatchState.FINALIZING
        ):
            return
        with self._home.begin() as uow:
            service.change(uow, self._batch, state, **values)
        self._batch = self._load()

    def run(self) -> dict[str, Any]:
        if self._batch.state.ended:
            return {"state": self._batch.state}
        try:
            self._fetch()
        except PenstockError as error:
            return self._fail([lines.Problem(error.code, str(error))])
        if self._batch.state is BatchState.VALIDATING:
            problems = self._check()
            if problems:
                return self._fail(problems)
        try:
            stop = asyncio.run(self._call())
        except PenstockError as error:
            return self._fail([lines.Problem(error.code, str(error))])
        if stop is Stop.PAUSED:
            raise Postponed("The server is stopping; the batch goes on when it is back.")
        if stop is Stop.LOST:
            raise Cancelled("Another worker has taken the batch over.")
        return self._finish(stop)

    def _fetch(self) -> None:
        with self._home.read() as uow:
            file = store.file_by_id(
                uow.conn, self._batch.scope, self._batch.input_file, self._batch.created_at
            )
        if file is None:
            raise NotFound(f"The input file {self._batch.input_file} is gone.")
        with self.path.open("wb") as out:
            for piece in service.content(self._home, file):
                out.write(piece)

    def _check(self) -> list[lines.Problem]:
        most = self._settings.batch_lines
        total, problems = lines.check(self.path, self._batch.endpoint, most=most, longest=self._longest)
        if not problems:
            self._move(BatchState.IN_PROGRESS, total=total)
        return problems

    def _fail(self, problems: list[lines.Problem]) -> dict[str, Any]:
        return self._end(BatchState.FAILED, errors=[problem.shown() for problem in problems])

    # -- calling -------------------------------------------------------------------------------------------

    async def _call(self) -> Stop | None:
        if self._batch.state is BatchState.CANCELLING:
            return Stop.CANCELLED
        if self._batch.state is not BatchState.IN_PROGRESS:
            return None  # the calls were done; only the end was not
        with self._home.read() as uow:
            done = store.finished_numbers(uow.conn, self._batch)
        todo = lines.items(self.path, self._batch.endpoint, self._longest, done)
        headers = {
            b"content-type": b"application/json",
            b"x-penstock-tags": b"batch",
            b"x-penstock-metadata": msgspec.json.encode({"batch": self._batch.id}),
        }
        async with self._open(self._home, self._context.actor) as call:
            concurrency = self._settings.batch_concurrency
            runner = Runner(call, self._batch.endpoint, headers, concurrency=concurrency, record=self._record)
            return await runner.run(todo, self._look)

    def _record(self, finished: list[Line]) -> None:
        with self._home.begin() as uow:
            store.add_lines(uow.conn, self._batch, finished)

    def _look(self) -> Stop | None:
        if self._context.stopping():
            return Stop.PAUSED
        if self._context.cancelled():
            with self._home.read() as uow:
                job = jobs.get(uow, system_actor(self._batch.scope), self._context.job.id)
            return Stop.CANCELLED if job.cancel_requested else Stop.LOST
        batch = self._load()
        self._context.progress({"total": batch.total, "completed": batch.completed, "failed": batch.failed})
        if batch.state is BatchState.CANCELLING:
            return Stop.CANCELLED
        return Stop.EXPIRED if clock.now() >= batch.expires_at else None

    # -- the end -------------------------------------------------------------------------------------------

    def _finish(self, stop: Stop | None) -> dict[str, Any]:
        if stop in _REASONS:
            self._give_up_rest(*_REASONS[stop])
        if stop is None:
            self._move(BatchState.FINALIZING)
        return self._end(_ENDS[stop])

    def _end(self, state: BatchState, **values: Any) -> dict[str, Any]:
        """Write the result files and end the batch; raises Conflict when something else ended it meanwhile."""
        output = self._write("output", good=True)
        errors = self._write("error", good=False)
        with self._home.begin() as uow:
            batch = store.batch_by_id(uow.conn, self._batch.scope, self._batch.id)
            for file in (output, errors):
                if file is not None:
                    store.insert_file(uow.conn, file)
            names = {
                "output_file": None if output is None else output.id,
                "error_file": None if errors is None else errors.id,
            }
            if batch is None or not service.change(uow, batch, state, **names, **values):
                raise Conflict("The batch changed while its results were written.")
            store.delete_lines(uow.conn, batch)
        self._batch = self._load()
        return {"state": state, "completed": self._batch.completed, "failed": self._batch.failed}

    def _give_up_rest(self, code: str, message: str) -> None:
        """Record for every line without a result why it has none."""
        if not self._batch.total:
            return
        with self._home.read() as uow:
            done = store.finished_numbers(uow.conn, self._batch)
        todo = lines.items(self.path, self._batch.endpoint, self._longest, done)
        rest = [lines.unanswered(item, code, message) for item in todo]
        for start in range(0, len(rest), 1000):
            self._record(rest[start : start + 1000])

    def _write(self, kind: str, *, good: bool) -> StoredFile | None:
        """Store the results of one kind as a file; returns None when there are none."""
        owner = self._context.actor
        file = service.begin_result(owner, self._batch, name=f"{self._batch.id}_{kind}.jsonl", purpose=OUTPUT)
        path = self.path.with_suffix(f".{kind}")
        try:
            with self._home.read() as uow:
                results = store.iterate_lines(uow.conn, self._batch, good=good)
                size = lines.write(path, file.salt, results)
            if not size:
                return None
            ref = self._home.blobs.put_file(Path(path))
            return service.sized(file, size, ref.sha256)
        finally:
            path.unlink(missing_ok=True)
