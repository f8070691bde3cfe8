"""`penstock deploy`: create, list, status, canary, compare, promote, rollback, remove on the command line."""

from typing import Annotated, Any

import msgspec
import typer
from rich.table import Table

from penstock.core import console
from penstock.core.console import HomeOption, JsonOption, ProjectOption
from penstock.core.errors import Invalid
from penstock.core.home import Home
from penstock.core.scope import Actor
from penstock.serving import service
from penstock.serving.model import Status

app = console.group(
    "deploy", "Deployments: create, list, status, canary, compare, promote, rollback, remove."
)

OptionPairs = Annotated[
    list[str] | None, typer.Option("--option", help="NAME=VALUE of the engine, for example threads=2.")
]
WaitOption = Annotated[
    float, typer.Option("--wait", help="Seconds to wait until it is ready; 0 does not wait.")
]


def _pairs(pairs: list[str] | None) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for pair in pairs or []:
        key, equals, value = pair.partition("=")
        if not equals:
            raise Invalid(f"{pair!r} is not NAME=VALUE.")
        try:
            found[key] = msgspec.json.decode(value)
        except msgspec.DecodeError:
            found[key] = value
    return found


def _table(statuses: list[Status]) -> Table:
    lines = [
        (
            status.deployment.endpoint(entry.version.number),
            entry.version.model,
            entry.part,
            f"{entry.share:.0%}",
            ", ".join(sorted({str(replica.state) for replica in entry.replicas})),
            "; ".join(sorted({replica.reason.partition("\n")[0] for replica in entry.replicas} - {""})),
        )
        for status in statuses
        for entry in status.versions
        if entry.replicas or entry.share or entry.version.number == status.deployment.production
    ]
    return console.rows(["endpoint", "model", "part", "traffic", "replicas", "reason"], lines)


def _finish(
    home: Home, actor: Actor, name: str, as_json: bool, *, seconds: float = 0, number: int | None = None
) -> None:
    if seconds:
        service.until_ready(home, actor, name=name, number=number, timeout=seconds)
    with home.read() as uow:
        status = service.status(uow, actor, name=name)
    console.emit({**msgspec.to_builtins(status), "state": status.state}, as_json, lambda: _table([status]))


@app.command()
@console.guarded
def create(
    name: Annotated[str, typer.Argument(help="The public model name, for example ticket-triage.")],
    model: Annotated[str, typer.Argument(help="Registry reference: name, name@3 or name@alias.")],
    engine: Annotated[str, typer.Option("--engine", help="Engine plug-in.")] = service.DEFAULT_ENGINE,
    replicas: Annotated[int, typer.Option("--replicas", help="Engine processes.")] = 1,
    option: OptionPairs = None,
    seconds: WaitOption = 0,
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Let a model answer under a name, replacing what answered before once it is ready."""
    with console.open_home(home, project) as (opened, actor):
        with opened.begin() as uow:
            service.deploy(
                uow, actor, name=name, model=model, engine=engine, replicas=replicas, options=_pairs(option)
            )
        _finish(opened, actor, name, as_json, seconds=seconds)


@app.command("list")
@console.guarded
def list_deployments(
    home: HomeOption = None, project: ProjectOption = "default", as_json: JsonOption = False
) -> None:
    """List deployments with their versions, traffic and replicas."""
    with console.open_home(home, project) as (opened, actor), opened.read() as uow:
        found = service.list_deployments(uow, actor, limit=1000)
    console.emit(found, as_json, lambda: _table(found))


@app.command()
@console.guarded
def status(
    name: str, home: HomeOption = None, project: ProjectOption = "default", as_json: JsonOption = False
) -> None:
    """Show one deployment."""
    with console.open_home(home, project) as (opened, actor):
        _finish(opened, actor, name, as_json)


@app.command()
@console.guarded
def canary(
    name: str,
    model: Annotated[str, typer.Argument(help="Registry reference: name, name@3 or name@alias.")],
    weight: Annotated[float, typer.Option("--weight", help="Share of the traffic, 0 to below 1.")] = 0.1,
    seconds: WaitOption = 0,
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Try a model beside production, or change the share of the one being tried."""
    with console.open_home(home, project) as (opened, actor):
        with opened.begin() as uow:
            changed = service.canary(uow, actor, name=name, model=model, weight=weight)
        _finish(opened, actor, name, as_json, seconds=seconds, number=changed.candidate)


@app.command()
@console.guarded
def compare(
    name: str, home: HomeOption = None, project: ProjectOption = "default", as_json: JsonOption = False
) -> None:
    """Compare canary and production by the calls of both."""
    with console.open_home(home, project) as (opened, actor), opened.read() as uow:
        report = service.canary_report(uow, actor, name=name)
    lines = [
        (
            side.endpoint,
            side.calls,
            "" if side.error_rate is None else f"{side.error_rate:.1%}",
            "" if side.mean_latency_ms is None else f"{side.mean_latency_ms:.1f}",
            "" if side.output_tokens_per_call is None else f"{side.output_tokens_per_call:.1f}",
            f"{side.cost_usd:.6f}",
        )
        for side in (report.production, report.canary)
    ]
    heads = ["endpoint", "calls", "errors", "mean ms", "tokens out", "USD"]
    console.emit(report, as_json, lambda: console.rows(heads, lines))


@app.command()
@console.guarded
def promote(
    name: str, home: HomeOption = None, project: ProjectOption = "default", as_json: JsonOption = False
) -> None:
    """Make the canary production."""
    with console.open_home(home, project) as (opened, actor):
        with opened.begin() as uow:
            service.promote(uow, actor, name=name)
        _finish(opened, actor, name, as_json)


@app.command()
@console.guarded
def rollback(
    name: str, home: HomeOption = None, project: ProjectOption = "default", as_json: JsonOption = False
) -> None:
    """Give up the canary, or go back to the version before."""
    with console.open_home(home, project) as (opened, actor):
        with opened.begin() as uow:
            service.rollback(uow, actor, name=name)
        _finish(opened, actor, name, as_json)


@app.command()
@console.guarded
def remove(
    name: str, home: HomeOption = None, project: ProjectOption = "default", as_json: JsonOption = False
) -> None:
    """Stop answering under a name."""
    with console.open_home(home, project) as (opened, actor), opened.begin() as uow:
        service.remove(uow, actor, name=name)
    console.emit({"removed": name}, as_json, lambda: f"Removed {name}.")
