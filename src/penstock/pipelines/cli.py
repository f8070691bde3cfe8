"""`penstock pipelines`: run steps that are written in YAML, and look at runs."""

from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from penstock.core import assignments, console
from penstock.core.console import HomeOption, JsonOption, ProjectOption
from penstock.core.errors import Invalid, NotFound
from penstock.pipelines import service
from penstock.pipelines.attempt import Hooks
from penstock.pipelines.documents import Document, parse
from penstock.pipelines.model import PipelineRun
from penstock.registry import adopting

app = console.group("pipelines", "Pipelines: run, resume, cancel, check, list, show.")
BackgroundOption = Annotated[
    bool, typer.Option("--background", help="Queue it for `penstock up` instead of running it here.")
]
FileArgument = Annotated[Path, typer.Argument(help="A YAML file with a name and steps.")]


def _loaded(path: Path) -> Any:
    try:
        return yaml.safe_load(path.read_text())
    except OSError as error:
        raise NotFound(f"{path} cannot be read: {error.strerror}.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise Invalid(f"{path} is not valid YAML: {error}.") from error


def _read(path: Path) -> Document:
    """Return the pipeline in a file; paths in it are relative to where the command runs."""
    found = _loaded(path)
    steps = found.get("steps") if isinstance(found, dict) else None
    for step in steps if isinstance(steps, list) else ():
        for options in step.values() if isinstance(step, dict) else ():
            if isinstance(options, dict):
                _resolve(options)
    return parse(found)


def _resolve(options: dict[str, Any]) -> None:
    file, recipe = options.get("file"), options.get("recipe")
    if isinstance(file, str) and not file.startswith("$"):
        options["file"] = str(Path(file).expanduser().absolute())
    if isinstance(recipe, str) and recipe.endswith((".yaml", ".yml")):
        options["recipe"] = recipe = _loaded(Path(recipe))
    if isinstance(recipe, dict) and isinstance(recipe.get("base"), str):
        options["recipe"] = {**recipe, "base": adopting.absolute(recipe["base"])}


def _line(run: PipelineRun) -> str:
    return f"{run.id}  {run.pipeline} {run.number}  {run.state}  {run.error or run.reason or ''}".rstrip()


@app.command()
@console.guarded
def check(file: FileArgument, as_json: JsonOption = False) -> None:
    """Check a file without running anything."""
    found = _read(file)
    said = f"{found.name}: {', '.join(step.name for step in found.steps)}"
    console.emit(found.to_dict(), as_json, lambda: said)


@app.command()
@console.guarded
def run(
    file: FileArgument,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Begin anew instead of going on with an unfinished run.")
    ] = False,
    values: Annotated[
        list[str] | None, typer.Option("--set", help="KEY=VALUE for a parameter of the file.")
    ] = None,
    background: BackgroundOption = False,
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Run the steps one after the other; a run that failed or was interrupted goes on behind its finished steps."""
    document, given = _read(file), assignments.parse(values or [])
    with console.open_home(home, project) as (opened, actor):
        found, _ = service.start(opened, actor, document, values=given, fresh=fresh, as_job=background)
        if not background:
            found = service.perform(opened, actor, run_id=found.id, hooks=Hooks(say=console.note))
    console.emit(found, as_json, lambda: _line(found))


@app.command()
@console.guarded
def resume(
    run_id: str,
    background: BackgroundOption = False,
    home: HomeOption = None,
    project: ProjectOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Go on with a failed, cancelled or interrupted run: behind its finished steps, with those it began with."""
    with console.open_home(home, project) as (opened, actor):
        found, _ = service.resume(opened, actor, run_id=run_id, as_job=background)
        if not background:
            found = service.perform(opened, actor, run_id=run_id, hooks=Hooks(say=console.note))
    console.emit(found, as_json, lambda: _line(found))


@app.command("list")
@console.guarded
def list_runs(
    home: HomeOption = None, project: ProjectOption = "default", as_json: JsonOption = False
) -> None:
    """List runs, newest first."""
    with console.open_home(home, project) as (opened, actor), opened.read() as uow:
        found = service.list_runs(uow, actor, limit=200)
    lines = [(r.id, r.pipeline, r.number, r.state, len(r.steps), r.error or r.reason or "") for r in found]
    columns = ["id", "pipeline", "number", "state", "steps done", "error or reason"]
    console.emit(found, as_json, lambda: console.rows(columns, lines))


@app.command()
@console.guarded
def show(
    run_id: str, home: HomeOption = None, project: ProjectOption = "default", as_json: JsonOption = False
) -> None:
    """Show a run and what each finished step gave."""
    with console.open_home(home, project) as (opened, actor), opened.read() as uow:
        found = service.get(uow, actor, run_id=run_id)
    if not as_json:
        console.note(_line(found))
    lines = [(s.name, s.seconds, ", ".join(f"{k}={v}" for k, v in s.result.items())) for s in found.steps]
    console.emit(found, as_json, lambda: console.rows(["step", "seconds", "gave"], lines))


@app.command()
@console.guarded
def cancel(
    run_id: str, home: HomeOption = None, project: ProjectOption = "default", as_json: JsonOption = False
) -> None:
    """Stop a run, here or in the background; `resume` goes on behind its finished steps."""
    with console.open_home(home, project) as (opened, actor), opened.begin() as uow:
        found = service.cancel(uow, actor, run_id=run_id)
    console.emit(found, as_json, lambda: _line(found))
