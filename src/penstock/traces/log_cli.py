"""`penstock logs`: the log records that applications sent by OpenTelemetry."""

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from penstock.core import clock, console
from penstock.core.console import HomeOption, JsonOption, ProjectOption
from penstock.core.errors import Invalid
from penstock.traces import documents, log_service
from penstock.traces.erasure import trace_key
from penstock.traces.keep_cli import SinceOption, UntilOption, moment
from penstock.traces.log_model import SEVERITIES, LogFilters, LogRecord, severity_name

app = console.group("logs", "Look at the log records that applications sent.")
_SAID_CHARS = 120


@app.callback()
def logs() -> None:
    """Look at the log records that applications sent."""


@app.command("list")
@console.guarded
def list_(
    since: SinceOption = None,
    until: UntilOption = None,
    severity: Annotated[
        str | None, typer.Option("--severity", help=f"At least this severe: {', '.join(SEVERITIES)}.")
    ] = None,
    service: Annotated[str | None, typer.Option("--service", help="Only of this service.")] = None,
    event: Annotated[str | None, typer.Option("--event", help="Only events of this name.")] = None,
    trace: Annotated[str | None, typer.Option("--trace", help="Only records of this trace.")] = None,
    words: Annotated[str | None, typer.Option("--search", help="Text to find.")] = None,
    limit: Annotated[int, typer.Option("--limit", help="At most this many.")] = 50,
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """List log records, newest first."""
    if severity is not None and severity not in SEVERITIES:
        raise Invalid(f"There is no severity {severity!r}.", hint=f"Use {', '.join(SEVERITIES)}.")
    filters = LogFilters(
        since=moment(since),
        until=moment(until),
        min_severity=SEVERITIES[severity] if severity else 0,
        service=service,
        event=event,
        trace_id=trace_key(trace) if trace else None,
        q=words,
    )
    with console.open_home(home, project) as (opened, actor), opened.read() as uow:
        found = log_service.newest(uow, actor, filters=filters, limit=limit)
    told = [_plain(record) for record in found]
    console.emit(told, as_json, lambda: console.rows(_COLUMNS, [_line(record) for record in found]))


def _plain(record: LogRecord) -> dict[str, Any]:
    """Return a record with the names that the API gives its parts."""
    fields = {name: getattr(record, name) for name in record.__struct_fields__ if name != "content"}
    parts = {name: getattr(record.content, name) for name in record.content.__struct_fields__}
    return {"at": clock.iso(clock.from_ns(record.at_ns)), **fields, **parts}


_COLUMNS = ["at", "severity", "service", "event", "said", "trace"]


def _line(record: LogRecord) -> Sequence[Any]:
    body = record.content.body
    said = body if isinstance(body, str) else "" if body is None else documents.as_text(body)
    return [
        clock.iso(clock.from_ns(record.at_ns))[:23],
        severity_name(record.severity),
        record.service,
        record.event,
        said.replace("\n", " ")[:_SAID_CHARS],
        record.trace_id,
    ]
