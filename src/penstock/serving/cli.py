"""`penstock deploy`: create, scale, update, watch, try and remove deployments on the command line."""

from typing import Annotated

import msgspec
import typer
from rich.table import Table

from penstock.core import assignments, console
from penstock.core.console import HomeOption, JsonOption, ProjectOption
from penstock.core.errors import Invalid
from penstock.core.home import Home
from penstock.core.scope import Actor
from penstock.serving import operating, service
from penstock.serving.model import Autoscale, Quota, Status

app = console.group(
    "deploy", "Deployments: create, list, status, update, scale, logs, canary, promote, rollback, remove."
)

OptionPairs = Annotated[
    list[str] | None, typer.Option("--option", help="NAME=VALUE of the engine, for example threads=2.")
]
WaitOption = Annotated[
    float, typer.Option("--wait", help="Seconds to wait until it is ready; 0 does not wait.")
]


MemoryOption = Annotated[
    float | None, typer.Option("--memory-gb", help="GiB of memory that one replica may use.")
]
GpusOption = Annotated[int | None, typer.Option("--gpus", help="GPUs of one replica.")]


def _bytes(gigabytes: float | None) -> int | None:
    return None if gigabytes is None else int(gigabytes * 1024**3)


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
    memory_gb: MemoryOption = None,
    gpus: GpusOption = None,
    seconds: WaitOption = 0,
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Let a model answer under a name, replacing what answered before once it is ready."""
    with console.open_home(home, project) as (opened, actor):
        with opened.begin() as uow:
            service.deploy(
                uow,
                actor,
                name=name,
                model=model,
                engine=engine,
                replicas=replicas,
                options=assignments.options(option or []),
                memory_bytes=_bytes(memory_gb),
                gpus=gpus,
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


@app.command()
@console.guarded
def update(
    name: str,
    model: Annotated[str | None, typer.Option("--model", help="Registry reference.")] = None,
    engine: Annotated[str | None, typer.Option("--engine", help="Engine plug-in.")] = None,
    option: OptionPairs = None,
    memory_gb: MemoryOption = None,
    gpus: GpusOption = None,
    priority: Annotated[
        int | None, typer.Option("--priority", help="-100 to 100; higher ones run first.")
    ] = None,
    at_once: Annotated[bool, typer.Option("--at-once", help="Not replica by replica.")] = False,
    seconds: WaitOption = 0,
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Change a deployment replica by replica; what is not named stays."""
    given = {
        "model": model,
        "engine": engine,
        "options": assignments.options(option) if option else None,
        "memory_bytes": _bytes(memory_gb),
        "gpus": gpus,
    }
    changes = {key: value for key, value in given.items() if value is not None}
    with console.open_home(home, project) as (opened, actor):
        with opened.begin() as uow:
            operating.update(uow, actor, name=name, changes=changes, rolling=not at_once, priority=priority)
        _finish(opened, actor, name, as_json, seconds=seconds)


@app.command()
@console.guarded
def scale(
    name: str,
    replicas: Annotated[int | None, typer.Option("--replicas", help="A fixed number.")] = None,
    least: Annotated[int | None, typer.Option("--min", help="At least; 0 lets it sleep.")] = None,
    most: Annotated[int | None, typer.Option("--max", help="At most.")] = None,
    requests: Annotated[float, typer.Option("--requests", help="Requests per replica.")] = 4.0,
    latency_ms: Annotated[float | None, typer.Option("--latency-ms", help="Mean latency to keep.")] = None,
    idle: Annotated[float, typer.Option("--idle", help="Seconds without calls before it sleeps.")] = 300.0,
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Set the number of replicas, or let it follow the load between --min and --max."""
    rule = None
    if least is not None or most is not None:
        low = 1 if least is None else least
        high = max(1, low) if most is None else most
        rule = Autoscale(min=low, max=high, requests=requests, latency_ms=latency_ms, idle=idle)
    with console.open_home(home, project) as (opened, actor):
        with opened.begin() as uow:
            operating.scale(uow, actor, name=name, replicas=replicas, autoscale=rule)
        _finish(opened, actor, name, as_json)


@app.command()
@console.guarded
def retry(
    name: str, home: HomeOption = None, project: ProjectOption = "default", as_json: JsonOption = False
) -> None:
    """Start replicas again that were given up."""
    with console.open_home(home, project) as (opened, actor):
        with opened.begin() as uow:
            operating.retry(uow, actor, name=name)
        _finish(opened, actor, name, as_json)


@app.command()
@console.guarded
def logs(
    name: str,
    replica: Annotated[str, typer.Option("--replica", help="VERSION.POSITION, for example 2.0.")] = "",
    tail: Annotated[int, typer.Option("--tail", help="Last lines.")] = 100,
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Show what replicas wrote."""
    with console.open_home(home, project) as (opened, actor), opened.read() as uow:
        found = operating.logs(uow, actor, name=name, replica=replica, lines=tail)
    console.emit(found, as_json, lambda: "\n".join(f"{e.replica}  {line}" for e in found for line in e.lines))


@app.command()
@console.guarded
def adapter(
    name: str,
    adapter: Annotated[str, typer.Argument(help="Answers as NAME:ADAPTER.")],
    model: Annotated[str | None, typer.Option("--model", help="Registry reference of the adapter.")] = None,
    delete: Annotated[bool, typer.Option("--delete", help="Stop serving it.")] = False,
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Serve a LoRA adapter beside the model, or stop serving it, without a restart."""
    if delete == (model is not None):
        raise Invalid("Give either --model or --delete.")
    with console.open_home(home, project) as (opened, actor):
        with opened.begin() as uow:
            if model is None:
                operating.delete_adapter(uow, actor, name=name, adapter=adapter)
            else:
                operating.put_adapter(uow, actor, name=name, adapter=adapter, model=model)
        _finish(opened, actor, name, as_json)


@app.command()
@console.guarded
def manifest(
    name: str,
    kind: Annotated[str, typer.Option("--format", help="kubernetes or ray.")] = "kubernetes",
    image: Annotated[str, typer.Option("--image", help="Container with Penstock and the engine.")] = "",
    home: HomeOption = None,
    project: ProjectOption = "default",
) -> None:
    """Print YAML that runs the deployment on Kubernetes or Ray Serve."""
    with console.open_home(home, project) as (opened, actor), opened.read() as uow:
        typer.echo(operating.manifest(uow, actor, name=name, kind=kind, image=image), nl=False)


@app.command()
@console.guarded
def quota(
    replicas: Annotated[int | None, typer.Option("--replicas")] = None,
    memory_gb: Annotated[float | None, typer.Option("--memory-gb", help="GiB.")] = None,
    gpus: Annotated[int | None, typer.Option("--gpus")] = None,
    clear: Annotated[bool, typer.Option("--clear", help="No limits.")] = False,
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Show or set how much of the machine the project's deployments may take."""
    wanted = Quota(replicas=replicas, memory_bytes=_bytes(memory_gb), gpus=gpus)
    with console.open_home(home, project) as (opened, actor), opened.begin() as uow:
        if clear or wanted != Quota():
            operating.set_quota(uow, actor, wanted)
        found = operating.quota(uow, actor)
    lines = [
        tuple("" if value is None else value for value in (found.replicas, found.memory_bytes, found.gpus))
    ]
    console.emit(found, as_json, lambda: console.rows(["replicas", "memory bytes", "gpus"], lines))
