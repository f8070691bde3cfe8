"""MLflow's runs over Penstock's."""

import json
import math
from typing import Any

from penstock.core.errors import Invalid
from penstock.mlflow.call import (
    Answer,
    Call,
    from_ms,
    listed,
    number_of,
    pairs,
    proto_number,
    to_ms,
    whole,
)
from penstock.mlflow.experiments import DEFAULT_ID, default_id, own_id, view
from penstock.mlflow.routing import Routes
from penstock.tracking import service as tracking
from penstock.tracking.model import DatasetInput, Metric, ModelUse, Run, RunStatus, State

routes = Routes()
_NUMBERED = {"1": "RUNNING", "2": "SCHEDULED", "3": "FINISHED", "4": "FAILED", "5": "KILLED"}
_PAGE = 25_000
"""Most values of a metric in one answer, as in MLflow."""


def render_metric(metric: Metric) -> Answer:
    """Return a metric as MLflow writes it."""
    found: Answer = {
        "key": metric.key,
        "value": proto_number(metric.value),
        "timestamp": metric.at_ms,
        "step": metric.step,
    }
    return found | {"run_id": metric.run_id} if metric.run_id else found


def _info(run: Run, default: str) -> Answer:
    info: Answer = {
        "run_id": run.id,
        "run_uuid": run.id,
        "run_name": run.name,
        "experiment_id": DEFAULT_ID if run.experiment_id == default else run.experiment_id,
        "user_id": run.user,
        "status": run.status.upper(),
        "start_time": to_ms(run.started_at),
        "artifact_uri": f"mlflow-artifacts:/{run.id}",
        "lifecycle_stage": str(run.state),
    }
    return info | {"end_time": to_ms(run.ended_at)} if run.ended_at else info


def _render_input(one: DatasetInput) -> Answer:
    dataset = {
        "name": one.name,
        "digest": one.digest,
        "source_type": one.source_type,
        "source": one.source,
        "schema": one.schema,
        "profile": one.profile,
    }
    return {"dataset": dataset, "tags": listed(one.tags)}


def render(run: Run, default: str) -> Answer:
    """Return a run as MLflow writes it; `default` is the default experiment's own id."""
    tags = {"mlflow.runName": run.name, "mlflow.user": run.user} | run.tags
    return {
        "info": _info(run, default),
        "data": {
            "metrics": [render_metric(metric) for metric in run.metrics.values()],
            "params": listed(run.params),
            "tags": listed(tags),
        },
        "inputs": {
            "dataset_inputs": [_render_input(one) for one in run.inputs],
            "model_inputs": [{"model_id": use.model_id} for use in run.models if use.role == "input"],
        },
        "outputs": {
            "model_outputs": [
                {"model_id": use.model_id, "step": use.step} for use in run.models if use.role == "output"
            ]
        },
    }


def _metric(given: dict[str, Any]) -> Metric:
    return Metric(
        key=str(given.get("key", "")),
        value=number_of(given.get("value"), "A metric's value"),
        step=whole(given.get("step"), "A metric's step"),
        at_ms=whole(given.get("timestamp"), "A metric's timestamp"),
    )


@routes.on("POST /runs/create")
def create(call: Call) -> Answer:
    """Start a run."""
    experiment = own_id(call, call.text("experiment_id") or DEFAULT_ID)
    tags = call.pairs("tags")
    with call.home.begin() as uow:
        made = tracking.create_run(
            uow,
            call.actor,
            experiment_id=experiment,
            name=call.text("run_name") or tags.get("mlflow.runName", ""),
            user=call.text("user_id") or tags.get("mlflow.user", ""),
            started_at=from_ms(call.args.get("start_time"), "start_time"),
            tags=tags,
        )
        return {"run": render(made, default_id(uow, call))}


@routes.on("GET /runs/get")
def get(call: Call) -> Answer:
    """Return a run."""
    with call.home.read() as uow:
        found = tracking.find_run(uow, call.actor, id=call.needed("run_id", "run_uuid"))
        return {"run": render(found, default_id(uow, call))}


@routes.on("POST /runs/update")
def update(call: Call) -> Answer:
    """Rename a run or move its status."""
    named = call.text("status")
    named = _NUMBERED.get(named, named)
    if named and named.lower() not in list(RunStatus):
        raise Invalid(f"{named!r} is not a status of runs.")
    run_id, name = call.needed("run_id", "run_uuid"), call.text("run_name")
    with call.home.begin() as uow:
        changed = tracking.change_run(
            uow,
            call.actor,
            id=run_id,
            name=name or None,
            status=RunStatus(named.lower()) if named else None,
            ended_at=from_ms(call.args.get("end_time"), "end_time"),
        )
        if name:
            tracking.log(uow, call.actor, run_id=run_id, tags={"mlflow.runName": name})
        return {"run_info": _info(changed, default_id(uow, call))}


def _move(call: Call, state: State) -> Answer:
    with call.home.begin() as uow:
        tracking.set_run_state(uow, call.actor, id=call.needed("run_id"), state=state)
    return {}


@routes.on("POST /runs/delete")
def delete(call: Call) -> Answer:
    """Delete a run; it can be restored."""
    return _move(call, State.DELETED)


@routes.on("POST /runs/restore")
def restore(call: Call) -> Answer:
    """Bring a deleted run back."""
    return _move(call, State.ACTIVE)


@routes.on("POST /runs/search")
def search(call: Call) -> Answer:
    """Search runs."""
    experiments = [own_id(call, one) for one in call.texts("experiment_ids")]
    with call.home.read() as uow:
        found = tracking.search_runs(
            uow,
            call.actor,
            experiment_ids=experiments,
            filter=call.text("filter"),
            order_by=call.texts("order_by"),
            state=view(call.text("run_view_type")),
            offset=call.offset(),
            limit=call.number("max_results", 1000),
        )
        default = default_id(uow, call)
    answer: Answer = {"runs": [render(run, default) for run in found.items]}
    return answer if found.next is None else answer | {"next_page_token": str(found.next)}


def _log(call: Call, metrics: list[Metric], params: dict[str, str], tags: dict[str, str]) -> Answer:
    run_id = call.needed("run_id", "run_uuid")
    with call.home.begin() as uow:
        tracking.log(uow, call.actor, run_id=run_id, metrics=metrics, params=params, tags=tags)
        if renamed := tags.get("mlflow.runName"):
            tracking.change_run(uow, call.actor, id=run_id, name=renamed)
    return {}


@routes.on("POST /runs/log-metric")
def log_metric(call: Call) -> Answer:
    """Add one value."""
    metric = _metric(call.args)
    answer = _log(call, [metric], {}, {})
    _to_models(call, [call.args])
    return answer


@routes.on("POST /runs/log-parameter")
def log_parameter(call: Call) -> Answer:
    """Add one parameter."""
    return _log(call, [], {call.needed("key"): call.text("value")}, {})


@routes.on("POST /runs/set-tag")
def set_tag(call: Call) -> Answer:
    """Set one tag."""
    return _log(call, [], {}, {call.needed("key"): call.text("value")})


@routes.on("POST /runs/delete-tag")
def delete_tag(call: Call) -> Answer:
    """Remove one tag."""
    with call.home.begin() as uow:
        tracking.untag_run(uow, call.actor, run_id=call.needed("run_id"), key=call.needed("key"))
    return {}


@routes.on("POST /runs/log-batch")
def log_batch(call: Call) -> Answer:
    """Add metrics, parameters and tags, all or nothing."""
    metrics = [_metric(one) for one in call.objects("metrics")]
    answer = _log(call, metrics, call.pairs("params"), call.pairs("tags"))
    _to_models(call, call.objects("metrics"))
    return answer


def _to_models(call: Call, given: list[dict[str, Any]]) -> None:
    """Metrics may name a logged model as well; it gets them too."""
    run_id = call.needed("run_id", "run_uuid")
    by_model: dict[str, list[Metric]] = {}
    for one in given:
        if model := one.get("model_id"):
            metric = _metric(one)
            by_model.setdefault(str(model), []).append(
                Metric(
                    key=metric.key, value=metric.value, step=metric.step, at_ms=metric.at_ms, run_id=run_id
                )
            )
    if by_model:
        with call.home.begin() as uow:
            for model, metrics in by_model.items():
                tracking.add_model_facts(uow, call.actor, id=model, metrics=metrics)


@routes.on("POST /runs/log-model")
def log_model(call: Call) -> Answer:
    """Remember, as a tag, which models the run logged (clients before MLflow 3)."""
    run_id = call.needed("run_id")
    try:
        model = json.loads(call.needed("model_json"))
    except ValueError as error:
        raise Invalid(f"model_json is not JSON: {error}.") from error
    with call.home.begin() as uow:
        run = tracking.find_run(uow, call.actor, id=run_id)
        known = json.loads(run.tags.get("mlflow.log-model.history", "[]"))
        history = json.dumps([*known, model])
        tracking.log(uow, call.actor, run_id=run_id, tags={"mlflow.log-model.history": history})
    return {}


def _dataset(given: dict[str, Any]) -> DatasetInput:
    said = given.get("dataset") or {}
    names = ("name", "digest", "source_type", "source", "schema", "profile")
    return DatasetInput(
        **{name: str(said.get(name) or "") for name in names}, tags=pairs(given.get("tags") or [])
    )


@routes.on("POST /runs/log-inputs")
def log_inputs(call: Call) -> Answer:
    """Remember what the run read."""
    datasets = [_dataset(one) for one in call.objects("datasets")]
    uses = [ModelUse(model_id=str(one.get("model_id")), role="input") for one in call.objects("models")]
    with call.home.begin() as uow:
        tracking.log_inputs(uow, call.actor, run_id=call.needed("run_id"), datasets=datasets, models=uses)
    return {}


@routes.on("POST /runs/outputs")
def log_outputs(call: Call) -> Answer:
    """Remember which logged models the run wrote."""
    uses = [
        ModelUse(model_id=str(one.get("model_id")), role="output", step=whole(one.get("step"), "A step"))
        for one in call.objects("models")
    ]
    with call.home.begin() as uow:
        tracking.log_inputs(uow, call.actor, run_id=call.needed("run_id"), models=uses)
    return {}


@routes.on("GET /metrics/get-history")
def history(call: Call) -> Answer:
    """Return the values of a metric by step."""
    limit = min(call.number("max_results", _PAGE), _PAGE)
    after = _place(call.text("page_token"))
    with call.home.read() as uow:
        found = tracking.metric_history(
            uow,
            call.actor,
            run_id=call.needed("run_id", "run_uuid"),
            key=call.needed("metric_key"),
            after=after,
            limit=limit + 1,
        )
    answer: Answer = {"metrics": [render_metric(metric) for metric in found[:limit]]}
    if len(found) > limit:
        answer["next_page_token"] = _token(found[limit - 1])
    return answer


def _token(metric: Metric) -> str:
    nan = math.isnan(metric.value)
    return f"{metric.step},{metric.at_ms},{0.0 if nan else metric.value!r},{int(nan)}"


def _place(token: str) -> tuple[int, int, float, bool] | None:
    if not token:
        return None
    try:
        step, at_ms, value, nan = token.split(",")
        return int(step), int(at_ms), float(value), nan == "1"
    except ValueError:
        raise Invalid("The page token is not valid.") from None


@routes.on("GET /metrics/get-history-bulk-interval")
def history_bulk(call: Call) -> Answer:
    """Return a metric of several runs, thinned to `max_results` steps."""
    limit, key = call.number("max_results", 2500), call.needed("metric_key")
    low, high = call.number("start_step", -(1 << 62)), call.number("end_step", 1 << 62)
    found: list[Answer] = []
    with call.home.read() as uow:
        for run_id in call.texts("run_ids")[:100]:
            values = tracking.metric_history(uow, call.actor, run_id=run_id, key=key, limit=_PAGE)
            within = [metric for metric in values if low <= metric.step <= high]
            stride = max(1, math.ceil(len(within) / max(1, limit)))
            thinned = within[::stride] + ([within[-1]] if within and (len(within) - 1) % stride else [])
            found += [render_metric(metric) | {"run_id": run_id} for metric in thinned]
    return {"metrics": found}
