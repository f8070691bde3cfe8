"""Runs whose program says every minute that it is still there, and what becomes of one that falls silent.

The first heartbeat is the promise of more: a run that never sent one, as those of MLflow's clients, is left alone.
"""

from datetime import datetime, timedelta

from penstock.core import clock
from penstock.core.scope import Scope, system_actor
from penstock.core.uow import UnitOfWork
from penstock.tracking.events import RunEnded
from penstock.tracking.model import HEARTBEAT_TAG, SILENT_TAG, Run, RunStatus
from penstock.tracking.store import facts, heartbeats, things


def beat(uow: UnitOfWork, scope: Scope, run: Run) -> None:
    """Note that the run's program is there; a run that was failed only for its silence goes on."""
    if run.status is RunStatus.FAILED and facts.delete_tag(uow.conn, run, SILENT_TAG):
        things.update_run(uow.conn, scope, run, status=str(RunStatus.RUNNING), ended_at=None)
    facts.set_tags(uow.conn, run, {HEARTBEAT_TAG: heartbeats.written(clock.now())})


def any_silent(uow: UnitOfWork, *, minutes: float) -> bool:
    """Return whether there is a run, of every scope, that `fail_silent` would fail."""
    return bool(heartbeats.silent_since(uow.conn, clock.now() - timedelta(minutes=minutes), limit=1))


def fail_silent(uow: UnitOfWork, *, minutes: float) -> int:
    """Fail the runs of every scope that promised a heartbeat and were silent for so long; returns how many.

    They ended when they were last heard of, as far as anybody knows.
    """
    found = heartbeats.silent_since(uow.conn, clock.now() - timedelta(minutes=minutes))
    for scope, run, heard in found:
        _fail(uow, scope, run, heard, minutes)
    return len(found)


def _fail(uow: UnitOfWork, scope: Scope, run: Run, heard: datetime, minutes: float) -> None:
    said = f"Nothing was heard of the run's program for {minutes:g} minutes: it was killed, or cut off."
    things.update_run(uow.conn, scope, run, status=str(RunStatus.FAILED), ended_at=heard)
    facts.set_tags(uow.conn, run, {SILENT_TAG: said})
    uow.audit(system_actor(scope), "runs.silent", run.id)
    event = RunEnded(run_id=run.id, experiment_id=run.experiment_id, status=str(RunStatus.FAILED))
    uow.publish(event, scope)
