"""Parameters, tags and metrics of whatever owns them."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, and_, delete, func, select, tuple_
from sqlalchemy.dialects import postgresql, sqlite

from penstock.core.db import is_sqlite, upsert
from penstock.tracking.model import DatasetInput, Experiment, LoggedModel, Metric, ModelUse, Run
from penstock.tracking.store.tables import inputs, latest, metrics, params, tags, uses

_CHUNK = 500
CONTEXT_TAG = "mlflow.data.context"


def add_params(conn: Connection, owner: Run | LoggedModel, pairs: Mapping[str, str]) -> dict[str, str]:
    """Store parameters; returns those that were there before with another value (they keep it)."""
    rows = [{"owner": owner.id, "key": key, "value": value} for key, value in pairs.items()]
    upsert(conn, params, rows, keys=["owner", "key"])
    query = select(params.c.key, params.c.value).where(
        params.c.owner == owner.id, params.c.key.in_(list(pairs))
    )
    return {row.key: row.value for row in conn.execute(query) if row.value != pairs[row.key]}


def set_tags(conn: Connection, owner: Experiment | Run | LoggedModel, pairs: Mapping[str, str]) -> None:
    """Set tags; equal keys are replaced."""
    rows = [{"owner": owner.id, "key": key, "value": value} for key, value in pairs.items()]
    upsert(conn, tags, rows, keys=["owner", "key"], update=["value"])


def delete_tag(conn: Connection, owner: Experiment | Run | LoggedModel, key: str) -> bool:
    """Remove a tag; returns whether there was one."""
    return conn.execute(delete(tags).where(tags.c.owner == owner.id, tags.c.key == key)).rowcount > 0


def _metric_row(owner: str, metric: Metric) -> dict[str, Any]:
    nan = math.isnan(metric.value)
    return {
        "owner": owner,
        "key": metric.key,
        "run_id": metric.run_id,
        "step": metric.step,
        "at_ms": metric.at_ms,
        "value": 0.0 if nan else metric.value,
        "nan": nan,
    }


def add_metrics(conn: Connection, owner: Run | LoggedModel, values: Sequence[Metric]) -> None:
    """Append to the histories and move the last values on; sending a value again changes nothing."""
    rows = [_metric_row(owner.id, metric) for metric in values]
    if not rows:
        return
    upsert(conn, metrics, rows, keys=[column.name for column in metrics.primary_key])
    newest: dict[tuple[str, str], dict[str, Any]] = {}
    for row in rows:
        place = (row["key"], row["run_id"])
        if place not in newest or _age(row) > _age(newest[place]):
            newest[place] = row
    insert = sqlite.insert if is_sqlite(conn) else postgresql.insert
    statement: Any = insert(latest)
    fresh, held = statement.excluded, latest.c
    statement = statement.on_conflict_do_update(
        index_elements=["owner", "key", "run_id"],
        set_={name: fresh[name] for name in ("step", "at_ms", "value", "nan")},
        where=tuple_(fresh.step, fresh.at_ms, fresh.value) > tuple_(held.step, held.at_ms, held.value),
    )
    conn.execute(statement, list(newest.values()))


def _age(row: Mapping[str, Any]) -> tuple[int, int, float]:
    return row["step"], row["at_ms"], row["value"]


def _metric(row: Any) -> Metric:
    return Metric(
        key=row.key,
        value=math.nan if row.nan else row.value,
        step=row.step,
        at_ms=row.at_ms,
        run_id=row.run_id,
    )


def history(
    conn: Connection,
    owner: Run | LoggedModel,
    key: str,
    *,
    after: tuple[int, int, float, bool] | None,
    limit: int,
) -> list[Metric]:
    """Return a metric's values by step, then time, after the place `after`."""
    place = (metrics.c.step, metrics.c.at_ms, metrics.c.value, metrics.c.nan)
    query = select(metrics).where(metrics.c.owner == owner.id, metrics.c.key == key)
    if after is not None:
        query = query.where(tuple_(*place) > tuple_(*after))
    return [_metric(row) for row in conn.execute(query.order_by(*place).limit(limit))]


def outline(conn: Connection, owner: Run | LoggedModel, key: str, *, most: int) -> list[Metric]:
    """Return a metric's values by step, then time: of more than `most` evenly chosen ones, with the last."""
    mine = (metrics.c.owner == owner.id) & (metrics.c.key == key)
    known = conn.execute(select(func.count()).select_from(metrics).where(mine)).scalar() or 0
    order = (metrics.c.step, metrics.c.at_ms, metrics.c.value, metrics.c.nan)
    place = func.row_number().over(order_by=[column.desc() for column in order])
    placed = select(metrics, place.label("place")).where(mine).subquery()
    chosen = select(placed).where((placed.c.place - 1) % max(-(-known // most), 1) == 0)
    return [_metric(row) for row in conn.execute(chosen.order_by(placed.c.place.desc()))]


def _chunks(ids: Sequence[str]) -> Iterable[Sequence[str]]:
    return (ids[at : at + _CHUNK] for at in range(0, len(ids), _CHUNK))


def pairs_of(
    conn: Connection, kind: str, owners: Sequence[Experiment | Run | LoggedModel]
) -> dict[str, dict[str, str]]:
    """Return owner → key → value of `params` or `tags`."""
    table = params if kind == "params" else tags
    found: dict[str, dict[str, str]] = {owner.id: {} for owner in owners}
    for chunk in _chunks(list(found)):
        query = select(table).where(table.c.owner.in_(chunk)).order_by(table.c.key)
        for row in conn.execute(query):
            found[row.owner][row.key] = row.value
    return found


def latest_of(conn: Connection, owners: Sequence[Experiment | Run | LoggedModel]) -> dict[str, list[Metric]]:
    """Return owner → last values."""
    found: dict[str, list[Metric]] = {owner.id: [] for owner in owners}
    for chunk in _chunks(list(found)):
        query = select(latest).where(latest.c.owner.in_(chunk)).order_by(latest.c.key, latest.c.run_id)
        for row in conn.execute(query):
            found[row.owner].append(_metric(row))
    return found


def add_inputs(conn: Connection, run: Run, datasets: Sequence[DatasetInput]) -> None:
    """Remember what a run read; the same dataset again, now or later, replaces its tags."""
    last = {(one.name, one.digest): one for one in datasets}
    rows = [
        {
            "owner": run.id,
            "name": one.name,
            "digest": one.digest,
            "source_type": one.source_type,
            "source": one.source,
            "schema": one.schema,
            "profile": one.profile,
            "tags": one.tags,
            "context": one.tags.get(CONTEXT_TAG, ""),
        }
        for one in last.values()
    ]
    upsert(conn, inputs, rows, keys=["owner", "name", "digest"], update=["tags", "context"])


def inputs_of(conn: Connection, owners: Sequence[Run]) -> dict[str, list[DatasetInput]]:
    """Return run → datasets it read."""
    found: dict[str, list[DatasetInput]] = {owner.id: [] for owner in owners}
    names = ("name", "digest", "source_type", "source", "schema", "profile", "tags")
    for chunk in _chunks(list(found)):
        query = select(inputs).where(inputs.c.owner.in_(chunk)).order_by(inputs.c.name, inputs.c.digest)
        for row in conn.execute(query):
            found[row.owner].append(DatasetInput(**{name: row._mapping[name] for name in names}))
    return found


def add_uses(conn: Connection, run: Run, models: Sequence[ModelUse]) -> None:
    """Remember which logged models a run read or wrote."""
    rows = [{"owner": run.id, "model_id": one.model_id, "role": one.role, "step": one.step} for one in models]
    upsert(conn, uses, rows, keys=["owner", "model_id", "role"], update=["step"])


def uses_of(conn: Connection, owners: Sequence[Run]) -> dict[str, list[ModelUse]]:
    """Return run → logged models it read or wrote."""
    found: dict[str, list[ModelUse]] = {owner.id: [] for owner in owners}
    for chunk in _chunks(list(found)):
        for row in conn.execute(select(uses).where(and_(uses.c.owner.in_(chunk))).order_by(uses.c.model_id)):
            found[row.owner].append(ModelUse(model_id=row.model_id, role=row.role, step=row.step))
    return found
