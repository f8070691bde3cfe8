"""MLflow's evaluation datasets: mutable, so they are kept here; Penstock's own datasets are immutable versions."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import msgspec

from penstock.core import clock, ids
from penstock.core.errors import Invalid, NotFound
from penstock.core.uow import UnitOfWork
from penstock.mlflow.call import Answer, Call, to_ms
from penstock.mlflow.experiments import DEFAULT_ID, default_id, own_id
from penstock.mlflow.model import EvalRecord, EvalSet
from penstock.mlflow.registered import ENTITIES, meets, page
from penstock.mlflow.routing import Routes
from penstock.mlflow.store import evalsets as store
from penstock.tracking.service import parse_filter, parse_order

routes = Routes()
MAX_RECORDS = 10_000
_KEPT = ("inputs", "outputs", "expectations", "tags", "source", "source_id", "source_type")


def render(found: EvalSet, default: str) -> Answer:
    """Return a dataset as MLflow writes it."""
    changed = f"{found.id}{clock.iso(found.updated_at)}".encode()
    return {
        "dataset_id": found.id,
        "name": found.name,
        "digest": hashlib.sha256(changed).hexdigest()[:8],
        "created_time": to_ms(found.created_at),
        "last_update_time": to_ms(found.updated_at),
        "tags": json.dumps(found.tags),
        "schema": found.schema,
        "profile": found.profile,
        "created_by": found.created_by,
        "last_updated_by": found.updated_by,
        "experiment_ids": [DEFAULT_ID if one == default else one for one in found.experiments],
    }


def _parsed(call: Call, name: str) -> Any:
    """Return a JSON document that stands in a text."""
    found = call.text(name)
    if not found:
        return None
    try:
        return json.loads(found)
    except ValueError as error:
        raise Invalid(f"The parameter {name!r} is not JSON: {error}.") from error


def _tags(call: Call) -> dict[str, str]:
    found = _parsed(call, "tags") or {}
    if not isinstance(found, dict) or len(found) > 200:
        raise Invalid("`tags` must be an object of at most 200 texts.")
    return {str(key): str(value) for key, value in found.items()}


def _find(uow: UnitOfWork, call: Call, action: str = "datasets.read") -> EvalSet:
    wanted = call.needed("dataset_id")
    uow.may(call.actor, action, wanted)
    found = store.get(uow.conn, call.actor.scope, wanted)
    if found is None:
        raise NotFound(f"Dataset with id '{wanted}' not found.")
    return found


def _touch(uow: UnitOfWork, call: Call, found: EvalSet, **values: Any) -> Answer:
    values |= {"updated_at": clock.now(), "updated_by": call.actor.name[:250]}
    store.change(uow.conn, call.actor.scope, found, **values)
    return {"dataset": render(replace(found, **values), default_id(uow, call))}


@routes.on("POST 3 /datasets/create")
def create(call: Call) -> Answer:
    """Make an empty dataset."""
    name, tags = call.needed("name")[:500], _tags(call)
    experiments = [own_id(call, one) for one in call.texts("experiment_ids")]
    moment = clock.now()
    made = EvalSet(
        id="d-" + ids.new_id("dat").removeprefix("dat_"),
        name=name,
        tags=tags,
        experiments=experiments,
        created_by=tags.get("mlflow.user", call.actor.name)[:250],
        updated_by=call.actor.name[:250],
        created_at=moment,
        updated_at=moment,
    )
    with call.home.begin() as uow:
        uow.may(call.actor, "datasets.write", name)
        store.insert(uow.conn, call.actor.scope, made)
        return {"dataset": render(made, default_id(uow, call))}


@routes.on("POST 3 /datasets/search", "GET 3 /datasets/search")
def search(call: Call) -> Answer:
    """Search datasets, newest first."""
    clauses = parse_filter(call.text("filter_string"), ENTITIES)
    orders = parse_order(call.texts("order_by"), ENTITIES)
    within = {own_id(call, one) for one in call.texts("experiment_ids")}
    with call.home.read() as uow:
        uow.may(call.actor, "datasets.read")
        found = [
            one
            for one in store.everything(uow.conn, call.actor.scope)
            if (not within or within & set(one.experiments)) and meets(clauses, _attributes(one), one.tags)
        ]
        default = default_id(uow, call)
    for order in reversed(orders):
        if order.key not in _ORDERS:
            raise Invalid(f"Datasets cannot be ordered by {order.key!r}.")
        key = order.key
        found.sort(key=lambda one: _attributes(one)[key] or 0, reverse=order.descending)
    shown, rest = page(call, found, 1000)
    return {"datasets": [render(one, default) for one in shown], **rest}


def _attributes(found: EvalSet) -> dict[str, Any]:
    return {
        "name": found.name,
        "dataset_id": found.id,
        "created_by": found.created_by,
        "last_updated_by": found.updated_by,
        "created_time": to_ms(found.created_at),
        "last_update_time": to_ms(found.updated_at),
    }


_ORDERS = ("name", "dataset_id", "created_by", "last_updated_by", "created_time", "last_update_time")


@routes.on("GET 3 /datasets/{dataset_id}")
def get(call: Call) -> Answer:
    """Return a dataset."""
    with call.home.read() as uow:
        return {"dataset": render(_find(uow, call), default_id(uow, call))}


@routes.on("DELETE 3 /datasets/{dataset_id}")
def delete(call: Call) -> Answer:
    """Delete a dataset with its records."""
    with call.home.begin() as uow:
        found = _find(uow, call, "datasets.write")
        store.remove(uow.conn, call.actor.scope, found)
        uow.audit(call.actor, "mlflow.delete_dataset", found.id, name=found.name)
    return {}


@routes.on("PATCH 3 /datasets/{dataset_id}/tags")
def set_tags(call: Call) -> Answer:
    """Set tags."""
    with call.home.begin() as uow:
        found = _find(uow, call, "datasets.write")
        return _touch(uow, call, found, tags=found.tags | _tags(call))


@routes.on("DELETE 3 /datasets/{dataset_id}/tags/{key}")
def delete_tag(call: Call) -> Answer:
    """Remove a tag."""
    with call.home.begin() as uow:
        found = _find(uow, call, "datasets.write")
        rest = {key: value for key, value in found.tags.items() if key != call.needed("key")}
        _touch(uow, call, found, tags=rest)
    return {}


@routes.on("GET 3 /datasets/{dataset_id}/experiment-ids")
def experiment_ids(call: Call) -> Answer:
    """Return the experiments that use the dataset."""
    with call.home.read() as uow:
        return {"experiment_ids": render(_find(uow, call), default_id(uow, call))["experiment_ids"]}


@routes.on("POST 3 /datasets/{dataset_id}/add-experiments")
def add_experiments(call: Call) -> Answer:
    """Say that experiments use the dataset."""
    more = [own_id(call, one) for one in call.texts("experiment_ids")]
    with call.home.begin() as uow:
        found = _find(uow, call, "datasets.write")
        return _touch(uow, call, found, experiments=list(dict.fromkeys([*found.experiments, *more])))


@routes.on("POST 3 /datasets/{dataset_id}/remove-experiments")
def remove_experiments(call: Call) -> Answer:
    """Say that experiments no longer use the dataset."""
    less = {own_id(call, one) for one in call.texts("experiment_ids")}
    with call.home.begin() as uow:
        found = _find(uow, call, "datasets.write")
        return _touch(uow, call, found, experiments=[one for one in found.experiments if one not in less])


def _source(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return where a record came from, as MLflow's server infers it."""
    source = given.get("source")
    if not isinstance(source, dict):
        return {}
    data = source.get("source_data") or {}
    found = {"source": source, "source_type": str(source.get("source_type") or "UNSPECIFIED")}
    return found | {"source_id": str(data["trace_id"])} if data.get("trace_id") else found


def _record(found: EvalSet, given: Any, held: Mapping[str, EvalRecord], now: int) -> EvalRecord:
    inputs = given["inputs"]
    hashed = hashlib.sha256(msgspec.json.encode(inputs, order="deterministic")).hexdigest()
    old = held.get(hashed)
    body: dict[str, Any] = dict(old.body) if old else {"created_time": now}
    for key in _KEPT:
        value = given.get(key)
        if value is not None:
            known = body.get(key)
            if key in ("expectations", "tags") and isinstance(known, dict) and isinstance(value, dict):
                value = {**known, **value}
            body[key] = value
    record_id = old.id if old else "dr-" + ids.new_id("rec").removeprefix("rec_")
    body |= {"dataset_record_id": record_id, "dataset_id": found.id, "last_update_time": now} | _source(given)
    return EvalRecord(id=record_id, hash=hashed, body=body)


@routes.on("POST 3 /datasets/{dataset_id}/records")
def upsert_records(call: Call) -> Answer:
    """Add records; one with the same inputs is brought up to date."""
    given = _parsed(call, "records")
    well = isinstance(given, list) and all(isinstance(one, dict) and "inputs" in one for one in given)
    if not well or len(given) > MAX_RECORDS:
        raise Invalid(f"`records` must be at most {MAX_RECORDS} objects with `inputs`, as a JSON text.")
    hashes = [
        hashlib.sha256(msgspec.json.encode(one["inputs"], order="deterministic")).hexdigest() for one in given
    ]
    now = clock.now_ns() // 1_000_000
    with call.home.begin() as uow:
        found = _find(uow, call, "datasets.write")
        held = store.records_by_hash(uow.conn, found, hashes)
        known = len(held)
        for one in given:
            made = _record(found, one, held, now)
            held[made.hash] = made
        store.put_records(uow.conn, found, list(held.values()))
        profile = json.dumps({"num_records": store.count(uow.conn, found)})
        _touch(uow, call, found, profile=profile)
    inserted = len(held) - known
    return {"inserted_count": inserted, "updated_count": len(given) - inserted}


@routes.on("GET 3 /datasets/{dataset_id}/records")
def get_records(call: Call) -> Answer:
    """Return records in the order they came; the list stands in a JSON text."""
    limit = max(1, min(call.number("max_results", 1000), MAX_RECORDS))
    with call.home.read() as uow:
        found = _find(uow, call)
        rows = store.list_records(uow.conn, found, after=call.text("page_token"), limit=limit + 1)
    answer: Answer = {"records": msgspec.json.encode([one.body for one in rows[:limit]]).decode()}
    return answer | {"next_page_token": rows[limit - 1].id} if len(rows) > limit else answer


@routes.on("DELETE 3 /datasets/{dataset_id}/records")
def delete_records(call: Call) -> Answer:
    """Delete records by id."""
    with call.home.begin() as uow:
        found = _find(uow, call, "datasets.write")
        gone = store.remove_records(uow.conn, found, call.texts("dataset_record_ids"))
        profile = json.dumps({"num_records": store.count(uow.conn, found)})
        _touch(uow, call, found, profile=profile)
    return {"deleted_count": gone}
