"""The verbs of training: the only door into this slice."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from penstock.core import clock, ids
from penstock.core.errors import Cancelled, PenstockError
from penstock.core.home import Home, exclusive
from penstock.core.scope import Actor
from penstock.core.uow import UnitOfWork
from penstock.evals.suites import service as suites
from penstock.registry import service as registry
from penstock.training import artifacts, bases, ending, inputs, judging, registering, steering, store
from penstock.training.model import ENDED, RESUMABLE, UNDER_WAY, RunState, TrainingRun, Wish
from penstock.training.recipe import Recipe, parse
from penstock.training.share.model import NoRoom
from penstock.training.share.quiet import quiet as quiet
from penstock.training.share.service import Share as Share
from penstock.training.share.service import claim_of
from penstock.training.share.service import drop_claim as drop_claim
from penstock.training.share.service import give_gpus as give_gpus
from penstock.training.share.service import once_there_is_room as once_there_is_room
from penstock.training.share.service import standing as standing
from penstock.training.store import blobs_named as blobs_named
from penstock.training.supervisor import Control, run_child
from penstock.training.watching import Listener, Wishes

JOB_KIND = steering.JOB_KIND
LINK_KIND = registering.LINK_KIND

Progress = Callable[[dict[str, Any]], None]


@dataclass(frozen=True, slots=True)
class Hooks:
    """What the one who carries out a run hears and wants, and the run's place on the machine."""

    progress: Progress
    cancelled: Callable[[], bool]
    place: Share


def _silent(_report: dict[str, Any]) -> None:
    return None


def _never() -> bool:
    return False


def _pinned(uow: UnitOfWork, actor: Actor, recipe: Recipe) -> Recipe:
    """Return the recipe with references that will mean the same tomorrow; raises NotFound, Invalid."""
    for suite in filter(None, (recipe.suite, recipe.early_stop.suite)):
        suites.load(uow, actor, suite)
    recipe.running.rows_per_pass(recipe.batch_size)
    inputs.cluster(uow.home, recipe)
    return inputs.pinned(uow, actor, recipe)


def _open(
    uow: UnitOfWork,
    actor: Actor,
    recipe: Recipe,
    *,
    key: str | None,
    as_job: bool,
    search: str | None = None,
) -> TrainingRun:
    uow.may(actor, "training.admin" if recipe.running.priority > 0 else "training.write", recipe.name)
    known = store.by_key(uow.conn, actor.scope, key) if key else None
    if known is not None:
        return known
    pinned = _pinned(uow, actor, recipe)
    run_id = ids.new_id("run")
    job = steering.queue_job(uow, actor, run_id, pinned.running.priority) if as_job else None
    run = TrainingRun(
        id=run_id,
        name=pinned.name,
        method=pinned.method,
        recipe=pinned.to_dict(),
        base=pinned.base,
        dataset=pinned.dataset,
        key=key,
        state=RunState.QUEUED,
        job_id=job.id if job else None,
        progress={},
        examples=[],
        metrics={},
        model=None,
        error=None,
        author=actor.name,
        created_at=clock.now(),
        started_at=None,
        ended_at=None,
        inputs=inputs.contents(uow, actor, pinned),
        search=search,
    )
    store.insert(uow.conn, actor.scope, run)
    uow.audit(actor, "training.start", run.id, recipe=pinned.to_dict())
    return run


def start(home: Home, actor: Actor, recipe: Recipe, *, key: str | None = None) -> TrainingRun:
    """Queue a run for the background process; returns it at once.

    A base that is not in the registry is imported by the run. Raises NotFound for an unknown base or dataset, Denied
    for a folder that the actor may not import, Invalid for a recipe that cannot work.
    """
    with home.begin() as uow:
        return _open(uow, actor, recipe, key=key, as_job=True)


def execute(
    home: Home,
    actor: Actor,
    recipe: Recipe,
    *,
    key: str | None = None,
    progress: Progress = _silent,
    cancelled: Callable[[], bool] = _never,
    search: str | None = None,
) -> TrainingRun:
    """Run the recipe here and now (training itself in a child process); returns the finished run.

    With a `key`, a run that succeeded under it is returned as it is, and one that was interrupted goes on from its
    last checkpoint. Raises what `perform` raises.
    """
    run = taken_up(home, actor, recipe, key=key, search=search)
    return carry_out(home, actor, run_id=run.id, progress=progress, cancelled=cancelled)


def taken_up(
    home: Home, actor: Actor, recipe: Recipe, *, key: str | None = None, search: str | None = None
) -> TrainingRun:
    """Return a run for the caller to `perform` or `carry_out`: a new one, or the one of this `key`, opened again."""
    with home.begin() as uow:
        run = _open(uow, actor, recipe, key=key, as_job=False, search=search)
        if run.state in RESUMABLE:
            run = steering.resume(uow, actor, run_id=run.id, as_job=False)
    return run


def carry_out(
    home: Home,
    actor: Actor,
    *,
    run_id: str,
    progress: Progress = _silent,
    cancelled: Callable[[], bool] = _never,
    stopping: Callable[[], bool] = _never,
) -> TrainingRun:
    """Do the work of a run that was opened, in the foreground: waits for room on the machine. Raises like `perform`."""
    work = partial(
        perform, home, actor, run_id=run_id, progress=progress, cancelled=cancelled, stopping=stopping
    )
    return once_there_is_room(work, progress)


def perform(
    home: Home,
    actor: Actor,
    *,
    run_id: str,
    progress: Progress = _silent,
    cancelled: Callable[[], bool] = _never,
    stopping: Callable[[], bool] = _never,
) -> TrainingRun:
    """Do the work of a run that was opened; returns it finished or paused. One that has ended is returned as it is.

    Once `stopping()` is true it stops and waits to be performed again. Raises Invalid for rows that cannot be
    trained on (before anything runs), Cancelled in both cases, ChildFailed with the log's tail when the child
    crashed or was killed, Busy when another process is at it, NoRoom when the machine has no room for it or others
    need it more: then it waits, to be performed again, and goes on from its checkpoint.
    """
    with exclusive(home.folder("training") / f"{run_id}.lock"):
        with home.read() as uow:
            run = get(uow, actor, run_id=run_id)
        if run.state in ENDED or run.state is RunState.PAUSED:
            if run.state is RunState.SUCCEEDED:
                artifacts.tidy(_workdir(home, run_id))  # it may have been killed before it came to that
            return run
        place = _place(home, actor, run)
        try:
            run = bases.begun(home, actor, run, progress, lambda: cancelled() or stopping())
            run = _begin(home, actor, run, place, cancelled)
            if run.state is RunState.RUNNING and not _ended_before(home, actor, run):
                with place.kept():
                    _train(home, actor, run, Hooks(progress, lambda: cancelled() or stopping(), place))
        except NoRoom as full:
            place.wait()
            _queue(home, actor, run_id, full.message)
            raise
        except Cancelled:
            place.leave()
            if stopping() and not cancelled():
                with home.begin() as uow:
                    store.change(uow.conn, actor.scope, run_id, held_in=UNDER_WAY, state=RunState.QUEUED)
            else:
                _end(home, actor, run, RunState.CANCELLED, error="Cancelled.")
            raise
        except Exception as error:
            place.leave()
            message = str(error) if isinstance(error, PenstockError) else f"{type(error).__name__}: {error}"
            _end(home, actor, run, RunState.FAILED, error=message)
            raise
        place.leave()
    with home.read() as uow:
        return get(uow, actor, run_id=run_id)


def _queue(home: Home, actor: Actor, run_id: str, reason: str) -> None:
    with home.begin() as uow:
        shown = get(uow, actor, run_id=run_id).progress
        queued: dict[str, Any] = {"state": RunState.QUEUED}
        queued["progress"] = {**shown, "stage": "waiting", "reason": reason}
        store.change(uow.conn, actor.scope, run_id, held_in=UNDER_WAY, **queued)


def _place(home: Home, actor: Actor, run: TrainingRun) -> Share:
    running = parse(run.recipe).running
    return Share(home, actor, claim_of(actor, run.id, running))


def _begin(
    home: Home, actor: Actor, run: TrainingRun, place: Share, cancelled: Callable[[], bool]
) -> TrainingRun:
    """Return the run as it begins, or as somebody paused or cancelled it meanwhile; raises NoRoom, Cancelled."""
    if cancelled():
        raise Cancelled("The run was cancelled before it began.")
    if obstacle := place.obstacle():
        raise NoRoom(obstacle)
    known = {name: value for name, value in run.progress.items() if name != "reason"}
    with home.begin() as uow:
        began: dict[str, Any] = {"state": RunState.RUNNING, "started_at": run.started_at or clock.now()}
        store.change(uow.conn, actor.scope, run.id, held_in=UNDER_WAY, **began, progress=known)
        return get(uow, actor, run_id=run.id)


def _workdir(home: Home, run_id: str) -> Path:
    return home.folder("training", run_id)


def _ended_before(home: Home, actor: Actor, run: TrainingRun) -> bool:
    """Whether an earlier attempt was killed after it registered the model; then the run ends with that one.

    Training again need not give the same weights, and a run has one model.
    """
    with home.read() as uow:
        made = registering.registered(uow, actor, run)
    if made is None:
        return False
    digest = artifacts.weights_hash(registry.materialize(home, actor, ref=made.ref))
    _succeed(home, actor, run, model=made.ref, metrics=registering.figures(made), weights_hash=digest)
    return True


def _succeed(home: Home, actor: Actor, run: TrainingRun, **values: Any) -> None:
    _end(home, actor, run, RunState.SUCCEEDED, **values)
    artifacts.tidy(_workdir(home, run.id))


def _train(home: Home, actor: Actor, run: TrainingRun, hooks: Hooks) -> None:
    recipe = parse(run.recipe)
    folder = _workdir(home, run.id)
    began = clock.monotonic()
    given = inputs.furnish(home, actor, recipe, folder)
    spec = {**run.recipe, "workdir": str(folder), **given, **inputs.cluster(home, recipe)}
    with home.read() as uow:
        version = registry.get(uow, actor, ref=run.base)
    wishes = Wishes(home, actor.scope, run.id)

    def unwanted() -> bool:
        hooks.place.obstacle()  # so that the place is kept while a checkpoint is judged
        return hooks.cancelled() or wishes.cancel()

    def stop_soon() -> bool:
        return wishes.pause() or bool(hooks.place.obstacle())

    judge = judging.judge_of(
        home, actor, recipe.early_stop, run_id=run.id, base_folder=spec["model_folder"], cancelled=unwanted
    )
    listener = Listener(home, actor.scope, run, hooks.progress)
    result = run_trainer(
        run.method,
        spec,
        on_progress=listener,
        cancelled=unwanted,
        control=Control(paused=stop_soon, judge=judge, environment=listener.environment),
        visible=hooks.place.visible() if recipe.running.launcher != "ray" else {},
    )
    artifacts.collect(home, run, folder)
    if result.get("paused"):
        with home.begin() as uow:
            wish = steering.rest(uow, actor, run_id=run.id, step=result["step"])
        if wish is None:
            raise NoRoom(hooks.place.obstacle() or "It gave way and goes on now.")
        if wish is Wish.CANCEL:
            raise Cancelled("The run was cancelled.")
        return
    metrics = {**result["metrics"], "rows": given["rows"], "steps": result["steps"]}
    metrics["seconds"] = round(clock.monotonic() - began, 1)
    metrics |= listener.totals()
    made = registering.register(home, actor, run, version, result=result, metrics=metrics)
    digest = artifacts.weights_hash(Path(result["folder"]))
    _succeed(home, actor, run, model=made.ref, metrics=metrics, weights_hash=digest)


def run_trainer(
    name: str,
    spec: dict[str, Any],
    *,
    on_progress: Progress = _silent,
    cancelled: Callable[[], bool] = _never,
    control: Control | None = None,
    visible: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Run trainer plug-in `name` on `spec` in child processes, offline and with `spec["threads"]` threads each.

    `visible` are the environment variables that keep them to their GPUs.

    `spec["workdir"]` gets the log, checkpoints and result. Returns the trainer's result: `folder`, `kind`, `steps`,
    `metrics`, … Raises MissingExtra, Invalid, ChildFailed, Cancelled.
    """
    threads = str(spec.get("threads", 1))
    environment = {
        "OMP_NUM_THREADS": threads,
        "MKL_NUM_THREADS": threads,
        "TOKENIZERS_PARALLELISM": "false",
        "HF_HUB_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HOME": str(Path(spec["workdir"]) / "cache"),
        # Without it, CUDA's matrix products differ from run to run.
        "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
        **(visible or {}),
    }
    return run_child(
        "trainers",
        name,
        spec,
        workdir=Path(spec["workdir"]),
        on_progress=on_progress,
        cancelled=cancelled,
        environment=environment,
        control=control,
    )


def _end(home: Home, actor: Actor, run: TrainingRun, state: RunState, **values: Any) -> None:
    with home.begin() as uow:
        ending.end(uow, actor, run, state, **values)


get = steering.get
by_key = steering.by_key
pause = steering.pause
resume = steering.resume
cancel = steering.cancel
give_up = ending.give_up
annotate = steering.annotate
compare = steering.compare
metrics = steering.metrics
MOST_POINTS = steering.MOST_POINTS
list_artifacts = steering.list_artifacts
read_artifact = steering.read_artifact
log_tail = steering.log_tail
count = steering.count


def list_runs(
    uow: UnitOfWork,
    actor: Actor,
    *,
    before: str | None = None,
    limit: int = 100,
    state: RunState | None = None,
    search: str | None = None,
    query: str = "",
) -> list[TrainingRun]:
    """Return runs, newest first, with ids below `before`.

    `state` and `search` (a search's id) choose; `query` is a part of a name, base, dataset, result or note.
    """
    uow.may(actor, "training.read")
    return store.page(
        uow.conn, actor.scope, before=before, limit=limit, state=state, search=search, query=query
    )
