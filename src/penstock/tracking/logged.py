"""The verbs of logged models: what a run saved, before anybody registers it."""

from collections.abc import Mapping, Sequence

from penstock.core import clock, ids, lineage
from penstock.core.errors import Invalid, NotFound
from penstock.core.lineage import Link
from penstock.core.scope import Actor, Scope
from penstock.core.uow import UnitOfWork
from penstock.tracking import experiments
from penstock.tracking.model import (
    MAX_NAME,
    MAX_PARAM,
    MAX_TAG,
    Found,
    LoggedModel,
    Metric,
    ModelStatus,
    Run,
    State,
    check_key,
    check_pairs,
)
from penstock.tracking.search import parse_filter, parse_order
from penstock.tracking.store import facts, things

LINK_KIND = "logged_model"
"""The kind of logged models in lineage."""


def create_model(
    uow: UnitOfWork,
    actor: Actor,
    *,
    experiment_id: str,
    name: str = "",
    run_id: str = "",
    type: str = "",
    params: Mapping[str, str] | None = None,
    tags: Mapping[str, str] | None = None,
) -> LoggedModel:
    """Make a logged model whose files are still to come; raises NotFound for an unknown experiment."""
    uow.may(actor, "experiments.write", experiment_id)
    experiment = things.get_experiment(uow.conn, actor.scope, id=experiment_id)
    if experiment is None:
        raise NotFound(f"There is no experiment {experiment_id!r} in the project {actor.scope.project!r}.")
    if len(name) > MAX_NAME or len(type) > 100:
        raise Invalid(f"A model's name has at most {MAX_NAME} characters, its type 100.")
    # MLflow's clients know a logged model by `m-` in front of its id.
    model_id = "m-" + ids.new_id("mod").removeprefix("mod_")
    moment = clock.now()
    made = LoggedModel(
        id=model_id,
        experiment_id=experiment.id,
        run_id=run_id,
        name=name or f"model-{model_id[-6:]}",
        type=type,
        status=ModelStatus.PENDING,
        state=State.ACTIVE,
        created_at=moment,
        updated_at=moment,
    )
    things.insert_model(uow.conn, actor.scope, made)
    if run_id:
        lineage.connect(uow.conn, actor.scope, (LINK_KIND, model_id), [Link("run", run_id, "logged")])
    add_model_facts(uow, actor, id=model_id, params=params, tags=tags)
    return find_model(uow, actor, id=model_id)


def model_names(uow: UnitOfWork, scope: Scope, ids: Sequence[str]) -> dict[str, str]:
    """Return id → name of those logged models that there are; for lineage, which has asked for leave."""
    return things.names_of(uow.conn, scope, "models", ids)


def find_model(uow: UnitOfWork, actor: Actor, *, id: str) -> LoggedModel:
    """Return a logged model that is not deleted; raises NotFound."""
    uow.may(actor, "experiments.read", id)
    found = things.get_model(uow.conn, actor.scope, id)
    if found is None or found.state is State.DELETED:
        raise NotFound(f"There is no logged model {id!r} in the project {actor.scope.project!r}.")
    return found


def add_model_facts(
    uow: UnitOfWork,
    actor: Actor,
    *,
    id: str,
    params: Mapping[str, str] | None = None,
    tags: Mapping[str, str] | None = None,
    metrics: Sequence[Metric] = (),
    untag: Sequence[str] = (),
) -> LoggedModel:
    """Add parameters, tags and metrics to a logged model, or remove tags."""
    uow.may(actor, "experiments.write", id)
    model = find_model(uow, actor, id=id)
    facts.add_params(uow.conn, model, check_pairs("parameter", dict(params or {}), MAX_PARAM))
    facts.set_tags(uow.conn, model, check_pairs("tag", dict(tags or {}), MAX_TAG))
    for metric in metrics:
        check_key("metric", metric.key)
    facts.add_metrics(uow.conn, model, metrics)
    experiments.untag(uow, model, untag)
    things.update_model(uow.conn, actor.scope, model, updated_at=clock.now())
    return find_model(uow, actor, id=id)


def change_model(uow: UnitOfWork, actor: Actor, *, id: str, status: ModelStatus) -> LoggedModel:
    """Say that the upload is complete or has failed."""
    uow.may(actor, "experiments.write", id)
    model = find_model(uow, actor, id=id)
    things.update_model(uow.conn, actor.scope, model, status=str(status), updated_at=clock.now())
    return find_model(uow, actor, id=id)


def delete_model(uow: UnitOfWork, actor: Actor, *, id: str) -> None:
    """Put a logged model away; versions that were registered from it keep their files."""
    uow.may(actor, "experiments.write", id)
    model = find_model(uow, actor, id=id)
    things.update_model(uow.conn, actor.scope, model, state=str(State.DELETED), updated_at=clock.now())
    uow.audit(actor, "logged_models.delete", id)


def search_models(
    uow: UnitOfWork,
    actor: Actor,
    *,
    experiment_ids: Sequence[str] | None = None,
    filter: str = "",
    order_by: Sequence[str] = (),
    offset: int = 0,
    limit: int = 100,
) -> Found:
    """Return logged models that meet the filter, newest first unless ordered otherwise."""
    uow.may(actor, "experiments.read")
    return things.search(
        uow.conn,
        actor.scope,
        "models",
        clauses=parse_filter(filter),
        orders=parse_order(list(order_by)),
        state=State.ACTIVE,
        within=experiment_ids,
        offset=offset,
        limit=limit,
    )


def models_of(uow: UnitOfWork, actor: Actor, run: Run) -> list[LoggedModel]:
    """Return the logged models that a run made, read or wrote, oldest first."""
    uow.may(actor, "experiments.read", run.id)
    return things.models_of(uow.conn, actor.scope, run)


def model_history(uow: UnitOfWork, actor: Actor, *, id: str, key: str, limit: int = 1000) -> list[Metric]:
    """Return a model's values of one metric, by step, then time."""
    return facts.history(uow.conn, find_model(uow, actor, id=id), key, after=None, limit=limit)
