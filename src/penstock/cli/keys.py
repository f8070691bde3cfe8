"""`penstock keys`: create, list, rotate and revoke API keys."""

from datetime import timedelta
from typing import Annotated

import msgspec
import typer

from penstock.core import clock, console
from penstock.core.auth import service as auth
from penstock.core.console import HomeOption, JsonOption, ProjectOption
from penstock.core.scope import Role

app = console.group("keys", "API keys: create, list, rotate, revoke.")


@app.command()
@console.guarded
def create(
    name: Annotated[str, typer.Option("--name", help="What the key is for.")],
    role: Annotated[Role, typer.Option("--role", help="What it may do.")] = Role.MEMBER,
    days: Annotated[
        int | None, typer.Option("--expires-in-days", min=1, help="Lifetime; default: none.")
    ] = None,
    models: Annotated[
        list[str] | None,
        typer.Option("--model", help="The only models its calls may use, * for anything; may be repeated."),
    ] = None,
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Make a key; it is shown this once."""
    with console.open_home(home, project) as (opened, actor), opened.begin() as uow:
        key, secret = auth.create_key(
            uow,
            actor,
            name=name,
            role=role,
            models=models or (),
            expires_in=timedelta(days=days) if days else None,
        )
    shown: dict[str, object] = {"id": key.id, "key": secret, "name": key.name, "role": key.role}
    shown |= {"project": key.scope.project, "models": list(key.models)}
    console.emit(
        shown, as_json, lambda: f"{secret}\n(id {key.id}, role {key.role}; the key is shown this once)"
    )


@app.command("list")
@console.guarded
def list_keys(
    home: HomeOption = None, project: ProjectOption = "default", as_json: JsonOption = False
) -> None:
    """List the project's keys, newest first."""
    with console.open_home(home, project) as (opened, actor), opened.read() as uow:
        found = auth.list_keys(uow, actor)
    moment = clock.now()
    lines = [
        (
            k.id,
            k.name,
            f"{k.hint}…",
            k.role,
            ", ".join(k.models) or "all",
            "active" if k.active(moment) else "off",
            clock.iso(k.created_at)[:10],
        )
        for k in found
    ]
    columns = ["id", "name", "key", "role", "models", "state", "created"]
    console.emit(msgspec.to_builtins(found), as_json, lambda: console.rows(columns, lines))


@app.command()
@console.guarded
def rotate(
    key_id: str,
    grace: Annotated[
        int, typer.Option("--grace-minutes", min=0, help="How long the old secret still works.")
    ] = 0,
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Give a key a new secret under the same id; it is shown this once."""
    with console.open_home(home, project) as (opened, actor), opened.begin() as uow:
        key, secret = auth.rotate_key(uow, actor, key_id=key_id, grace=timedelta(minutes=grace))
    shown = {"id": key.id, "key": secret, "name": key.name, "role": key.role, "project": key.scope.project}
    ends = f"the old one works for {grace} more minutes" if grace else "the old one is refused from now on"
    console.emit(shown, as_json, lambda: f"{secret}\n(id {key.id}; {ends}; the key is shown this once)")


@app.command()
@console.guarded
def revoke(
    key_id: str, home: HomeOption = None, project: ProjectOption = "default", as_json: JsonOption = False
) -> None:
    """Revoke a key: every process refuses it within a second."""
    with console.open_home(home, project) as (opened, actor), opened.begin() as uow:
        auth.revoke_key(uow, actor, key_id=key_id)
    console.emit({"id": key_id, "revoked": True}, as_json, lambda: f"Revoked {key_id}.")
