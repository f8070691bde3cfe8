"""The verbs of pipelines."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from penstock.core import clock, ids, jobs
from penstock.core.errors import Cancelled, NotFound
from penstock.core.home import Home, exclusive
from penstock.core.scope import Actor
from penstock.core.uow import UnitOfWork
from penstock.pipelines import store
from penstock.pipelines.documents import Document, parse
from penstock.pipelines.model import Pipeline, PipelineRun, RunState, Step, StepContext, StepRecord

Say = Callable[[str], None]
JOB_KIND = "pipelines.run"
DOCUMENT = "document"
"""Under this key the inputs of a written pipeline's run keep what was written."""


def run(
    home: Home, actor: Actor, pipeline: Pipeline, inputs: dict[str, Any], *, say: Say, fresh: bool = False
) -> PipelineRun:
    """Run the pipeline to its end in this process, going on with an unfinished run; returns the finished run.

    A finished step is recorded before the next begins, and never run again. A run that was
    interrupted or failed is resumed with the inputs it was started with, unless `fresh`.
    Raises Busy when the pipeline is being run by another process, and whatever a step raises.
    """
    with exclusive(_lock(home, actor, pipeline.name)):
        current = _open(home, actor, pipeline, inputs, fresh)
        return _carried_out(home, actor, pipeline, current, StepHooks(say=say))


@dataclass(frozen=True, slots=True, kw_only=True)
class StepHooks:
    """What the one who carries out a run hears, and may want."""

    say: Say
    cancelled: Callable[[], bool] = lambda: False


def _lock(home: Home, actor: Actor, name: str) -> Path:
    named = f"{actor.scope.tenant}/{actor.scope.project}/{name}"
    return home.folder("pipelines") / f"{hashlib.sha256(named.encode()).hexdigest()[:24]}.lock"


def _carried_out(
    home: Home, actor: Actor, pipeline: Pipeline, current: PipelineRun, hooks: StepHooks
) -> PipelineRun:
    finished = {step.name: step.result for step in current.steps}
    context = StepContext(
        home=home,
        actor=actor,
        run_id=current.id,
        inputs=current.inputs,
        results=finished,
        say=hooks.say,
        cancelled=hooks.cancelled,
    )
    try:
        for name, step in pipeline.steps:
            if name not in finished:
                if hooks.cancelled():
                    raise Cancelled("The pipeline was cancelled; running it again goes on with it.")
                finished[name] = _run_step(home, current.id, name, step, context)
    except Exception as error:
        with home.begin() as uow:
            store.set_state(uow.conn, current.id, RunState.FAILED, error=str(error))
        raise
    with home.begin() as uow:
        store.set_state(uow.conn, current.id, RunState.SUCCEEDED, ended_at=clock.now())
        uow.audit(actor, "pipelines.finish", current.id, pipeline=pipeline.name)
    with home.read() as uow:
        return get(uow, actor, run_id=current.id)


def start(
    home: Home, actor: Actor, document: Document, *, fresh: bool = False, as_job: bool = True
) -> tuple[PipelineRun, str | None]:
    """Open a run of a written pipeline, and queue the job that carries it out; returns both.

    The newest run goes on if it has not succeeded and was of exactly these steps, unless `fresh`. Raises Denied for
    steps that read files of the server, unless the actor is an admin.
    """
    with home.begin() as uow:
        uow.may(actor, "pipelines.write", document.name)
        if document.reads_files():
            uow.may(actor, "pipelines.files.admin", document.name)
        pipeline, inputs = document.pipeline(), {DOCUMENT: document.to_dict()}
        last = store.newest(uow.conn, actor.scope, document.name)
        again = last is not None and last.inputs == inputs
        run = _opened(uow, actor, pipeline, inputs, fresh or not again)
        job = jobs.enqueue(uow, actor, JOB_KIND, {"run_id": run.id}) if as_job else None
    return run, job.id if job else None


def perform(
    home: Home,
    actor: Actor,
    *,
    run_id: str,
    say: Say,
    cancelled: Callable[[], bool] = lambda: False,
) -> PipelineRun:
    """Carry out the steps of a written pipeline's run that have not finished; returns it finished.

    Raises Busy when another process is at it, Cancelled, and whatever a step raises.
    """
    with home.read() as uow:
        found = get(uow, actor, run_id=run_id)
    with exclusive(_lock(home, actor, found.pipeline)):
        with home.begin() as uow:
            uow.may(actor, "pipelines.write", found.pipeline)
            found = get(uow, actor, run_id=run_id)
            if found.state is RunState.SUCCEEDED:
                return found
            store.set_state(uow.conn, run_id, RunState.RUNNING)
        pipeline = parse(found.inputs.get(DOCUMENT)).pipeline()
        return _carried_out(home, actor, pipeline, found, StepHooks(say=say, cancelled=cancelled))


def _open(home: Home, actor: Actor, pipeline: Pipeline, inputs: dict[str, Any], fresh: bool) -> PipelineRun:
    with home.begin() as uow:
        uow.may(actor, "pipelines.write", pipeline.name)
        return _opened(uow, actor, pipeline, inputs, fresh)


def _opened(
    uow: UnitOfWork, actor: Actor, pipeline: Pipeline, inputs: dict[str, Any], fresh: bool
) -> PipelineRun:
    last = store.newest(uow.conn, actor.scope, pipeline.name)
    if last is not None and last.state is not RunState.SUCCEEDED and not fresh:
        store.set_state(uow.conn, last.id, RunState.RUNNING)
        return replace(last, state=RunState.RUNNING, error=None)
    new = PipelineRun(
        id=ids.new_id("pip"),
        pipeline=pipeline.name,
        number=last.number + 1 if last else 1,
        inputs=inputs,
        state=RunState.RUNNING,
        error=None,
        created_at=clock.now(),
        ended_at=None,
    )
    store.insert(uow.conn, actor.scope, new)
    uow.audit(actor, "pipelines.start", new.id, pipeline=pipeline.name, inputs=inputs)
    return new


def _run_step(home: Home, run_id: str, name: str, step: Step, context: StepContext) -> dict[str, Any]:
    began, start = clock.now(), clock.monotonic()
    result = step(context)
    seconds = round(clock.monotonic() - start, 3)
    with home.begin() as uow:
        record = StepRecord(name=name, result=result, seconds=seconds, started_at=began, ended_at=clock.now())
        store.record_step(uow.conn, run_id, record)
    return result


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
    uow: UnitOfWork, actor: Actor, *, before: str | None = None, limit: int = 50
) -> list[PipelineRun]:
    """Return runs of all pipelines, newest first, with ids below `before`."""
    uow.may(actor, "pipelines.read")
    return store.page(uow.conn, actor.scope, before=before, limit=limit)
