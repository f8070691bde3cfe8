"""The verbs of experiments."""

from collections.abc import Mapping, Sequence

from penstock.core import clock, ids
from penstock.core.errors import Conflict, Invalid, NotFound
from penstock.core.scope import Actor
from penstock.core.uow import UnitOfWork
from penstock.tracking.model import (
    DEFAULT_EXPERIMENT,
    MAX_TAG,
    Activity,
    Experiment,
    Found,
    LoggedModel,
    Run,
    RunKeys,
    State,
    check_experiment_name,
    check_pairs,
)
from penstock.tracking.search import parse_filter, parse_order
from penstock.tracking.store import counts, facts, things


def create_experiment(
    uow: UnitOfWork, actor: Actor, *, name: str, tags: Mapping[str, str] | None = None
) -> Experiment:
    """Make an experiment; raises Conflict when the name is taken, also by a deleted one."""
    uow.may(actor, "experiments.write", name)
    moment = clock.now()
    made = Experiment(
        id=ids.new_id("xpt"),
        name=check_experiment_name(name),
        state=State.ACTIVE,
        created_at=moment,
        updated_at=moment,
        tags=check_pairs("tag", dict(tags or {}), MAX_TAG),
    )
    if not things.insert_experiment(uow.conn, actor.scope, made):
        raise Conflict(f"There is an experiment {name!r} already.", hint="It may be deleted: restore it.")
    facts.set_tags(uow.conn, made, made.tags)
    uow.audit(actor, "experiments.create", made.id, name=name)
    return made


def find_experiment(uow: UnitOfWork, actor: Actor, *, id: str = "", name: str = "") -> Experiment:
    """Return an experiment by id or name, deleted ones included; raises NotFound."""
    uow.may(actor, "experiments.read", id or name)
    found = things.get_experiment(uow.conn, actor.scope, id=id, name=name)
    if found is None:
        raise NotFound(f"There is no experiment {id or name!r} in the project {actor.scope.project!r}.")
    return found


def default_experiment(uow: UnitOfWork, actor: Actor) -> Experiment | None:
    """Return the experiment for runs that name none, or None before the first of them."""
    uow.may(actor, "experiments.read", DEFAULT_EXPERIMENT)
    return things.get_experiment(uow.conn, actor.scope, name=DEFAULT_EXPERIMENT)


def ensure_default(uow: UnitOfWork, actor: Actor) -> Experiment:
    """Return the experiment for runs that name none, made if need be."""
    return default_experiment(uow, actor) or create_experiment(uow, actor, name=DEFAULT_EXPERIMENT)


def rename_experiment(uow: UnitOfWork, actor: Actor, *, id: str, name: str) -> Experiment:
    """Give an experiment another name; raises Conflict when it is taken."""
    uow.may(actor, "experiments.write", id)
    experiment = writable(find_experiment(uow, actor, id=id))
    taken = things.get_experiment(uow.conn, actor.scope, name=check_experiment_name(name))
    if taken is not None and taken.id != experiment.id:
        raise Conflict(f"There is an experiment {name!r} already.")
    things.update_experiment(uow.conn, actor.scope, experiment, name=name, updated_at=clock.now())
    uow.audit(actor, "experiments.rename", id, name=name, previous=experiment.name)
    return find_experiment(uow, actor, id=id)


def set_experiment_state(uow: UnitOfWork, actor: Actor, *, id: str, state: State) -> Experiment:
    """Delete or restore an experiment together with its runs; nothing is destroyed."""
    uow.may(actor, "experiments.write", id)
    experiment = find_experiment(uow, actor, id=id)
    if experiment.state is not state:
        things.update_experiment(uow.conn, actor.scope, experiment, state=str(state), updated_at=clock.now())
        things.move_runs(uow.conn, actor.scope, experiment, state)
        uow.audit(actor, f"experiments.{'delete' if state is State.DELETED else 'restore'}", id)
    return find_experiment(uow, actor, id=id)


def tag_experiment(
    uow: UnitOfWork,
    actor: Actor,
    *,
    id: str,
    tags: Mapping[str, str] | None = None,
    remove: Sequence[str] = (),
) -> Experiment:
    """Set and remove tags; raises NotFound when one to remove is not there."""
    uow.may(actor, "experiments.write", id)
    experiment = writable(find_experiment(uow, actor, id=id))
    facts.set_tags(uow.conn, experiment, check_pairs("tag", dict(tags or {}), MAX_TAG))
    untag(uow, experiment, remove)
    things.update_experiment(uow.conn, actor.scope, experiment, updated_at=clock.now())
    return find_experiment(uow, actor, id=id)


def untag(uow: UnitOfWork, owner: Experiment | Run | LoggedModel, keys: Sequence[str]) -> None:
    """Remove tags; raises NotFound for one that is not there."""
    for key in keys:
        if not facts.delete_tag(uow.conn, owner, key):
            raise NotFound(f"{owner.id} has no tag {key!r}.")


def writable(experiment: Experiment) -> Experiment:
    """Return the experiment, or raise Invalid when it is deleted."""
    if experiment.state is State.DELETED:
        raise Invalid(f"The experiment {experiment.name!r} is deleted.", hint="Restore it first.")
    return experiment


def search_experiments(
    uow: UnitOfWork,
    actor: Actor,
    *,
    filter: str = "",
    order_by: Sequence[str] = (),
    state: State | None = State.ACTIVE,
    offset: int = 0,
    limit: int = 100,
) -> Found:
    """Return experiments that meet the filter, newest first unless ordered otherwise."""
    uow.may(actor, "experiments.read")
    return things.search(
        uow.conn,
        actor.scope,
        "experiments",
        clauses=parse_filter(filter),
        orders=parse_order(list(order_by)),
        state=state,
        offset=offset,
        limit=limited(limit),
    )


def activity_of(uow: UnitOfWork, actor: Actor, found: Sequence[Experiment]) -> dict[str, Activity]:
    """Return experiment id → how many runs it has, how many go on, and when the newest was started."""
    uow.may(actor, "experiments.read")
    return counts.activity(uow.conn, actor.scope, found)


def run_keys(uow: UnitOfWork, actor: Actor, *, id: str) -> RunKeys:
    """Return the names of parameters, metrics and tags that an experiment's runs use; raises NotFound."""
    return counts.keys_of(uow.conn, actor.scope, find_experiment(uow, actor, id=id))


def limited(limit: int) -> int:
    """Return the size of a page, or raise Invalid."""
    if not 1 <= limit <= 50_000:
        raise Invalid(f"A page has 1 to 50000 items, not {limit}.")
    return limit
