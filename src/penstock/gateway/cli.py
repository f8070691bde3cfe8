"""`penstock providers` and `penstock routes`: the gateway's configuration on the command line."""

from typing import Annotated

import typer

from penstock.core import assignments, console
from penstock.core.console import EXIT_FAILED, HomeOption, JsonOption, ProjectOption
from penstock.core.errors import Invalid
from penstock.gateway import probe, service
from penstock.gateway.model import STRATEGIES, NamedRoute, Route, Target
from penstock.gateway.routing.publisher import target_health

providers = console.group("providers", "Model providers: list, put, delete, test.")
routes = console.group("routes", "Public model names and their targets: list, put, delete, health.")


@providers.command("list")
@console.guarded
def list_providers(
    home: HomeOption = None, project: ProjectOption = "default", as_json: JsonOption = False
) -> None:
    """List providers; keys are never shown."""
    with console.open_home(home, project) as (opened, actor), opened.read() as uow:
        found = service.list_providers(uow, actor)
    lines = [(p.name, p.kind, p.base_url, p.key_env or ("stored" if p.has_key else "none")) for p in found]
    console.emit(found, as_json, lambda: console.rows(["name", "kind", "base_url", "key"], lines))


@providers.command("put")
@console.guarded
def put_provider(
    name: str,
    kind: Annotated[str, typer.Option("--kind", help="Plug-in: openai, anthropic, local.")],
    base_url: Annotated[
        str, typer.Option("--base-url", help="Address, as in https://api.openai.com/v1.")
    ] = "",
    key_env: Annotated[str, typer.Option("--key-env", help="Environment variable that holds the key.")] = "",
    key_file: Annotated[str, typer.Option("--key-file", help="File that holds the key.")] = "",
    option: Annotated[list[str] | None, typer.Option("--option", help="NAME=VALUE; may be repeated.")] = None,
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Make or change a provider; a key that is not named stays as it is."""
    key = {"env": key_env} if key_env else {"file": key_file} if key_file else None
    with console.open_home(home, project) as (opened, actor), opened.begin() as uow:
        made = service.put_provider(uow, actor, name, kind, base_url, key, assignments.options(option or []))
    console.emit(made, as_json, lambda: f"Provider {made.name} is ready.")


@providers.command("delete")
@console.guarded
def delete_provider(name: str, home: HomeOption = None, project: ProjectOption = "default") -> None:
    """Delete a provider that no route uses."""
    with console.open_home(home, project) as (opened, actor), opened.begin() as uow:
        service.delete_provider(uow, actor, name)
    console.note(f"Provider {name} is gone.")


@providers.command("test")
@console.guarded
def test_provider(
    name: str, home: HomeOption = None, project: ProjectOption = "default", as_json: JsonOption = False
) -> None:
    """Ask the provider for its models; exit code 1 when that fails."""
    with console.open_home(home, project) as (opened, actor):
        found = probe.probe(opened, actor, name)
    console.emit(found, as_json, lambda: f"{name}: {found.message} ({found.latency_ms} ms)")
    if not found.ok:
        raise typer.Exit(EXIT_FAILED)


def _line(named: NamedRoute) -> tuple[str, str, str]:
    targets = ", ".join(f"{target} ×{target.weight:g}" for target in named.route.targets)
    return named.name, named.route.strategy, targets


@routes.command("list")
@console.guarded
def list_routes(
    home: HomeOption = None, project: ProjectOption = "default", as_json: JsonOption = False
) -> None:
    """List routes with their targets."""
    with console.open_home(home, project) as (opened, actor), opened.read() as uow:
        found = service.list_routes(uow, actor)
    console.emit(
        found, as_json, lambda: console.rows(["name", "strategy", "targets"], [_line(r) for r in found])
    )


@routes.command("put")
@console.guarded
def put_route(
    name: str,
    target: Annotated[
        list[str],
        typer.Option(
            "--target", help="PROVIDER/MODEL or PROVIDER/MODEL=WEIGHT; route:NAME goes on with another."
        ),
    ],
    strategy: Annotated[str, typer.Option("--strategy", help=f"{', '.join(STRATEGIES)}.")] = "weighted",
    retries: Annotated[int, typer.Option("--retries", help="Further attempts.")] = 1,
    sticky_by: Annotated[str, typer.Option("--sticky-by", help="user, session or key.")] = "user",
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Make or change a route; `penstock apply` knows all its settings."""
    targets = tuple(_target(each) for each in target)
    with console.open_home(home, project) as (opened, actor), opened.begin() as uow:
        made = service.put_route(uow, actor, name, Route(strategy, targets, retries, sticky_by=sticky_by))
    console.emit(made, as_json, lambda: "  ".join(_line(made)))


def _target(text: str) -> Target:
    place, _, weight = text.partition("=")
    try:
        share = float(weight) if weight else 1.0
    except ValueError as error:
        raise Invalid(f"The weight in {text!r} is not a number.") from error
    if place.startswith("route:"):
        return Target(route=place.removeprefix("route:"), weight=share)
    provider, slash, model = place.partition("/")
    if not slash or not model:
        raise Invalid(f"{text!r} is not PROVIDER/MODEL.")
    return Target(provider, model, share)


@routes.command("delete")
@console.guarded
def delete_route(name: str, home: HomeOption = None, project: ProjectOption = "default") -> None:
    """Delete a route."""
    with console.open_home(home, project) as (opened, actor), opened.begin() as uow:
        service.delete_route(uow, actor, name)
    console.note(f"Route {name} is gone.")


@routes.command("health")
@console.guarded
def health(home: HomeOption = None, project: ProjectOption = "default", as_json: JsonOption = False) -> None:
    """List the targets that running servers have called: breaker, calls in flight, latency, errors."""
    with console.open_home(home, project) as (opened, actor), opened.read() as uow:
        found = target_health(uow, actor)
    columns = ["target", "state", "in flight", "ms", "requests", "errors", "last error"]
    lines = [
        (
            f"{one.provider}/{one.model}",
            one.state,
            one.in_flight,
            one.ewma_ms,
            one.requests,
            one.errors,
            one.last_error,
        )
        for one in found
    ]
    console.emit(found, as_json, lambda: console.rows(columns, lines))
