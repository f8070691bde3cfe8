"""SQL of stages: rules, moves, requests."""

from typing import Any

import msgspec
from sqlalchemy import Column, Connection, Index, Integer, String, Table, Text, delete, select

from penstock.core.db import Json, UtcTime, metadata, upsert
from penstock.core.scope import Scope
from penstock.registry.model import Model, Stage
from penstock.registry.stages.model import Approval, StageMove, StageRequest, StageRequestState, StageRule

rules = Table(
    "registry_stage_rules",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("project", String(64), primary_key=True),
    Column("model", String(100), primary_key=True),
    Column("stage", String(16), primary_key=True),
    Column("rule", Json, nullable=False),
)
moves = Table(
    "registry_stage_moves",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("model_id", String(40), nullable=False),
    Column("number", Integer, nullable=False),
    Column("stage", String(16), nullable=False),
    Column("previous", String(16), nullable=False),
    Column("actor", String(200), nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("comment", Text, nullable=False),
    Column("approved_by", Json, nullable=False),
    Index("ix_registry_stage_moves_version", "model_id", "number", "id"),
)
requests = Table(
    "registry_stage_requests",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("tenant", String(64), nullable=False),
    Column("project", String(64), nullable=False),
    Column("model", String(100), nullable=False),
    Column("number", Integer, nullable=False),
    Column("stage", String(16), nullable=False),
    Column("previous", String(16), nullable=False),
    Column("state", String(16), nullable=False),
    Column("comment", Text, nullable=False),
    Column("asked_by", String(200), nullable=False),
    Column("asker_id", String(64), nullable=False),
    Column("asked_at", UtcTime, nullable=False),
    Column("approvals", Json, nullable=False),
    Column("decided_by", String(200), nullable=False),
    Column("decided_at", UtcTime),
    Column("reason", Text, nullable=False),
    Index("ix_registry_stage_requests_scope", "tenant", "project", "state", "id"),
)


def _in(table: Table, scope: Scope) -> Any:
    return (table.c.tenant == scope.tenant) & (table.c.project == scope.project)


def list_rules(conn: Connection, scope: Scope) -> list[StageRule]:
    """Return the project's rules, those of all models first."""
    query = select(rules.c.rule).where(_in(rules, scope)).order_by(rules.c.model, rules.c.stage)
    return [msgspec.convert(row.rule, StageRule) for row in conn.execute(query)]


def rule_for(conn: Connection, scope: Scope, model: str, stage: Stage) -> StageRule | None:
    """Return the rule that `stage` has for `model`: its own, else that of all models."""
    query = select(rules.c.rule).where(_in(rules, scope), rules.c.stage == str(stage))
    row = conn.execute(query.where(rules.c.model.in_((model, ""))).order_by(rules.c.model.desc())).first()
    return None if row is None else msgspec.convert(row.rule, StageRule)


def replace_rules(conn: Connection, scope: Scope, found: list[StageRule]) -> None:
    """Store `found` in place of the project's rules."""
    conn.execute(delete(rules).where(_in(rules, scope)))
    kept = [
        {
            "tenant": scope.tenant,
            "project": scope.project,
            "model": rule.model,
            "stage": str(rule.stage),
            "rule": msgspec.to_builtins(rule),
        }
        for rule in found
    ]
    upsert(conn, rules, kept, keys=["tenant", "project", "model", "stage"], update=["rule"])


def insert_move(conn: Connection, model: Model, move: StageMove, move_id: str) -> None:
    """Remember a move."""
    conn.execute(
        moves.insert().values(
            id=move_id,
            model_id=model.id,
            number=move.number,
            stage=str(move.stage),
            previous=str(move.previous),
            actor=move.actor,
            at=move.at,
            comment=move.comment,
            approved_by=list(move.approved_by),
        )
    )


def list_moves(conn: Connection, model: Model, *, number: int | None, limit: int) -> list[StageMove]:
    """Return moves of the model's versions, or of one version, newest first."""
    query = select(moves).where(moves.c.model_id == model.id)
    if number is not None:
        query = query.where(moves.c.number == number)
    return [
        StageMove(
            number=row.number,
            stage=Stage(row.stage),
            previous=Stage(row.previous),
            actor=row.actor,
            at=row.at,
            comment=row.comment,
            approved_by=tuple(row.approved_by),
        )
        for row in conn.execute(query.order_by(moves.c.id.desc()).limit(limit))
    ]


def insert_request(conn: Connection, scope: Scope, request: StageRequest) -> None:
    """Store a new request."""
    conn.execute(
        requests.insert().values(
            id=request.id,
            tenant=scope.tenant,
            project=scope.project,
            model=request.model,
            number=request.version,
            stage=str(request.stage),
            previous=str(request.previous),
            state=str(request.state),
            comment=request.comment,
            asked_by=request.asked_by,
            asker_id=request.asker_id,
            asked_at=request.asked_at,
            approvals=[],
            decided_by="",
            decided_at=None,
            reason="",
        )
    )


def update_request(conn: Connection, scope: Scope, request: StageRequest) -> bool:
    """Store approvals and state of an open request; returns False when it is decided already."""
    found = conn.execute(
        requests.update()
        .where(_in(requests, scope), requests.c.id == request.id)
        .where(requests.c.state == StageRequestState.OPEN.value)
        .values(
            state=str(request.state),
            approvals=msgspec.to_builtins(request.approvals),
            decided_by=request.decided_by,
            decided_at=request.decided_at,
            reason=request.reason,
        )
    )
    return found.rowcount > 0


def find_request(conn: Connection, scope: Scope, request_id: str) -> StageRequest | None:
    """Return the request, held against other writers until the transaction ends."""
    query = select(requests).where(_in(requests, scope), requests.c.id == request_id).with_for_update()
    row = conn.execute(query).first()
    return None if row is None else _request(row)


def list_requests(
    conn: Connection,
    scope: Scope,
    *,
    model: str | None = None,
    state: StageRequestState | None = None,
    before: str | None = None,
    limit: int = 100,
) -> list[StageRequest]:
    """Return requests, newest first: of a model, in a state, with ids before `before`."""
    query = select(requests).where(_in(requests, scope))
    if model is not None:
        query = query.where(requests.c.model == model)
    if state is not None:
        query = query.where(requests.c.state == state.value)
    if before is not None:
        query = query.where(requests.c.id < before)
    return [_request(row) for row in conn.execute(query.order_by(requests.c.id.desc()).limit(limit))]


def _request(row: Any) -> StageRequest:
    return StageRequest(
        id=row.id,
        model=row.model,
        version=row.number,
        stage=Stage(row.stage),
        previous=Stage(row.previous),
        state=StageRequestState(row.state),
        comment=row.comment,
        asked_by=row.asked_by,
        asker_id=row.asker_id,
        asked_at=row.asked_at,
        approvals=msgspec.convert(row.approvals, tuple[Approval, ...]),
        decided_by=row.decided_by,
        decided_at=row.decided_at,
        reason=row.reason,
    )
