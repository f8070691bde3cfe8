"""`penstock train search`: look for the best settings of a recipe."""

from pathlib import Path
from typing import Annotated, Any

import typer
import yaml
from rich.table import Table

from penstock.core import console
from penstock.core.console import HomeOption, JsonOption, ProjectOption
from penstock.core.errors import Invalid, NotFound
from penstock.training import bases
from penstock.training import recipe as recipes
from penstock.training.search import service
from penstock.training.search.model import Search

app = console.group("search", "Hyper-parameter search: run, list, show, stop, resume.")


def _read(path: Path) -> dict[str, Any]:
    try:
        found = yaml.safe_load(path.read_text())
    except OSError as error:
        raise NotFound(f"The search {path} cannot be read: {error.strerror}.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise Invalid(f"{path} is not valid YAML: {error}.") from error
    if not isinstance(found, dict):
        raise Invalid(f"{path} must hold keys and values.", hint="See docs/search.md for an example.")
    if isinstance(found.get("recipe"), str):
        name = found["recipe"]
        source = path.parent / name if name.endswith((".yaml", ".yml")) else name
        found["recipe"] = recipes.load(source).to_dict()
    recipe = found.get("recipe")
    if isinstance(recipe, dict) and isinstance(recipe.get("base"), str):
        found["recipe"] = {**recipe, "base": bases.absolute(recipe["base"])}
    return found


def _say(report: dict[str, Any]) -> None:
    if report.get("stage") == "import" and "base" in report:
        console.note(f"import … {report['base']}")
    if report.get("stage") == "trial":
        figures = "  ".join(
            f"{name} {value:.5g}" for name, value in report.items() if isinstance(value, float)
        )
        console.note(f"trial {report['trial']}  {report['state']}  {figures}")


def _table(found: Search) -> Table:
    head = ["trial", "state", *found.plan.space, *(one.metric for one in found.plan.objectives), ""]
    lines = [
        (
            str(trial.number),
            str(trial.state),
            *(str(trial.params.get(name, "")) for name in found.plan.space),
            *(f"{trial.values[o.metric]:.5g}" if trial.values else "" for o in found.plan.objectives),
            "best" if trial.number in found.pareto else "",
        )
        for trial in found.trials
    ]
    return console.rows(head, lines)


def _head(found: Search, as_json: bool) -> None:
    if as_json:
        return
    console.note(f"{found.id}  {found.state}  {found.error or ''}".rstrip())
    for metric, shares in found.importance.items():
        named = ", ".join(f"{name} {share:.2f}" for name, share in shares.items())
        console.note(f"{metric} depends on {named}")


@app.command()
@console.guarded
def run(
    file: Annotated[Path, typer.Argument(help="A YAML file with recipe, space, objectives …")],
    background: Annotated[
        bool, typer.Option("--background", help="Queue it for `penstock up` instead of running it here.")
    ] = False,
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Search for the best settings."""
    plan = _read(file)
    with console.open_home(home, project) as (opened, actor):
        if background:
            found = service.start(opened, actor, plan)
        else:
            found = service.execute(opened, actor, plan, progress=_say)
    _head(found, as_json)
    console.emit(found, as_json, lambda: _table(found))


@app.command("list")
@console.guarded
def list_searches(
    home: HomeOption = None, project: ProjectOption = "default", as_json: JsonOption = False
) -> None:
    """List searches, newest first."""
    with console.open_home(home, project) as (opened, actor), opened.read() as uow:
        found = service.list_searches(uow, actor, limit=200)
    lines = [
        (one.id, one.state, str(one.plan.recipe["name"]), " ".join(map(str, one.pareto))) for one in found
    ]
    console.emit(found, as_json, lambda: console.rows(["id", "state", "name", "best"], lines))


@app.command()
@console.guarded
def show(
    search_id: str, home: HomeOption = None, project: ProjectOption = "default", as_json: JsonOption = False
) -> None:
    """Show a search: its trials, the best of them, and which parameters mattered."""
    with console.open_home(home, project) as (opened, actor), opened.read() as uow:
        found = service.get(uow, actor, search_id=search_id)
    _head(found, as_json)
    console.emit(found, as_json, lambda: _table(found))


@app.command()
@console.guarded
def stop(
    search_id: str, home: HomeOption = None, project: ProjectOption = "default", as_json: JsonOption = False
) -> None:
    """Ask a search to stop."""
    with console.open_home(home, project) as (opened, actor), opened.begin() as uow:
        found = service.stop(uow, actor, search_id=search_id)
    console.emit(found, as_json, lambda: f"{found.id}  {found.state}")


@app.command()
@console.guarded
def resume(
    search_id: str,
    trials: Annotated[int | None, typer.Option("--trials", help="Trials in all, instead of before.")] = None,
    background: Annotated[
        bool, typer.Option("--background", help="Queue it for `penstock up` instead of running it here.")
    ] = False,
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Go on with a search that was stopped, failed or should try more."""
    with console.open_home(home, project) as (opened, actor):
        with opened.begin() as uow:
            found = service.resume(uow, actor, search_id=search_id, trials=trials, as_job=background)
        if not background:
            found = service.perform(opened, actor, search_id=search_id, progress=_say)
    _head(found, as_json)
    console.emit(found, as_json, lambda: _table(found))
