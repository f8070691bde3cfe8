"""The verbs of pipelines."""

import hashlib
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

from penstock.core import clock, ids, jobs
from penstock.core.errors import Busy, Conflict, Invalid, NotFound
from penstock.core.home import Home, exclusive
from penstock.core.scope import Actor
from penstock.core.uow import UnitOfWork
from penstock.pipelines import attempt, kinds, store
from penstock.pipelines.attempt import RETRY_SECONDS, Hooks, Say, Waits
from penstock.pipelines.documents import Document, parse
from penstock.pipelines.model import RESUMABLE, UNDER_WAY, Pipeline, PipelineRun, RunState

JOB_KIND = "pipelines.run"
DOCUMENT = "document"
"""Under this key the inputs of a written pipeline's run keep what was written."""
VALUES = "values"
"""Under this key they keep the parameters that were given."""


def run(
    home: Home, actor: Actor, pipeline: Pipeline, inputs: dict[str, Any], *, say: Say, fresh: bool = False
) -> PipelineRun:
    """Run the pipeline to its end in this process, going on with an unfinished run; returns the finished run.

    A finished step is recorded before the next begins, and never run again. A run that was
    interrupted or failed is resumed with the inputs it was started with, unless `fresh`.
    Raises Busy when the pipeline is being run by another process, and whatever a step raises.
    """
    with exclusive(lock_of(home, actor, pipeline.name)):
        with home.begin() as uow:
            uow.may(actor, "pipelines.write", pipeline.name)
            current = _opened(uow, actor, pipeline.name, inputs, fresh)
        attempt.carry_out(home, actor, pipeline, current, Hooks(say=say))
        with home.read() as uow:
            return get(uow, actor, run_id=current.id)


def lock_of(home: Home, actor: Actor, name: str) -> Path:
    """Return the lock file of a pipeline: whoever does steps of one of its runs holds it."""
    named = f"{actor.scope.tenant}/{actor.scope.project}/{name}"
    return home.folder("pipelines") / f"{hashlib.sha256(named.encode()).hexdigest()[:24]}.lock"


def start(
    home: Home,
    actor: Actor,
    document: Document,
    *,
    values: Mapping[str, Any] | None = None,
    fresh: bool = False,
    as_job: bool = True,
) -> tuple[PipelineRun, str | None]:
    """Open a run of a written pipeline, and queue the job that carries it out; returns both.

    `values` are those of its parameters. The newest run goes on if it has not succeeded and was of exactly these
    steps and values, unless `fresh`. An unfinished run
    of other steps keeps the steps it began with and goes on beside the new one. Raises Denied for steps that read
    files of the server, unless the actor is an admin.
    """
    with home.begin() as uow:
        _check_may(uow, actor, document.settled(values or {}))
        inputs: dict[str, Any] = {DOCUMENT: document.to_dict()}
        if values:
            inputs[VALUES] = dict(values)
        last = store.newest(uow.conn, actor.scope, document.name)
        again = last is not None and last.inputs == inputs
        run = _opened(uow, actor, document.name, inputs, fresh or not again)
        job = _job(uow, actor, run.id) if as_job else None
    return run, job.id if job else None


def resume(home: Home, actor: Actor, *, run_id: str, as_job: bool = True) -> tuple[PipelineRun, str | None]:
    """Let a failed, cancelled or interrupted run go on, behind its finished steps and with those it began with.

    Returns the run and the job that carries it out. Raises NotFound, Conflict when it has succeeded.
    """
    with home.begin() as uow:
        run = get(uow, actor, run_id=run_id)
        _check_may(uow, actor, _document(run))
        if run.state is RunState.SUCCEEDED:
            raise Conflict("The run has succeeded already.", hint="Start the pipeline anew.")
        run = _taken_up(uow, run)
        uow.audit(actor, "pipelines.resume", run_id, pipeline=run.pipeline)
        job = _job(uow, actor, run_id) if as_job else None
    return run, job.id if job else None


def cancel(uow: UnitOfWork, actor: Actor, *, run_id: str) -> PipelineRun:
    """Stop a run, with what its step has under way; finished steps stay. Raises NotFound, Conflict if it has ended."""
    uow.may(actor, "pipelines.write", run_id)
    run = get(uow, actor, run_id=run_id)
    ended: dict[str, Any] = {"why": attempt.CANCELLED, "ended_at": clock.now()}
    if not store.change(uow.conn, run_id, RunState.CANCELLED, held_in=UNDER_WAY, **ended):
        raise Conflict(f"The run has ended already ({run.state}).")
    if job := _open_job(uow, actor, run_id):
        jobs.cancel(uow, actor, job.id)
    for step in run.inputs.get(DOCUMENT, {}).get("steps", ()):
        kinds.give_up(uow, actor, run_id, step)
    uow.audit(actor, "pipelines.cancel", run_id, pipeline=run.pipeline)
    return get(uow, actor, run_id=run_id)


def give_up(uow: UnitOfWork, actor: Actor, *, run_id: str, error: str) -> None:
    """Fail a run whose job was given up; one that has ended, or that another job carries on, is left as it is."""
    if _open_job(uow, actor, run_id) is not None:
        return
    if store.change(uow.conn, run_id, RunState.FAILED, held_in=UNDER_WAY, why=error, ended_at=clock.now()):
        uow.audit(actor, "pipelines.given_up", run_id)


def _is_open(job: jobs.Job) -> bool:
    return job.state in (jobs.JobState.QUEUED, jobs.JobState.RUNNING) and not job.cancel_requested


def _open_job(uow: UnitOfWork, actor: Actor, run_id: str) -> jobs.Job | None:
    """Return the job that carries the run out, if there is one."""
    for number in count(1):
        job = jobs.by_key(uow, actor, JOB_KIND, f"{run_id}:{number}")
        if job is None or _is_open(job):
            break
    return job


def _check_may(uow: UnitOfWork, actor: Actor, document: Document) -> None:
    uow.may(actor, "pipelines.write", document.name)
    if document.reads_files():
        uow.may(actor, "pipelines.files.admin", document.name)


def _job(uow: UnitOfWork, actor: Actor, run_id: str) -> jobs.Job:
    """Return the job that carries the run out: the one that is open, or a new one; a run never has two of them."""
    for number in count(1):
        job = jobs.enqueue(uow, actor, JOB_KIND, {"run_id": run_id}, key=f"{run_id}:{number}")
        if _is_open(job):
            break
    return job


def _document(run: PipelineRun) -> Document:
    """Return the steps that the run began with; raises Invalid when there are none, or none of today's."""
    try:
        return parse(run.inputs.get(DOCUMENT)).settled(run.inputs.get(VALUES, {}))
    except Invalid as error:
        raise Invalid(
            f"The steps that {run.id} began with cannot be done any more: {error.message}",
            hint="Start the pipeline anew, with --fresh.",
        ) from error


def perform(home: Home, actor: Actor, *, run_id: str, hooks: Hooks) -> PipelineRun:
    """Carry out the steps of a written pipeline's run that have not finished; returns it finished.

    A run that has ended is returned as it is. Raises Waits when it has to go on later, Cancelled, whatever a step
    raises, and Busy when the pipeline is being run by another process; who is not `patient` waits for that, too.
    """
    with home.read() as uow:
        found = get(uow, actor, run_id=run_id)
    with ExitStack() as held:
        try:
            held.enter_context(exclusive(lock_of(home, actor, found.pipeline)))
        except Busy as error:
            if hooks.patient:
                raise
            why = f"Waiting for another run of {found.pipeline}."
            with home.begin() as uow:
                store.change(uow.conn, run_id, RunState.WAITING, held_in=(RunState.WAITING,), why=why)
            raise Waits(why, seconds=RETRY_SECONDS) from error
        _perform(home, actor, run_id, hooks)
    with home.read() as uow:
        return get(uow, actor, run_id=run_id)


def _perform(home: Home, actor: Actor, run_id: str, hooks: Hooks) -> None:
    with home.read() as uow:
        uow.may(actor, "pipelines.write", run_id)
        found = get(uow, actor, run_id=run_id)
    if found.state not in UNDER_WAY:
        return
    try:
        pipeline = _document(found).pipeline()
    except Invalid as error:
        with home.begin() as uow:
            store.change(
                uow.conn, run_id, RunState.FAILED, held_in=UNDER_WAY, why=str(error), ended_at=clock.now()
            )
        raise
    attempt.carry_out(home, actor, pipeline, found, hooks)


def _opened(uow: UnitOfWork, actor: Actor, name: str, inputs: dict[str, Any], fresh: bool) -> PipelineRun:
    last = store.newest(uow.conn, actor.scope, name)
    if last is not None and last.state is not RunState.SUCCEEDED and not fresh:
        return _taken_up(uow, last)
    new = PipelineRun(
        id=ids.new_id("pip"),
        pipeline=name,
        number=last.number + 1 if last else 1,
        inputs=inputs,
        state=RunState.WAITING,
        error=None,
        created_at=clock.now(),
        ended_at=None,
    )
    store.insert(uow.conn, actor.scope, new)
    uow.audit(actor, "pipelines.start", new.id, pipeline=name, inputs=inputs)
    return new


def _taken_up(uow: UnitOfWork, run: PipelineRun) -> PipelineRun:
    if not store.change(uow.conn, run.id, RunState.WAITING, held_in=RESUMABLE):
        return run
    return replace(run, state=RunState.WAITING, error=None, ended_at=None)


def list_pipelines(uow: UnitOfWork, actor: Actor, *, after: str = "", limit: int = 50) -> list[PipelineRun]:
    """Return the newest run of each pipeline, by name, of names above `after`."""
    uow.may(actor, "pipelines.read")
    return store.newest_of_each(uow.conn, actor.scope, after=after, limit=limit)


def document(uow: UnitOfWork, actor: Actor, *, pipeline: str) -> Document:
    """Return the document of the pipeline's newest run; raises NotFound, Invalid when it cannot be read any more."""
    found = newest(uow, actor, pipeline=pipeline)
    if found is None or DOCUMENT not in found.inputs:
        raise NotFound(f"No run of a written pipeline is called {pipeline!r}.", hint="Send its document.")
    return parse(found.inputs[DOCUMENT])


def newest(uow: UnitOfWork, actor: Actor, *, pipeline: str) -> PipelineRun | None:
    """Return the pipeline's newest run, or None."""
    uow.may(actor, "pipelines.read", pipeline)
    return store.newest(uow.conn, actor.scope, pipeline)


def get(uow: UnitOfWork, actor: Actor, *, run_id: str) -> PipelineRun:
    """Return one run; raises NotFound."""
    uow.may(actor, "pipelines.read", run_id)
    found = store.by_id(uow.conn, actor.scope, run_id)
    if found is None:
        raise NotFound(f"There is no pipeline run {run_id!r}.")
    return found


def list_runs(
    uow: UnitOfWork,
    actor: Actor,
    *,
    before: str | None = None,
    limit: int = 50,
    pipeline: str = "",
    state: RunState | None = None,
) -> list[PipelineRun]:
    """Return runs, newest first, with ids below `before`: of all pipelines or of one, in any state or in one."""
    uow.may(actor, "pipelines.read")
    return store.page(uow.conn, actor.scope, before=before, limit=limit, pipeline=pipeline, state=state)
