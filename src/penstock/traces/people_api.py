"""HTTP of traces, under /api/v1: users, sessions, the tree of a large trace, two traces compared, the live tail."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from penstock.core import clock
from penstock.core.errors import Invalid, LimitExceeded
from penstock.core.http import CurrentActor, HomeDep, Page, PatientRead, ReadUow, decode_cursor, encode_cursor
from penstock.core.scope import Actor
from penstock.traces import comparing, talks, trees
from penstock.traces.model import SpanRow, Status, TraceFilters
from penstock.traces.persons import PeoplePage, Person
from penstock.traces.settings import TracesSettings
from penstock.traces.shapes import SpanModel, SummaryModel, TraceModel, TraceQuery, trace_fields
from penstock.traces.tail import Tail
from penstock.traces.talks import SESSION, USER

router = APIRouter()


class TotalsModel(BaseModel):
    """Totals of a user or session: tokens and cost of model calls, errors of spans of every kind."""

    traces: int
    calls: int
    errors: int
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    cost_usd: float
    first_at: datetime
    last_at: datetime
    """When the last trace began."""


class SessionModel(TotalsModel):
    """One session."""

    session: str
    user: str | None
    preview: str
    """What its first trace was given, cut."""


class UserModel(TotalsModel):
    """One user."""

    user: str
    sessions: int


class TurnModel(BaseModel):
    """One trace of a session."""

    trace_id: str
    name: str
    at: datetime
    user: str | None
    input: str
    """What the user said; a long text is cut and says so."""
    output: str
    status: Status
    errors: int
    calls: int
    model: str | None
    input_tokens: int
    output_tokens: int
    cost_usd: float
    duration_ns: int


class SessionDetail(BaseModel):
    """A session, its turns oldest first."""

    session: str
    totals: SessionModel | None
    """null until the background has seen it, a second or so after it began."""
    turns: list[TurnModel]
    next: str | None


class PairModel(BaseModel):
    """Two spans that belong together, or one that stands alone."""

    left: SpanModel | None
    right: SpanModel | None
    changes: dict[str, tuple[Any, Any]]
    """Field → [left, right] where they differ; `duration_ns`, `input`, `output`, `attributes.…` among them."""
    texts: dict[str, list[tuple[Literal["=", "-", "+"], str]]]
    """For a changed `input` or `output`: kept, left out and put in pieces of text."""


class DiffModel(BaseModel):
    """Two traces beside each other."""

    left: SummaryModel
    right: SummaryModel
    spans: list[PairModel]
    total: int
    next: str | None


class OutlineModel(BaseModel):
    """A trace as columns of equal length, in the order in which its tree is drawn."""

    trace_id: str
    start_ns: int
    spans: int
    """How many spans the trace has; the columns hold the first 200,000."""
    partial: bool
    """Sampling let go of spans of it that came earlier."""
    names: list[str]
    kinds: list[str]
    statuses: list[str]
    models: list[str]
    span_id: list[str]
    parent: list[int]
    """Place of the parent in these columns; -1 at the top (no parent, a missing one, or the first of a cycle)."""
    depth: list[int]
    name: list[int]
    """Place in `names`; `kind`, `status` and `model` likewise, -1 for no model."""
    kind: list[int]
    status: list[int]
    model: list[int]
    start: list[int]
    """Nanoseconds from `start_ns`."""
    duration: list[int]
    tokens: list[int]
    cost_usd: list[float | None]


def _totals(person: Person) -> dict[str, Any]:
    return {name: getattr(person, name) for name in TotalsModel.model_fields}


def _session(person: Person) -> SessionModel:
    return SessionModel(session=person.name, user=person.user, preview=person.preview, **_totals(person))


def _user(person: Person) -> UserModel:
    return UserModel(user=person.name, sessions=person.sessions, **_totals(person))


def _after(cursor: str | None, kind: type) -> Any:
    if cursor is None:
        return None
    number, other = decode_cursor(cursor, 2)
    if not isinstance(number, int) or not isinstance(other, kind) or not 0 <= number < 1 << 62:
        raise Invalid("The cursor is not valid.", hint="Use the `next` of the page before.")
    return number, other


class PeopleQuery(TraceQuery):
    """Which users or sessions: by time and name, or those with a trace that the other conditions find."""

    order: Literal["last", "cost"] = Field(default="last", description="Last seen first, or the costliest")
    prefix: str | None = Field(default=None, description="Only names that begin so")

    def plain(self) -> bool:
        """Whether only time, user and name are asked for, which totals answer."""
        filters = self.filters()
        return filters == TraceFilters(since=filters.since, until=filters.until, user=filters.user)


async def _found(
    read: PatientRead, actor: Actor, query: PeopleQuery, kind: int
) -> tuple[tuple[Person, ...], str | None]:
    """Return the users or sessions that have a trace which the query finds, by their newest such trace."""
    filters, after = query.filters(), _after(query.cursor, int)
    people, following = await read(
        lambda uow, stop: talks.find_people(
            uow, actor, kind=kind, filters=filters, after=after, limit=query.limit, stop=stop
        )
    )
    return people, None if following is None else encode_cursor(*following)


@router.get("/sessions")
async def list_sessions(
    read: PatientRead, actor: CurrentActor, query: Annotated[PeopleQuery, Query()]
) -> Page[SessionModel]:
    """List sessions with their totals, the last active first.

    With conditions beyond time, user and prefix: those that have a matching trace, by their newest one.
    """
    if not query.plain():
        people, following = await _found(read, actor, query, SESSION)
        return Page(items=[_session(one) for one in people], next=following)
    filters, after = query.filters(), _after(query.cursor, str)
    page = await read(
        lambda uow, _: talks.list_sessions(
            uow,
            actor,
            since=filters.since,
            until=filters.until,
            user=filters.user,
            prefix=query.prefix,
            order=query.order,
            after=after,
            limit=query.limit,
        )
    )
    return Page(items=[_session(one) for one in page.items], next=_next(page))


def _next(page: PeoplePage) -> str | None:
    return None if page.next is None else encode_cursor(*page.next)


@router.get("/sessions/{session:path}")
def get_session(
    uow: ReadUow,
    actor: CurrentActor,
    session: Annotated[str, Path()],
    cursor: str | None = None,
    limit: Annotated[int, Query(ge=1, le=talks.MAX_TURNS)] = 50,
) -> SessionDetail:
    """Show a session as a chat: what was said and answered, oldest first."""
    totals, page = talks.get_session(uow, actor, session=session, after=_after(cursor, int), limit=limit)
    return SessionDetail(
        session=page.session,
        totals=None if totals is None else _session(totals),
        turns=[TurnModel(**msgspec.structs.asdict(turn)) for turn in page.turns],
        next=None if page.next is None else encode_cursor(*page.next),
    )


@router.get("/users")
async def list_users(
    read: PatientRead, actor: CurrentActor, query: Annotated[PeopleQuery, Query()]
) -> Page[UserModel]:
    """List users with their totals of all time, the last seen first.

    With conditions beyond time and prefix: those that have a matching trace, by their newest one.
    """
    if query.user is not None or not query.plain():
        people, following = await _found(read, actor, query, USER)
        return Page(items=[_user(one) for one in people], next=following)
    filters, after = query.filters(), _after(query.cursor, str)
    page = await read(
        lambda uow, _: talks.list_users(
            uow,
            actor,
            since=filters.since,
            until=filters.until,
            prefix=query.prefix,
            order=query.order,
            after=after,
            limit=query.limit,
        )
    )
    return Page(items=[_user(one) for one in page.items], next=_next(page))


@router.get("/users/{user:path}")
def get_user(uow: ReadUow, actor: CurrentActor, user: Annotated[str, Path()]) -> UserModel:
    """Show a user's totals."""
    return _user(talks.get_user(uow, actor, user=user))


def _span(span: SpanRow | None) -> SpanModel | None:
    return None if span is None else SpanModel(**msgspec.structs.asdict(span))


@router.get("/traces/{left}/diff/{right}")
def diff_traces(
    uow: ReadUow,
    actor: CurrentActor,
    left: Annotated[str, Path()],
    right: Annotated[str, Path()],
    cursor: str | None = None,
    limit: Annotated[int, Query(ge=1, le=comparing.MAX_PAGE)] = 200,
) -> DiffModel:
    """Lay two traces beside each other: their spans aligned by path, name, kind and order, and what differs."""
    after = _after(cursor, int)
    found = comparing.diff_traces(
        uow, actor, left=left, right=right, after=0 if after is None else after[0], limit=limit
    )
    return DiffModel(
        left=SummaryModel(**trace_fields(found.left)),
        right=SummaryModel(**trace_fields(found.right)),
        spans=[
            PairModel(left=_span(pair.left), right=_span(pair.right), changes=pair.changes, texts=pair.texts)
            for pair in found.pairs
        ],
        total=found.total,
        next=None if found.next is None else encode_cursor(found.next, 0),
    )


@router.get("/traces/{trace_id}/outline", responses={200: {"model": OutlineModel}})
def get_outline(uow: ReadUow, actor: CurrentActor, trace_id: Annotated[str, Path()]) -> Response:
    """Show the tree of a trace as columns: compact enough for 100,000 spans, and ready to draw."""
    found = trees.get_outline(uow, actor, trace_id=trace_id)
    return Response(msgspec.json.encode(found), media_type="application/json")


_PAUSE, _QUIET, _LONGEST = 0.4, 15.0, 3600.0
"""Seconds between two looks, until a sign of life, and until a listener has to come back."""


@router.get("/traces/tail", response_class=StreamingResponse)
async def follow(
    request: Request, home: HomeDep, actor: CurrentActor, query: Annotated[TraceQuery, Query()]
) -> StreamingResponse:
    """Send traces as they arrive, as server-sent events (`cursor` and `limit` are not used).

    `event: trace` has a trace as in lists, again whenever more of it arrives; `event: skipped` says how many a listener
    missed who could not keep up. `last-event-id` goes on where an earlier connection ended.
    """
    state = request.app.state
    most = home.settings.section(TracesSettings).tails
    if getattr(state, "tails", 0) >= most:
        raise LimitExceeded(
            f"This process follows the traces for {most} listeners already.",
            hint="Close another live tail, or raise [traces] tails.",
            retry_after=5,
        )
    last = request.headers.get("last-event-id", "")
    after = int(last) if last.isascii() and last.isdigit() and len(last) < 19 else None
    tail = await run_in_threadpool(Tail, home, actor, filters=query.filters(), after=after)
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    return StreamingResponse(_events(request, tail), media_type="text/event-stream", headers=headers)


async def _events(request: Request, tail: Tail) -> AsyncIterator[bytes]:
    state = request.app.state
    state.tails = getattr(state, "tails", 0) + 1
    began = spoke = clock.monotonic()
    try:
        yield b": following\nretry: 2000\n\n"
        while clock.monotonic() - began < _LONGEST and not getattr(state, "draining", False):
            if await request.is_disconnected():
                return
            news = await run_in_threadpool(tail.poll)
            if news.skipped:
                yield b'event: skipped\ndata: {"traces":%d}\n\n' % news.skipped
            for found in news.traces:
                data = TraceModel(**trace_fields(found)).model_dump_json().encode()
                # Only behind the last of them is the place from which a broken connection may go on.
                place = b"id: %d\n" % news.position if found is news.traces[-1] else b""
                yield b"event: trace\n%bdata: %b\n\n" % (place, data)
            if news.traces or news.skipped:
                spoke = clock.monotonic()
            elif clock.monotonic() - spoke > _QUIET:
                yield b": still here\n\n"
                spoke = clock.monotonic()
            await asyncio.sleep(_PAUSE)
    finally:
        state.tails -= 1
