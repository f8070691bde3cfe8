"""`penstock feedback`: give, list and turn into datasets on the command line."""

from datetime import timedelta
from typing import Annotated, Any

import msgspec
import typer

from penstock.core import console
from penstock.core.console import HomeOption, JsonOption, ProjectOption
from penstock.feedback import collecting, score_configs, service, tokens
from penstock.feedback.collecting import Each
from penstock.feedback.model import TEXTS, DatasetKind, Feedback, ScoreConfig, ScoreKind
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
    trace_id: Annotated[str, typer.Argument(help="Trace id; with --session the name of a session.")],
    name: Annotated[
        str,
        typer.Argument(
            help="thumb, rating, comment, correction, demonstration, preference, or a score's name."
        ),
    ],
    value: Annotated[str, typer.Argument(help="The value: JSON, or else text.")],
    span: Annotated[str | None, typer.Option("--span", help="Span id; default: the last model call.")] = None,
    session: Annotated[bool, typer.Option("--session", help="About a whole session.")] = False,
    comment: Annotated[str, typer.Option("--comment", help="Why.")] = "",
    source: Annotated[str, typer.Option("--source", help="Who judged.")] = "reviewer",
    key: Annotated[str | None, typer.Option("--key", help="Idempotency key.")] = None,
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Record a judgement about an answer."""
    given: Any = value
    if name not in TEXTS:
        try:
            given = msgspec.json.decode(value)
        except msgspec.DecodeError:
            given = value
    with console.open_home(home, project) as (opened, actor), opened.begin() as uow:
        item = service.give(
            uow,
            actor,
            trace_id="" if session else trace_id,
            span_id=span,
            session=trace_id if session else "",
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
    lines = [
        (i.created_at.strftime("%Y-%m-%d %H:%M"), i.trace_id or i.session, i.name, said(i), i.source)
        for i in found
    ]
    console.emit(
        found, as_json, lambda: console.rows(["at", "trace or session", "name", "says", "source"], lines)
    )


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


def allowed(config: ScoreConfig) -> str:
    """Return what values a score may have, on one line."""
    if config.kind is ScoreKind.CATEGORICAL:
        return ", ".join(config.options)
    if config.kind is ScoreKind.BOOLEAN:
        return "true, false"
    low, high = ("…" if bound is None else f"{bound:g}" for bound in (config.low, config.high))
    return f"{low} to {high}"


@app.command()
@console.guarded
def score(
    name: str,
    kind: Annotated[ScoreKind, typer.Option("--kind", help="What values it has.")] = ScoreKind.NUMBER,
    low: Annotated[float | None, typer.Option("--low", help="Least number.")] = None,
    high: Annotated[float | None, typer.Option("--high", help="Greatest number.")] = None,
    option: Annotated[list[str] | None, typer.Option("--option", help="A category; may be repeated.")] = None,
    description: Annotated[str, typer.Option("--description", help="What it means.")] = "",
    delete: Annotated[bool, typer.Option("--delete", help="Delete the config instead.")] = False,
    home: HomeOption = None,
    project: ProjectOption = "default",
) -> None:
    """Say what values a score of this name may have."""
    with console.open_home(home, project) as (opened, actor), opened.begin() as uow:
        if delete:
            score_configs.delete_config(uow, actor, name=name)
            console.note(f"{name} may be any number.")
            return
        config = score_configs.put_config(
            uow,
            actor,
            name=name,
            kind=kind,
            low=low,
            high=high,
            options=option or [],
            description=description,
        )
    console.note(f"{name}: {allowed(config)}.")


@app.command()
@console.guarded
def scores(home: HomeOption = None, project: ProjectOption = "default", as_json: JsonOption = False) -> None:
    """List what values the project's scores may have."""
    with console.open_home(home, project) as (opened, actor), opened.read() as uow:
        found = score_configs.list_configs(uow, actor)
    lines = [(one.name, one.kind, allowed(one), one.description) for one in found]
    console.emit(found, as_json, lambda: console.rows(["name", "kind", "values", "description"], lines))


@app.command()
@console.guarded
def token(
    trace_id: str,
    name: Annotated[list[str] | None, typer.Option("--name", help="Feedback that it may give.")] = None,
    hours: Annotated[float, typer.Option("--hours", help="How long it works.")] = 24,
    subject: Annotated[str, typer.Option("--subject", help="The end user.")] = "",
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Print a token with which an end user may judge this one answer."""
    with console.open_home(home, project) as (opened, actor), opened.read() as uow:
        made, ends = tokens.make(
            uow,
            actor,
            trace_id=trace_id,
            names=name or tokens.NAMES,
            subject=subject,
            lifetime=timedelta(hours=hours),
        )
    console.emit({"token": made, "expires_at": ends}, as_json, lambda: made)
