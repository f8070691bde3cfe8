"""`penstock metrics`: what applications measured and sent by OpenTelemetry."""

from typing import Annotated

import typer

from penstock.core import clock, console
from penstock.core.console import HomeOption, JsonOption, ProjectOption
from penstock.traces import log_service
from penstock.traces.keep_cli import SinceOption, UntilOption, moment

app = console.group("metrics", "Look at the metrics that applications sent.")


@app.command("list")
@console.guarded
def list_(home: HomeOption = None, project: ProjectOption = "default", as_json: JsonOption = False) -> None:
    """List the metrics that were reported."""
    with console.open_home(home, project) as (opened, actor), opened.read() as uow:
        found = log_service.metric_names(uow, actor)
    lines = [[one.name, one.kind, one.unit, one.series, ", ".join(one.labels)] for one in found]
    console.emit(found, as_json, lambda: console.rows(["metric", "kind", "unit", "series", "labels"], lines))


@app.command()
@console.guarded
def show(
    name: str,
    by: Annotated[str, typer.Option("--by", help="Label to group by.")] = "",
    since: SinceOption = None,
    until: UntilOption = None,
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Show a metric hour by hour; the last 24 hours unless another time is given."""
    with console.open_home(home, project) as (opened, actor), opened.read() as uow:
        found = log_service.metric_points(
            uow, actor, name=name, by=by, since=moment(since), until=moment(until)
        )
    lines = [
        [
            clock.iso(one.time)[:16],
            one.group,
            one.count,
            f"{one.sum:g}",
            *map(_number, (one.p50, one.p95, one.p99)),
        ]
        for one in found
    ]
    columns = ["hour", by or "group", "count", "sum", "p50", "p95", "p99"]
    console.emit(found, as_json, lambda: console.rows(columns, lines))


def _number(value: float | None) -> str | None:
    return None if value is None else f"{value:g}"
