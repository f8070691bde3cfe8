"""The verbs of training: the only door into this slice."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from penstock.core import clock, ids, jobs
from penstock.core.children import run_child, tail
from penstock.core.errors import Cancelled, Conflict, Invalid, NotFound, PenstockError
from penstock.core.home import Home, exclusive
from penstock.core.lineage import Link
from penstock.core.scope import Actor
from penstock.core.uow import UnitOfWork
from penstock.datasets import service as datasets
from penstock.registry import service as registry
from penstock.registry.model import Kind, ModelVersion
from penstock.training import rows as shapes
from penstock.training import store
from penstock.training.events import RunEnded
from penstock.training.model import ENDED, MetricPoint, RunState, TrainingRun
from penstock.training.recipe import Recipe, parse

JOB_KIND = "training.run"
LINK_KIND = "training_run"

Progress = Callable[[dict[str, Any]], None]


def _silent(_report: dict[str, Any]) -> None:
    return None


def _never() -> bool:
    return False


def _pinned(uow: UnitOfWork, actor: Actor, recipe: Recipe) -> Recipe:
    """Return the recipe with references that will mean the same tomorrow; raises NotFound, Invalid."""
    base = registry.get(uow, actor, ref=recipe.base)
    if base.kind is Kind.GGUF:
        raise Invalid(
            f"{base.ref} is a GGUF file, which cannot be trained.", hint="Start from what it was made of."
        )
    replay = recipe.replay
    if replay.dataset:
        if recipe.method != "dpo":
            raise Invalid("replay is for preference training (dpo) alone.", hint="Leave replay out.")
        replay = replace(replay, dataset=datasets.resolve(uow, actor, replay.dataset).ref)
    dataset = datasets.resolve(uow, actor, recipe.dataset).ref
    return replace(recipe, base=base.ref, dataset=dataset, replay=replay)


def _open(uow: UnitOfWork, actor: Actor, recipe: Recipe, *, key: str | None, as_job: bool) -> TrainingRun:
    uow.may(actor, "training.write", recipe.name)
    known = store.by_key(uow.conn, actor.scope, key) if key else None
    if known is not None:
        return known
    pinned = _pinned(uow, actor, recipe)
    run_id = ids.new_id("run")
    job = jobs.enqueue(uow, actor, JOB_KIND, {"run_id": run_id}) if as_job else None
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
    )
    store.insert(uow.conn, actor.scope, run)
    uow.audit(actor, "training.start", run.id, recipe=pinned.to_dict())
    return run


def start(home: Home, actor: Actor, recipe: Recipe, *, key: str | None = None) -> TrainingRun:
    """Queue a run for the background process; returns it at once.

    Raises NotFound for an unknown base or dataset, Invalid for a recipe that cannot work.
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
) -> TrainingRun:
    """Run the recipe here and now (training itself in a child process); returns the finished run.

    With a `key`, a run that succeeded under it is returned as it is, and one that was interrupted goes on from its
    last checkpoint. Raises what `perform` raises.
    """
    with home.begin() as uow:
        run = _open(uow, actor, recipe, key=key, as_job=False)
        if run.state in (RunState.FAILED, RunState.CANCELLED):
            store.change(uow.conn, actor.scope, run.id, state=RunState.QUEUED, error=None, ended_at=None)
    return perform(home, actor, run_id=run.id, progress=progress, cancelled=cancelled)


def perform(
    home: Home,
    actor: Actor,
    *,
    run_id: str,
    progress: Progress = _silent,
    cancelled: Callable[[], bool] = _never,
) -> TrainingRun:
    """Do the work of a run that was opened; returns it finished. One that has ended already is returned as it is.

    Raises Invalid for rows that cannot be trained on (before anything runs), Cancelled, ChildFailed with the
    log's tail when the child crashed or was killed, Busy when another process is at it.
    """
    with exclusive(home.folder("training") / f"{run_id}.lock"):
        with home.begin() as uow:
            run = get(uow, actor, run_id=run_id)
            if run.state in ENDED:
                return run
            began = run.started_at or clock.now()
            store.change(uow.conn, actor.scope, run_id, state=RunState.RUNNING, started_at=began)
        try:
            _train(home, actor, run, progress, cancelled)
        except Cancelled:
            _end(home, actor, run, RunState.CANCELLED, error="Cancelled.")
            raise
        except Exception as error:
            message = str(error) if isinstance(error, PenstockError) else f"{type(error).__name__}: {error}"
            _end(home, actor, run, RunState.FAILED, error=message)
            raise
    with home.read() as uow:
        return get(uow, actor, run_id=run_id)


def _workdir(home: Home, run_id: str) -> Path:
    return home.folder("training", run_id)


def _train(
    home: Home, actor: Actor, run: TrainingRun, progress: Progress, cancelled: Callable[[], bool]
) -> None:
    recipe = parse(run.recipe)
    folder = _workdir(home, run.id)
    began = clock.monotonic()
    spec = {**run.recipe, "workdir": str(folder), "base_ref": run.base}
    count = _write_rows(home, actor, recipe, folder / "train.jsonl")
    spec["train_file"] = str(folder / "train.jsonl")
    with home.read() as uow:
        version = registry.get(uow, actor, ref=run.base)
    spec.update(_start_folders(home, actor, version))

    def listen(report: dict[str, Any]) -> None:
        _remember(home, actor, run.id, report)
        progress(report)

    result = run_trainer(run.method, spec, on_progress=listen, cancelled=cancelled)
    metrics = {**result["metrics"], "rows": count, "steps": result["steps"]}
    metrics["seconds"] = round(clock.monotonic() - began, 1)
    made = _register(home, actor, run, version, result=result, metrics=metrics)
    _end(home, actor, run, RunState.SUCCEEDED, model=made.ref, metrics=metrics)
    for name in ("checkpoints", "model", "cache"):
        shutil.rmtree(folder / name, ignore_errors=True)
    (folder / "train.jsonl").unlink(missing_ok=True)


def _write_rows(home: Home, actor: Actor, recipe: Recipe, path: Path) -> int:
    """Check the dataset's rows and write them in the trainer's shape; returns how many."""
    found = datasets.rows(home, actor, recipe.dataset, split=recipe.split or None)
    made = shapes.check(found, method=recipe.method, columns=recipe.columns)
    made = shapes.sample(made, recipe.limit, recipe.seed)
    replay = recipe.replay
    if replay.dataset:
        accepted = shapes.check(
            datasets.rows(home, actor, replay.dataset, split=replay.split or None),
            method="sft",
            columns=recipe.columns,
        )
        accepted = shapes.sample(accepted, replay.limit, recipe.seed)
        made += shapes.replay_pairs(accepted, copies=replay.copies, seed=recipe.seed)
    path.write_bytes(b"".join(msgspec.json.encode(row) + b"\n" for row in made))
    return len(made)


def _start_folders(home: Home, actor: Actor, version: ModelVersion) -> dict[str, str]:
    folder = str(registry.materialize(home, actor, ref=version.ref))
    if version.kind is not Kind.ADAPTER:
        return {"model_folder": folder}
    return {
        "adapter_folder": folder,
        "model_folder": str(registry.materialize(home, actor, ref=str(version.base))),
    }


def run_trainer(
    name: str,
    spec: dict[str, Any],
    *,
    on_progress: Progress = _silent,
    cancelled: Callable[[], bool] = _never,
) -> dict[str, Any]:
    """Run trainer plug-in `name` on `spec` in a child process, offline and with `spec["threads"]` threads.

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
    }
    return run_child(
        "trainers",
        name,
        spec,
        workdir=Path(spec["workdir"]),
        on_progress=on_progress,
        cancelled=cancelled,
        environment=environment,
    )


def _remember(home: Home, actor: Actor, run_id: str, report: dict[str, Any]) -> None:
    """Store a report: the newest one, the examples, and the metrics of a step."""
    with home.begin() as uow:
        if "examples" in report:
            store.change(uow.conn, actor.scope, run_id, examples=report["examples"])
            return
        store.change(uow.conn, actor.scope, run_id, progress=report)
        if report.get("stage") == "train":
            values = {k: float(v) for k, v in report.items() if isinstance(v, int | float) and k != "step"}
            store.add_point(uow.conn, run_id, MetricPoint(step=report["step"], values=values, at=clock.now()))


def _register(
    home: Home,
    actor: Actor,
    run: TrainingRun,
    start_version: ModelVersion,
    *,
    result: dict[str, Any],
    metrics: dict[str, Any],
) -> ModelVersion:
    adapter = result["kind"] == "adapter"
    complete = start_version.base if start_version.kind is Kind.ADAPTER else start_version.ref
    lineage = [Link("dataset_version", run.dataset, "training data"), Link(LINK_KIND, run.id, "run")]
    replay = run.recipe["replay"]["dataset"]
    if replay:
        lineage.append(Link("dataset_version", replay, "replay data"))
    if start_version.ref != complete or not adapter:
        lineage.append(Link(registry.LINK_KIND, start_version.ref, "start"))
    return registry.register(
        home,
        actor,
        name=run.name,
        folder=Path(result["folder"]),
        kind="adapter" if adapter else "merged",
        base=complete,
        lineage=lineage,
        metrics={f"train_{name}": value for name, value in metrics.items()},
        card_extra={
            "description": run.recipe["note"],
            "method": run.method,
            "training_run": run.id,
            "recipe": run.recipe,
            "trained_parameters": result["trained_parameters"],
        },
    )


def _end(home: Home, actor: Actor, run: TrainingRun, state: RunState, **values: Any) -> None:
    with home.begin() as uow:
        store.change(uow.conn, actor.scope, run.id, state=state, ended_at=clock.now(), **values)
        links = [
            Link("dataset_version", run.dataset, "training data"),
            Link(registry.LINK_KIND, run.base, "start"),
        ]
        if run.recipe["replay"]["dataset"]:
            links.append(Link("dataset_version", run.recipe["replay"]["dataset"], "replay data"))
        uow.link(actor.scope, (LINK_KIND, run.id), links)
        uow.audit(actor, "training.end", run.id, state=str(state), model=values.get("model"))
        uow.publish(RunEnded(run_id=run.id, state=str(state), model=values.get("model")), actor.scope)


def get(uow: UnitOfWork, actor: Actor, *, run_id: str) -> TrainingRun:
    """Return a run; raises NotFound."""
    uow.may(actor, "training.read", run_id)
    run = store.by_id(uow.conn, actor.scope, run_id)
    if run is None:
        raise NotFound(f"There is no training run {run_id!r} in the project {actor.scope.project!r}.")
    return run


def list_runs(
    uow: UnitOfWork, actor: Actor, *, before: str | None = None, limit: int = 100
) -> list[TrainingRun]:
    """Return runs, newest first, with ids below `before`."""
    uow.may(actor, "training.read")
    return store.page(uow.conn, actor.scope, before=before, limit=limit)


def metrics(uow: UnitOfWork, actor: Actor, *, run_id: str) -> list[MetricPoint]:
    """Return what was logged, by step; raises NotFound."""
    run = get(uow, actor, run_id=run_id)
    return list(store.series(uow.conn, actor.scope, run.id))


def log_tail(uow: UnitOfWork, actor: Actor, *, run_id: str, limit: int = 8000) -> str:
    """Return the last `limit` bytes of the child's log; empty before it started. Raises NotFound."""
    run = get(uow, actor, run_id=run_id)
    return tail(uow.home.path / "training" / run.id / "child.log", limit)


def cancel(uow: UnitOfWork, actor: Actor, *, run_id: str) -> TrainingRun:
    """Ask a run to stop; raises NotFound, or Conflict when it has ended or was not started as a job."""
    uow.may(actor, "training.write", run_id)
    run = get(uow, actor, run_id=run_id)
    if run.state in ENDED:
        raise Conflict(f"The run has ended already ({run.state}).")
    if run.job_id is None:
        raise Conflict("The run belongs to the command that started it.", hint="Stop that command (Ctrl-C).")
    job = jobs.cancel(uow, actor, run.job_id)
    if job.state is jobs.JobState.CANCELLED:
        store.change(
            uow.conn, actor.scope, run_id, state=RunState.CANCELLED, error="Cancelled.", ended_at=clock.now()
        )
    uow.audit(actor, "training.cancel", run_id)
    return get(uow, actor, run_id=run_id)


def count(uow: UnitOfWork, actor: Actor) -> int:
    """Return how many runs the project has."""
    uow.may(actor, "training.read")
    return store.count(uow.conn, actor.scope)
