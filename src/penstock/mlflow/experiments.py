"""MLflow's experiments over Penstock's: `0` is the project's default experiment, made when it is first asked for."""

from penstock.core.errors import Denied, NotFound
from penstock.core.uow import UnitOfWork
from penstock.mlflow.call import Answer, Call, listed, to_ms
from penstock.mlflow.routing import Routes
from penstock.tracking import service as tracking
from penstock.tracking.model import DEFAULT_EXPERIMENT, Experiment, State

routes = Routes()
DEFAULT_ID = "0"
_VIEWS = {"": State.ACTIVE, "ACTIVE_ONLY": State.ACTIVE, "DELETED_ONLY": State.DELETED, "ALL": None}
_NUMBERED_VIEWS = {"1": "ACTIVE_ONLY", "2": "DELETED_ONLY", "3": "ALL"}


def view(name: str) -> State | None:
    """Return the state that a view type shows; None shows all."""
    return _VIEWS.get(_NUMBERED_VIEWS.get(name, name), State.ACTIVE)


def shown_id(experiment: Experiment) -> str:
    """Return the id that clients know the experiment by."""
    return DEFAULT_ID if experiment.name == DEFAULT_EXPERIMENT else experiment.id


def own_id(call: Call, shown: str) -> str:
    """Return the experiment's own id."""
    if shown != DEFAULT_ID or call.default:
        return call.default if shown == DEFAULT_ID else shown
    with call.home.read() as uow:
        found = tracking.default_experiment(uow, call.actor)
    if found is None:
        try:
            with call.home.begin() as uow:
                found = tracking.ensure_default(uow, call.actor)
        except Denied as error:  # who may only read finds nothing there yet
            raise NotFound("The project has no default experiment yet.") from error
    call.default = found.id
    return found.id


def default_id(uow: UnitOfWork, call: Call) -> str:
    """Return the default experiment's own id; "" before there is one."""
    if not call.default:
        found = tracking.default_experiment(uow, call.actor)
        call.default = "" if found is None else found.id
    return call.default


def render(experiment: Experiment) -> Answer:
    """Return an experiment as MLflow writes it."""
    return {
        "experiment_id": shown_id(experiment),
        "name": experiment.name,
        "artifact_location": f"mlflow-artifacts:/{experiment.id}",
        "lifecycle_stage": str(experiment.state),
        "creation_time": to_ms(experiment.created_at),
        "last_update_time": to_ms(experiment.updated_at),
        "tags": listed(experiment.tags),
    }


@routes.on("POST /experiments/create")
def create(call: Call) -> Answer:
    """Make an experiment."""
    with call.home.begin() as uow:
        made = tracking.create_experiment(uow, call.actor, name=call.needed("name"), tags=call.pairs("tags"))
    return {"experiment_id": shown_id(made)}


@routes.on("GET /experiments/get")
def get(call: Call) -> Answer:
    """Return an experiment by id."""
    found = own_id(call, call.needed("experiment_id"))
    with call.home.read() as uow:
        return {"experiment": render(tracking.find_experiment(uow, call.actor, id=found))}


@routes.on("GET /experiments/get-by-name")
def get_by_name(call: Call) -> Answer:
    """Return an experiment by name."""
    name = call.needed("experiment_name")
    if name == DEFAULT_EXPERIMENT:
        own_id(call, DEFAULT_ID)
    with call.home.read() as uow:
        return {"experiment": render(tracking.find_experiment(uow, call.actor, name=name))}


@routes.on("POST /experiments/search", "GET /experiments/search")
def search(call: Call) -> Answer:
    """Search experiments."""
    with call.home.read() as uow:
        found = tracking.search_experiments(
            uow,
            call.actor,
            filter=call.text("filter"),
            order_by=call.texts("order_by"),
            state=view(call.text("view_type")),
            offset=call.offset(),
            limit=call.number("max_results", 1000),
        )
    answer: Answer = {"experiments": [render(one) for one in found.items]}
    return answer if found.next is None else answer | {"next_page_token": str(found.next)}


@routes.on("POST /experiments/update")
def update(call: Call) -> Answer:
    """Rename an experiment."""
    found = own_id(call, call.needed("experiment_id"))
    with call.home.begin() as uow:
        tracking.rename_experiment(uow, call.actor, id=found, name=call.needed("new_name"))
    return {}


def _move(call: Call, state: State) -> Answer:
    found = own_id(call, call.needed("experiment_id"))
    with call.home.begin() as uow:
        tracking.set_experiment_state(uow, call.actor, id=found, state=state)
    return {}


@routes.on("POST /experiments/delete")
def delete(call: Call) -> Answer:
    """Delete an experiment; it can be restored."""
    return _move(call, State.DELETED)


@routes.on("POST /experiments/restore")
def restore(call: Call) -> Answer:
    """Bring a deleted experiment back."""
    return _move(call, State.ACTIVE)


@routes.on("POST /experiments/set-experiment-tag")
def set_tag(call: Call) -> Answer:
    """Set a tag."""
    found = own_id(call, call.needed("experiment_id"))
    with call.home.begin() as uow:
        tracking.tag_experiment(uow, call.actor, id=found, tags={call.needed("key"): call.text("value")})
    return {}


@routes.on("POST /experiments/delete-experiment-tag")
def delete_tag(call: Call) -> Answer:
    """Remove a tag."""
    found = own_id(call, call.needed("experiment_id"))
    with call.home.begin() as uow:
        tracking.tag_experiment(uow, call.actor, id=found, remove=[call.needed("key")])
    return {}
