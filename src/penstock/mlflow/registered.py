"""MLflow's registered models and prompts over the registry and prompts slices."""

from typing import Any

from penstock.core.errors import Conflict, Invalid
from penstock.mlflow import shelves
from penstock.mlflow.call import Answer, Call, listed, to_ms
from penstock.mlflow.routing import Routes
from penstock.mlflow.shelves import IS_PROMPT, MODEL, PROMPT, Shelf, Volume
from penstock.tracking.service import Clause, holds, parse_filter, parse_order

routes = Routes()
ENTITIES = {
    **dict.fromkeys(("tag", "tags"), "tag"),
    **dict.fromkeys(("attribute", "attributes"), "attribute"),
}


def render_version(found: Volume) -> Answer:
    """Return a version as MLflow writes it."""
    named, note = found.shelf.named, found.note
    return {
        "name": named.name,
        "version": str(found.number),
        "creation_timestamp": to_ms(found.created_at),
        "last_updated_timestamp": max(to_ms(note.updated_at), to_ms(found.created_at)),
        "user_id": found.author,
        "current_stage": found.stage,
        "description": note.description,
        "source": note.source or ("dummy-source" if named.kind == PROMPT else location(found)),
        "run_id": note.run_id,
        "status": "READY",
        "tags": listed(found.tags),
        "aliases": found.aliases,
        "model_id": note.model_id,
    }


def location(found: Volume) -> str:
    """Return where the version's files are served."""
    return f"mlflow-artifacts:/models/{found.shelf.named.target}/{found.number}"


def tags_of(shelf: Shelf) -> dict[str, str]:
    """Return the tags of a prompt or model."""
    return ({IS_PROMPT: "true"} if shelf.named.kind == PROMPT else {}) | shelf.named.tags


def render(shelf: Shelf, latest: list[Volume]) -> Answer:
    """Return a registered model (or prompt) as MLflow writes it."""
    named = shelf.named
    return {
        "name": named.name,
        "creation_timestamp": to_ms(named.created_at),
        "last_updated_timestamp": to_ms(named.updated_at),
        "description": named.description,
        "latest_versions": [render_version(one) for one in latest],
        "tags": listed(tags_of(shelf)),
        "aliases": [
            {"alias": alias, "version": str(number)} for alias, number in sorted(shelf.aliases.items())
        ],
    }


def _whole(uow: Any, call: Call, shelf: Shelf) -> Answer:
    """Return a shelf with the newest version of each stage."""
    latest: dict[str, Volume] = {}
    for one in shelves.volumes(uow, call, shelf):
        latest.setdefault(one.stage, one)
    return render(shelf, list(latest.values()))


@routes.on("POST /registered-models/create")
def create(call: Call) -> Answer:
    """Make a registered model, or a prompt when it is tagged as one."""
    name, tags = call.needed("name"), call.pairs("tags")
    kind = PROMPT if tags.pop(IS_PROMPT, "") == "true" else MODEL
    with call.home.begin() as uow:
        if shelves.look(uow, call, name) is not None:
            raise Conflict(f"Registered Model (name={name}) already exists.")
        made = shelves.make(uow, call, kind=kind, name=name, description=call.text("description"), tags=tags)
        return {"registered_model": render(made, [])}


@routes.on("GET /registered-models/get")
def get(call: Call) -> Answer:
    """Return a registered model or prompt."""
    with call.home.read() as uow:
        return {"registered_model": _whole(uow, call, shelves.find(uow, call, call.needed("name")))}


@routes.on("PATCH /registered-models/update")
def update(call: Call) -> Answer:
    """Change the description."""
    with call.home.begin() as uow:
        uow.may(call.actor, "models.write", call.needed("name"))
        shelf = shelves.find(uow, call, call.needed("name"))
        shelf = shelves.keep(uow, call, shelf, description=call.text("description"))
        return {"registered_model": _whole(uow, call, shelf)}


@routes.on("POST /registered-models/rename")
def rename(call: Call) -> Answer:
    """Give a registered model another name in MLflow; its slice keeps the old one."""
    new = call.needed("new_name")
    shelves.target_for(new)
    with call.home.begin() as uow:
        uow.may(call.actor, "models.write", call.needed("name"))
        shelf = shelves.find(uow, call, call.needed("name"))
        if shelves.look(uow, call, new) is not None:
            raise Conflict(f"Registered Model (name={new}) already exists.")
        shelves.keep(uow, call, shelf, hidden=True)
        shelf = shelves.keep(uow, call, shelf, name=new)
        return {"registered_model": _whole(uow, call, shelf)}


@routes.on("DELETE /registered-models/delete")
def delete(call: Call) -> Answer:
    """Take a registered model or prompt out of MLflow's sight; its slice keeps the immutable versions."""
    with call.home.begin() as uow:
        uow.may(call.actor, "models.write", call.needed("name"))
        shelf = shelves.find(uow, call, call.needed("name"))
        for one in list(shelves.volumes(uow, call, shelf)):
            shelves.keep_volume(uow, call, one, hidden=True)
        for alias in shelf.aliases:
            shelves.unpoint(uow, call, shelf, alias)
        shelves.keep(uow, call, shelf, hidden=True, tags={})
        uow.audit(call.actor, "mlflow.delete_registered", shelf.named.name, kind=shelf.named.kind)
    return {}


def _tag(call: Call, changes: dict[str, str | None]) -> Answer:
    with call.home.begin() as uow:
        uow.may(call.actor, "models.write", call.needed("name"))
        shelf = shelves.find(uow, call, call.needed("name"))
        tags = dict(shelf.named.tags)
        for key, value in changes.items():
            if value is None:
                tags.pop(key, None)
            elif key != IS_PROMPT:
                tags[key[:250]] = value[:100_000]
        shelves.keep(uow, call, shelf, tags=tags)
    return {}


@routes.on("POST /registered-models/set-tag")
def set_tag(call: Call) -> Answer:
    """Set a tag."""
    return _tag(call, {call.needed("key"): call.text("value")})


@routes.on("DELETE /registered-models/delete-tag")
def delete_tag(call: Call) -> Answer:
    """Remove a tag."""
    return _tag(call, {call.needed("key"): None})


@routes.on("POST /registered-models/alias")
def set_alias(call: Call) -> Answer:
    """Point an alias at a version."""
    with call.home.begin() as uow:
        shelf = shelves.find(uow, call, call.needed("name"))
        shelves.point(uow, call, shelf, call.needed("alias"), call.number("version", 0))
    return {}


@routes.on("DELETE /registered-models/alias")
def delete_alias(call: Call) -> Answer:
    """Take an alias away."""
    with call.home.begin() as uow:
        uow.may(call.actor, "models.alias.write", call.needed("name"))
        shelves.unpoint(uow, call, shelves.find(uow, call, call.needed("name")), call.needed("alias"))
    return {}


@routes.on("GET /registered-models/alias")
def get_by_alias(call: Call) -> Answer:
    """Return the version an alias points at."""
    alias = call.needed("alias")
    with call.home.read() as uow:
        shelf = shelves.find(uow, call, call.needed("name"))
        number = shelf.versions if alias == "latest" else shelf.aliases.get(alias)
        if number is None:
            raise Invalid(f"Registered model alias {alias} not found.")
        return {"model_version": render_version(shelves.volume(uow, call, shelf, number))}


def meets(clauses: tuple[Clause, ...], attributes: dict[str, Any], tags: dict[str, str]) -> bool:
    """Whether attributes and tags meet all conditions; nothing is a prompt that does not say so."""
    for clause in clauses:
        if clause.kind == "tag":
            value: Any = tags.get(clause.key, "false" if clause.key == IS_PROMPT else None)
        elif clause.key in attributes:
            value = attributes[clause.key]
        else:
            raise Invalid(f"{clause.key!r} cannot be searched.", hint=f"Use one of {', '.join(attributes)}.")
        if not holds(clause, value):
            return False
    return True


def page(call: Call, items: list[Any], default: int) -> tuple[list[Any], Answer]:
    """Return the items of the page that was asked for, and its token."""
    offset = call.offset()
    limit = max(1, min(call.number("max_results", default), 10_000))
    rest: Answer = {"next_page_token": str(offset + limit)} if offset + limit < len(items) else {}
    return items[offset : offset + limit], rest


def kinds(clauses: tuple[Clause, ...]) -> list[str]:
    """Return what a filter may find: prompts, models or both."""
    for clause in clauses:
        if clause.kind == "tag" and clause.key == IS_PROMPT and clause.op in ("=", "!="):
            return [PROMPT] if (clause.op == "=") == (clause.value == "true") else [MODEL]
    return [MODEL, PROMPT]


@routes.on("GET /registered-models/search", "POST /registered-models/search")
def search(call: Call) -> Answer:
    """Search registered models and prompts, by name."""
    clauses = parse_filter(call.text("filter"), ENTITIES)
    orders = parse_order(call.texts("order_by"), ENTITIES)
    with call.home.read() as uow:
        found = [
            shelf
            for kind in kinds(clauses)
            for shelf in shelves.everything(uow, call, kind)
            if meets(clauses, {"name": shelf.named.name}, tags_of(shelf))
        ]
        found.sort(key=lambda shelf: shelf.named.name)
        for order in reversed(orders):
            if order.key in ("timestamp", "last_updated_timestamp"):
                found.sort(key=lambda shelf: shelf.named.updated_at, reverse=order.descending)
            elif order.key == "name":
                found.sort(key=lambda shelf: shelf.named.name, reverse=order.descending)
            else:
                raise Invalid(f"Registered models cannot be ordered by {order.key!r}.")
        shown, rest = page(call, found, 100)
        return {"registered_models": [_whole(uow, call, shelf) for shelf in shown], **rest}


@routes.on("GET /registered-models/get-latest-versions", "POST /registered-models/get-latest-versions")
def latest_versions(call: Call) -> Answer:
    """Return the newest version of each stage."""
    wanted = {stage.lower() for stage in call.texts("stages")}
    latest: dict[str, Volume] = {}
    with call.home.read() as uow:
        shelf = shelves.find(uow, call, call.needed("name"))
        for one in shelves.volumes(uow, call, shelf):
            if not wanted or one.stage.lower() in wanted:
                latest.setdefault(one.stage, one)
    return {"model_versions": [render_version(one) for one in latest.values()]}
