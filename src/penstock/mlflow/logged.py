"""MLflow's logged models over Penstock's."""

from typing import Any

from penstock.core.errors import Invalid
from penstock.mlflow.call import Answer, Call, listed, to_ms
from penstock.mlflow.experiments import DEFAULT_ID, default_id, own_id
from penstock.mlflow.routing import Routes
from penstock.mlflow.runs import render_metric
from penstock.tracking import service as tracking
from penstock.tracking.model import LoggedModel, ModelStatus

routes = Routes()
_STATUS = {
    ModelStatus.UNSPECIFIED: "LOGGED_MODEL_STATUS_UNSPECIFIED",
    ModelStatus.PENDING: "LOGGED_MODEL_PENDING",
    ModelStatus.READY: "LOGGED_MODEL_READY",
    ModelStatus.FAILED: "LOGGED_MODEL_UPLOAD_FAILED",
}
_GIVEN = {name: status for status, name in _STATUS.items()} | {
    str(number): status for number, status in enumerate(_STATUS)
}


def render(model: LoggedModel, default: str) -> Answer:
    """Return a logged model as MLflow writes it."""
    return {
        "info": {
            "model_id": model.id,
            "experiment_id": DEFAULT_ID if model.experiment_id == default else model.experiment_id,
            "name": model.name,
            "creation_timestamp_ms": to_ms(model.created_at),
            "last_updated_timestamp_ms": to_ms(model.updated_at),
            "artifact_uri": f"mlflow-artifacts:/{model.id}",
            "status": _STATUS[model.status],
            "model_type": model.type,
            "source_run_id": model.run_id,
            "tags": listed(model.tags),
        },
        "data": {
            "params": listed(model.params),
            "metrics": [render_metric(metric) | {"model_id": model.id} for metric in model.metrics],
        },
    }


@routes.on("POST /logged-models")
def create(call: Call) -> Answer:
    """Make a logged model."""
    experiment = own_id(call, call.text("experiment_id") or DEFAULT_ID)
    with call.home.begin() as uow:
        made = tracking.create_model(
            uow,
            call.actor,
            experiment_id=experiment,
            name=call.text("name"),
            run_id=call.text("source_run_id"),
            type=call.text("model_type"),
            params=call.pairs("params"),
            tags=call.pairs("tags"),
        )
        return {"model": render(made, default_id(uow, call))}


@routes.on("POST /logged-models/search")
def search(call: Call) -> Answer:
    """Search logged models."""
    experiments = [own_id(call, one) for one in call.texts("experiment_ids")]
    orders = [_order(one) for one in call.objects("order_by")]
    with call.home.read() as uow:
        found = tracking.search_models(
            uow,
            call.actor,
            experiment_ids=experiments,
            filter=call.text("filter"),
            order_by=orders,
            offset=call.offset(),
            limit=call.number("max_results", 100),
        )
        default = default_id(uow, call)
    answer: Answer = {"models": [render(one, default) for one in found.items]}
    return answer if found.next is None else answer | {"next_page_token": str(found.next)}


def _order(given: dict[str, Any]) -> str:
    name = str(given.get("field_name", ""))
    return f"{name} {'ASC' if given.get('ascending', True) else 'DESC'}"


@routes.on("GET /logged-models/{model_id}")
def get(call: Call) -> Answer:
    """Return a logged model."""
    with call.home.read() as uow:
        found = tracking.find_model(uow, call.actor, id=call.needed("model_id"))
        return {"model": render(found, default_id(uow, call))}


@routes.on("PATCH /logged-models/{model_id}")
def finalize(call: Call) -> Answer:
    """Say that the upload is complete or has failed."""
    status = _GIVEN.get(call.needed("status"))
    if status is None:
        raise Invalid(f"{call.text('status')!r} is not a status of logged models.")
    with call.home.begin() as uow:
        changed = tracking.change_model(uow, call.actor, id=call.needed("model_id"), status=status)
        return {"model": render(changed, default_id(uow, call))}


@routes.on("DELETE /logged-models/{model_id}")
def delete(call: Call) -> Answer:
    """Put a logged model away."""
    with call.home.begin() as uow:
        tracking.delete_model(uow, call.actor, id=call.needed("model_id"))
    return {}


@routes.on("PATCH /logged-models/{model_id}/tags")
def set_tags(call: Call) -> Answer:
    """Set tags."""
    with call.home.begin() as uow:
        changed = tracking.add_model_facts(
            uow, call.actor, id=call.needed("model_id"), tags=call.pairs("tags")
        )
        return {"model": render(changed, default_id(uow, call))}


@routes.on("DELETE /logged-models/{model_id}/tags/{tag_key}")
def delete_tag(call: Call) -> Answer:
    """Remove a tag."""
    with call.home.begin() as uow:
        tracking.add_model_facts(uow, call.actor, id=call.needed("model_id"), untag=[call.needed("tag_key")])
    return {}


@routes.on("POST /logged-models/{model_id}/params")
def log_params(call: Call) -> Answer:
    """Add parameters."""
    with call.home.begin() as uow:
        tracking.add_model_facts(uow, call.actor, id=call.needed("model_id"), params=call.pairs("params"))
    return {}
