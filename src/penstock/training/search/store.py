"""SQL of searches and their trials."""

from dataclasses import replace
from typing import Any

from sqlalchemy import Column, Connection, Index, Integer, String, Table, Text, select, update

from penstock.core.db import Json, UtcTime, metadata, upsert
from penstock.core.scope import Scope
from penstock.training.search.model import Search, SearchState, Trial, TrialState, parse_plan

searches = Table(
    "training_searches",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("tenant", String(64), nullable=False),
    Column("project", String(64), nullable=False),
    Column("plan", Json, nullable=False),
    Column("state", String(16), nullable=False),
    Column("job_id", String(40)),
    Column("error", Text),
    Column("pareto", Json, nullable=False),
    Column("importance", Json, nullable=False),
    Column("wish", String(16)),
    Column("author", String(200), nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("started_at", UtcTime),
    Column("ended_at", UtcTime),
    Index("ix_training_searches_scope", "tenant", "project", "id"),
)
trials = Table(
    "training_trials",
    metadata,
    Column("search_id", String(40), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("state", String(16), nullable=False),
    Column("params", Json, nullable=False),
    Column("values", Json, nullable=False),
    Column("run_id", String(40)),
    Column("error", Text),
)


def _mine(scope: Scope) -> Any:
    return (searches.c.tenant == scope.tenant) & (searches.c.project == scope.project)


def _search(row: Any) -> Search:
    return Search(
        id=row.id,
        plan=parse_plan(row.plan),
        state=SearchState(row.state),
        job_id=row.job_id,
        error=row.error,
        pareto=row.pareto,
        importance=row.importance,
        author=row.author,
        created_at=row.created_at,
        started_at=row.started_at,
        ended_at=row.ended_at,
    )


def insert(conn: Connection, scope: Scope, search: Search) -> None:
    """Store a new search."""
    conn.execute(
        searches.insert().values(
            tenant=scope.tenant,
            project=scope.project,
            id=search.id,
            plan=search.plan.to_dict(),
            state=str(search.state),
            job_id=search.job_id,
            error=search.error,
            pareto=search.pareto,
            importance=search.importance,
            author=search.author,
            created_at=search.created_at,
        )
    )


def change(conn: Connection, scope: Scope, search_id: str, **values: Any) -> None:
    """Set columns of a search."""
    if "state" in values:
        values["state"] = str(values["state"])
    conn.execute(update(searches).where(_mine(scope), searches.c.id == search_id).values(**values))


def stop_wanted(conn: Connection, scope: Scope, search_id: str) -> bool:
    """Whether somebody asked the search to stop."""
    return bool(
        conn.execute(select(searches.c.wish).where(_mine(scope), searches.c.id == search_id)).scalar()
    )


def by_id(conn: Connection, scope: Scope, search_id: str) -> Search | None:
    """Return the search with its trials, or None."""
    row = conn.execute(select(searches).where(_mine(scope), searches.c.id == search_id)).first()
    if row is None:
        return None
    found = conn.execute(select(trials).where(trials.c.search_id == search_id).order_by(trials.c.number))
    return replace(_search(row), trials=tuple(_trial(one) for one in found))


def _trial(row: Any) -> Trial:
    # Read by position: a result row has a method called `values`.
    return Trial(
        number=row[1], state=TrialState(row[2]), params=row[3], values=row[4], run_id=row[5], error=row[6]
    )


def page(conn: Connection, scope: Scope, *, before: str | None, limit: int) -> list[Search]:
    """Return searches without their trials, newest first, with ids below `before`."""
    query = select(searches).where(_mine(scope)).order_by(searches.c.id.desc()).limit(limit)
    if before is not None:
        query = query.where(searches.c.id < before)
    return [_search(row) for row in conn.execute(query)]


def put_trial(conn: Connection, search_id: str, trial: Trial) -> None:
    """Store how far a trial is."""
    row = {
        "search_id": search_id,
        "number": trial.number,
        "state": str(trial.state),
        "params": trial.params,
        "values": trial.values,
        "run_id": trial.run_id,
        "error": trial.error,
    }
    changing = ["state", "params", "values", "run_id", "error"]
    upsert(conn, trials, [row], keys=["search_id", "number"], update=changing)
