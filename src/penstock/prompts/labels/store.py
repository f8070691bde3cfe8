"""SQL of labels: where they point, their moves, which are protected, and requests to move those."""

from datetime import datetime
from typing import Any

from sqlalchemy import Column, Connection, Index, Integer, String, Table, Text, delete, select

from penstock.core.db import UtcTime, metadata, upsert
from penstock.core.scope import Scope
from penstock.prompts.model import LabelMove, LabelRequest, Prompt, RequestState

labels = Table(
    "prompts_labels",
    metadata,
    Column("prompt_id", String(40), primary_key=True),
    Column("label", String(50), primary_key=True),
    Column("number", Integer, nullable=False),
)
label_moves = Table(
    "prompts_label_moves",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("prompt_id", String(40), nullable=False),
    Column("label", String(50), nullable=False),
    Column("number", Integer, nullable=False),
    Column("previous", Integer),
    Column("actor", String(200), nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("kind", String(20), nullable=False, server_default="set"),
    Column("note", Text, nullable=False, server_default=""),
    Column("approved_by", String(200), nullable=False, server_default=""),
    Index("ix_prompts_label_moves_prompt", "prompt_id", "id"),
    Index("ix_prompts_label_moves_label", "prompt_id", "label", "id"),
)
protected = Table(
    "prompts_protected",
    metadata,
    Column("prompt_id", String(40), primary_key=True),
    Column("label", String(50), primary_key=True),
    Column("actor", String(200), nullable=False),
    Column("at", UtcTime, nullable=False),
)
requests = Table(
    "prompts_requests",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("tenant", String(64), nullable=False),
    Column("project", String(64), nullable=False),
    Column("prompt_id", String(40), nullable=False),
    Column("prompt", String(100), nullable=False),
    Column("label", String(50), nullable=False),
    Column("number", Integer, nullable=False),
    Column("previous", Integer),
    Column("state", String(20), nullable=False),
    Column("note", Text, nullable=False),
    Column("asked_by", String(200), nullable=False),
    Column("asker_id", String(64), nullable=False),
    Column("asked_at", UtcTime, nullable=False),
    Column("decided_by", String(200), nullable=False),
    Column("decided_at", UtcTime),
    Column("reason", Text, nullable=False),
    Index("ix_prompts_requests_prompt", "prompt_id", "id"),
)


def move_label(conn: Connection, prompt: Prompt, move: LabelMove, move_id: str) -> None:
    """Point the label at the version, or take it away, and remember the move."""
    if move.kind == "remove":
        conn.execute(delete(labels).where(labels.c.prompt_id == prompt.id, labels.c.label == move.label))
    else:
        row = {"prompt_id": prompt.id, "label": move.label, "number": move.version}
        upsert(conn, labels, [row], keys=["prompt_id", "label"], update=["number"])
    conn.execute(
        label_moves.insert().values(
            id=move_id,
            prompt_id=prompt.id,
            label=move.label,
            number=move.version,
            previous=move.previous,
            actor=move.actor,
            at=move.at,
            kind=move.kind,
            note=move.note,
            approved_by=move.approved_by,
        )
    )


def label_history(
    conn: Connection, prompt: Prompt, limit: int, *, label: str | None = None, before: str | None = None
) -> list[tuple[str, LabelMove]]:
    """Return (id, move) of all labels or one, newest first, those before the move `before`."""
    query = select(label_moves).where(label_moves.c.prompt_id == prompt.id)
    if label is not None:
        query = query.where(label_moves.c.label == label)
    if before is not None:
        query = query.where(label_moves.c.id < before)
    return [
        (
            row.id,
            LabelMove(
                label=row.label,
                version=row.number,
                previous=row.previous,
                actor=row.actor,
                at=row.at,
                kind=row.kind,
                note=row.note,
                approved_by=row.approved_by,
            ),
        )
        for row in conn.execute(query.order_by(label_moves.c.id.desc()).limit(limit))
    ]


def protect(conn: Connection, prompt: Prompt, label: str, actor: str, at: datetime) -> bool:
    """Protect a label; returns False when it was already."""
    row = {"prompt_id": prompt.id, "label": label, "actor": actor, "at": at}
    return upsert(conn, protected, [row], keys=["prompt_id", "label"]) > 0


def unprotect(conn: Connection, prompt: Prompt, label: str) -> bool:
    """Take the protection away; returns whether there was one."""
    where = (protected.c.prompt_id == prompt.id, protected.c.label == label)
    return conn.execute(delete(protected).where(*where)).rowcount > 0


def insert_request(conn: Connection, scope: Scope, prompt: Prompt, request: LabelRequest) -> None:
    """Store a request to move a label."""
    conn.execute(
        requests.insert().values(
            id=request.id,
            tenant=scope.tenant,
            project=scope.project,
            prompt_id=prompt.id,
            prompt=prompt.name,
            label=request.label,
            number=request.version,
            previous=request.previous,
            state=request.state.value,
            note=request.note,
            asked_by=request.asked_by,
            asker_id=request.asker_id,
            asked_at=request.asked_at,
            decided_by="",
            decided_at=None,
            reason="",
        )
    )


def decide_request(conn: Connection, scope: Scope, request: LabelRequest) -> bool:
    """Store the decision; returns False when somebody decided before."""
    found = conn.execute(
        requests.update()
        .where(requests.c.id == request.id, requests.c.state == RequestState.OPEN.value)
        .where(requests.c.tenant == scope.tenant, requests.c.project == scope.project)
        .values(
            state=request.state.value,
            decided_by=request.decided_by,
            decided_at=request.decided_at,
            reason=request.reason,
        )
    )
    return found.rowcount > 0


def find_requests(
    conn: Connection,
    scope: Scope,
    *,
    id: str | None = None,
    prompt: Prompt | None = None,
    state: RequestState | None = None,
    limit: int = 1,
) -> list[LabelRequest]:
    """Return requests of the project, newest first: the one of that id, or those of a prompt, in a state."""
    query = select(requests).where(requests.c.tenant == scope.tenant, requests.c.project == scope.project)
    if id is not None:
        query = query.where(requests.c.id == id)
    if prompt is not None:
        query = query.where(requests.c.prompt_id == prompt.id)
    if state is not None:
        query = query.where(requests.c.state == state.value)
    return [_request(row) for row in conn.execute(query.order_by(requests.c.id.desc()).limit(limit))]


def _request(row: Any) -> LabelRequest:
    return LabelRequest(
        id=row.id,
        prompt=row.prompt,
        label=row.label,
        version=row.number,
        previous=row.previous,
        state=RequestState(row.state),
        note=row.note,
        asked_by=row.asked_by,
        asker_id=row.asker_id,
        asked_at=row.asked_at,
        decided_by=row.decided_by,
        decided_at=row.decided_at,
        reason=row.reason,
    )
