"""Erasing and exporting everything about a user or a session, in every slice."""

from collections.abc import Sequence
from typing import Annotated, cast

from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from penstock.core import subjects
from penstock.core.http import AdminActor, HomeDep
from penstock.core.subjects import Handler

router = APIRouter(prefix="/subjects", tags=["subjects"])


class EraseModel(BaseModel):
    """Whom to erase: a user or a session."""

    model_config = ConfigDict(extra="forbid")

    user: str | None = None
    session: str | None = None
    dry_run: bool = False


class ThingModel(BaseModel):
    """Something that was made of what goes, and stays."""

    kind: str
    ref: str


class ErasedModel(BaseModel):
    """What was erased, or would be, and what was made of it."""

    removed: dict[str, dict[str, int]] = Field(description="Slice, then what, then how many")
    made_from: list[ThingModel] = Field(
        description="Dataset versions, models and so on that were made of it: they stay as they are"
    )
    dry_run: bool


def _handlers(request: Request) -> Sequence[Handler]:
    return cast(Sequence[Handler], request.app.state.subjects)


@router.post("/erase")
def erase(request: Request, home: HomeDep, actor: AdminActor, given: EraseModel) -> ErasedModel:
    """Delete what every part keeps about a user or session; name what was made of it and stays."""
    subject = subjects.one_subject(user=given.user, session=given.session)
    done = subjects.erase(home, actor, _handlers(request), subject, dry_run=given.dry_run)
    return ErasedModel(
        removed=done.removed,
        made_from=[ThingModel(kind=kind, ref=ref) for kind, ref in done.made_from],
        dry_run=done.dry_run,
    )


@router.get("/export", response_class=StreamingResponse)
def export(
    request: Request,
    home: HomeDep,
    actor: AdminActor,
    user: Annotated[str | None, Query(description="User")] = None,
    session: Annotated[str | None, Query(description="Session")] = None,
) -> StreamingResponse:
    """Return what every part keeps about a user or session, as JSON lines of slice, kind and data."""
    subject = subjects.one_subject(user=user, session=session)
    lines = subjects.export(home, actor, _handlers(request), subject)
    headers = {"content-disposition": 'attachment; filename="subject.jsonl"'}
    return StreamingResponse(lines, media_type="application/x-ndjson", headers=headers)
