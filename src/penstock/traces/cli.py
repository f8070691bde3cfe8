"""`penstock traces`: list, show, usage, and what keep_cli and people_cli add."""

from collections.abc import Sequence
from typing import Annotated

import msgspec
import typer
from rich.table import Table

from penstock.core import clock, console
from penstock.core.console import HomeOption, JsonOption, ProjectOption
from penstock.core.errors import Invalid
from penstock.core.jobs import run_inline
from penstock.traces import jobs, keep_cli, people_cli, reprice, service, view_cli, view_service
from penstock.traces.keep_cli import SinceOption, UntilOption, moment
from penstock.traces.model import METADATA, SeriesFilters, SpanRow, TraceFilters, TraceSummary
from penstock.traces.outline import outline

app = console.group("traces", "Look at traces, at what they cost, and decide what is kept.")
keep_cli.add_to(app)
app.add_typer(view_cli.app, name="views")


def _duration(ns: int) -> str:
    return f"{ns / 1e9:.2f} s" if ns >= 10**9 else f"{ns / 1e6:.1f} ms"


@app.command("list")
@console.guarded
def list_(  # noqa: PLR0913 - one option per filter
    since: SinceOption = None,
    until: UntilOption = None,
    model: Annotated[
        str | None, typer.Option("--model", help="Model that answered or was asked for.")
    ] = None,
    route: Annotated[str | None, typer.Option("--route", help="Route of the gateway.")] = None,
    user: Annotated[str | None, typer.Option("--user", help="User.")] = None,
    session: Annotated[str | None, typer.Option("--session", help="Session.")] = None,
    errors: Annotated[bool, typer.Option("--errors", help="Only traces in which something failed.")] = False,
    words: Annotated[str | None, typer.Option("--search", help="Words to find.")] = None,
    query: Annotated[
        str | None, typer.Option("--query", "-q", help="Query, such as 'model:gpt-* latency>2s \"refund\"'.")
    ] = None,
    view: Annotated[str | None, typer.Option("--view", help="Saved view to ask.")] = None,
    limit: Annotated[int, typer.Option("--limit", help="At most this many.")] = 50,
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """List traces, newest first."""
    filters = TraceFilters(
        since=moment(since),
        until=moment(until),
        model=model,
        route=route,
        user=user,
        session=session,
        status="error" if errors else None,
        q=words,
        query=query,
    )
    with console.open_home(home, project) as (opened, actor), opened.read() as uow:
        if view is not None:
            saved = view_service.get_view(uow, actor, name=view).query
            both = f"({saved}) ({query})" if query and saved else query or saved
            filters = msgspec.structs.replace(filters, query=both)
        page = service.list_traces(uow, actor, filters=filters, limit=limit)
    console.emit(page.items, as_json, lambda: _table(page.items))


def _table(items: Sequence[TraceSummary]) -> Table:
    lines = [
        [
            trace.trace_id,
            clock.iso(clock.from_ns(trace.start_ns))[:19],
            trace.name,
            _duration(trace.duration_ns),
            trace.spans,
            trace.input_tokens + trace.output_tokens,
            f"${trace.cost_usd:.6f}",
            trace.status,
        ]
        for trace in items
    ]
    columns = ["trace", "start", "name", "took", "spans", "tokens", "cost", "status"]
    return console.rows(columns, lines)


@app.command()
@console.guarded
def show(
    trace_id: str,
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Show a trace as a tree."""
    with console.open_home(home, project) as (opened, actor), opened.read() as uow:
        trace = service.get_trace(uow, actor, trace_id=trace_id)
    console.emit(trace, as_json, lambda: "\n".join(_tree(trace.spans)))


_DEEPEST = 40
"""Steps to the right that still can be read."""


def _tree(spans: tuple[SpanRow, ...]) -> list[str]:
    tree = outline([(span.span_id, span.parent_id) for span in spans])
    lines: list[str] = []
    for index in tree.order:
        span, depth = spans[index], tree.depth[index]
        tokens = (
            f"  {span.input_tokens}+{span.output_tokens} tokens" if span.kind in ("llm", "embedding") else ""
        )
        failed = f"  ERROR {span.error or ''}".rstrip() if span.status == "error" else ""
        took = _duration(span.end_ns - span.start_ns)
        margin = "  " * depth if depth <= _DEEPEST else "  " * _DEEPEST + f"({depth} deep) "
        lines.append(f"{margin}{span.name}  [{span.kind}]  {took}{tokens}{failed}")
    return lines


def _only(pairs: Sequence[str]) -> SeriesFilters:
    """Return name=value pairs as conditions; raises Invalid for what sums cannot be narrowed by."""
    found: dict[str, str] = {}
    metadata: dict[str, str] = {}
    for item in pairs:
        name, equals, value = item.partition("=")
        if not equals:
            raise Invalid(f"{item!r} is not name=value.")
        if (group := service.group_named(name)).startswith(METADATA):
            metadata[group.removeprefix(METADATA)] = value
        elif group in SeriesFilters.__struct_fields__:
            found[group] = value
        else:
            raise Invalid(f"Sums cannot be narrowed by {name!r}.")
    return msgspec.convert(found | {"metadata": metadata}, SeriesFilters)


@app.command()
@console.guarded
def usage(
    by: Annotated[
        str,
        typer.Option(
            "--by",
            help="model, requested_model, kind, provider, user, key, route, environment, prompt, status, service, "
            "agent, session, tag, project, day or metadata.KEY.",
        ),
    ] = "model",
    top: Annotated[
        int | None, typer.Option("--top", help="Only the costliest, and all others together.")
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option("--only", help="Only calls with this, as in service=shop or metadata.customer=acme."),
    ] = None,
    since: SinceOption = None,
    until: UntilOption = None,
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Sum calls, tokens and cost."""
    filters = _only(only or [])
    with console.open_home(home, project) as (opened, actor), opened.read() as uow:
        rows = service.usage(
            uow,
            actor,
            group_by=service.group_named(by),
            since=moment(since),
            until=moment(until),
            filters=filters,
            top=top,
        )
    lines = [
        [
            "(others)" if row.group is None else row.group,
            row.calls,
            row.errors,
            row.input_tokens,
            row.output_tokens,
            f"${row.cost_usd:.6f}",
        ]
        for row in rows
    ]
    columns = [by, "calls", "errors", "input tokens", "output tokens", "cost"]
    console.emit(rows, as_json, lambda: console.rows(columns, lines))


@app.command("reprice")
@console.guarded
def reprice_(
    since: Annotated[str, typer.Option("--since", help="Calls that started at or after this ISO 8601 time.")],
    until: UntilOption = None,
    model: Annotated[str | None, typer.Option("--model", help="Only this model.")] = None,
    given: Annotated[bool, typer.Option("--given", help="Also costs that came with their spans.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would change.")] = False,
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Price calls of the past by the prices that hold now; all sums follow. It can be stopped and run again."""
    start = moment(since)
    if start is None:
        raise Invalid("--since needs a time.")
    wanted = reprice.Repricing(since=start, until=moment(until), model=model, given=given)
    with console.open_home(home, project) as (opened, actor):
        if dry_run:
            done = reprice.dry_run(opened, actor, wanted)
        else:
            with opened.begin() as uow:
                job = reprice.start(uow, actor, wanted)
            done = msgspec.convert(run_inline(opened, job.id, jobs.HANDLERS).result, reprice.Repriced)
    line = [done.calls, done.changed, done.unpriced, f"${done.before_usd:.6f}", f"${done.after_usd:.6f}"]
    columns = ["calls", "changed", "without a price", "cost before", "cost after"]
    console.emit(done, as_json, lambda: console.rows(columns, [line]))


for _command in (people_cli.sessions, people_cli.users, people_cli.diff, people_cli.tail):
    app.command()(_command)
