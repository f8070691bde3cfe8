"""`penstock traces`: sessions, users, diff, tail."""

import threading
from collections.abc import Iterable
from functools import partial
from typing import Annotated, Any

import typer

from penstock.core import clock, console
from penstock.core.console import HomeOption, JsonOption, ProjectOption
from penstock.traces import comparing, talks
from penstock.traces.comparing import SpanPair
from penstock.traces.model import TraceFilters, TraceSummary
from penstock.traces.persons import Person, Turn
from penstock.traces.tail import Tail

Order = Annotated[bool, typer.Option("--by-cost", help="The costliest first, not the last seen.")]
Limit = Annotated[int, typer.Option("--limit", help="At most this many.")]
_PAUSE = 0.5


def _time(moment: Any) -> str:
    return clock.iso(moment)[:19]


def _totals(one: Person) -> list[Any]:
    tokens = one.input_tokens + one.output_tokens
    return [_time(one.last_at), one.traces, one.calls, one.errors, tokens, f"${one.cost_usd:.6f}"]


_COLUMNS = ["last seen", "traces", "calls", "errors", "tokens", "cost"]


@console.guarded
def sessions(
    *,
    session: Annotated[str | None, typer.Argument(help="Show this one as a chat.")] = None,
    user: Annotated[str | None, typer.Option("--user", help="Sessions of this user.")] = None,
    by_cost: Order = False,
    limit: Limit = 50,
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """List sessions, or show one as a chat."""
    with console.open_home(home, project) as (opened, actor), opened.read() as uow:
        if session is not None:
            _, chat = talks.get_session(uow, actor, session=session, limit=min(limit, talks.MAX_TURNS))
            console.emit(chat, as_json, lambda: "\n".join(_chat(chat.turns)))
            return
        page = talks.list_sessions(uow, actor, user=user, order="cost" if by_cost else "last", limit=limit)
    lines = [[one.name, one.user, *_totals(one), one.preview] for one in page.items]
    columns = ["session", "user", *_COLUMNS, "began with"]
    console.emit(page.items, as_json, lambda: console.rows(columns, lines))


def _chat(turns: Iterable[Turn]) -> Iterable[str]:
    for turn in turns:
        yield f"{_time(turn.at)}  {turn.trace_id}  {turn.status}"
        yield f"{turn.user or 'user'}: {turn.input}"
        yield f"assistant: {turn.output}\n"


@console.guarded
def users(
    *,
    prefix: Annotated[str | None, typer.Option("--prefix", help="Names that begin so.")] = None,
    by_cost: Order = False,
    limit: Limit = 50,
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """List users with their totals."""
    with console.open_home(home, project) as (opened, actor), opened.read() as uow:
        page = talks.list_users(uow, actor, prefix=prefix, order="cost" if by_cost else "last", limit=limit)
    lines = [[one.name, one.sessions, *_totals(one)] for one in page.items]
    columns = ["user", "sessions", *_COLUMNS]
    console.emit(page.items, as_json, lambda: console.rows(columns, lines))


@console.guarded
def diff(
    left: str,
    right: str,
    *,
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Lay two traces beside each other: which spans came, went and changed, and how."""
    with console.open_home(home, project) as (opened, actor), opened.read() as uow:
        found = comparing.diff_traces(uow, actor, left=left, right=right, limit=comparing.MAX_PAGE)
    console.emit(found, as_json, lambda: "\n".join(line for pair in found.pairs for line in _pair(pair)))


def _pair(pair: SpanPair) -> Iterable[str]:
    if pair.left is None or pair.right is None:
        sign, span = ("+", pair.right) if pair.left is None else ("-", pair.left)
        if span is not None:
            yield f"{sign} {span.name}  [{span.kind}]"
        return
    yield f"  {pair.right.name}  [{pair.right.kind}]"
    for field, (before, after) in pair.changes.items():
        if field not in pair.texts:
            yield f"      {field}: {before} → {after}"
    for field, steps in pair.texts.items():
        said = "".join(text if op == "=" else f"[{op}{text}{op}]" for op, text in steps)
        yield f"      {field}: {said}"


@console.guarded
def tail(
    *,
    model: Annotated[str | None, typer.Option("--model", help="Model.")] = None,
    route: Annotated[str | None, typer.Option("--route", help="Route of the gateway.")] = None,
    user: Annotated[str | None, typer.Option("--user", help="User.")] = None,
    errors: Annotated[bool, typer.Option("--errors", help="Only traces in which something failed.")] = False,
    search: Annotated[str | None, typer.Option("--search", help="Words to find.")] = None,
    query: Annotated[str | None, typer.Option("--query", "-q", help="Query, as of `traces list`.")] = None,
    seconds: Annotated[float | None, typer.Option("--seconds", help="Stop then; default: at Ctrl-C.")] = None,
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Show traces as they arrive."""
    filters = TraceFilters(
        model=model, route=route, user=user, status="error" if errors else None, q=search, query=query
    )
    end = None if seconds is None else clock.monotonic() + seconds
    with console.open_home(home, project) as (opened, actor):
        following = Tail(opened, actor, filters=filters)
        while end is None or clock.monotonic() < end:
            for found in following.poll().traces:
                console.emit(found, as_json, partial(_line, found))
            threading.Event().wait(_PAUSE)


def _line(found: TraceSummary) -> str:
    took = f"{found.duration_ns / 1e6:.1f} ms"
    return f"{_time(clock.from_ns(found.start_ns))}  {found.trace_id}  {found.name}  {took}  {found.status}"
