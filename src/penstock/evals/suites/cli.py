"""`penstock evals suites` and `put-suite`: suites that are kept."""

from pathlib import Path
from typing import Annotated

import typer

from penstock.core import console
from penstock.core.clock import iso
from penstock.core.console import HomeOption, JsonOption, ProjectOption
from penstock.core.errors import Invalid
from penstock.evals.suites import service
from penstock.evals.suites.files import read_suite


@console.guarded
def list_suites(
    home: HomeOption = None, project: ProjectOption = "default", as_json: JsonOption = False
) -> None:
    """List stored suites."""
    with console.open_home(home, project) as (opened, actor), opened.read() as uow:
        found = service.list_suites(uow, actor, limit=200)
    lines = [
        (f"{one.name}@{one.version}", one.spec.get("dataset", ""), one.updated_by, iso(one.updated_at))
        for one in found
    ]
    console.emit(found, as_json, lambda: console.rows(["name", "dataset", "by", "at"], lines))


@console.guarded
def put_suite(
    file: Annotated[Path, typer.Argument(help="The suite's YAML, JSON or Python file.")],
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Keep a suite under its name, so that `run NAME`, the API and the UI can start it."""
    suite, target = read_suite(file)
    if target is not None:
        raise Invalid(
            "A suite with a target of its own in Python cannot be kept.", hint="Run it from its file."
        )
    with console.open_home(home, project) as (opened, actor), opened.begin() as uow:
        stored = service.put(uow, actor, name=suite.name, suite=suite)
    console.emit(stored, as_json, lambda: f"The suite {stored.name} is kept.")


def add_to(app: typer.Typer) -> None:
    """Add the commands to `penstock evals`."""
    app.command("suites")(list_suites)
    app.command("put-suite")(put_suite)
