"""What lists and column choosers say of experiments without reading their runs."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Table, case, func, select

from penstock.core.scope import Scope
from penstock.tracking.model import Activity, Experiment, RunKey, RunKeys, RunStatus, State
from penstock.tracking.store.tables import latest, params, runs, tags

MOST_KEYS = 1000
"""Names of one kind that are told; runs with more of them are made by mistake."""


def _mine(scope: Scope) -> Any:
    return (runs.c.tenant == scope.tenant) & (runs.c.project == scope.project)


def activity(conn: Connection, scope: Scope, found: Sequence[Experiment]) -> dict[str, Activity]:
    """Return experiment → what goes on in it; runs count that are in use or deleted as it is itself."""
    running = func.sum(case((runs.c.status == str(RunStatus.RUNNING), 1), else_=0))
    query = (
        select(runs.c.experiment_id, runs.c.state, func.count(), running, func.max(runs.c.started_at))
        .where(_mine(scope), runs.c.experiment_id.in_([one.id for one in found]))
        .group_by(runs.c.experiment_id, runs.c.state)
    )
    states = {one.id: str(one.state) for one in found}
    counted = {one.id: Activity() for one in found}
    for experiment, state, number, going, last in conn.execute(query):
        if states[experiment] == state:
            counted[experiment] = Activity(runs=number, running=going, last_run_at=last)
    return counted


def _keys(conn: Connection, scope: Scope, experiment: Experiment, table: Table) -> tuple[RunKey, ...]:
    query = (
        select(table.c.key, func.count(table.c.owner.distinct()), func.count(table.c.value.distinct()))
        .join_from(runs, table, table.c.owner == runs.c.id)
        .where(_mine(scope), runs.c.experiment_id == experiment.id, runs.c.state == str(State.ACTIVE))
        .group_by(table.c.key)
        .order_by(table.c.key)
        .limit(MOST_KEYS)
    )
    return tuple(RunKey(key=key, runs=number, values=values) for key, number, values in conn.execute(query))


def keys_of(conn: Connection, scope: Scope, experiment: Experiment) -> RunKeys:
    """Return the names that the experiment's runs use."""
    return RunKeys(
        params=_keys(conn, scope, experiment, params),
        metrics=_keys(conn, scope, experiment, latest),
        tags=_keys(conn, scope, experiment, tags),
    )
