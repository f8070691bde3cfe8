"""HTTP of end-user tokens: made by the application, used by a browser on any site."""

from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Header, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from penstock.core import ids
from penstock.core.errors import PenstockError
from penstock.core.http import CurrentActor, HomeDep, ReadUow, render_error
from penstock.core.http.dependencies import bearer
from penstock.feedback import tokens

router = APIRouter(prefix="/feedback")

# Safe for every site: the token in the header is all that counts, no cookie is looked at, and nothing is told.
_ANY_SITE = {
    "access-control-allow-origin": "*",
    "access-control-allow-methods": "POST",
    "access-control-allow-headers": "authorization, content-type",
    "access-control-max-age": "86400",
}


class NewToken(BaseModel):
    """A token for one answer."""

    model_config = ConfigDict(extra="forbid")

    trace_id: str = Field(default="", description="x-penstock-trace-id of the answer")
    span_id: str | None = None
    request_id: str = Field(default="", description="x-request-id of the answer, instead of trace_id")
    names: list[str] = [str(name) for name in tokens.NAMES]
    """Feedback that it may give."""
    subject: str = Field(default="", description="The end user")
    expires_in: int = Field(default=86_400, ge=1, le=int(tokens.LONGEST.total_seconds()))
    """Seconds."""


class TokenModel(BaseModel):
    """The token, shown this once."""

    token: str
    expires_at: datetime


class TokenFeedback(BaseModel):
    """What an end user says of the token's answer."""

    model_config = ConfigDict(extra="forbid")

    name: str
    value: Any
    comment: str = ""


@router.post("/tokens", status_code=201)
def make_feedback_token(uow: ReadUow, actor: CurrentActor, new: NewToken) -> TokenModel:
    """Make a token with which an end user may judge this one answer and do nothing else."""
    given = new.model_dump(exclude={"expires_in"})
    token, ends = tokens.make(uow, actor, **given, lifetime=timedelta(seconds=new.expires_in))
    return TokenModel(token=token, expires_at=ends)


@router.post("/public", status_code=204, response_class=Response)
def give_by_token(
    home: HomeDep,
    new: TokenFeedback,
    authorization: Annotated[str | None, Header(description="Bearer pft_…, an end user's token")] = None,
) -> Response:
    """Record what an end user says, in place of what the same token said before; pages of any site may call it."""
    try:
        tokens.give(home, bearer(authorization, None) or "", **new.model_dump())
    except PenstockError as error:
        status, headers, body = render_error(error, "problem", ids.new_id("req"))
        return Response(body, status, {name.decode(): value.decode() for name, value in headers} | _ANY_SITE)
    return Response(status_code=204, headers=_ANY_SITE)


@router.options("/public", status_code=204, response_class=Response, include_in_schema=False)
def ask_by_token(_: Request) -> Response:
    """Answer the question that browsers ask before they send a token from another site."""
    return Response(status_code=204, headers=_ANY_SITE)
