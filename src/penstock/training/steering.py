"""What people do to a run that exists: pause, resume, cancel, write a note, compare, look at its files."""

from collections.abc import Iterator, Sequence
from typing import Any

from penstock.core import clock, jobs
from penstock.core.children import tail
from penstock.core.errors import Busy, Conflict, Invalid, NotFound
from penstock.core.home import exclusive
from penstock.core.scope import Actor
from penstock.core.uow import UnitOfWork
from penstock.training import artifacts, store
from penstock.training.model import (
    ENDED,
    RESUMABLE,
    MetricPoint,
    RunArtifact,
    RunState,
    TrainingRun,
    Wish,
)
from penstock.training.share import store as claims

JOB_KIND = "training.run"
MAX_NOTE = 20_000
MAX_COMPARED = 20
MOST_POINTS = 1000
"""Points of a curve unless somebody asks for more."""


def get(uow: UnitOfWork, actor: Actor, *, run_id: str) -> TrainingRun:
    """Return a run; raises NotFound."""
    uow.may(actor, "training.read", run_id)
    run = store.by_id(uow.conn, actor.scope, run_id)
    if run is None:
        raise NotFound(f"There is no training run {run_id!r} in the project {actor.scope.project!r}.")
    return run


def queue_job(uow: UnitOfWork, actor: Actor, run_id: str, priority: int) -> jobs.Job:
    """Let a worker carry the run out, before others of less priority."""
    return jobs.enqueue(uow, actor, JOB_KIND, {"run_id": run_id}, priority=priority)


def _abandoned(uow: UnitOfWork, run: TrainingRun) -> bool:
    """Whether the command that ran it in the foreground is gone, so that nobody hears a wish."""
    here = (uow.home.path / "training" / run.id).is_dir()
    if run.job_id is not None or run.state is not RunState.RUNNING or not here:
        return False
    try:
        with exclusive(uow.home.path / "training" / f"{run.id}.lock"):
            return True
    except Busy:
        return False


def pause(uow: UnitOfWork, actor: Actor, *, run_id: str) -> TrainingRun:
    """Ask a run to stop at its next checkpoint; `resume` goes on from there. Raises NotFound, Conflict."""
    uow.may(actor, "training.write", run_id)
    run = get(uow, actor, run_id=run_id)
    if run.state is RunState.PAUSED:
        return run
    if run.state in ENDED:
        raise Conflict(f"The run has ended already ({run.state}).")
    waiting = run.state is RunState.QUEUED or _abandoned(uow, run)
    paused: dict[str, Any] = {"state": RunState.PAUSED, "wish": None}
    if waiting and store.change(uow.conn, actor.scope, run_id, held_in=(run.state,), **paused):
        _drop_job(uow, actor, run)
    else:
        store.change(uow.conn, actor.scope, run_id, wish=Wish.PAUSE)
    uow.audit(actor, "training.pause", run_id)
    return get(uow, actor, run_id=run_id)


def rest(uow: UnitOfWork, actor: Actor, *, run_id: str, step: int) -> Wish | None:
    """Pause a run that has stopped at a step's checkpoint, if that is still wanted; returns what is wanted of it."""
    paused: dict[str, Any] = {"state": RunState.PAUSED, "wish": None}
    if store.change(uow.conn, actor.scope, run_id, asked=Wish.PAUSE, **paused):
        uow.audit(actor, "training.paused", run_id, step=step)
        return Wish.PAUSE
    return store.wish_of(uow.conn, actor.scope, run_id)


def _drop_job(uow: UnitOfWork, actor: Actor, run: TrainingRun) -> None:
    claims.drop_claim(uow.conn, actor.scope, run.id)
    if run.job_id is not None:
        job = jobs.get(uow, actor, run.job_id)
        if job.state in (jobs.JobState.QUEUED, jobs.JobState.RUNNING):
            jobs.cancel(uow, actor, run.job_id)


def resume(uow: UnitOfWork, actor: Actor, *, run_id: str, as_job: bool = True) -> TrainingRun:
    """Queue a paused, failed or cancelled run again; it goes on from its last checkpoint. Raises NotFound, Conflict."""
    uow.may(actor, "training.write", run_id)
    run = get(uow, actor, run_id=run_id)
    if run.state not in RESUMABLE and not _abandoned(uow, run):
        raise Conflict(
            f"The run is {run.state}; only a paused, failed or cancelled one can go on.",
            hint="Start its recipe anew to train once more.",
        )
    priority = int(run.recipe.get("running", {}).get("priority", 0))
    job = queue_job(uow, actor, run_id, priority) if as_job else None
    store.change(
        uow.conn,
        actor.scope,
        run_id,
        state=RunState.QUEUED,
        job_id=job.id if job else None,
        wish=None,
        error=None,
        ended_at=None,
    )
    uow.audit(actor, "training.resume", run_id)
    return get(uow, actor, run_id=run_id)


def cancel(uow: UnitOfWork, actor: Actor, *, run_id: str) -> TrainingRun:
    """Ask a run to stop; raises NotFound, or Conflict when it has ended."""
    uow.may(actor, "training.write", run_id)
    run = get(uow, actor, run_id=run_id)
    if run.state in ENDED:
        raise Conflict(f"The run has ended already ({run.state}).")
    waiting = run.state in (RunState.QUEUED, RunState.PAUSED) or _abandoned(uow, run)
    _drop_job(uow, actor, run)
    ended: dict[str, Any] = {
        "state": RunState.CANCELLED,
        "error": "Cancelled.",
        "ended_at": clock.now(),
        "wish": None,
    }
    if not waiting or not store.change(uow.conn, actor.scope, run_id, held_in=(run.state,), **ended):
        store.change(uow.conn, actor.scope, run_id, wish=Wish.CANCEL)
    uow.audit(actor, "training.cancel", run_id)
    return get(uow, actor, run_id=run_id)


def annotate(uow: UnitOfWork, actor: Actor, *, run_id: str, note: str) -> TrainingRun:
    """Replace what people wrote about the run; raises NotFound, Invalid for a note that is too long."""
    uow.may(actor, "training.write", run_id)
    if len(note) > MAX_NOTE:
        raise Invalid(f"A note has at most {MAX_NOTE} characters, not {len(note)}.")
    get(uow, actor, run_id=run_id)
    clean = note.replace("\0", "").encode("utf-8", "replace").decode()
    store.change(uow.conn, actor.scope, run_id, note=clean)
    uow.audit(actor, "training.note", run_id)
    return get(uow, actor, run_id=run_id)


def list_artifacts(uow: UnitOfWork, actor: Actor, *, run_id: str) -> list[RunArtifact]:
    """Return the files that a run left so far; raises NotFound."""
    return artifacts.listing(uow, actor, get(uow, actor, run_id=run_id))


def read_artifact(uow: UnitOfWork, actor: Actor, *, run_id: str, path: str) -> Iterator[bytes]:
    """Return the content of a stored file in pieces; raises NotFound."""
    return artifacts.read(uow, actor, get(uow, actor, run_id=run_id), path=path)


def by_key(uow: UnitOfWork, actor: Actor, *, key: str) -> TrainingRun | None:
    """Return the run started with this key, or None."""
    uow.may(actor, "training.read", key)
    return store.by_key(uow.conn, actor.scope, key)


def metrics(uow: UnitOfWork, actor: Actor, *, run_id: str, most: int = MOST_POINTS) -> list[MetricPoint]:
    """Return what was logged, by step; raises NotFound.

    Of more than `most` points evenly chosen ones are returned, with the last and those of evaluated checkpoints.
    """
    run = get(uow, actor, run_id=run_id)
    return store.series(uow.conn, actor.scope, run.id, most=most)


def log_tail(uow: UnitOfWork, actor: Actor, *, run_id: str, limit: int = 8000) -> str:
    """Return the last `limit` bytes of the child's log; empty before it started. Raises NotFound."""
    run = get(uow, actor, run_id=run_id)
    return tail(uow.home.path / "training" / run.id / "child.log", limit)


def count(uow: UnitOfWork, actor: Actor) -> int:
    """Return how many runs the project has."""
    uow.may(actor, "training.read")
    return store.count(uow.conn, actor.scope)


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            found |= _flat(value, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = value
    return found


def compare(uow: UnitOfWork, actor: Actor, *, run_ids: Sequence[str]) -> dict[str, Any]:
    """Return several runs side by side: `runs`, the recipe keys that `differ` with each run's value, and `metrics`.

    `series` holds run → the points logged. Raises NotFound, Invalid for fewer than two or too many runs.
    """
    wanted = list(dict.fromkeys(run_ids))
    if not 2 <= len(wanted) <= MAX_COMPARED:
        raise Invalid(f"Compare between 2 and {MAX_COMPARED} runs, not {len(wanted)}.")
    runs = [get(uow, actor, run_id=run_id) for run_id in wanted]
    recipes = [_flat(run.recipe) for run in runs]
    keys = sorted({key for recipe in recipes for key in recipe})
    differ = {
        key: [recipe.get(key) for recipe in recipes]
        for key in keys
        if any(recipe.get(key) != recipes[0].get(key) for recipe in recipes)
    }
    names = sorted({name for run in runs for name in run.metrics})
    return {
        "runs": runs,
        "differ": differ,
        "metrics": {name: [run.metrics.get(name) for run in runs] for name in names},
        "series": {run.id: metrics(uow, actor, run_id=run.id) for run in runs},
    }
