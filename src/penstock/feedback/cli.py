"""`penstock feedback`: give, list and turn into datasets on the command line."""

from typing import Annotated, Any

import msgspec
import typer

from penstock.core import console
from penstock.core.console import HomeOption, JsonOption, ProjectOption
from penstock.feedback import collecting, service
from penstock.feedback.collecting import Each
from penstock.feedback.model import DatasetKind, Feedback
from penstock.traces.model import TraceFilters

app = console.group("feedback", "Judgements about answers: give, list, make datasets of them.")


def said(item: Feedback) -> str:
    """Return what the feedback says, on one line."""
    if item.number is not None:
        return f"{item.number:g}"
    text = item.text or f"{item.chosen!r} over {item.rejected!r}"
    return " ".join(text.split())[:80]


@app.command()
@console.guarded
def give(
    trace_id: str,
    name: Annotated[
        str, typer.Argument(help="thumb, rating, comment, correction, preference, or a score's name.")
    ],
    value: Annotated[str, typer.Argument(help="The value: JSON, or else text.")],
    span: Annotated[str | None, typer.Option("--span", help="Span id; default: the last model call.")] = None,
    comment: Annotated[str, typer.Option("--comment", help="Why.")] = "",
    source: Annotated[str, typer.Option("--source", help="Who judged.")] = "reviewer",
    key: Annotated[str | None, typer.Option("--key", help="Idempotency key.")] = None,
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Record a judgement about an answer."""
    given: Any = value
    if name not in ("correction", "comment"):
        try:
            given = msgspec.json.decode(value)
        except msgspec.DecodeError:
            given = value
    with console.open_home(home, project) as (opened, actor), opened.begin() as uow:
        item = service.give(
            uow,
            actor,
            trace_id=trace_id,
            span_id=span,
            name=name,
            value=given,
            comment=comment,
            source=source,
            key=key,
        )
    console.emit(item, as_json, lambda: f"Recorded {item.id}.")


@app.command("list")
@console.guarded
def list_feedback(
    trace: Annotated[str | None, typer.Option("--trace", help="Only about this trace.")] = None,
    name: Annotated[str | None, typer.Option("--name", help="Only of this name.")] = None,
    route: Annotated[str | None, typer.Option("--route", help="Only about answers of this route.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many.")] = 50,
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """List feedback, newest first."""
    with console.open_home(home, project) as (opened, actor), opened.read() as uow:
        found = service.list_feedback(uow, actor, trace_id=trace, name=name, route=route, limit=limit)
    lines = [(i.created_at.strftime("%Y-%m-%d %H:%M"), i.trace_id, i.name, said(i), i.source) for i in found]
    console.emit(found, as_json, lambda: console.rows(["at", "trace", "name", "says", "source"], lines))


@app.command()
@console.guarded
def dataset(
    name: str,
    kind: Annotated[DatasetKind, typer.Option("--kind", help="What to make.")] = DatasetKind.PREFERENCE,
    route: Annotated[str | None, typer.Option("--route", help="Only about answers of this route.")] = None,
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Make a dataset version from feedback."""
    with console.open_home(home, project) as (opened, actor):
        version = service.build_dataset(opened, actor, name=name, kind=kind, route=route)
    console.emit(
        version, as_json, lambda: f"Made {version.dataset}@{version.number} with {version.rows} rows."
    )


@app.command()
@console.guarded
def collect(
    name: str,
    trace: Annotated[
        list[str] | None, typer.Option("--trace", help="Id of a trace; may be repeated.")
    ] = None,
    route: Annotated[str | None, typer.Option("--route", help="Route of the gateway.")] = None,
    model: Annotated[str | None, typer.Option("--model", help="Model.")] = None,
    user: Annotated[str | None, typer.Option("--user", help="User.")] = None,
    search: Annotated[str | None, typer.Option("--search", help="Words to find.")] = None,
    query: Annotated[str | None, typer.Option("--query", "-q", help="Query, as of `traces list`.")] = None,
    each: Annotated[Each, typer.Option("--each", help="A row per trace, or per model call.")] = Each.LAST,
    limit: Annotated[int | None, typer.Option("--limit", help="Only the newest so many traces.")] = None,
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Add recorded calls to a dataset: of traces by id, or of all that match."""
    filters = TraceFilters(route=route, model=model, user=user, q=search, query=query)
    with console.open_home(home, project) as (opened, actor):
        found = collecting.collect(
            opened,
            actor,
            name=name,
            trace_ids=trace or None,
            filters=None if trace else filters,
            each=each,
            limit=limit,
        )
    version = found.version
    console.emit(
        found,
        as_json,
        lambda: (
            f"Added {found.rows} rows of {found.traces} traces: {version.dataset}@{version.number} has {version.rows}."
        ),
    )
