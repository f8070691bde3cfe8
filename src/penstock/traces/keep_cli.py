"""`penstock traces` export, import, erase, redact and policies."""

import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from penstock.core import clock, console
from penstock.core.console import HomeOption, JsonOption, ProjectOption
from penstock.core.errors import Invalid
from penstock.traces import exporter, policy_service, service
from penstock.traces.importer import Problem
from penstock.traces.model import TraceFilters

SinceOption = Annotated[
    str | None, typer.Option("--since", help="ISO 8601 time, UTC unless it says otherwise.")
]
UntilOption = Annotated[str | None, typer.Option("--until", help="ISO 8601 time.")]
RouteOption = Annotated[str | None, typer.Option("--route", help="Route of the gateway.")]
QueryOption = Annotated[str | None, typer.Option("--query", "-q", help="Query, see docs/trace-queries.md.")]
UserOption = Annotated[str | None, typer.Option("--user", help="User.")]
SessionOption = Annotated[str | None, typer.Option("--session", help="Session.")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Say what would go; change nothing.")]
YesOption = Annotated[bool, typer.Option("--yes", help="Do not ask.")]

policies = console.group("policies", "What the project keeps of its traces, samples and masks.")


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module to `penstock traces`."""
    for name, command in (("export", export), ("import", import_), ("erase", erase), ("redact", redact)):
        app.command(name)(command)
    app.add_typer(policies, name="policies")


def moment(text: str | None) -> datetime | None:
    """Return the time an option gives; raises Invalid."""
    try:
        return None if text is None else clock.parse_iso(text)
    except ValueError as error:
        raise Invalid(f"{text!r} is not a time.", hint="Write it as 2026-01-31T12:00:00Z.") from error


def _headers(given: list[str]) -> dict[str, str]:
    found = {}
    for item in given:
        name, equals, value = item.partition("=")
        if not equals:
            raise Invalid(f"{item!r} is not name=value.")
        found[name.strip()] = value.strip()
    return found


@console.guarded
def export(
    to: Annotated[Path | None, typer.Option("--to", help="File to write; default: standard output.")] = None,
    to_url: Annotated[
        str | None, typer.Option("--to-url", help="OTLP/HTTP traces endpoint to send the spans to.")
    ] = None,
    header: Annotated[
        list[str] | None, typer.Option("--header", help="name=value for --to-url; may be repeated.")
    ] = None,
    format: Annotated[str, typer.Option("--format", help="jsonl, parquet, otlp or otlp-protobuf.")] = "jsonl",
    query: QueryOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    route: RouteOption = None,
    user: UserOption = None,
    home: HomeOption = None,
    project: ProjectOption = "default",
) -> None:
    """Write the spans of matching traces to a file, or send them to another OpenTelemetry backend."""
    filters = TraceFilters(since=moment(since), until=moment(until), route=route, user=user, query=query)
    chosen = exporter.format_named(format)
    if chosen == "parquet" and to is None and to_url is None:
        raise Invalid("A Parquet file needs a name.", hint="Give --to FILE.")
    with console.open_home(home, project) as (opened, actor):
        if to_url is not None:
            headers = _headers(header or [])
            done = service.replay_traces(opened, actor, url=to_url, headers=headers, filters=filters)
            console.note(f"Sent {done.sent} spans, {done.rejected} of them rejected.")
            return
        spans = service.export_spans(opened, actor, filters=filters)
        if to is not None:
            console.note(f"Wrote {exporter.write(spans, chosen, to)} spans to {to}.")
            return
        for piece in exporter.pieces(spans, chosen):
            sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()


@console.guarded
def import_(
    file: Annotated[Path, typer.Argument(help="JSON, JSON lines or Parquet.")],
    format: Annotated[
        str,
        typer.Option("--format", help="langfuse, phoenix, mlflow, jsonl or parquet (this program's own)."),
    ],
    quarantine: Annotated[
        Path | None, typer.Option("--quarantine", help="File for the rows that are set aside.")
    ] = None,
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Import traces that Langfuse, Phoenix, MLflow or Penstock exported; what is there already is not doubled."""
    with console.open_home(home, project) as (opened, actor):
        if quarantine is None:
            done = service.import_traces(opened, actor, source=file, format=format)
        else:
            with quarantine.open("wb") as aside:

                def set_aside(problem: Problem) -> None:
                    aside.write(msgspec.json.encode(problem) + b"\n")

                done = service.import_traces(opened, actor, source=file, format=format, quarantine=set_aside)
    scores = f" and {done.scores} scores" if done.scores else ""
    said = f"{done.spans} spans of {done.traces} traces{scores} from {done.rows} rows; "
    said += f"{done.quarantined} set aside."
    lines = [said, *(f"line {problem.line}: {problem.reason}" for problem in done.problems[:20])]
    console.emit(done, as_json, lambda: "\n".join(lines))


def _sure(question: str, yes: bool, dry_run: bool) -> None:
    if not yes and not dry_run and not typer.confirm(question, err=True):
        raise typer.Exit(1)


@console.guarded
def erase(
    user: UserOption = None,
    session: SessionOption = None,
    trace: Annotated[list[str] | None, typer.Option("--trace", help="Trace id; may be repeated.")] = None,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Delete everything of a user, a session, or the traces named, for good."""
    _sure("Erase this for good?", yes, dry_run)
    with console.open_home(home, project) as (opened, actor):
        done = service.erase_traces(
            opened, actor, user=user, session=session, trace_ids=trace or [], dry_run=dry_run
        )
    verb = "Would erase" if dry_run else "Erased"
    lines = f", and {done.logs} log records" if done.logs else ""
    console.emit(
        done._asdict(), as_json, lambda: f"{verb} {done.traces} traces with {done.spans} spans{lines}."
    )


@console.guarded
def redact(
    detector: Annotated[
        list[str] | None, typer.Option("--detector", help="pii, secrets, …; may be repeated.")
    ] = None,
    pattern: Annotated[list[str] | None, typer.Option("--pattern", help="RE2 expression.")] = None,
    field: Annotated[
        list[str] | None, typer.Option("--field", help="Key whose values are masked, with * and ?.")
    ] = None,
    trace: Annotated[list[str] | None, typer.Option("--trace", help="Trace id; may be repeated.")] = None,
    query: QueryOption = None,
    everything: Annotated[bool, typer.Option("--all", help="All traces of the project.")] = False,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Take something out of stored traces, for good."""
    filters = TraceFilters(query=query) if everything or query else None
    masking: dict[str, Any] = {
        "detectors": {name: {} for name in detector or []},
        "patterns": [{"name": "redacted", "pattern": text} for text in pattern or []],
        "keys": [{"key": name, "action": "mask"} for name in field or []],
    }
    _sure("Redact this for good?", yes, dry_run)
    with console.open_home(home, project) as (opened, actor):
        done = service.redact_traces(
            opened, actor, masking=masking, filters=filters, trace_ids=trace or [], dry_run=dry_run
        )
    verb = "Would change" if dry_run else "Changed"
    said = f"{verb} {done.spans} spans in {done.traces} of {done.looked_at} traces."
    console.emit(done._asdict(), as_json, lambda: said)


@policies.command("show")
@console.guarded
def show_policies(
    home: HomeOption = None, project: ProjectOption = "default", as_json: JsonOption = False
) -> None:
    """Show the project's policies, and what they removed."""
    with console.open_home(home, project) as (opened, actor), opened.read() as uow:
        stored = service.get_policies(uow, actor)
        effective = policy_service.effective(opened, stored.policies)
        gone = service.let_go(uow, actor, limit=20)
    document = msgspec.json.format(msgspec.json.encode(stored.policies), indent=2).decode()
    held = [
        f"Keeps {what} {number or 'all'}."
        for what, number in (("days:", effective.days), ("traces:", effective.traces))
    ]
    lines = [f"{row.day}  {row.reason}: {row.traces} traces, {row.spans} spans" for row in gone]
    found = {"policies": stored.policies, "effective": effective, "let_go": gone}
    console.emit(found, as_json, lambda: "\n".join([document, *held, *lines]))


@policies.command("set")
@console.guarded
def set_policies(
    file: Annotated[Path, typer.Argument(help="JSON document; - reads standard input.")],
    home: HomeOption = None,
    project: ProjectOption = "default",
) -> None:
    """Set all policies of the project from a file."""
    try:
        text = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
        document = msgspec.json.decode(text)
    except OSError as error:
        raise Invalid(f"{file} cannot be read: {error.strerror}.") from error
    except msgspec.DecodeError as error:
        raise Invalid(f"{file} is not JSON: {error}.") from error
    if not isinstance(document, dict):
        raise Invalid("The policies must be a JSON object.")
    with console.open_home(home, project) as (opened, actor), opened.begin() as uow:
        service.put_policies(uow, actor, document)
    console.note("The policies hold from now on.")
