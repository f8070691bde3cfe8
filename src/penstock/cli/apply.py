"""`penstock apply`: configuration as code."""

import tomllib
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from penstock.core import console
from penstock.core.console import HomeOption, JsonOption, ProjectOption
from penstock.core.errors import Invalid
from penstock.core.suggest import did_you_mean
from penstock.gateway import service as gateway

app = typer.Typer(add_completion=False)


def read(file: Path) -> dict[str, Any]:
    """Return the tables of a configuration file; raises Invalid for anything it does not know."""
    try:
        tables = tomllib.loads(file.read_text())
    except OSError as error:
        raise Invalid(f"{file} cannot be read: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Invalid(f"{file} is not valid TOML: {error}.") from error
    for name, table in tables.items():
        if name not in gateway.TABLES:
            raise Invalid(f"{file} has the unknown table [{name}].", hint=did_you_mean(name, gateway.TABLES))
        if not isinstance(table, dict):
            raise Invalid(f"[{name}] in {file} must be a table.")
    return tables


@app.command()
@console.guarded
def apply(
    file: Annotated[Path, typer.Argument(help="TOML file with [providers.*], [routes.*] and others.")],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would change; change nothing.")
    ] = False,
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Bring providers, routes, limits, budgets and caches to what the file says, all or nothing."""
    tables = read(file)
    with console.open_home(home, project) as (opened, actor), opened.begin() as uow:
        changes = (gateway.plan if dry_run else gateway.apply)(uow, actor, tables)
    marks = {"create": "+", "update": "~", "delete": "-", "unchanged": "="}
    lines = [f"{marks[c.action]} {c.kind} {c.name}" + (f"  {c.detail}" if c.detail else "") for c in changes]
    shown = "\n".join([*lines, "(nothing was changed)"] if dry_run else lines)
    console.emit(msgspec.to_builtins(changes), as_json, lambda: shown)
