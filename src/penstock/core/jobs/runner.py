"""Running jobs: a worker leases one at a time, renews the lease while it lives, and records the end.

A worker that is killed stops renewing; when its lease runs out another worker takes the job over and
finished steps are not run again.
"""

import os
import socket
import threading
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, TypeVar

from penstock.core import clock, ids, log
from penstock.core.errors import Busy, Cancelled, Invalid, NotFound, PenstockError
from penstock.core.home import Home
from penstock.core.jobs import store
from penstock.core.jobs.events import JobGivenUp
from penstock.core.jobs.model import Handler, Job, JobState, Postponed
from penstock.core.scope import Actor

logger = log.get("core.jobs")
T = TypeVar("T")

LEASE_SECONDS = 20.0
MAX_ATTEMPTS = 5
"""Attempts that a worker's death may cost before the job is given up; a handler's own error ends it at once."""
_THROTTLE_SECONDS = 0.4


class RunningJob:
    """The context of one attempt (see JobContext)."""

    def __init__(self, home: Home, job: Job, worker: str, stop: threading.Event) -> None:
        self._stop = stop
        self.home = home
        self.job = job
        self.actor: Actor = job.actor
        self.spec: dict[str, Any] = job.spec
        self._worker = worker
        self._lost = threading.Event()
        self._last_progress = self._last_look = float("-inf")
        self._cancelled = False
        with home.db.read() as conn:
            self._steps = store.recorded_steps(conn, job.id)

    def step(self, name: str, work: Callable[[], T]) -> T:
        """Return the recorded result of `name`, or run `work` and record it."""
        if name in self._steps:
            return self._steps[name]["value"]  # type: ignore[no-any-return]  # JSON of what `work` returned
        self.check_cancelled()
        began = clock.now()
        result = work()
        with self.home.db.begin() as conn:
            store.record_step(conn, self.job.id, name, result, began, clock.now())
        self._steps[name] = {"value": result}
        return result

    def progress(self, report: dict[str, Any]) -> None:
        """Store the report unless one was stored a moment ago."""
        if clock.monotonic() - self._last_progress < _THROTTLE_SECONDS:
            return
        self._last_progress = clock.monotonic()
        with self.home.db.begin() as conn:
            store.set_progress(conn, self.job.id, report)

    def cancelled(self) -> bool:
        """Whether to stop: somebody asked, or another worker took over."""
        if not self._cancelled and clock.monotonic() - self._last_look >= _THROTTLE_SECONDS:
            self._last_look = clock.monotonic()
            with self.home.db.read() as conn:
                self._cancelled = store.cancel_requested(conn, self.job.id)
        return self._cancelled or self._lost.is_set()

    def stopping(self) -> bool:
        """Whether the worker was told to stop."""
        return self._stop.is_set()

    def check_cancelled(self) -> None:
        """Raise Cancelled when the job should stop."""
        if self.cancelled():
            raise Cancelled("The job was cancelled.")

    def keep_lease(self, done: threading.Event) -> None:
        """Renew the lease until `done`; runs in a thread of its own."""
        while not done.wait(LEASE_SECONDS / 4):
            try:
                with self.home.db.begin() as conn:
                    if not store.renew(conn, self.job.id, self._worker, _lease_end()):
                        self._lost.set()
            except PenstockError:
                logger.exception("lease not renewed; trying again", extra={"job": self.job.id})


def _lease_end() -> Any:
    return clock.now() + timedelta(seconds=LEASE_SECONDS)


def _worker_name() -> str:
    return f"{socket.gethostname()[:30]}:{os.getpid()}:{ids.new_span_id()[:6]}"


class Worker:
    """Runs due jobs of the kinds it has handlers for, one at a time."""

    def __init__(self, home: Home, handlers: Mapping[str, Handler]) -> None:
        self._home = home
        self._handlers = handlers
        self.name = _worker_name()
        self._stop = threading.Event()

    def tick(self) -> bool:
        """Run one due job to its end; returns False when none was due."""
        with self._home.db.read() as conn:
            idle = not store.any_due(conn, kinds=sorted(self._handlers), at=clock.now())
        if idle:
            return False
        with self._home.db.begin() as conn:
            job = store.claim(
                conn, kinds=sorted(self._handlers), worker=self.name, at=clock.now(), until=_lease_end()
            )
        if job is None:
            return False
        _attempt(self._home, job, self._handlers[job.kind], self.name, stop=self._stop)
        return True

    def run(self, stop: threading.Event, idle_seconds: float = 0.5) -> None:
        """Run jobs until `stop` is set."""
        self._stop = stop
        while not stop.is_set():
            if not self.tick():
                stop.wait(idle_seconds)


def run_inline(home: Home, job_id: str, handlers: Mapping[str, Handler]) -> Job:
    """Run one job here and now, as the CLI does; returns how it ended.

    Raises Busy when a worker has it, NotFound when there is none, and the handler's own error.
    """
    worker = _worker_name()
    with home.db.begin() as conn:
        known = store.by_id(conn, job_id, None)
        if known is None:
            raise NotFound(f"There is no job {job_id!r}.")
        if known.kind not in handlers:
            raise Invalid(f"Nothing here can run jobs of the kind {known.kind!r}.")
        if known.state in (JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED):
            return known
        job = store.lease(conn, job_id, worker=worker, at=clock.now(), until=_lease_end())
    if job is None:
        raise Busy("Another worker is running this job.", hint="Wait for it, or cancel it.")
    error = _attempt(home, job, handlers[job.kind], worker, stop=threading.Event())
    if error is not None:
        raise error
    with home.db.read() as conn:
        ended = store.by_id(conn, job_id, None)
    return ended or job


def _attempt(
    home: Home, job: Job, handler: Handler, worker: str, *, stop: threading.Event
) -> Exception | None:
    if job.attempts > MAX_ATTEMPTS:
        return Cancelled(_given_up(home, job, worker))
    context, done = RunningJob(home, job, worker, stop), threading.Event()
    keeper = threading.Thread(
        target=context.keep_lease, args=(done,), name=f"lease-{job.id[-6:]}", daemon=True
    )
    keeper.start()
    try:
        result = handler(context)
    except Postponed as error:
        waiting: dict[str, Any] = {"state": str(JobState.QUEUED), "attempts": job.attempts - 1}
        if error.seconds:
            waiting["not_before"] = clock.now() + timedelta(seconds=error.seconds)
        with home.db.begin() as conn:
            store.finish(conn, job.id, worker, waiting)
        return error
    except Cancelled as error:
        _finish(home, job, worker, state=JobState.CANCELLED, error=str(error))
        return error
    except Exception as error:
        if not isinstance(error, PenstockError):
            logger.exception("job failed", extra={"job": job.id, "kind": job.kind})
        _finish(home, job, worker, state=JobState.FAILED, error=str(error) or type(error).__name__)
        return error
    else:
        _finish(home, job, worker, state=JobState.SUCCEEDED, result=result)
        return None
    finally:
        done.set()
        keeper.join()


def _given_up(home: Home, job: Job, worker: str) -> str:
    message = f"Given up: the worker died {MAX_ATTEMPTS} times while running this job."
    ended = {"state": str(JobState.FAILED), "ended_at": clock.now(), "error": message}
    with home.begin() as uow:
        if store.finish(uow.conn, job.id, worker, ended):
            told = JobGivenUp(job_id=job.id, kind=job.kind, spec=job.spec, error=message)
            uow.publish(told, job.actor.scope)
    return message


def _finish(home: Home, job: Job, worker: str, *, state: JobState, **values: Any) -> None:
    with home.db.begin() as conn:
        store.finish(conn, job.id, worker, {"state": str(state), "ended_at": clock.now(), **values})
