"""`penstock traces views`: saved queries on the command line."""

from typing import Annotated

import typer

from penstock.core import console
from penstock.core.console import HomeOption, JsonOption, ProjectOption
from penstock.traces import view_service

app = console.group("views", "Saved queries over traces.")


@app.command("list")
@console.guarded
def list_(home: HomeOption = None, project: ProjectOption = "default", as_json: JsonOption = False) -> None:
    """List your views and those shared in the project."""
    with console.open_home(home, project) as (opened, actor), opened.read() as uow:
        found = view_service.list_views(uow, actor)
    lines = [(view.name, view.query, "yes" if view.shared else "no", view.owner) for view in found]
    console.emit(found, as_json, lambda: console.rows(["name", "query", "shared", "owner"], lines))


@app.command()
@console.guarded
def save(
    name: str,
    query: str,
    shared: Annotated[bool, typer.Option("--shared", help="Show it to everybody in the project.")] = False,
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Save a query under a name; `penstock traces list --view NAME` asks it."""
    with console.open_home(home, project) as (opened, actor), opened.begin() as uow:
        view = view_service.put_view(uow, actor, name=name, query=query, shared=shared)
    console.emit(view, as_json, lambda: f"Saved {view.name}.")


@app.command()
@console.guarded
def delete(name: str, home: HomeOption = None, project: ProjectOption = "default") -> None:
    """Delete a view."""
    with console.open_home(home, project) as (opened, actor), opened.begin() as uow:
        view_service.delete_view(uow, actor, name=name)
