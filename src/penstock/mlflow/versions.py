"""MLflow's model and prompt versions over the registry and prompts slices."""

import json
import re
from typing import Any

from penstock.core.errors import Invalid, NotFound
from penstock.core.lineage import Link
from penstock.core.uow import UnitOfWork
from penstock.mlflow import shelves
from penstock.mlflow.call import Answer, Call
from penstock.mlflow.registered import ENTITIES, kinds, location, meets, page, render_version
from penstock.mlflow.routing import Routes
from penstock.mlflow.shelves import CONFIG_TAG, FORMAT_TAG, PROMPT, SPECIAL, TEXT_TAG, TYPE_TAG, Shelf, Volume
from penstock.prompts import service as prompts
from penstock.prompts.model import Body
from penstock.prompts.model import Kind as PromptKind
from penstock.registry import service as registry
from penstock.registry.model import FileEntry, Stage
from penstock.tracking import service as tracking
from penstock.tracking.service import parse_filter, parse_order

routes = Routes()
_LOGGED = re.compile(r"models:/(m-[0-9a-zA-Z]+)")
_RUN_FILES = re.compile(r"(?:runs:/|mlflow-artifacts:/+)([\w-]+)/?(.*)")


def _decoded(tags: dict[str, str], key: str) -> Any:
    try:
        return json.loads(tags[key]) if key in tags else None
    except ValueError as error:
        raise Invalid(f"The tag {key!r} is not JSON: {error}.") from error


def _body(tags: dict[str, str]) -> Body:
    """Return the prompt that a version's tags carry."""
    if TEXT_TAG not in tags:
        raise Invalid(f"A prompt version needs the tag {TEXT_TAG!r}.")
    schema, settings = _decoded(tags, FORMAT_TAG), _decoded(tags, CONFIG_TAG)
    schema = schema if isinstance(schema, dict) else None
    settings = settings if isinstance(settings, dict) else {}
    if tags.get(TYPE_TAG) == "chat":
        messages = _decoded(tags, TEXT_TAG)
        if not isinstance(messages, list) or not all(isinstance(one, dict) for one in messages):
            raise Invalid("A chat prompt is a list of messages.")
        return Body(kind=PromptKind.CHAT, messages=tuple(messages), output_schema=schema, settings=settings)
    return Body(kind=PromptKind.TEXT, text=tags[TEXT_TAG], output_schema=schema, settings=settings)


@routes.on("POST /model-versions/create")
def create(call: Call) -> Answer:
    """Add a version of a model or prompt."""
    with call.home.read() as uow:
        shelf = shelves.find(uow, call, call.needed("name"))
    tags = call.pairs("tags")
    if shelf.named.kind == PROMPT:
        return _add_prompt(call, shelf, tags)
    return _add_model(call, shelf, tags)


def _add_prompt(call: Call, shelf: Shelf, tags: dict[str, str]) -> Answer:
    description = call.text("description")
    own = {key: value for key, value in tags.items() if key not in SPECIAL}
    with call.home.begin() as uow:
        target = shelf.named.target
        made = prompts.add_version(uow, call.actor, name=target, body=_body(tags), note=description)
        fresh = shelves.find(uow, call, shelf.named.name)
        found = shelves.volume(uow, call, fresh, made.number)
        found = shelves.keep_volume(
            uow,
            call,
            found,
            description=description or found.note.description,
            tags=found.note.tags | own,
        )
        return {"model_version": render_version(shelves.volume(uow, call, fresh, found.number))}


def _files(uow: UnitOfWork, call: Call, source: str) -> tuple[tuple[FileEntry, ...], str] | None:
    """Return (files, root) of a source that Penstock keeps; None for one that is kept elsewhere."""
    logged, stored = _LOGGED.fullmatch(source), _RUN_FILES.fullmatch(source)
    root, path = (logged.group(1), "") if logged else stored.groups() if stored else ("", "")
    if not root:
        return None
    path = path.strip("/")
    if root == "models":
        return _registered_files(uow, call, path), root
    start = len(path) + 1 if path else 0
    files = tracking.tree_of(uow, call.actor, root=root, path=path)
    if not files:
        raise NotFound(f"There are no artifacts at {source!r}.")
    return tuple(FileEntry(path=one.path[start:], sha256=one.sha256, size=one.size) for one in files), root


def _registered_files(uow: UnitOfWork, call: Call, path: str) -> tuple[FileEntry, ...]:
    target, _, number = path.partition("/")
    return registry.get(uow, call.actor, ref=f"{target}@{number}").files


def _add_model(call: Call, shelf: Shelf, tags: dict[str, str]) -> Answer:
    source, run_id, model_id = call.text("source"), call.text("run_id"), call.text("model_id")
    with call.home.read() as uow:
        kept = _files(uow, call, source)
    files, root = kept or ((), "")
    links = [Link("run", run_id, "source")] if run_id else []
    if root.startswith("m-") or model_id:
        links.append(Link("logged_model", model_id or root, "source"))
    if kept is None:
        links.append(Link("uri", source, "source"))
    extra: dict[str, Any] = {"description": call.text("description"), "source": source}
    made = registry.register_stored(
        call.home,
        call.actor,
        name=shelf.named.target,
        files=files,
        lineage=tuple(links),
        card_extra={key: value for key, value in extra.items() if value},
    )
    with call.home.begin() as uow:
        fresh = shelves.find(uow, call, shelf.named.name)
        found = shelves.volume(uow, call, fresh, made.number)
        changes: dict[str, Any] = {
            "description": call.text("description"),
            "source": source,
            "run_id": run_id[:40],
            "model_id": (model_id or (root if root.startswith("m-") else ""))[:40],
        }
        changes = {key: value for key, value in changes.items() if value}
        shelves.keep_volume(uow, call, found, tags=found.note.tags | tags, **changes)
        return {"model_version": render_version(shelves.volume(uow, call, fresh, made.number))}


def _find(uow: UnitOfWork, call: Call) -> Volume:
    number = call.needed("version")
    if not number.isdecimal():
        raise Invalid(f"{number!r} is not the number of a version.")
    return shelves.volume(uow, call, shelves.find(uow, call, call.needed("name")), int(number))


@routes.on("GET /model-versions/get")
def get(call: Call) -> Answer:
    """Return a version."""
    with call.home.read() as uow:
        return {"model_version": render_version(_find(uow, call))}


def _changed(call: Call, **changes: Any) -> Answer:
    with call.home.begin() as uow:
        uow.may(call.actor, "models.write", call.needed("name"))
        found = _find(uow, call)
        shelves.keep_volume(uow, call, found, **changes)
        return {"model_version": render_version(_find(uow, call))}


@routes.on("PATCH /model-versions/update")
def update(call: Call) -> Answer:
    """Change the description."""
    return _changed(call, description=call.text("description"))


@routes.on("DELETE /model-versions/delete")
def delete(call: Call) -> Answer:
    """Take a version out of MLflow's sight; its slice keeps it, as versions are immutable."""
    with call.home.begin() as uow:
        uow.may(call.actor, "models.write", call.needed("name"))
        found = _find(uow, call)
        for alias in found.aliases:
            shelves.unpoint(uow, call, found.shelf, alias)
        if found.shelf.named.kind != PROMPT:
            ref = f"{found.shelf.named.target}@{found.number}"
            registry.set_stage(uow, call.actor, ref=ref, stage=Stage.ARCHIVED)
        shelves.keep_volume(uow, call, found, hidden=True)
        uow.audit(call.actor, "mlflow.delete_version", f"{found.shelf.named.name}/{found.number}")
    return {}


def _tag(call: Call, changes: dict[str, str | None]) -> Answer:
    with call.home.begin() as uow:
        uow.may(call.actor, "models.write", call.needed("name"))
        found = _find(uow, call)
        tags = dict(found.note.tags)
        for key, value in changes.items():
            if key in SPECIAL:
                raise Invalid(f"The tag {key!r} belongs to the prompt and does not change.")
            if value is None:
                tags.pop(key, None)
            else:
                tags[key[:250]] = value[:100_000]
        shelves.keep_volume(uow, call, found, tags=tags)
    return {}


@routes.on("POST /model-versions/set-tag")
def set_tag(call: Call) -> Answer:
    """Set a tag."""
    return _tag(call, {call.needed("key"): call.text("value")})


@routes.on("DELETE /model-versions/delete-tag")
def delete_tag(call: Call) -> Answer:
    """Remove a tag."""
    return _tag(call, {call.needed("key"): None})


@routes.on("POST /model-versions/transition-stage")
def transition(call: Call) -> Answer:
    """Move a model's version to another stage."""
    stage = shelves.STAGES.get(call.needed("stage").lower())
    if stage is None:
        raise Invalid(f"{call.text('stage')!r} is not a stage: use None, Staging, Production or Archived.")
    with call.home.begin() as uow:
        found = _find(uow, call)
        if found.shelf.named.kind == PROMPT:
            raise Invalid("Prompts have no stages.", hint="Use aliases.")
        target = found.shelf.named.target
        if call.text("archive_existing_versions").lower() == "true":
            for one in shelves.volumes(uow, call, found.shelf):
                if one.number != found.number and shelves.STAGES[one.stage.lower()] is stage:
                    ref = f"{target}@{one.number}"
                    registry.set_stage(uow, call.actor, ref=ref, stage=Stage.ARCHIVED)
        registry.set_stage(uow, call.actor, ref=f"{target}@{found.number}", stage=stage)
        return {"model_version": render_version(_find(uow, call))}


@routes.on("GET /model-versions/get-download-uri")
def download_uri(call: Call) -> Answer:
    """Return where the files of a version are."""
    with call.home.read() as uow:
        found = _find(uow, call)
        if found.shelf.named.kind == PROMPT:
            return {"artifact_uri": "dummy-source"}
        files = registry.get(uow, call.actor, ref=f"{found.shelf.named.target}@{found.number}").files
        return {"artifact_uri": location(found) if files else found.note.source}


@routes.on("GET /model-versions/search", "POST /model-versions/search")
def search(call: Call) -> Answer:
    """Search versions, newest first."""
    clauses = parse_filter(call.text("filter"), ENTITIES)
    orders = parse_order(call.texts("order_by"), ENTITIES)
    named = next((one.value for one in clauses if (one.key, one.op) == ("name", "=")), None)
    with call.home.read() as uow:
        if named is not None:
            one = shelves.look(uow, call, str(named))
            found_shelves = [one] if one else []
        else:
            found_shelves = [one for kind in kinds(clauses) for one in shelves.everything(uow, call, kind)]
        found = [
            volume
            for shelf in found_shelves
            for volume in shelves.volumes(uow, call, shelf)
            if meets(clauses, _attributes(volume), volume.tags)
        ]
    found.sort(key=lambda volume: (volume.created_at, volume.number), reverse=True)
    for order in reversed(orders):
        if order.key not in _ORDERS:
            raise Invalid(f"Versions cannot be ordered by {order.key!r}.")
        found.sort(key=_ORDERS[order.key], reverse=order.descending)
    shown, rest = page(call, found, 10_000)
    return {"model_versions": [render_version(volume) for volume in shown], **rest}


_ORDERS: dict[str, Any] = {
    "name": lambda volume: volume.shelf.named.name,
    "version_number": lambda volume: volume.number,
    "creation_timestamp": lambda volume: volume.created_at,
    "last_updated_timestamp": lambda volume: volume.note.updated_at,
}


def _attributes(volume: Volume) -> dict[str, Any]:
    return {
        "name": volume.shelf.named.name,
        "run_id": volume.note.run_id or None,
        "source_path": volume.note.source or None,
        "version_number": volume.number,
        "model_id": volume.note.model_id or None,
    }
