"""`penstock cache`: which routes keep answers, what is kept, and throwing it away."""

from typing import Annotated

import typer

from penstock.core import console
from penstock.core.console import HomeOption, JsonOption, ProjectOption
from penstock.gateway.cache import service
from penstock.gateway.cache.model import HASHED, CachePolicy, Embedder

app = console.group("cache", "Kept answers: list, put, delete, stats, purge.")


@app.command("list")
@console.guarded
def list_(home: HomeOption = None, project: ProjectOption = "default", as_json: JsonOption = False) -> None:
    """List the routes that keep answers."""
    with console.open_home(home, project) as (opened, actor), opened.read() as uow:
        found = service.list_policies(uow, actor)
    lines = [(each.route, each.policy.mode, f"{each.policy.ttl:g} s", each.policy.scope) for each in found]
    console.emit(found, as_json, lambda: console.rows(["route", "mode", "ttl", "scope"], lines))


@app.command("put")
@console.guarded
def put(
    route: Annotated[str, typer.Argument(help="Route, or '*' for all without a cache of their own.")],
    mode: Annotated[str, typer.Option("--mode", help="exact or semantic.")] = "exact",
    ttl: Annotated[float, typer.Option("--ttl", help="Seconds an answer may be given again.")] = 3600,
    scope: Annotated[
        str, typer.Option("--scope", help="Shared by the key that asked, or the project.")
    ] = "key",
    max_entry_kb: Annotated[int, typer.Option("--max-entry-kb", help="Largest answer that is kept.")] = 256,
    threshold: Annotated[float, typer.Option("--threshold", help="Least similarity (semantic).")] = 0.95,
    embedder: Annotated[str, typer.Option("--embedder", help="hashed, or PROVIDER/MODEL.")] = HASHED,
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Let a route keep answers."""
    provider, _, model = embedder.partition("/")
    policy = CachePolicy(
        mode=mode,
        ttl=ttl,
        scope=scope,
        max_entry_kb=max_entry_kb,
        threshold=threshold,
        embedder=Embedder(provider=provider, model=model),
    )
    with console.open_home(home, project) as (opened, actor), opened.begin() as uow:
        made = service.put_policy(uow, actor, route, policy)
    console.emit(made, as_json, lambda: f"{route} keeps answers for {ttl:g} s, per {scope}.")


@app.command("delete")
@console.guarded
def delete(route: str, home: HomeOption = None, project: ProjectOption = "default") -> None:
    """Let a route keep nothing; what it kept goes too."""
    with console.open_home(home, project) as (opened, actor), opened.begin() as uow:
        service.delete_policy(uow, actor, route)
    console.note(f"{route} keeps nothing any more.")


@app.command("stats")
@console.guarded
def stats(home: HomeOption = None, project: ProjectOption = "default", as_json: JsonOption = False) -> None:
    """Show how much the project keeps."""
    with console.open_home(home, project) as (opened, actor), opened.read() as uow:
        entries, size = service.totals(uow, actor)
    shown = {"entries": entries, "bytes": size}
    console.emit(shown, as_json, lambda: f"{entries} answers, {size / 1024:.0f} KB.")


@app.command("purge")
@console.guarded
def purge(
    route: Annotated[str | None, typer.Option("--route", help="Only of this route.")] = None,
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Throw kept answers away, in every process."""
    with console.open_home(home, project) as (opened, actor), opened.begin() as uow:
        gone = service.purge(uow, actor, route)
    console.emit({"purged": gone}, as_json, lambda: f"{gone} answers are gone.")
