"""The verbs of tracking: the only door into this slice."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from penstock.core import clock, ids, lineage
from penstock.core.errors import Invalid, NotFound
from penstock.core.lineage import Link
from penstock.core.scope import Actor, Scope
from penstock.core.uow import UnitOfWork
from penstock.tracking import silence
from penstock.tracking.artifacts import (
    children,
    get_artifact,
    list_artifacts,
    put_artifact,
    remove_artifacts,
    tree_of,
)
from penstock.tracking.events import RunEnded
from penstock.tracking.experiments import (
    activity_of,
    create_experiment,
    default_experiment,
    ensure_default,
    find_experiment,
    limited,
    rename_experiment,
    run_keys,
    search_experiments,
    set_experiment_state,
    tag_experiment,
    untag,
    writable,
)
from penstock.tracking.logged import (
    add_model_facts,
    change_model,
    create_model,
    delete_model,
    find_model,
    model_history,
    model_names,
    models_of,
    search_models,
)
from penstock.tracking.model import (
    MAX_METRICS,
    MAX_NAME,
    MAX_PARAM,
    MAX_TAG,
    NOTE_TAG,
    SILENT_TAG,
    DatasetInput,
    Found,
    Metric,
    ModelUse,
    Run,
    RunStatus,
    State,
    check_key,
    check_pairs,
)
from penstock.tracking.search import (
    RUN_ENTITIES,
    Clause,
    Order,
    holds,
    parse_filter,
    parse_order,
)
from penstock.tracking.store import facts, things
from penstock.tracking.store.artifacts import blobs_named

MAX_PAGE = 1000
LINK_KIND = "run"
"""The kind of runs in lineage."""
_ENDS = (RunStatus.FINISHED, RunStatus.FAILED, RunStatus.KILLED)


def create_run(
    uow: UnitOfWork,
    actor: Actor,
    *,
    experiment_id: str,
    name: str = "",
    user: str = "",
    started_at: datetime | None = None,
    tags: Mapping[str, str] | None = None,
) -> Run:
    """Start a run; raises NotFound for an unknown experiment, Invalid for a deleted one."""
    uow.may(actor, "experiments.write", experiment_id)
    experiment = writable(find_experiment(uow, actor, id=experiment_id))
    run_id = ids.new_id("xrn")
    made = Run(
        id=run_id,
        experiment_id=experiment.id,
        name=_run_name(name) if name else f"run-{run_id[-6:]}",
        status=RunStatus.RUNNING,
        user=(user or actor.name)[:250],
        state=State.ACTIVE,
        started_at=started_at or clock.now(),
        ended_at=None,
        tags=check_pairs("tag", dict(tags or {}), MAX_TAG),
    )
    things.insert_run(uow.conn, actor.scope, made)
    facts.set_tags(uow.conn, made, made.tags)
    return made


def _run_name(name: str) -> str:
    if not name.strip() or len(name) > MAX_NAME or "\0" in name:
        raise Invalid(f"A run's name has 1 to {MAX_NAME} characters.")
    return name


def find_run(uow: UnitOfWork, actor: Actor, *, id: str) -> Run:
    """Return a run with parameters, tags, last metrics and inputs; raises NotFound."""
    uow.may(actor, "experiments.read", id)
    found = things.get_run(uow.conn, actor.scope, id)
    if found is None:
        raise NotFound(f"There is no run {id!r} in the project {actor.scope.project!r}.")
    return found


def _run_to_write(uow: UnitOfWork, actor: Actor, id: str) -> Run:
    uow.may(actor, "experiments.write", id)
    found = things.bare_run(uow.conn, actor.scope, id)
    if found is None:
        raise NotFound(f"There is no run {id!r} in the project {actor.scope.project!r}.")
    if found.state is State.DELETED:
        raise Invalid(f"The run {id!r} is deleted.", hint="Restore it first.")
    return found


def change_run(
    uow: UnitOfWork,
    actor: Actor,
    *,
    id: str,
    name: str | None = None,
    status: RunStatus | None = None,
    ended_at: datetime | None = None,
) -> Run:
    """Rename a run or move its status; a run that ends without a time ends now."""
    run = _run_to_write(uow, actor, id)
    values: dict[str, object] = {}
    if name:
        values["name"] = _run_name(name)
    if status is not None:
        values["status"] = str(status)
        facts.delete_tag(uow.conn, run, SILENT_TAG)
        if status in _ENDS:
            ended_at = ended_at or run.ended_at or clock.now()
            event = RunEnded(run_id=id, experiment_id=run.experiment_id, status=str(status))
            uow.publish(event, actor.scope)
    if ended_at is not None:
        values["ended_at"] = ended_at
    if values:
        things.update_run(uow.conn, actor.scope, run, **values)
    return find_run(uow, actor, id=id)


def heartbeat(uow: UnitOfWork, actor: Actor, *, id: str) -> None:
    """Note that a run's program is there, and will say so every minute: else the run is failed after a while.

    A run that was failed only because nothing was heard of it goes on.
    """
    silence.beat(uow, actor.scope, _run_to_write(uow, actor, id))


any_silent, fail_silent = silence.any_silent, silence.fail_silent


def set_run_state(uow: UnitOfWork, actor: Actor, *, id: str, state: State) -> Run:
    """Delete or restore a run; nothing is destroyed."""
    uow.may(actor, "experiments.write", id)
    run = find_run(uow, actor, id=id)
    if run.state is not state:
        things.update_run(uow.conn, actor.scope, run, state=str(state))
        uow.audit(actor, f"runs.{'delete' if state is State.DELETED else 'restore'}", id)
    return replace(run, state=state)


def log(
    uow: UnitOfWork,
    actor: Actor,
    *,
    run_id: str,
    metrics: Sequence[Metric] = (),
    params: Mapping[str, str] | None = None,
    tags: Mapping[str, str] | None = None,
) -> None:
    """Add metrics, parameters and tags to a run, all or nothing.

    Raises Invalid when a parameter has another value already, or for a key or value that is too long.
    """
    run = _run_to_write(uow, actor, run_id)
    if len(metrics) > MAX_METRICS:
        raise Invalid(f"One request may carry {MAX_METRICS} metrics; this one has {len(metrics)}.")
    for metric in metrics:
        check_key("metric", metric.key)
        if not (-(1 << 63) <= metric.step < 1 << 63 and -(1 << 63) <= metric.at_ms < 1 << 63):
            raise Invalid(f"Step and time of the metric {metric.key!r} must fit into 64 bits.")
    if params:
        clash = facts.add_params(uow.conn, run, check_pairs("parameter", dict(params), MAX_PARAM))
        if clash:
            key, value = next(iter(clash.items()))
            raise Invalid(
                f"The parameter {key!r} of the run {run_id!r} is {value!r} already.",
                hint="Parameters do not change; start another run.",
            )
    facts.set_tags(uow.conn, run, check_pairs("tag", dict(tags or {}), MAX_TAG))
    facts.add_metrics(uow.conn, run, [replace(metric, run_id="") for metric in metrics])


def set_note(uow: UnitOfWork, actor: Actor, *, run_id: str, text: str) -> None:
    """Keep what people say about a run, in Markdown; an empty text takes it away."""
    run = _run_to_write(uow, actor, run_id)
    if text.strip():
        facts.set_tags(uow.conn, run, check_pairs("tag", {NOTE_TAG: text}, MAX_TAG))
    else:
        facts.delete_tag(uow.conn, run, NOTE_TAG)


def untag_run(uow: UnitOfWork, actor: Actor, *, run_id: str, key: str) -> None:
    """Remove a tag; raises NotFound when there is none."""
    untag(uow, _run_to_write(uow, actor, run_id), [key])


def log_inputs(
    uow: UnitOfWork,
    actor: Actor,
    *,
    run_id: str,
    datasets: Sequence[DatasetInput] = (),
    models: Sequence[ModelUse] = (),
) -> None:
    """Remember which datasets a run read, and which logged models it read or wrote.

    Dataset versions of this project and models that were read are linked in lineage.
    """
    run = _run_to_write(uow, actor, run_id)
    for dataset in datasets:
        if not dataset.name or len(dataset.name) > MAX_NAME or len(dataset.digest) > 100:
            raise Invalid("A dataset needs a name (500 characters at most) and a digest (100 at most).")
    facts.add_inputs(uow.conn, run, datasets)
    own = [Link("dataset_version", one.version, _role(one)) for one in datasets if one.version]
    facts.add_uses(uow.conn, run, models)
    read = [Link("logged_model", use.model_id, "model") for use in models if use.role == "input"]
    lineage.connect(uow.conn, actor.scope, (LINK_KIND, run.id), [*own, *read])


def _role(dataset: DatasetInput) -> str:
    return dataset.tags.get(facts.CONTEXT_TAG, "")[:64] or "data"


def run_names(uow: UnitOfWork, scope: Scope, ids: Sequence[str]) -> dict[str, str]:
    """Return id → name of those runs that there are; for lineage, which has asked for leave."""
    return things.names_of(uow.conn, scope, "runs", ids)


def search_runs(
    uow: UnitOfWork,
    actor: Actor,
    *,
    experiment_ids: Sequence[str] | None = None,
    filter: str = "",
    order_by: Sequence[str] = (),
    state: State | None = State.ACTIVE,
    offset: int = 0,
    limit: int = 100,
) -> Found:
    """Return runs that meet the filter, newest first unless ordered otherwise; None searches all experiments."""
    uow.may(actor, "experiments.read")
    return things.search(
        uow.conn,
        actor.scope,
        "runs",
        clauses=parse_filter(filter),
        orders=parse_order(list(order_by)),
        state=state,
        within=experiment_ids,
        offset=offset,
        limit=limited(limit),
    )


def metric_history(
    uow: UnitOfWork,
    actor: Actor,
    *,
    run_id: str,
    key: str,
    after: tuple[int, int, float, bool] | None = None,
    limit: int = MAX_PAGE,
) -> list[Metric]:
    """Return a metric's values by step, then time; `after` is the last one's (step, at_ms, value, is NaN)."""
    uow.may(actor, "experiments.read", run_id)
    run = things.bare_run(uow.conn, actor.scope, run_id)
    if run is None:
        raise NotFound(f"There is no run {run_id!r} in the project {actor.scope.project!r}.")
    return facts.history(uow.conn, run, key, after=after, limit=limit)


def metric_outline(uow: UnitOfWork, actor: Actor, *, run_id: str, key: str, most: int) -> list[Metric]:
    """Return at most about `most` of a metric's values, from the first steps to the last, for drawing."""
    uow.may(actor, "experiments.read", run_id)
    run = things.bare_run(uow.conn, actor.scope, run_id)
    if run is None:
        raise NotFound(f"There is no run {run_id!r} in the project {actor.scope.project!r}.")
    return facts.outline(uow.conn, run, key, most=most)


__all__ = [
    "RUN_ENTITIES",
    "Clause",
    "Order",
    "activity_of",
    "add_model_facts",
    "any_silent",
    "blobs_named",
    "change_model",
    "change_run",
    "children",
    "create_experiment",
    "create_model",
    "create_run",
    "default_experiment",
    "delete_model",
    "ensure_default",
    "fail_silent",
    "find_experiment",
    "find_model",
    "find_run",
    "get_artifact",
    "heartbeat",
    "holds",
    "list_artifacts",
    "log",
    "log_inputs",
    "metric_history",
    "metric_outline",
    "model_history",
    "model_names",
    "models_of",
    "parse_filter",
    "parse_order",
    "put_artifact",
    "remove_artifacts",
    "rename_experiment",
    "run_keys",
    "run_names",
    "search_experiments",
    "search_models",
    "search_runs",
    "set_experiment_state",
    "set_note",
    "set_run_state",
    "tag_experiment",
    "tree_of",
    "untag_run",
]
